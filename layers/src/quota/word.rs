//! The server's word: [`Word`].

use std::time::Duration;

/// No word closes a deployment for longer than an hour.
const LONGEST: u64 = 3_600_000;
/// How long a refusal that names no time closes, the first time.
const FIRST: u64 = 1_000;

/// Until when the server has said that it takes nothing.
///
/// A fact about capacity, not about health: it ends exactly when the server said, and is neither stretched nor probed.
#[derive(Debug)]
pub(super) struct Word {
    until: u64,
    /// How long the next refusal that names no time closes, and the longest that one may.
    guess: u64,
    longest_guess: u64,
    /// When the last one was heard.
    heard: Option<u64>,
}

impl Word {
    pub(super) fn new(longest_guess: Duration) -> Self {
        Self { until: 0, guess: FIRST, longest_guess: millis(longest_guess), heard: None }
    }

    pub(super) const fn until(&self) -> u64 {
        self.until
    }

    pub(super) fn closed_for(&self, now: u64) -> Option<Duration> {
        self.until.checked_sub(now).filter(|left| *left > 0).map(Duration::from_millis)
    }

    /// A call sent at `sent` was refused.
    pub(super) fn refused(&mut self, after: Option<Duration>, sent: u64, now: u64) {
        let closed = match after {
            // Rounded up, as all that is told to others.
            Some(after) => millis(after.saturating_add(Duration::from_nanos(999_999))).min(LONGEST),
            // Of many calls that were refused together only the first is news.
            None if self.heard.is_some_and(|heard| sent < heard) => return,
            None => {
                let guess = self.guess.min(self.longest_guess);
                self.guess = (self.guess * 2).min(LONGEST);
                guess
            }
        };
        self.heard = Some(now);
        self.until = self.until.max(now + closed);
    }

    pub(super) const fn answered(&mut self) {
        self.guess = FIRST;
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
