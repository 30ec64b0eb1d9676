//! The state of the meters of one deployment, under one lock: [`MeterState`].

mod reconfigure;

use std::time::Duration;

use super::{
    limits::{Accounting, Limits},
    meters::MeterSnapshot,
    remaining::RemainingEstimate,
    requests::{RequestMeter, as_f64, whole},
    server_hold::ServerHold,
    tokens::TokenMeter,
};
use crate::{Class, Outcome, endpoint::NoCapacityReason, outcome::ReportedLimit};

/// The length of the first server hold after a refusal without a time.
const FIRST_GUESS: Duration = Duration::from_secs(1);

/// The counters of one endpoint. Times are milliseconds since the meters began.
#[derive(Debug)]
pub(super) struct MeterState {
    limits: Limits,
    requests: Option<RequestMeter>,
    // Apart, since most have no such limit, and a log takes as much as all the rest.
    tokens: Option<Box<TokenMeter>>,
    in_flight: InFlightCalls,
    server_hold: ServerHold,
    correction: CostCorrection,
    /// Set if a check has failed, and the listeners were not notified since.
    refused: bool,
    /// Set if capacity was freed since the last notification.
    freed: bool,
}

/// The charge of one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Charge {
    /// When, and the times under which it was filed; none, where there was no such limit yet.
    pub(super) at: u64,
    request: Option<u64>,
    spent: Option<u64>,
    /// The estimated cost of the call, and the amount reserved for it.
    estimate: u64,
    reserved: u64,
}

/// Calls in flight.
#[derive(Debug)]
struct InFlightCalls {
    limit: Option<u32>,
    now: u32,
    reserved: u64,
    /// The median of how long they take, in milliseconds; each call moves it a little.
    median: f64,
}

/// The ratio of actual to estimated cost: both sums decay together, so that expensive calls weigh more.
#[derive(Debug)]
struct CostCorrection {
    used: f64,
    estimated: f64,
}

impl MeterState {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            requests: limits.requests.map(|limit| RequestMeter::new(limit, limits.window, 0)),
            tokens: limits.tokens.map(TokenMeter::new).map(Box::new),
            in_flight: InFlightCalls { limit: limits.in_flight, now: 0, reserved: 0, median: 0.0 },
            server_hold: ServerHold::new(FIRST_GUESS, limits.longest_guess),
            correction: CostCorrection { used: 0.0, estimated: 0.0 },
            refused: false,
            freed: false,
            limits,
        }
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Checks if a call of this estimated cost may begin now.
    ///
    /// # Errors
    /// Returns the earliest time at which one may, and the limit that is reached.
    pub(super) fn check(&mut self, estimate: u64, now: u64) -> Result<(), (u64, NoCapacityReason)> {
        let checked = self.look(estimate, now);
        self.refused |= checked.is_err();
        checked
    }

    fn look(&mut self, estimate: u64, now: u64) -> Result<(), (u64, NoCapacityReason)> {
        let cost = self.correction.apply(estimate);
        let mut full = (now, NoCapacityReason::RateLimit);
        let mut later = |at: u64, why| {
            if at > full.0 {
                full = (at, why);
            }
        };
        if let Some(requests) = &mut self.requests {
            requests.check(now).unwrap_or_else(|at| later(at, NoCapacityReason::RateLimit));
        }
        if let Some(tokens) = &mut self.tokens {
            tokens.check(cost, now).unwrap_or_else(|at| later(at, NoCapacityReason::Cost));
        }
        if self.in_flight.full() {
            later(now + self.in_flight.next_ends(), NoCapacityReason::InFlight);
        }
        later(self.server_hold.until(), NoCapacityReason::ServerHold);
        if full.0 > now { Err(full) } else { Ok(()) }
    }

    /// Returns the utilisation of the fullest meter, 0.0 to 1.0, as of the last check.
    pub(super) fn used(&self) -> f64 {
        let requests = self.requests.as_ref().map_or(0.0, |requests| part(requests.used(), requests.limit()));
        let tokens = self.tokens.as_ref().map_or(0.0, |tokens| part(tokens.used(), tokens.limit));
        requests.max(tokens)
    }

    pub(super) fn take(&mut self, estimate: u64, now: u64) -> Charge {
        let reserved = self.correction.apply(estimate);
        self.in_flight.now += 1;
        self.in_flight.reserved = self.in_flight.reserved.saturating_add(reserved);
        Charge {
            at: now,
            request: self.requests.as_mut().map(|requests| requests.take(now)),
            spent: self.tokens.as_mut().map(|tokens| tokens.take(reserved, now)),
            estimate,
            reserved,
        }
    }

    /// Refunds the charge of a call that was not sent.
    pub(super) fn refund(&mut self, charge: &Charge) {
        if let (Some(requests), Some(recorded_at)) = (&mut self.requests, charge.request) {
            requests.refund(recorded_at);
        }
        if let (Some(tokens), Some(recorded_at)) = (&mut self.tokens, charge.spent) {
            tokens.correct(recorded_at, charge.reserved, 0);
        }
        self.finished(charge);
        self.freed = true;
    }

    /// Ends a call whose outcome is unknown: the charge counts as spent.
    pub(super) fn finished(&mut self, charge: &Charge) {
        self.in_flight.now = self.in_flight.now.saturating_sub(1);
        self.in_flight.reserved = self.in_flight.reserved.saturating_sub(charge.reserved);
        self.freed |= self.in_flight.limit.is_some();
    }

    /// Records the outcome of a call.
    pub(super) fn completed(&mut self, charge: &Charge, outcome: &Outcome, now: u64) {
        if !outcome.was_sent() {
            return self.refund(charge);
        }
        self.finished(charge);
        let kept = self.settle(charge, outcome, now);
        if self.limits.learns {
            self.apply_reported((charge, kept), outcome, now);
        }
        match outcome.class() {
            // The account is used up, or one of many backends is: that says nothing about the limits of this deployment.
            Class::RateLimited if !self.limits.learns || self.is_about_account(outcome) => {}
            Class::RateLimited => self.refused_by_server(charge, outcome, now),
            Class::Success => {
                self.server_hold.succeeded(charge.at);
                self.in_flight.took(now.saturating_sub(charge.at));
            }
            Class::Caller
            | Class::ContextWindow
            | Class::ContentPolicy
            | Class::Unauthorized
            | Class::Timeout
            | Class::Unavailable => {}
        }
    }

    fn is_about_account(&self, outcome: &Outcome) -> bool {
        self.limits.account.as_ref().is_some_and(|account| account.is_about_account(outcome))
    }

    /// Puts right what it has cost. What is kept as its cost from now on.
    fn settle(&mut self, charge: &Charge, outcome: &Outcome, now: u64) -> u64 {
        let (Accounting::Actual, Some(used)) = (self.limits.settle, outcome.used()) else {
            return charge.reserved;
        };
        let was = self.correction.factor();
        self.correction.learn(charge.estimate, used);
        if let (Some(tokens), Some(recorded_at)) = (&mut self.tokens, charge.spent) {
            // When all calls are thought to be cheaper, that is room too.
            self.freed |= self.correction.factor() < was;
            if tokens.counts_late(now) {
                tokens.correct(recorded_at, charge.reserved, 0);
                tokens.take(used, now);
            } else {
                tokens.correct(recorded_at, charge.reserved, used);
            }
            self.freed |= used < charge.reserved;
        }
        used
    }

    fn refused_by_server(&mut self, charge: &Charge, outcome: &Outcome, now: u64) {
        self.server_hold.refused(outcome.retry_after(), charge.at, now);
        // Where the answer says that tokens have run out, it says nothing about the window of requests.
        let only_tokens = outcome.tokens().remaining == Some(0) && outcome.requests().remaining != Some(0);
        if let (Some(requests), false) = (&mut self.requests, only_tokens) {
            requests.refused(charge.request.unwrap_or(charge.at), now);
        }
        let only_requests = outcome.requests().remaining == Some(0) && outcome.tokens().remaining != Some(0);
        if let (Some(tokens), false) = (&mut self.tokens, only_requests) {
            tokens.refused(now);
        }
    }

    /// Takes in what the answer told about the limits. What allows more than was known before is room that comes early.
    ///
    /// Of the call itself so many tokens are `kept`.
    fn apply_reported(&mut self, (charge, kept): (&Charge, u64), outcome: &Outcome, now: u64) {
        let (seen, pin) = (outcome.requests(), self.limits.window);
        if let Some(limit) = lower(&seen, self.limits.requests) {
            let requests = self.requests.get_or_insert_with(|| RequestMeter::new(limit, pin, now));
            self.freed |= limit > requests.limit();
            requests.set_limit(limit);
        }
        if let Some(requests) = &mut self.requests {
            let (from, own) = charge.request.map_or((charge.at, 0), |recorded_at| (recorded_at, 1));
            let since = || requests.since(from).saturating_sub(own);
            if let Some(remaining) = remaining_estimate(&seen, since, charge.at, now) {
                self.freed |= remaining.allows_more_than(&requests.remaining, requests.rate(), now);
                requests.remaining = remaining;
            }
        }
        let seen = outcome.tokens();
        if let Some(limit) = lower(&seen, self.limits.tokens) {
            let tokens = self.tokens.get_or_insert_with(|| Box::new(TokenMeter::new(limit)));
            self.freed |= limit > tokens.limit;
            tokens.limit = limit;
        }
        if let Some(tokens) = &mut self.tokens {
            let (from, own) = charge.spent.map_or((charge.at, 0), |recorded_at| (recorded_at, kept));
            let since = || tokens.since(from).saturating_sub(own);
            if let Some(remaining) = remaining_estimate(&seen, since, charge.at, now) {
                self.freed |= remaining.allows_more_than(&tokens.remaining, tokens.rate(), now);
                tokens.remaining = remaining;
            }
        }
    }

    /// Returns the number of such calls that could begin until `by`; with `certain`, only those that surely can.
    pub(super) fn slots(&mut self, estimate: u64, (now, by): (u64, u64), certain: bool) -> u64 {
        let cost = self.correction.apply(estimate);
        if by < now || self.server_hold.until() > by {
            return 0;
        }
        let slots = |requests: &mut RequestMeter| {
            if certain { requests.certain_slots(now, by) } else { requests.slots(now, by) }
        };
        let requests = self.requests.as_mut().map_or(u64::MAX, slots);
        let tokens = self.tokens.as_mut().map_or(u64::MAX, |tokens| tokens.slots(cost, now, by));
        requests.min(tokens).min(self.in_flight.slots(by - now, certain))
    }

    /// Returns true once if the listeners should be notified of freed capacity.
    pub(super) fn freed(&mut self) -> bool {
        let tell = self.freed && self.refused;
        self.freed = false;
        self.refused &= !tell;
        tell
    }

    pub(super) fn learned_refusals(&self) -> u64 {
        self.requests.as_ref().map_or(0, |requests| requests.learned_refusals)
    }

    pub(super) fn snapshot(&mut self, now: u64) -> MeterSnapshot {
        // Looking brings the logs to the present.
        let _ = self.look(1, now);
        MeterSnapshot {
            request_limit: self.requests.as_ref().map(RequestMeter::limit),
            requests: self.requests.as_ref().map_or(0, RequestMeter::used),
            token_limit: self.tokens.as_ref().map(|tokens| tokens.limit),
            tokens: self.tokens.as_ref().map_or(0, |tokens| tokens.used()),
            in_flight: self.in_flight.now,
            reserved: self.in_flight.reserved,
            window: self.requests.as_ref().and_then(RequestMeter::window),
            closed_for: self.server_hold.closed_for(now),
        }
    }
}

impl InFlightCalls {
    fn full(&self) -> bool {
        self.limit.is_some_and(|limit| self.now >= limit)
    }

    /// How long one takes: a second, before any has ended.
    fn length(&self) -> u64 {
        if self.median > 0.0 { (self.median as u64).max(1) } else { 1_000 }
    }

    /// How long until the first of them ends, which have begun at one time or another: as likely as not. Whoever waits
    /// is told when one does.
    fn next_ends(&self) -> u64 {
        (self.length() / u64::from(self.now.max(1))).max(10)
    }

    fn took(&mut self, millis: u64) {
        let millis = as_f64(millis);
        self.median = match self.median {
            0.0 => millis,
            median if millis > median => millis.min(median * 1.05),
            median => millis.max(median / 1.05),
        };
    }

    /// How many places there will be. It is sure only that all of them have ended once the longest way is over.
    fn slots(&self, ahead: u64, certain: bool) -> u64 {
        let Some(limit) = self.limit.map(u64::from) else { return u64::MAX };
        let free = limit.saturating_sub(self.now.into());
        let completed = if certain {
            limit * (ahead / self.length())
        } else {
            limit.saturating_mul(ahead) / self.length()
        };
        free.saturating_add(completed)
    }
}

impl CostCorrection {
    fn apply(&self, estimate: u64) -> u64 {
        // Where nothing was learned nothing is worked out: this is asked at every look.
        if self.estimated > 0.0 { whole((as_f64(estimate) * self.factor()).ceil()) } else { estimate }
    }

    /// Returns the factor from the estimate of a call to its expected cost.
    fn factor(&self) -> f64 {
        // Between a twentieth and twenty times: beyond that the estimate is not worth correcting.
        if self.estimated > 0.0 { (self.used / self.estimated).clamp(0.05, 20.0) } else { 1.0 }
    }

    fn learn(&mut self, estimate: u64, used: u64) {
        const MEMORY: f64 = 0.98;
        self.used = self.used * MEMORY + as_f64(used);
        self.estimated = self.estimated * MEMORY + as_f64(estimate);
    }
}

/// The limit that holds when an answer told one: never more than was given.
fn lower(seen: &ReportedLimit, given: Option<u64>) -> Option<u64> {
    let told = seen.limit.filter(|limit| *limit > 0)?;
    Some(given.map_or(told, |given| told.min(given)))
}

/// What an answer told about what is left. It was true at some time after the call was sent; what was taken since is
/// not in it.
fn remaining_estimate(
    seen: &ReportedLimit,
    since: impl Fn() -> u64,
    sent: u64,
    now: u64,
) -> Option<RemainingEstimate> {
    let left = as_f64(seen.remaining?) - as_f64(since());
    let reset = u64::try_from(seen.reset?.as_millis()).unwrap_or(u64::MAX).min(60_000);
    (sent + reset > now).then(|| RemainingEstimate::new(left, sent, sent + reset))
}

fn part(used: u64, limit: u64) -> f64 {
    as_f64(used) / as_f64(limit.max(1))
}
