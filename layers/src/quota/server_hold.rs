//! The hold that a Retry-After time puts on a deployment: [`ServerHold`].

use std::time::Duration;

/// The longest hold: an hour, in milliseconds.
const LONGEST: u64 = 3_600_000;

/// The part of a hold in which no call is made at all: a minute, in milliseconds. A server may name a time that is far too
/// long, and a group must not be closed for it.
const LONGEST_FIRM: u64 = 60_000;

/// The time until which the server accepts no calls.
///
/// A hold is about capacity, not about health: it ends exactly at the time that the server gave, without a probe. After
/// its firm part the endpoint may be called where there is no other.
#[derive(Debug)]
pub(super) struct ServerHold {
    until: u64,
    firm_until: u64,
    /// The hold after a refusal without a time, in milliseconds: the first, the next, and the longest.
    first_guess: u64,
    guess: u64,
    longest_guess: u64,
    /// The time of the last refusal.
    last_refusal: Option<u64>,
}

impl ServerHold {
    /// Returns an open hold. A refusal without a time closes for `first_guess`, then for twice as long each time, up to
    /// `longest_guess`.
    pub(super) fn new(first_guess: Duration, longest_guess: Duration) -> Self {
        let first_guess = millis(first_guess);
        Self {
            until: 0,
            firm_until: 0,
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

    /// Returns the end of the firm part.
    pub(super) const fn firm_until(&self) -> u64 {
        self.firm_until
    }

    pub(super) fn closed_for(&self, now: u64) -> Option<Duration> {
        self.until.checked_sub(now).filter(|left| *left > 0).map(Duration::from_millis)
    }

    /// Records that a call sent at `sent` was refused, with the time that the server named.
    pub(super) fn refused(&mut self, after: Option<Duration>, sent: u64, now: u64) {
        let closed = match after {
            // Rounded up, as all times that are reported to clients.
            Some(after) => millis(after.saturating_add(Duration::from_nanos(999_999))).min(LONGEST),
            // Of many calls that were refused together only the first counts.
            None if self.last_refusal.is_some_and(|last_refusal| sent < last_refusal) => return,
            None => {
                let guess = self.guess.min(self.longest_guess);
                self.guess = (self.guess * 2).min(LONGEST);
                guess
            }
        };
        self.close(closed, now);
    }

    /// Applies the hold that another replica has received.
    pub(super) fn hold(&mut self, remaining: Duration, now: u64) {
        self.close(millis(remaining).min(LONGEST), now);
    }

    fn close(&mut self, closed: u64, now: u64) {
        self.last_refusal = Some(now);
        self.until = self.until.max(now + closed);
        self.firm_until = self.firm_until.max(now + closed.min(LONGEST_FIRM));
    }

    /// Records that a call sent at `sent` succeeded. A call from before the last refusal is no evidence for the time after
    /// the refusal.
    pub(super) fn succeeded(&mut self, sent: u64) {
        if self.last_refusal.is_none_or(|last_refusal| sent >= last_refusal) {
            self.guess = self.first_guess;
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
