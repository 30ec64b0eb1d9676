//! Limits per day: [`DailyMeters`].

use std::time::Duration;

use tokio::time::Instant;

use super::limits::DailyLimits;
use crate::endpoint::NoCapacityReason;

/// The length of a day, in milliseconds.
const DAY: u64 = 86_400_000;

/// The requests and tokens that were charged on the present day. The window is fixed: the whole limit may be used at once, and again from the
/// beginning of the next day on, as backends with limits per day count.
#[derive(Debug)]
pub(super) struct DailyMeters {
    limits: DailyLimits,
    pub(super) requests: u64,
    pub(super) tokens: u64,
    /// The end of the present day, in milliseconds since the meters began.
    ends: u64,
}

impl DailyMeters {
    /// Returns meters for the day of `now`, the present time. The usage in `kept` stays if the day does.
    pub(super) fn new(limits: DailyLimits, kept: Option<Self>, now: u64) -> Self {
        let ends = now + until_next(limits.begins, Instant::now());
        let (requests, tokens) =
            kept.filter(|kept| kept.ends > now).map_or((0, 0), |kept| (kept.requests, kept.tokens));
        Self { limits, requests, tokens, ends }
    }

    /// Checks if one more call of this cost may begin now. A cost above the limit can be charged if no other charge is
    /// left.
    ///
    /// # Errors
    /// Returns the end of the day, and the limit that is reached.
    pub(super) fn check(&mut self, cost: u64, now: u64) -> Result<(), (u64, NoCapacityReason)> {
        self.advance_to(now);
        let over = |limit: Option<u64>, used: u64, more: u64| {
            limit.is_some_and(|limit| used > 0 && used.saturating_add(more) > limit)
        };
        if over(self.limits.tokens, self.tokens, cost) {
            return Err((self.ends, NoCapacityReason::Cost));
        }
        if over(self.limits.requests, self.requests, 1) {
            return Err((self.ends, NoCapacityReason::RateLimit));
        }
        Ok(())
    }

    /// Charges a call. Returns the end of the day that it was charged for.
    pub(super) fn take(&mut self, cost: u64, now: u64) -> u64 {
        self.advance_to(now);
        self.requests += 1;
        self.tokens = self.tokens.saturating_add(cost);
        self.ends
    }

    /// Refunds a call of the day that ends at `day`.
    pub(super) const fn refund(&mut self, day: u64, cost: u64) {
        if day == self.ends {
            self.requests = self.requests.saturating_sub(1);
            self.tokens = self.tokens.saturating_sub(cost);
        }
    }

    /// Replaces the charge `was` of a call of the day that ends at `day` by `is`. Returns true if that is less.
    pub(super) const fn settle(&mut self, day: u64, was: u64, is: u64) -> bool {
        if day == self.ends {
            self.tokens = self.tokens.saturating_sub(was).saturating_add(is);
        }
        is < was
    }

    /// Returns the number of calls of this cost that could begin until `by`.
    pub(super) fn slots(&mut self, cost: u64, now: u64, by: u64) -> u64 {
        self.advance_to(now);
        let days = if by < self.ends { 0 } else { (by - self.ends) / DAY + 1 };
        let slots = |limit: Option<u64>, used: u64, cost: u64| {
            let Some(limit) = limit else { return u64::MAX };
            let each = cost.clamp(1, limit.max(1));
            (limit / each).saturating_mul(days).saturating_add(limit.saturating_sub(used) / each)
        };
        slots(self.limits.requests, self.requests, 1).min(slots(self.limits.tokens, self.tokens, cost))
    }

    /// Returns the time until the present day ends.
    pub(super) const fn rest(&self, now: u64) -> Duration {
        Duration::from_millis(self.ends.saturating_sub(now))
    }

    const fn advance_to(&mut self, now: u64) {
        if now >= self.ends {
            self.ends += ((now - self.ends) / DAY + 1) * DAY;
            (self.requests, self.tokens) = (0, 0);
        }
    }
}

/// Returns the milliseconds from `now` until a day begins, if one begins at `begins`: at least 1, at most a day.
fn until_next(begins: Instant, now: Instant) -> u64 {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let ahead = millis(begins.saturating_duration_since(now)) % DAY;
    let behind = millis(now.saturating_duration_since(begins)) % DAY;
    if ahead > 0 { ahead } else { DAY - behind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_next_day_begins_whole_days_before_and_after_a_given_time() {
        let now = Instant::now();
        let hour = Duration::from_secs(3_600);
        for (begins, hours) in
            [(now, 24), (now + hour, 1), (now + 25 * hour, 1), (now + 24 * hour, 24), (now + 49 * hour, 1)]
        {
            assert_eq!(until_next(begins, now), hours * 3_600_000);
        }
        let later = now + 25 * hour;
        assert_eq!(until_next(now, later), 23 * 3_600_000);
        assert_eq!(until_next(now + hour, later), DAY);
    }
}
