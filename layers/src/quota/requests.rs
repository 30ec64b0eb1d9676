//! The meter of requests: [`RequestMeter`].

use super::{
    limits::RateWindow,
    minute::MinuteMeter,
    sliding_window::{SLOTS, SlidingWindow},
};

/// A window that drew no refusal for so long is made one step longer.
pub(super) const CLEAN_TIME: u64 = 10 * 60_000;
/// Within so long it is mostly seen whether the backend bears the longer one.
const TRIAL_TIME: u64 = 10_000;
/// If it does not, a refusal closes the deployment for about so long: one second or two, as they are told whole.
const TRIAL_HOLD: u64 = 2_000;

/// Counts the requests of the last minute, and decides when the next may begin.
///
/// The minute rule always holds. Of the other two one does: the bucket until a refusal has taught the window.
#[derive(Debug)]
pub(super) struct RequestMeter {
    pub(super) minute: MinuteMeter,
    rule: Rule,
    /// The level of the bucket, and the time of its last update.
    level: f64,
    level_at: u64,
    /// Before this, time has nothing to add.
    next_refresh: u64,
    /// The last lesson, or the last step up from one.
    clean_since: u64,
    /// The number of refusals that taught a window.
    pub(super) learned_refusals: u64,
}

#[derive(Debug)]
enum Rule {
    /// It is known that the minute is all that the backend judges.
    Minute,
    Bucket,
    /// A window shorter than the minute, and what was admitted in it. It was learned, or pinned.
    Window {
        window: RateWindow,
        admitted: Box<SlidingWindow>,
        pinned: bool,
    },
}

impl Rule {
    /// Of what is known beforehand.
    fn of(pin: Option<RateWindow>, minute: &SlidingWindow, now: u64) -> Self {
        match pin {
            None => Self::Bucket,
            Some(RateWindow::S60) => Self::Minute,
            Some(window) => {
                let admitted = Box::new(SlidingWindow::from_longer(minute, window.span(), now));
                Self::Window { window, admitted, pinned: true }
            }
        }
    }
}

impl RequestMeter {
    pub(super) fn new(limit: u64, pin: Option<RateWindow>, now: u64) -> Self {
        let minute = MinuteMeter::new(limit);
        Self {
            rule: Rule::of(pin, &minute.charges, now),
            minute,
            level: bucket(limit),
            level_at: now,
            next_refresh: 0,
            clean_since: now,
            learned_refusals: 0,
        }
    }

    pub(super) fn set_limit(&mut self, limit: u64) {
        self.minute.limit = limit;
        self.level = self.level.min(bucket(limit));
        self.next_refresh = 0;
    }

    /// The same, as if it always had been this: what a larger bucket would have held is there.
    pub(super) fn set_configured_limit(&mut self, limit: u64) {
        self.level += (bucket(limit) - bucket(self.minute.limit)).max(0.0);
        self.set_limit(limit);
    }

    /// From now on this is the window that is known, or none.
    pub(super) fn pin(&mut self, pin: Option<RateWindow>, now: u64) {
        self.rule = Rule::of(pin, &self.minute.charges, now);
        self.next_refresh = 0;
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
        let MinuteMeter { limit, .. } = self.minute;
        let mut at = wait(&self.minute.charges, limit, now);
        match &self.rule {
            Rule::Minute => {}
            Rule::Bucket if self.level >= 1.0 - 1e-6 => {}
            Rule::Bucket => at = at.max(now + millis_for(1.0 - self.level, self.minute.rate())),
            Rule::Window { window, admitted, pinned } => {
                let free = wait(admitted, share(limit, *window), now);
                // A longer window may have room for it as soon as it holds.
                at = at.max(if *pinned { free } else { free.min(self.clean_since + CLEAN_TIME) });
            }
        }
        at = at.max(self.minute.remaining.wait(1.0, self.minute.rate(), now));
        if at > now { Err(at) } else { Ok(()) }
    }

    /// Counts one. Returns the time under which it was filed.
    pub(super) fn take(&mut self, now: u64) -> u64 {
        self.refresh(now);
        self.level -= 1.0;
        self.minute.remaining.take(1.0);
        let limit = self.minute.limit;
        // A time is rounded down to its millisecond; what is filed is rounded up, so that it never leaves too early.
        if let Rule::Window { window, admitted, .. } = &mut self.rule {
            admitted.add(now + 1, 1, grain(admitted, share(limit, *window)));
        }
        self.minute.charges.add(now + 1, 1, grain(&self.minute.charges, limit))
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

    /// A call filed at `recorded_at` was refused although there had been room. That teaches a window, but not where the call was
    /// under way when the last lesson was learned.
    pub(super) fn refused(&mut self, recorded_at: u64, now: u64) {
        self.refresh(now);
        if self.minute.used() > self.minute.limit {
            // The answer told a lower limit than we had been given, and that is reason enough.
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
        self.learn(next, now);
    }

    /// Returns the number of requests that could begin until `by`, each as early as possible.
    pub(super) fn slots(&mut self, now: u64, by: u64) -> u64 {
        self.refresh(now);
        let (minute, remaining) = self.minute.slots(1.0, now, by);
        let MinuteMeter { limit, .. } = self.minute;
        let other = match &self.rule {
            Rule::Minute => minute,
            Rule::Bucket if bucket(limit) >= as_f64(limit) => minute,
            Rule::Bucket => whole(self.level + as_f64(by - now) * self.minute.rate()),
            Rule::Window { window, admitted, .. } => slots(admitted, share(limit, *window), now, by),
        };
        minute.min(other).min(remaining)
    }

    /// How many surely could: where a longer window is on trial, its first refusal may come between.
    pub(super) fn certain_slots(&mut self, now: u64, by: u64) -> u64 {
        self.refresh(now);
        let learned = self.learned_refusals > 0 && !matches!(&self.rule, Rule::Window { pinned: true, .. });
        let steps = matches!(&self.rule, Rule::Window { .. }) && self.clean_since + CLEAN_TIME <= by;
        let on_trial = learned && (steps || now < self.clean_since + TRIAL_TIME);
        let by = if on_trial { by.saturating_sub(TRIAL_HOLD) } else { by };
        if by < now { 0 } else { self.slots(now, by) }
    }

    /// Advances all counts to `now`.
    fn refresh(&mut self, now: u64) {
        if now < self.next_refresh {
            return;
        }
        self.next_refresh = now + 1;
        let (limit, rate, full) = (self.minute.limit, self.minute.rate(), bucket(self.minute.limit));
        let mut level = (self.level + as_f64(now.saturating_sub(self.level_at)) * rate).min(full);
        // The bucket never holds more than the minute had left, at any time since; else a minute spent early would be
        // followed by a burst, and that by another blackout. One it may always hold: the next, when its slot frees.
        self.minute.charges.expire(now, |at, kept| {
            level = level.min(as_f64(limit.saturating_sub(kept)).max(1.0) + as_f64(now - at) * rate);
        });
        self.level = level.min(as_f64(limit.saturating_sub(self.minute.used())).max(1.0));
        self.level_at = self.level_at.max(now);
        if full >= as_f64(limit) {
            // As large as the limit itself: the minute says it all.
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
            RateWindow::S1 => self.learn(RateWindow::S10, now),
            RateWindow::S10 | RateWindow::S60 => {
                self.rule = Rule::Bucket;
                self.level = 1.0;
            }
        }
    }

    fn learn(&mut self, window: RateWindow, now: u64) {
        let admitted = Box::new(SlidingWindow::from_longer(&self.minute.charges, window.span(), now));
        self.rule = Rule::Window { window, admitted, pinned: false };
    }
}

/// The bucket: ten seconds' worth, at least ten calls, at most the limit.
fn bucket(limit: u64) -> f64 {
    (as_f64(limit) / 6.0).max(10.0).min(as_f64(limit))
}

/// What a backend that judges over `window` lets through in it.
fn share(limit: u64, window: RateWindow) -> u64 {
    (limit / 60_000 * window.millis() + limit % 60_000 * window.millis() / 60_000).max(1)
}

/// When `admitted` holds less than `limit`.
fn wait(admitted: &SlidingWindow, limit: u64, now: u64) -> u64 {
    match (admitted.sum() + 1).checked_sub(limit) {
        None | Some(0) => now,
        // A limit of nothing never frees.
        Some(over) => admitted.freed_at(over).unwrap_or(now + admitted.span()),
    }
}

/// If each slot is taken again as it frees, what happens in one span happens again in the next.
pub(super) fn slots(admitted: &SlidingWindow, limit: u64, now: u64, by: u64) -> u64 {
    let ahead = by.saturating_sub(now);
    let kept = admitted.sum_at(now + ahead % admitted.span());
    (ahead / admitted.span()).saturating_mul(limit).saturating_add(limit.saturating_sub(kept))
}

/// None, where each may have a slot of its own.
fn grain(admitted: &SlidingWindow, limit: u64) -> u64 {
    if limit <= SLOTS as u64 { 0 } else { admitted.span().div_ceil(SLOTS as u64 - 1) }
}

/// Returns the time in which `amount` is refilled, in whole milliseconds.
pub(super) fn millis_for(amount: f64, rate: f64) -> u64 {
    // The cast saturates; a rate of nothing gives an hour.
    if rate > 0.0 { ((amount / rate).ceil() as u64).clamp(1, 3_600_000) } else { 3_600_000 }
}

pub(super) fn whole(amount: f64) -> u64 {
    (amount + 1e-6).max(0.0) as u64
}

/// Exact up to 2^53, which no limit reaches.
pub(super) const fn as_f64(n: u64) -> f64 {
    n as f64
}
