//! What the meters last showed, for those who only look: [`Glance`].

use std::sync::atomic::Ordering;

use super::meters::Room;
use crate::sync::{AtomicU32, AtomicU64};

/// How long it is believed, in milliseconds: time frees room, and changes the rules.
const FRESH: u32 = 100;

/// The dearest call that there was room for, when, and how full the fullest meter was.
///
/// A balancer looks at many meters and takes from one. So it may look without their locks: what is shown here is a
/// hint, written under the lock whenever something changes; whoever takes is checked again. It only ever says yes.
#[derive(Debug, Default)]
pub(super) struct Glance {
    /// The time, in its low 32 bits of milliseconds, above one more than the dearest cost. Zero: no room.
    seen: AtomicU64,
    /// How full, as the bits of an `f32`.
    used: AtomicU32,
}

impl Glance {
    /// Room for a call of this cost, if there was some a moment ago.
    #[inline]
    pub(super) fn room(&self, cost: u64, now: u64) -> Option<Room> {
        let seen = self.seen.load(Ordering::Relaxed);
        // Another thread may have been here a little later than our `now`.
        let age = low(now).wrapping_sub(low(seen >> 32)).cast_signed().unsigned_abs();
        (cost < u64::from(low(seen)) && age < FRESH)
            .then(|| Room { used: f64::from(f32::from_bits(self.used.load(Ordering::Relaxed))) })
    }

    /// There is room for any call up to this cost, or for none. Under the lock of the meters.
    pub(super) fn show(&self, most: Option<u64>, used: f64, now: u64) {
        let below = most.map_or(0, |most| u32::try_from(most.saturating_add(1)).unwrap_or(u32::MAX));
        self.used.store((used as f32).to_bits(), Ordering::Relaxed);
        self.seen.store(u64::from(low(now)) << 32 | u64::from(below), Ordering::Relaxed);
    }
}

/// The low half.
const fn low(n: u64) -> u32 {
    (n & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_yes_up_to_what_there_was_and_not_for_long() {
        let glance = Glance::default();
        assert!(glance.room(0, 0).is_none());
        for now in [5, u64::from(u32::MAX) + 2] {
            glance.show(Some(10), 0.5, now);
            for (cost, later, yes) in [(10, 0, true), (11, 0, false), (0, 99, true), (0, 100, false)] {
                assert_eq!(glance.room(cost, now + later).is_some(), yes, "{cost} after {later} ms");
            }
            assert!(glance.room(10, now - 3).is_some(), "a little earlier");
            glance.show(None, 1.0, now);
            assert!(glance.room(0, now).is_none());
        }
    }
}
