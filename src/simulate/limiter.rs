//! The rate limiters of simulated upstreams: [`ServerWindow`], [`WindowLimiter`].

use std::{collections::VecDeque, str::FromStr, time::Duration};

use tokio::time::Instant;

use super::{InvalidArgument, arrivals::count};

const MINUTE: Duration = Duration::from_secs(60);

/// The window over which an upstream enforces a limit of requests per minute. The limit of the whole minute holds in
/// addition, and refused calls count against the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerWindow {
    /// At most a sixtieth of the limit in any second.
    S1,
    /// At most a sixth of the limit in any ten seconds.
    S10,
    /// At most the limit in any minute; it may be used at once.
    #[default]
    S60,
    /// At most the limit in each fixed minute, with a start that clients do not know.
    Fixed,
    /// A token bucket with the capacity of one second, refilled at a constant rate.
    Bucket,
}

impl ServerWindow {
    /// Returns the duration of the window.
    pub(super) const fn span(self) -> Duration {
        match self {
            Self::S1 | Self::Bucket => Duration::from_secs(1),
            Self::S10 => Duration::from_secs(10),
            Self::S60 | Self::Fixed => MINUTE,
        }
    }

    /// Returns true if the limit holds in any period of this duration.
    pub(super) const fn slides(self) -> bool {
        matches!(self, Self::S1 | Self::S10 | Self::S60)
    }
}

impl FromStr for ServerWindow {
    type Err = InvalidArgument;

    fn from_str(text: &str) -> Result<Self, InvalidArgument> {
        match text {
            "1s" => Ok(Self::S1),
            "10s" => Ok(Self::S10),
            "60s" => Ok(Self::S60),
            "fixed" => Ok(Self::Fixed),
            "bucket" => Ok(Self::Bucket),
            _ => Err(InvalidArgument("1s, 10s, 60s, fixed or bucket")),
        }
    }
}

/// A limiter with a single window.
#[derive(Debug)]
pub(super) enum WindowLimiter {
    Sliding { limit: u64, span: Duration, sum: u64, most: u64, seen: VecDeque<(Instant, u64)> },
    Fixed { limit: u64, sum: u64, ends: Instant },
    Bucket { capacity: f64, per_second: f64, level: f64, at: Instant },
}

impl WindowLimiter {
    /// Returns the limiters for a limit of requests per minute. `phase` is the age of the current fixed minute.
    pub(super) fn requests(
        window: ServerWindow,
        per_minute: u64,
        phase: Duration,
        now: Instant,
    ) -> Vec<Self> {
        let part =
            |seconds: u64| Self::sliding((per_minute * seconds / 60).max(1), Duration::from_secs(seconds));
        let minute = part(60);
        match window {
            ServerWindow::S1 => vec![part(1), minute],
            ServerWindow::S10 => vec![part(10), minute],
            ServerWindow::S60 => vec![minute],
            ServerWindow::Fixed => vec![Self::fixed(per_minute, phase, now)],
            ServerWindow::Bucket => {
                let per_second = count(per_minute) / 60.0;
                let capacity = per_second.max(1.0);
                vec![Self::Bucket { capacity, per_second, level: capacity, at: now }]
            }
        }
    }

    /// Returns the limiter for a limit of tokens per minute, which is always enforced over a minute.
    pub(super) fn tokens(window: ServerWindow, per_minute: u64, phase: Duration, now: Instant) -> Self {
        match window {
            ServerWindow::Fixed => Self::fixed(per_minute, phase, now),
            ServerWindow::S1 | ServerWindow::S10 | ServerWindow::S60 | ServerWindow::Bucket => {
                Self::sliding(per_minute, MINUTE)
            }
        }
    }

    fn sliding(limit: u64, span: Duration) -> Self {
        Self::Sliding { limit, span, sum: 0, most: 0, seen: VecDeque::new() }
    }

    fn fixed(limit: u64, phase: Duration, now: Instant) -> Self {
        Self::Fixed { limit, sum: 0, ends: now + MINUTE.saturating_sub(phase) }
    }

    /// Returns the largest amount that was counted within a window, as a fraction of the limit; the largest one of several
    /// limiters. Returns `None` if none of them has a sliding window.
    pub(super) fn fullest(limiters: &[Self]) -> Option<f64> {
        let fullest = |limiter: &Self| match limiter {
            Self::Sliding { limit, most, .. } => Some(count(*most) / count(*limit)),
            Self::Fixed { .. } | Self::Bucket { .. } => None,
        };
        limiters.iter().filter_map(fullest).reduce(f64::max)
    }

    /// Counts a call in all limiters. If one of them refuses it, the error is the time until a call would be
    /// admitted.
    pub(super) fn admit(limiters: &mut [Self], now: Instant) -> Result<(), Duration> {
        let refused = limiters.iter_mut().any(|limiter| limiter.check(1, now).is_err());
        limiters.iter_mut().for_each(|limiter| limiter.add(1, now));
        if !refused {
            return Ok(());
        }
        Err(limiters.iter_mut().filter_map(|limiter| limiter.check(1, now).err()).max().unwrap_or_default())
    }

    /// Returns an error with the time to wait if `amount` more would exceed the limit.
    pub(super) fn check(&mut self, amount: u64, now: Instant) -> Result<(), Duration> {
        self.refresh(now);
        match self {
            Self::Sliding { limit, span, sum, seen, .. } => {
                let mut over = (*sum + amount).saturating_sub(*limit);
                if over == 0 {
                    return Ok(());
                }
                let frees = seen.iter().find(|(_, amount)| {
                    over = over.saturating_sub(*amount);
                    over == 0
                });
                Err(frees.map_or(*span, |(at, _)| *at + *span - now))
            }
            Self::Fixed { limit, sum, ends } if *sum + amount > *limit => Err(*ends - now),
            Self::Bucket { per_second, level, .. } if *level < count(amount) - 1e-9 => {
                Err(Duration::from_secs_f64((count(amount) - *level) / *per_second))
            }
            Self::Fixed { .. } | Self::Bucket { .. } => Ok(()),
        }
    }

    /// Counts an amount, even beyond the limit.
    pub(super) fn add(&mut self, amount: u64, now: Instant) {
        self.refresh(now);
        match self {
            Self::Sliding { sum, most, seen, .. } => {
                *sum += amount;
                *most = (*most).max(*sum);
                seen.push_back((now, amount));
            }
            Self::Fixed { sum, .. } => *sum += amount,
            Self::Bucket { level, .. } => *level = (*level - count(amount)).max(0.0),
        }
    }

    fn refresh(&mut self, now: Instant) {
        match self {
            Self::Sliding { span, sum, seen, .. } => {
                while let Some((_, amount)) = seen.front().filter(|(at, _)| *at + *span <= now) {
                    *sum -= amount;
                    seen.pop_front();
                }
            }
            Self::Fixed { sum, ends, .. } => {
                while *ends <= now {
                    *ends += MINUTE;
                    *sum = 0;
                }
            }
            Self::Bucket { capacity, per_second, level, at } => {
                let arrived = now.saturating_duration_since(*at).as_secs_f64() * *per_second;
                *level = (*level + arrived).min(*capacity);
                *at = now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of simultaneous calls that are admitted, of `calls`, and the wait of the first refused one.
    fn burst(limiters: &mut [WindowLimiter], calls: usize, now: Instant) -> (usize, Option<Duration>) {
        let mut admitted = 0;
        for _ in 0..calls {
            match WindowLimiter::admit(limiters, now) {
                Ok(()) => admitted += 1,
                Err(wait) => return (admitted, Some(wait)),
            }
        }
        (admitted, None)
    }

    #[tokio::test(start_paused = true)]
    async fn each_window_admits_its_part_of_the_limit() {
        let now = Instant::now();
        let phase = Duration::from_secs(20);
        for (window, admitted, wait) in [
            (ServerWindow::S1, 10, 1_000),
            (ServerWindow::S10, 100, 10_000),
            (ServerWindow::S60, 600, 60_000),
            (ServerWindow::Fixed, 600, 40_000),
            (ServerWindow::Bucket, 10, 100),
        ] {
            let mut limiters = WindowLimiter::requests(window, 600, phase, now);
            assert_eq!(
                burst(&mut limiters, 1_000, now),
                (admitted, Some(Duration::from_millis(wait))),
                "{window:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_with_a_small_limit_admits_one_call_and_enforces_the_minute() {
        let start = Instant::now();
        let mut limiters = WindowLimiter::requests(ServerWindow::S1, 6, Duration::ZERO, start);
        for second in 0..6 {
            assert_eq!(burst(&mut limiters, 1, start + Duration::from_secs(2 * second)), (1, None));
        }
        let retry_after = burst(&mut limiters, 1, start + Duration::from_secs(20)).1;
        assert_eq!(retry_after, Some(Duration::from_secs(42)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_fullest_window_is_recorded_with_its_refused_calls() {
        let start = Instant::now();
        let mut limiters = WindowLimiter::requests(ServerWindow::S1, 600, Duration::ZERO, start);
        burst(&mut limiters, 5, start);
        assert_eq!(burst(&mut limiters, 10, start + Duration::from_millis(900)).0, 5);
        burst(&mut limiters, 1, start + Duration::from_secs(9));
        assert_eq!(WindowLimiter::fullest(&limiters), Some(1.1));
        let mut bucket = WindowLimiter::requests(ServerWindow::Bucket, 600, Duration::ZERO, start);
        burst(&mut bucket, 5, start);
        assert_eq!(WindowLimiter::fullest(&bucket), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_call_counts_in_the_window() {
        let start = Instant::now();
        let mut limiters = WindowLimiter::requests(ServerWindow::S1, 60, Duration::ZERO, start);
        assert_eq!(burst(&mut limiters, 1, start), (1, None));
        assert!(burst(&mut limiters, 1, start + Duration::from_millis(500)).1.is_some());
        let retry_after = burst(&mut limiters, 1, start + Duration::from_millis(1_400)).1;
        assert_eq!(retry_after, Some(Duration::from_secs(1)));
    }
}
