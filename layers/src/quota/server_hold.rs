//! The server's word: [`ServerHold`].

use std::time::Duration;

/// No word closes a deployment for longer than an hour.
const LONGEST: u64 = 3_600_000;

/// Until when the server has said that it takes nothing.
///
/// A fact about capacity, not about health: it ends exactly when the server said, and is neither stretched nor probed.
#[derive(Debug)]
pub(super) struct ServerHold {
    until: u64,
    /// How long a refusal that names no time closes: the first, the next, and at most.
    first_guess: u64,
    guess: u64,
    longest_guess: u64,
    /// When the last one was heard.
    last_refusal: Option<u64>,
}

impl ServerHold {
    /// A refusal that names no time closes for the first of these, then for twice as long, up to the second.
    pub(super) fn new(first_guess: Duration, longest_guess: Duration) -> Self {
        let first_guess = millis(first_guess);
        Self {
            until: 0,
            first_guess,
            guess: first_guess,
            longest_guess: millis(longest_guess),
            last_refusal: None,
        }
    }

    pub(super) fn set_longest_guess(&mut self, longest_guess: Duration) {
        self.longest_guess = millis(longest_guess);
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
            None if self.last_refusal.is_some_and(|last_refusal| sent < last_refusal) => return,
            None => {
                let guess = self.guess.min(self.longest_guess);
                self.guess = (self.guess * 2).min(LONGEST);
                guess
            }
        };
        self.last_refusal = Some(now);
        self.until = self.until.max(now + closed);
    }

    /// A call sent at `sent` was answered. One that was under way when the last refusal was heard says nothing of what
    /// comes after it.
    pub(super) fn succeeded(&mut self, sent: u64) {
        if self.last_refusal.is_none_or(|last_refusal| sent >= last_refusal) {
            self.guess = self.first_guess;
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
