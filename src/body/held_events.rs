//! The limit on the bytes of unfinished events over all streams: [`HeldEvents`].
//!
//! An event is held until its end, and may be large: a picture comes in one event. Without a limit over all streams, a
//! hundred upstreams that never end a line would hold a hundred times the limit of one event.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The size of an unfinished event in bytes from which it is counted. Smaller ones are as large as the buffers of their
/// connection, and a stream that holds this much is committed.
const COUNTED_FROM: usize = 64 * 1024;

/// The default limit on all unfinished events together, in bytes.
pub(crate) const DEFAULT_MAX: usize = 32_000_000;

/// The bytes of unfinished events that the streams of a gateway hold.
#[derive(Clone, Debug)]
pub(crate) struct HeldEvents {
    totals: Arc<Totals>,
}

#[derive(Debug)]
struct Totals {
    max: AtomicUsize,
    bytes: AtomicUsize,
    /// The number of streams that hold some of them.
    streams: AtomicUsize,
}

impl Default for HeldEvents {
    fn default() -> Self {
        let [max, bytes, streams] = [DEFAULT_MAX, 0, 0].map(AtomicUsize::new);
        Self { totals: Arc::new(Totals { max, bytes, streams }) }
    }
}

impl HeldEvents {
    /// Sets the limit, in bytes.
    pub(crate) fn set_max(&self, max: usize) {
        self.totals.max.store(max, Relaxed);
    }

    /// Returns the share of a new stream.
    pub(crate) fn share(&self) -> HeldShare {
        HeldShare { all: self.clone(), held: 0 }
    }
}

/// The part of one stream, returned when dropped.
#[derive(Debug)]
pub(crate) struct HeldShare {
    all: HeldEvents,
    held: usize,
}

impl HeldShare {
    /// Records the size of the stream's unfinished event. Returns false if the stream must give it up: all streams together
    /// hold more than the limit, and this one more than an equal share of it. The stream that holds most always does.
    #[must_use]
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        let held = if bytes < COUNTED_FROM { 0 } else { bytes };
        if held == self.held {
            return true;
        }
        let Totals { max, bytes, streams } = &*self.all.totals;
        // Wraps for a smaller size, which subtracts.
        let change = held.wrapping_sub(self.held);
        let total = bytes.fetch_add(change, Relaxed).wrapping_add(change);
        let joined = usize::from(held > 0).wrapping_sub(usize::from(self.held > 0));
        let streams = streams.fetch_add(joined, Relaxed).wrapping_add(joined);
        self.held = held;
        let max = max.load(Relaxed);
        held == 0 || total <= max || held <= max / streams.max(1)
    }
}

impl Drop for HeldShare {
    fn drop(&mut self) {
        let _ = self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_share_gives_way_beyond_the_limit_only_if_it_is_more_than_an_equal_part() {
        let all = HeldEvents::default();
        all.set_max(1_000_000);
        let [mut small, mut large, mut other] = [(); 3].map(|()| all.share());
        assert!(small.set(70_000) && large.set(900_000));
        assert!(small.set(100_000), "a tenth, and no more than the limit together");
        assert!(other.set(200_000), "less than a third");
        assert!(!large.set(910_000));
        assert!(large.set(0));
        assert!(other.set(890_000) && !other.set(910_000));
        drop((small, large, other));
        let Totals { bytes, streams, .. } = &*all.totals;
        assert_eq!((bytes.load(Relaxed), streams.load(Relaxed)), (0, 0));
    }

    #[test]
    fn a_short_unfinished_event_is_not_counted() {
        let all = HeldEvents::default();
        all.set_max(0);
        let mut share = all.share();
        assert!(share.set(COUNTED_FROM - 1));
        assert!(!share.set(COUNTED_FROM));
    }
}
