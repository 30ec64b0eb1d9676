//! How a server counts against a limit: [`Window`], [`Gate`].

use std::{collections::VecDeque, str::FromStr, time::Duration};

use tokio::time::Instant;

use super::{Unreadable, arrivals::count};

const MINUTE: Duration = Duration::from_secs(60);

/// Over what a server judges a limit of requests that is given per minute. The minute itself is kept by each of them,
/// and refused calls count against the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// Never more than its part of the limit in any one second.
    S1,
    /// Likewise in any ten.
    S10,
    /// All of the limit in any minute, at once if need be.
    #[default]
    S60,
    /// By the clock's minutes, which begin when nobody knows.
    Fixed,
    /// A bucket that holds one second's worth and is refilled evenly.
    Bucket,
}

impl FromStr for Window {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        match text {
            "1s" => Ok(Self::S1),
            "10s" => Ok(Self::S10),
            "60s" => Ok(Self::S60),
            "fixed" => Ok(Self::Fixed),
            "bucket" => Ok(Self::Bucket),
            _ => Err(Unreadable("1s, 10s, 60s, fixed or bucket")),
        }
    }
}

/// Counts what comes through one rule.
#[derive(Debug)]
pub(super) enum Gate {
    Sliding { most: u64, span: Duration, sum: u64, seen: VecDeque<(Instant, u64)> },
    Fixed { most: u64, sum: u64, ends: Instant },
    Bucket { most: f64, per_second: f64, level: f64, at: Instant },
}

impl Gate {
    /// The rules by which a server judges so many requests a minute. `phase` is how old a fixed minute is by now.
    pub(super) fn requests(window: Window, per_minute: u64, phase: Duration, now: Instant) -> Vec<Self> {
        let part =
            |seconds: u64| Self::sliding((per_minute * seconds / 60).max(1), Duration::from_secs(seconds));
        let minute = part(60);
        match window {
            Window::S1 => vec![part(1), minute],
            Window::S10 => vec![part(10), minute],
            Window::S60 => vec![minute],
            Window::Fixed => vec![Self::fixed(per_minute, phase, now)],
            Window::Bucket => {
                let per_second = count(per_minute) / 60.0;
                let most = per_second.max(1.0);
                vec![Self::Bucket { most, per_second, level: most, at: now }]
            }
        }
    }

    /// Tokens are judged over a minute, whatever is done with requests.
    pub(super) fn tokens(window: Window, per_minute: u64, phase: Duration, now: Instant) -> Self {
        match window {
            Window::Fixed => Self::fixed(per_minute, phase, now),
            Window::S1 | Window::S10 | Window::S60 | Window::Bucket => Self::sliding(per_minute, MINUTE),
        }
    }

    fn sliding(most: u64, span: Duration) -> Self {
        Self::Sliding { most, span, sum: 0, seen: VecDeque::new() }
    }

    fn fixed(most: u64, phase: Duration, now: Instant) -> Self {
        Self::Fixed { most, sum: 0, ends: now + MINUTE.saturating_sub(phase) }
    }

    /// One call comes before these. When one of them refuses it, after how long it may return: itself counted, in all.
    pub(super) fn judge(gates: &mut [Self], now: Instant) -> Result<(), Duration> {
        let refused = gates.iter_mut().any(|gate| gate.check(1, now).is_err());
        gates.iter_mut().for_each(|gate| gate.add(1, now));
        if !refused {
            return Ok(());
        }
        Err(gates.iter_mut().filter_map(|gate| gate.check(1, now).err()).max().unwrap_or_default())
    }

    /// Whether so much more may come; else after how long it may.
    pub(super) fn check(&mut self, amount: u64, now: Instant) -> Result<(), Duration> {
        self.refresh(now);
        match self {
            Self::Sliding { most, span, sum, seen } => {
                let mut over = (*sum + amount).saturating_sub(*most);
                if over == 0 {
                    return Ok(());
                }
                let frees = seen.iter().find(|(_, amount)| {
                    over = over.saturating_sub(*amount);
                    over == 0
                });
                Err(frees.map_or(*span, |(at, _)| *at + *span - now))
            }
            Self::Fixed { most, sum, ends } if *sum + amount > *most => Err(*ends - now),
            Self::Bucket { per_second, level, .. } if *level < count(amount) - 1e-9 => {
                Err(Duration::from_secs_f64((count(amount) - *level) / *per_second))
            }
            Self::Fixed { .. } | Self::Bucket { .. } => Ok(()),
        }
    }

    /// Counts it, be it within the limit or not.
    pub(super) fn add(&mut self, amount: u64, now: Instant) {
        self.refresh(now);
        match self {
            Self::Sliding { sum, seen, .. } => {
                *sum += amount;
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
            Self::Bucket { most, per_second, level, at } => {
                let came = now.saturating_duration_since(*at).as_secs_f64() * *per_second;
                *level = (*level + came).min(*most);
                *at = now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many at once are let in, and how long the first that is not is told to wait.
    fn burst(gates: &mut [Gate], calls: usize, now: Instant) -> (usize, Option<Duration>) {
        let mut admitted = 0;
        for _ in 0..calls {
            match Gate::judge(gates, now) {
                Ok(()) => admitted += 1,
                Err(wait) => return (admitted, Some(wait)),
            }
        }
        (admitted, None)
    }

    #[tokio::test(start_paused = true)]
    async fn each_window_lets_its_part_of_the_limit_in() {
        let now = Instant::now();
        let phase = Duration::from_secs(20);
        for (window, most, wait) in [
            (Window::S1, 10, 1_000),
            (Window::S10, 100, 10_000),
            (Window::S60, 600, 60_000),
            (Window::Fixed, 600, 40_000),
            (Window::Bucket, 10, 100),
        ] {
            let mut gates = Gate::requests(window, 600, phase, now);
            assert_eq!(
                burst(&mut gates, 1_000, now),
                (most, Some(Duration::from_millis(wait))),
                "{window:?}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_limit_lets_one_in_and_keeps_the_minute() {
        let start = Instant::now();
        let mut gates = Gate::requests(Window::S1, 6, Duration::ZERO, start);
        for second in 0..6 {
            assert_eq!(burst(&mut gates, 1, start + Duration::from_secs(2 * second)), (1, None));
        }
        let told = burst(&mut gates, 1, start + Duration::from_secs(20)).1;
        assert_eq!(told, Some(Duration::from_secs(42)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_counts() {
        let start = Instant::now();
        let mut gates = Gate::requests(Window::S1, 60, Duration::ZERO, start);
        assert_eq!(burst(&mut gates, 1, start), (1, None));
        assert!(burst(&mut gates, 1, start + Duration::from_millis(500)).1.is_some());
        let told = burst(&mut gates, 1, start + Duration::from_millis(1_400)).1;
        assert_eq!(told, Some(Duration::from_secs(1)));
    }
}
