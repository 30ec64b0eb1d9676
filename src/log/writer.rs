//! The thread that writes the access log: [`LogWriter`].

use std::{
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

use super::{access, line::LogFormat};
use crate::record::Record;

/// The largest number of records that wait for the writer. Beyond it records are dropped: a disk that is slow or full
/// must not take the memory of the gateway, nor hold its requests.
const CAPACITY: usize = 16_384;

/// The number of records that are written at once, without waiting for more.
const BATCH: usize = 256;

/// The longest wait for a whole batch. A thread that was woken for each record would cost more than the line.
const LINGER: Duration = Duration::from_millis(50);

/// The records that wait for the writer.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Waiting {
    records: Vec<Arc<Record>>,
    closed: bool,
}

impl Queue {
    /// Adds a record, or drops and counts it if too many wait.
    pub(super) fn push(&self, record: Arc<Record>) {
        let mut waiting = self.lock();
        if waiting.records.len() >= CAPACITY {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.records.push(record);
        let wakes = matches!(waiting.records.len(), 1 | BATCH);
        drop(waiting);
        if wakes {
            self.changed.notify_one();
        }
    }

    /// Waits for records and moves them into `batch`. Returns false when the queue is closed and empty.
    fn take(&self, batch: &mut Vec<Arc<Record>>) -> bool {
        let is_empty = |waiting: &mut Waiting| waiting.records.is_empty() && !waiting.closed;
        let waiting = self.changed.wait_while(self.lock(), is_empty).unwrap_or_else(PoisonError::into_inner);
        let is_small = |waiting: &mut Waiting| waiting.records.len() < BATCH && !waiting.closed;
        let waited = self.changed.wait_timeout_while(waiting, LINGER, is_small);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(batch, &mut waiting.records);
        !batch.is_empty()
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread that formats and writes the records of a queue.
#[derive(Debug)]
pub(crate) struct LogWriter {
    queue: Arc<Queue>,
    thread: JoinHandle<()>,
}

impl LogWriter {
    /// Starts the thread. Records that it cannot write are counted in `dropped`.
    ///
    /// # Errors
    /// Returns the error of the operating system if it has no thread left.
    pub(crate) fn start(
        sink: impl Write + Send + 'static,
        format: LogFormat,
        dropped: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue { waiting: Mutex::default(), changed: Condvar::new(), dropped });
        let records = Arc::clone(&queue);
        let thread =
            Builder::new().name("access-log".to_owned()).spawn(move || write(&records, sink, format))?;
        Ok(Self { queue, thread })
    }

    /// Returns the queue of the records.
    pub(crate) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// Writes what waits, and ends the thread.
    pub(crate) fn finish(self) {
        self.queue.close();
        // A panic of the thread has been reported.
        let _panicked = self.thread.join();
    }
}

/// Writes batches until the queue is closed.
fn write(queue: &Queue, mut sink: impl Write, format: LogFormat) {
    let (mut batch, mut text, mut failing) = (Vec::new(), String::new(), false);
    while queue.take(&mut batch) {
        batch.iter().for_each(|record| access::write(record, format, &mut text));
        let result = sink.write_all(text.as_bytes()).and_then(|()| sink.flush());
        if let Err(error) = &result {
            queue.dropped.fetch_add(batch.len() as u64, Ordering::Relaxed);
            if !failing {
                tracing::error!(%error, "cannot write the access log: lines are lost");
            }
        }
        failing = result.is_err();
        batch.clear();
        text.clear();
    }
}
