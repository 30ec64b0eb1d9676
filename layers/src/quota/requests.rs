//! The meter of requests per minute, which learns the window that the backend enforces: [`RequestMeter`].

mod leased;

use super::{
    limits::RateWindow,
    minute::MinuteMeter,
    sliding_window::{SLOTS, SlidingWindow},
};

/// The time without a refusal, in milliseconds, after which the window is made one step longer.
pub(super) const CLEAN_TIME: u64 = 10 * 60_000;
/// The time on trial of a longer window, in milliseconds: usually enough for the backend to refuse it.
const TRIAL_TIME: u64 = 10_000;
/// The server hold that a refusal of the longer window causes, in milliseconds: Retry-After has whole seconds, one or two.
const TRIAL_HOLD: u64 = 2_000;

/// A meter that counts the requests of the last minute and computes when the next may begin.
///
/// The minute rule always applies. In addition either the bucket applies or, after a refusal has shown it, a shorter window.
#[derive(Debug)]
pub(super) struct RequestMeter {
    pub(super) minute: MinuteMeter,
    rule: Rule,
    /// The capacity of the bucket, its level, and the time of its last update.
    full: f64,
    level: f64,
    level_at: u64,
    /// The time before which a refresh changes nothing.
    next_refresh: u64,
    /// The time of the last refusal that taught a window, or of the last lengthening.
    clean_since: u64,
    /// The number of refusals that taught a window.
    pub(super) learned_refusals: u64,
}

/// The rule that applies besides the minute.
#[derive(Debug)]
enum Rule {
    /// No further rule: the window is configured as a minute.
    Minute,
    /// The bucket: the window is not known.
    Bucket,
    /// A window shorter than the minute, learned or configured (`pinned`), the requests admitted in it, and the number
    /// that may be.
    Window { window: RateWindow, admitted: Box<SlidingWindow>, permits: u64, pinned: bool },
}

impl Rule {
    /// Returns the rule for a configured window, or for none.
    fn of(pin: Option<RateWindow>, minute: &MinuteMeter, now: u64) -> Self {
        match pin {
            None => Self::Bucket,
            Some(RateWindow::S60) => Self::Minute,
            Some(window) => {
                let admitted = Box::new(SlidingWindow::from_longer(&minute.charges, window.span(), now));
                Self::Window { window, admitted, permits: share(minute.limit, window), pinned: true }
            }
        }
    }
}

impl RequestMeter {
    pub(super) fn new(limit: u64, pin: Option<RateWindow>, now: u64) -> Self {
        let minute = MinuteMeter::new(limit);
        Self {
            rule: Rule::of(pin, &minute, now),
            minute,
            full: bucket(limit),
            level: bucket(limit),
            level_at: now,
            next_refresh: 0,
            clean_since: now,
            learned_refusals: 0,
        }
    }

    pub(super) fn set_limit(&mut self, limit: u64) {
        if limit != self.minute.limit {
            self.minute.limit = limit;
            self.enforce();
        }
    }

    /// Sets a limit that was configured: the bucket also gains the difference to its capacity under the new limit.
    pub(super) fn set_configured_limit(&mut self, limit: u64) {
        let was = self.full;
        self.minute.limit = limit;
        self.enforce();
        self.level += (self.full - was).max(0.0);
    }

    /// Sets the configured window, or none.
    pub(super) fn pin(&mut self, pin: Option<RateWindow>, now: u64) {
        let rule = Rule::of(pin, &self.minute, now);
        self.set_rule(rule);
    }

    /// Returns the window that was learned or configured.
    pub(super) const fn window(&self) -> Option<RateWindow> {
        match &self.rule {
            Rule::Minute => Some(RateWindow::S60),
            Rule::Bucket => None,
            Rule::Window { window, .. } => Some(*window),
        }
    }

    /// Checks if one more request may begin now.
    ///
    /// # Errors
    /// Returns the earliest time at which one may.
    pub(super) fn check(&mut self, now: u64) -> Result<(), u64> {
        self.refresh(now);
        let mut at = wait(&self.minute.charges, self.minute.permits, now);
        match &self.rule {
            Rule::Minute => {}
            Rule::Bucket if self.level >= 1.0 - 1e-6 => {}
            Rule::Bucket => at = at.max(now + millis_for(1.0 - self.level, self.minute.rate())),
            Rule::Window { admitted, permits, pinned, .. } => {
                let free = wait(admitted, *permits, now);
                // A longer window may admit it as soon as it applies.
                at = at.max(if *pinned { free } else { free.min(self.clean_since + CLEAN_TIME) });
            }
        }
        at = at.max(self.minute.remaining.wait(1.0, self.minute.rate(), now));
        if at > now { Err(at) } else { Ok(()) }
    }

    /// Counts a request. Returns the time under which it was recorded.
    pub(super) fn take(&mut self, now: u64) -> u64 {
        self.refresh(now);
        self.level -= 1.0;
        self.minute.remaining.take(1.0);
        // Times are rounded down to milliseconds. A record is rounded up, so that it never expires too early.
        if let Rule::Window { admitted, permits, .. } = &mut self.rule {
            admitted.add(now + 1, 1, grain(admitted, *permits));
        }
        self.minute.charges.add(now + 1, 1, grain(&self.minute.charges, self.minute.limit))
    }

    /// Refunds a request that was not sent.
    pub(super) fn refund(&mut self, recorded_at: u64) {
        self.minute.charges.correct(recorded_at, 1, 0);
        self.level += 1.0;
        self.minute.remaining.take(-1.0);
        if let Rule::Window { admitted, .. } = &mut self.rule {
            admitted.correct(recorded_at, 1, 0);
        }
    }

    /// Records that the backend refused a call recorded at `recorded_at`, which the rules had admitted. The refusal teaches a
    /// window, unless the call was in flight when the last one was learned.
    pub(super) fn refused(&mut self, recorded_at: u64, now: u64) {
        self.refresh(now);
        self.refused_lease();
        if self.minute.used() > self.minute.limit {
            // The response reported a lower limit than the configured one, which explains the refusal.
            return;
        }
        let burst = self.minute.charges.since((now + 1).saturating_sub(10_000)) * 6 > self.minute.limit;
        let next = match &self.rule {
            Rule::Minute | Rule::Window { pinned: true, .. } => return,
            Rule::Window { .. } if recorded_at <= self.clean_since + 1 => return,
            Rule::Bucket if burst => RateWindow::S10,
            Rule::Bucket | Rule::Window { .. } => RateWindow::S1,
        };
        self.clean_since = now;
        self.learned_refusals += 1;
        if let Some(lease) = &mut self.minute.lease {
            lease.learned();
        }
        self.learn(next, now);
    }

    /// Returns the number of requests that could begin until `by`, each as early as possible.
    pub(super) fn slots(&mut self, now: u64, by: u64) -> u64 {
        self.slots_of((now, by), false)
    }

    fn slots_of(&mut self, (now, by): (u64, u64), certain: bool) -> u64 {
        self.refresh(now);
        let (minute, remaining) = self.minute.slots(1, (now, by), certain);
        let MinuteMeter { limit, .. } = self.minute;
        let other = match &self.rule {
            Rule::Minute => minute,
            Rule::Bucket if self.full >= as_f64(self.minute.permits) => minute,
            Rule::Bucket => whole(self.level + as_f64(by - now) * self.minute.rate()),
            Rule::Window { window, admitted, permits, .. } => {
                let permits = (*permits, share(limit, *window), 1);
                self.minute.leased_slots(admitted, permits, ((now, by), certain))
            }
        };
        minute.min(other).min(remaining)
    }

    /// Returns the number of requests that can certainly begin until `by`: while a longer window is on trial, a refusal may
    /// close the deployment.
    pub(super) fn certain_slots(&mut self, now: u64, by: u64) -> u64 {
        self.refresh(now);
        let learned = self.learned_refusals > 0 && !matches!(&self.rule, Rule::Window { pinned: true, .. });
        let steps = matches!(&self.rule, Rule::Window { .. }) && self.clean_since + CLEAN_TIME <= by;
        let on_trial = learned && (steps || now < self.clean_since + TRIAL_TIME);
        let by = if on_trial { by.saturating_sub(TRIAL_HOLD) } else { by };
        if by < now { 0 } else { self.slots_of((now, by), true) }
    }

    /// Advances all counts to `now`.
    fn refresh(&mut self, now: u64) {
        if now < self.next_refresh {
            return;
        }
        self.next_refresh = now + 1;
        let (limit, rate, full) = (self.minute.permits, self.minute.rate(), self.full);
        let mut level = (self.level + as_f64(now.saturating_sub(self.level_at)) * rate).min(full);
        // The bucket never holds more than was left of the minute at any time since the last refresh. Otherwise a minute
        // spent early would be followed by a burst, and that by another blackout. One request is always allowed.
        self.minute.charges.expire(now, |at, kept| {
            level = level.min(as_f64(limit.saturating_sub(kept)).max(1.0) + as_f64(now - at) * rate);
        });
        self.level = level.min(as_f64(limit.saturating_sub(self.minute.used())).max(1.0));
        self.level_at = self.level_at.max(now);
        if full >= as_f64(limit) {
            // As large as the limit: the minute rule is stricter.
            self.level = full;
        }
        if let Rule::Window { admitted, .. } = &mut self.rule {
            admitted.expire(now, |_, _| {});
        }
        self.lengthen_window(now);
    }

    fn lengthen_window(&mut self, now: u64) {
        let Rule::Window { window, pinned: false, .. } = &self.rule else { return };
        if now.saturating_sub(self.clean_since) < CLEAN_TIME {
            return;
        }
        self.clean_since = now;
        match window {
            // The ledger lengthens the window of a shared limit, for all replicas together.
            _ if self.minute.lease.is_some() => {}
            RateWindow::S1 => self.learn(RateWindow::S10, now),
            RateWindow::S10 | RateWindow::S60 => self.learn(RateWindow::S60, now),
        }
    }

    /// Sets the window that a refusal has shown, or one to try. Nothing more is known of the longest.
    fn learn(&mut self, window: RateWindow, now: u64) {
        if window == RateWindow::S60 {
            self.set_rule(Rule::Bucket);
            self.level = 1.0;
            return;
        }
        let admitted = Box::new(SlidingWindow::from_longer(&self.minute.charges, window.span(), now));
        self.set_rule(Rule::Window {
            window,
            admitted,
            permits: share(self.minute.limit, window),
            pinned: false,
        });
    }
}

/// Returns the capacity of the bucket: the requests of ten seconds, at least ten, at most the limit.
fn bucket(limit: u64) -> f64 {
    (as_f64(limit) / 6.0).max(10.0).min(as_f64(limit))
}

/// Returns the number of requests that a backend admits in `window`, if it enforces the limit over that.
fn share(limit: u64, window: RateWindow) -> u64 {
    (limit / 60_000 * window.millis() + limit % 60_000 * window.millis() / 60_000).max(1)
}

/// Returns the time at which `admitted` contains fewer than `limit` requests.
fn wait(admitted: &SlidingWindow, limit: u64, now: u64) -> u64 {
    match (admitted.sum() + 1).checked_sub(limit) {
        None | Some(0) => now,
        // A limit of zero never frees a slot.
        Some(over) => admitted.freed_at(over).unwrap_or(now + admitted.span()),
    }
}

/// Returns the amount that can be admitted until `by`. As each slot is taken again when it frees, one span repeats the last.
pub(super) fn slots(admitted: &SlidingWindow, limit: u64, now: u64, by: u64) -> u64 {
    let ahead = by.saturating_sub(now);
    let kept = admitted.sum_at(now + ahead % admitted.span());
    (ahead / admitted.span()).saturating_mul(limit).saturating_add(limit.saturating_sub(kept))
}

/// Returns the grain of the slots; zero if every request can have a slot of its own.
fn grain(admitted: &SlidingWindow, limit: u64) -> u64 {
    if limit <= SLOTS as u64 { 0 } else { admitted.span().div_ceil(SLOTS as u64 - 1) }
}

/// Returns the time in which `amount` is refilled, in whole milliseconds.
pub(super) fn millis_for(amount: f64, rate: f64) -> u64 {
    // The cast saturates; a rate of zero gives an hour.
    if rate > 0.0 { ((amount / rate).ceil() as u64).clamp(1, 3_600_000) } else { 3_600_000 }
}

/// Returns the amount rounded down, with a tolerance for rounding errors.
pub(super) fn whole(amount: f64) -> u64 {
    (amount + 1e-6).max(0.0) as u64
}

/// Converts a number, exactly up to 2^53, which no limit reaches.
pub(super) const fn as_f64(n: u64) -> f64 {
    n as f64
}
