//! The limit on the bytes of unfinished events over all streams: [`HeldEvents`].
//!
//! An event is held until its end, and may be large: a picture comes in one event. Without a limit over all streams, a
//! hundred upstreams that never end a line would hold a hundred times the limit of one event.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Context,
};

use crate::signal::Signal;

/// The size of an unfinished event in bytes from which it is counted. Smaller ones are as large as the buffers of their
/// connection, and a stream that holds this much is committed.
const COUNTED_FROM: usize = 64 * 1024;

/// The default limit on all unfinished events together, in bytes.
pub(crate) const DEFAULT_MAX: usize = 32_000_000;

/// The bytes of unfinished events that the streams of a gateway hold.
#[derive(Clone, Debug)]
pub(crate) struct HeldEvents {
    totals: Arc<Mutex<Totals>>,
}

#[derive(Debug)]
struct Totals {
    max: usize,
    /// The sum of the events that are still read.
    watched: usize,
    /// The sum of what waits for the clients of streams that gave up.
    given_up: usize,
    /// The streams that are still read and hold a counted event, by their number.
    streams: BTreeMap<u64, (usize, Arc<Signal>)>,
    /// The number of the next stream.
    next: u64,
}

impl Default for HeldEvents {
    fn default() -> Self {
        let (streams, next) = (BTreeMap::new(), 0);
        let totals = Totals { max: DEFAULT_MAX, watched: 0, given_up: 0, streams, next };
        Self { totals: Arc::new(Mutex::new(totals)) }
    }
}

impl HeldEvents {
    /// Sets the limit, in bytes.
    pub(crate) fn set_max(&self, max: usize) {
        self.lock().max = max;
    }

    /// Returns the share of a new stream.
    pub(crate) fn share(&self) -> HeldShare {
        HeldShare { all: self.clone(), held: 0, watched: None, gave_up: false }
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    /// Signals the streams that hold most, until the rest is within the limit. A quarter of the limit is for what waits for
    /// clients, so that one stream that gives up does not make the next do so before its client has read.
    fn enforce(&mut self) {
        let limit = self.max.saturating_sub(self.given_up.max(self.max / 4));
        while self.watched > limit
            && let Some((&number, _)) = self.streams.iter().max_by_key(|(_, (bytes, _))| *bytes)
            && let Some((bytes, signal)) = self.streams.remove(&number)
        {
            self.watched -= bytes;
            self.given_up += bytes;
            signal.raise();
        }
    }
}

/// The part of one stream, returned when dropped.
#[derive(Debug)]
pub(crate) struct HeldShare {
    all: HeldEvents,
    held: usize,
    /// The number and the signal of a stream that is counted and still read.
    watched: Option<(u64, Arc<Signal>)>,
    /// True if the stream has given up its event: what it holds waits for its client.
    gave_up: bool,
}

impl HeldShare {
    /// Records the size of what the stream holds.
    #[inline]
    pub(crate) fn set(&mut self, bytes: usize) {
        let held = if bytes < COUNTED_FROM && !self.gave_up { 0 } else { bytes };
        if held != self.held {
            self.change(held);
        }
    }

    #[cold]
    fn change(&mut self, held: usize) {
        let mut totals = self.all.lock();
        let totals = &mut *totals;
        let entry = match &self.watched {
            Some((number, _)) => totals.streams.get_mut(number),
            None if self.gave_up => None,
            None => {
                let (number, signal) = (totals.next, Arc::new(Signal::default()));
                totals.next += 1;
                self.watched = Some((number, Arc::clone(&signal)));
                Some(totals.streams.entry(number).or_insert((0, signal)))
            }
        };
        let total = match entry {
            Some((own, _)) => {
                *own = held;
                &mut totals.watched
            }
            // The signal may be there that the stream has not seen yet.
            None => &mut totals.given_up,
        };
        *total = *total - self.held + held;
        self.held = held;
        if held == 0
            && let Some((number, _)) = self.watched.take()
        {
            totals.streams.remove(&number);
        }
        totals.enforce();
    }

    /// Returns true, once, if the stream must give up its unfinished event: all streams together hold more than the limit, and
    /// this one most. Otherwise the task is woken when it must.
    #[must_use]
    #[inline]
    pub(crate) fn must_give_up(&mut self, cx: &Context<'_>) -> bool {
        let Some((_, signal)) = &self.watched else { return false };
        self.gave_up = signal.poll(cx);
        if self.gave_up {
            self.watched = None;
        }
        self.gave_up
    }
}

impl Drop for HeldShare {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn gives_up(share: &mut HeldShare) -> bool {
        share.must_give_up(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn the_stream_that_holds_most_gives_up_when_the_limit_is_exceeded() {
        let all = HeldEvents::default();
        all.set_max(1_000_000);
        let [mut small, mut large, mut other] = [(); 3].map(|()| all.share());
        small.set(100_000);
        large.set(650_000);
        assert!(!gives_up(&mut small) && !gives_up(&mut large), "the limit is not exceeded");
        other.set(100_000);
        assert!(gives_up(&mut large), "though another has exceeded the limit");
        assert!(!gives_up(&mut small) && !gives_up(&mut other) && !gives_up(&mut large));
        // What waits for the client of the large one counts.
        other.set(250_000);
        assert!(!gives_up(&mut other));
        other.set(260_000);
        assert!(gives_up(&mut other) && !gives_up(&mut small));
        large.set(0);
        other.set(0);
        small.set(750_000);
        assert!(!gives_up(&mut small));
        drop((small, large, other));
        let totals = all.lock();
        assert_eq!((totals.watched, totals.given_up, totals.streams.len()), (0, 0, 0));
    }

    #[test]
    fn a_stream_that_ends_before_it_sees_the_signal_is_not_counted_any_more() {
        let all = HeldEvents::default();
        all.set_max(200_000);
        let [mut one, mut other] = [(); 2].map(|()| all.share());
        one.set(90_000);
        other.set(80_000);
        drop(one);
        assert!(!gives_up(&mut other));
        let totals = all.lock();
        assert_eq!((totals.watched, totals.given_up, totals.streams.len()), (80_000, 0, 1));
    }

    #[test]
    fn a_short_unfinished_event_is_not_counted() {
        let all = HeldEvents::default();
        all.set_max(0);
        let mut share = all.share();
        share.set(COUNTED_FROM - 1);
        assert!(!gives_up(&mut share));
        share.set(COUNTED_FROM);
        assert!(gives_up(&mut share));
    }
}
