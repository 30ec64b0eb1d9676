//! The wait before the same endpoint is called again: [`Backoff`].

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Exponential backoff with full jitter: a wait between zero and a bound that starts at 0.5 s and doubles up to 8 s.
///
/// tower's `ExponentialBackoff` gives every session the same sequence, so that clients which failed together retry
/// together. Here each wait is random.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    floor: Duration,
    // None: the thread's own generator.
    rng: Option<Arc<Mutex<fastrand::Rng>>>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            max: Duration::from_secs(8),
            floor: Duration::ZERO,
            rng: None,
        }
    }
}

impl Backoff {
    /// Returns a backoff with the bound `first` for the first wait, which doubles up to `max`.
    #[must_use]
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, ..Self::default() }
    }

    /// Sets the shortest wait.
    #[must_use]
    pub const fn with_floor(mut self, floor: Duration) -> Self {
        self.floor = floor;
        self
    }

    /// Seeds the random numbers, for tests. All clones share one sequence, so their waits differ.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.rng = Some(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))));
        self
    }

    /// Returns a random wait, after `before` earlier ones.
    pub(super) fn draw(&self, before: u32) -> Duration {
        let doubled = self.first.saturating_mul(1u32.checked_shl(before).unwrap_or(u32::MAX));
        let part = match &self.rng {
            Some(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).f64(),
            None => fastrand::f64(),
        };
        doubled.min(self.max).mul_f64(part).max(self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_bound_of_a_backoff_doubles_from_half_a_second_to_eight() {
        let backoff = Backoff::default().with_seed(7);
        for (before, bound) in [500, 1_000, 2_000, 4_000, 8_000, 8_000].into_iter().enumerate() {
            let before = u32::try_from(before).unwrap();
            let draws: Vec<_> = (0..1_000).map(|_| backoff.draw(before)).collect();
            assert!(draws.iter().all(|wait| *wait <= ms(bound)), "{before}");
            assert!(draws.iter().any(|wait| *wait > ms(bound) * 9 / 10), "{before}");
            assert!(draws.iter().any(|wait| *wait < ms(bound) / 10), "{before}");
        }
        assert!(backoff.draw(1_000) <= ms(8_000));
    }

    #[test]
    fn clones_of_a_backoff_draw_different_waits() {
        let backoff = Backoff::default().with_seed(7);
        let other = backoff.clone();
        assert_ne!(backoff.draw(3), other.draw(3));
    }

    #[test]
    fn equal_seeds_draw_equal_backoffs() {
        let draw = |seed| Backoff::default().with_seed(seed).draw(4);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn a_backoff_is_never_shorter_than_its_floor() {
        let backoff = Backoff::new(ms(10), ms(10)).with_floor(ms(30));
        assert_eq!(backoff.draw(0), ms(30));
    }
}
