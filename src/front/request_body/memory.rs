//! The memory of all request bodies: [`BodyMemory`].

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Context,
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use crate::{Error, signal::Signal};

/// The number of bytes for which one permit stands. A semaphore acquires at most `u32::MAX` permits at once.
const UNIT: usize = 1024;

/// An upload that has sent fewer than [`PROGRESS`] bytes for this time may have to give way.
const SLOW_AFTER: Duration = Duration::from_secs(1);
const PROGRESS: usize = 64 * 1024;

/// The maximum wait for the memory of an upload that gives way.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The memory of all request bodies, with a limit. When it is used up, the slowest uploads give way to others.
#[derive(Debug)]
pub(super) struct BodyMemory {
    units: Arc<Semaphore>,
    uploads: Mutex<Uploads>,
}

/// The unfinished uploads that have waited for their client.
#[derive(Debug, Default)]
struct Uploads {
    by_number: BTreeMap<u64, Upload>,
    /// The number of the next upload.
    next: u64,
}

#[derive(Debug)]
struct Upload {
    /// The time of the last progress.
    progress: Instant,
    /// The number of permits that it held then.
    units: usize,
    signal: Arc<Signal>,
}

impl BodyMemory {
    /// Returns a memory of this many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        Self { units: Arc::new(Semaphore::new(bytes / UNIT)), uploads: Mutex::default() }
    }

    /// Returns the share of a new body.
    pub(super) const fn share(&self) -> BodyShare<'_> {
        BodyShare { memory: self, permit: None, bytes: 0, waiting: None }
    }

    /// Acquires permits that are free.
    fn try_acquire(&self, units: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.units).try_acquire_many_owned(count(units)).ok()
    }

    /// Acquires permits; slow uploads give way.
    async fn acquire(&self, units: usize) -> Result<OwnedSemaphorePermit, Error> {
        if !self.lock().make_room(units) {
            return Err(Error::Busy);
        }
        match timeout(MAX_WAIT, Arc::clone(&self.units).acquire_many_owned(count(units))).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Error::Busy),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Uploads> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the number as a semaphore takes it: that of a body within the limit fits.
fn count(units: usize) -> u32 {
    u32::try_from(units).unwrap_or(u32::MAX)
}

impl Uploads {
    /// Signals the slowest uploads until they hold this many permits together. Returns false if none is slow.
    fn make_room(&mut self, units: usize) -> bool {
        let mut room = 0;
        let slow_before = Instant::now().checked_sub(SLOW_AFTER);
        while room < units
            && let Some((&number, slowest)) = self.by_number.iter().min_by_key(|(_, upload)| upload.progress)
            && Some(slowest.progress) <= slow_before
            && let Some(slowest) = self.by_number.remove(&number)
        {
            room += slowest.units;
            slowest.signal.raise();
        }
        room > 0
    }
}

/// The memory that one body takes.
#[derive(Debug)]
pub(super) struct BodyShare<'a> {
    memory: &'a BodyMemory,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
    waiting: Option<Waiting>,
}

/// The registration of an upload that has waited for its client.
#[derive(Debug)]
struct Waiting {
    number: u64,
    /// The number of bytes at the last progress.
    bytes: usize,
    signal: Arc<Signal>,
}

impl BodyShare<'_> {
    /// Returns the number of bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Acquires the memory of more bytes, if it is free. Otherwise [`BodyShare::wait`] must follow.
    #[must_use]
    pub(super) fn try_grow(&mut self, by: usize) -> bool {
        self.bytes += by;
        let missing = self.missing();
        missing == 0 || self.memory.try_acquire(missing).is_some_and(|more| self.add(more))
    }

    /// Acquires the memory that is missing.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] if the memory is used up and no upload gives way.
    pub(super) async fn wait(&mut self) -> Result<(), Error> {
        let more = self.memory.acquire(self.missing()).await?;
        self.add(more);
        Ok(())
    }

    /// Returns the number of permits that the bytes need and the share does not have.
    fn missing(&self) -> usize {
        (self.bytes / UNIT).saturating_sub(self.held())
    }

    fn add(&mut self, more: OwnedSemaphorePermit) -> bool {
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        true
    }

    /// Records that the upload waits for its client. Returns true if it must give way; otherwise the task is woken when it
    /// must.
    pub(super) fn must_give_way(&mut self, cx: &Context<'_>) -> bool {
        let (bytes, units) = (self.bytes, self.held());
        match &mut self.waiting {
            Some(waiting) if bytes < waiting.bytes + PROGRESS => {}
            Some(waiting) => {
                waiting.bytes = bytes;
                if let Some(upload) = self.memory.lock().by_number.get_mut(&waiting.number) {
                    (upload.progress, upload.units) = (Instant::now(), units);
                }
            }
            None => {
                let mut uploads = self.memory.lock();
                let (number, signal) = (uploads.next, Arc::new(Signal::default()));
                uploads.next += 1;
                let upload = Upload { progress: Instant::now(), units, signal: Arc::clone(&signal) };
                uploads.by_number.insert(number, upload);
                self.waiting = Some(Waiting { number, bytes, signal });
            }
        }
        self.waiting.as_ref().is_some_and(|waiting| waiting.signal.poll(cx))
    }

    /// Returns the permit of the memory. The body stays complete while it is kept.
    pub(super) fn finish(mut self) -> Option<OwnedSemaphorePermit> {
        self.permit.take()
    }

    fn held(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }
}

impl Drop for BodyShare<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            self.memory.lock().by_number.remove(&waiting.number);
        }
    }
}
