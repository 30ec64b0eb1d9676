//! The state of the meters of one deployment, under one lock: [`MeterState`].

mod leases;
mod reconfigure;

use std::time::Duration;

use super::{
    cost::{Cost, CostCorrection},
    lease::{LeaseState, LimitKind},
    limits::{Accounting, Limits},
    meters::MeterSnapshot,
    minute::ReportedBy,
    optional::{DirectionMeter, OptionalCharge, OptionalMeters},
    requests::{RequestMeter, as_f64},
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
    // Boxed, because most deployments have no such limit.
    tokens: Option<Box<TokenMeter>>,
    optional: Option<Box<OptionalMeters>>,
    in_flight: InFlightCalls,
    /// The number of replicas that share the limits, or the expected number; zero if this process is alone.
    replicas: u64,
    server_hold: ServerHold,
    correction: CostCorrection,
    /// Set if a check has failed, and the listeners were not notified since.
    refused: bool,
    /// Set if capacity was freed since the last notification.
    freed: bool,
}

/// The charge of one call.
#[derive(Clone, Debug)]
pub(super) struct Charge {
    /// The time of the call.
    pub(super) at: u64,
    /// The time under which each meter recorded the charge; `None` if there was no such meter yet.
    request: Option<u64>,
    spent: Option<u64>,
    optional: Option<Box<OptionalCharge>>,
    /// The estimated cost of the call, and the amount reserved for it.
    estimate: u64,
    reserved: u64,
}

/// Calls in flight.
#[derive(Debug)]
struct InFlightCalls {
    /// The limit, or the part of it that this process may use.
    limit: Option<u32>,
    lease: Option<Box<LeaseState>>,
    now: u32,
    reserved: u64,
    /// The median duration of a call, in milliseconds; each call moves it a little.
    median: f64,
}

impl MeterState {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            requests: limits.requests.map(|limit| RequestMeter::new(limit, limits.window, 0)),
            tokens: limits.tokens.map(TokenMeter::new).map(Box::new),
            optional: OptionalMeters::new(&limits, None, 0),
            in_flight: InFlightCalls::new(limits.in_flight),
            replicas: 0,
            server_hold: ServerHold::new(FIRST_GUESS, limits.longest_guess),
            correction: CostCorrection::new(),
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
    pub(super) fn check(&mut self, estimate: Cost, now: u64) -> Result<(), (u64, NoCapacityReason)> {
        self.look(estimate, now).map_err(|(at, reason)| {
            self.refused = true;
            (self.lacks(estimate.total(), at, now).unwrap_or(at), reason)
        })
    }

    fn look(&mut self, estimate: Cost, now: u64) -> Result<(), (u64, NoCapacityReason)> {
        let cost = self.expected_cost(estimate.total(), now);
        let mut full = (now, NoCapacityReason::RateLimit);
        let mut later = |at: u64, reason| {
            if at > full.0 {
                full = (at, reason);
            }
        };
        if let Some(requests) = &mut self.requests {
            requests.check(now).unwrap_or_else(|at| later(at, NoCapacityReason::RateLimit));
        }
        if let Some(tokens) = &mut self.tokens {
            tokens.check(cost, now).unwrap_or_else(|at| later(at, NoCapacityReason::Cost));
        }
        if let Some(optional) = &mut self.optional {
            optional.check((estimate, cost), now).unwrap_or_else(|(at, reason)| later(at, reason));
        }
        if self.in_flight.full() {
            later(now + self.in_flight.next_ends(), NoCapacityReason::InFlight);
        }
        later(self.server_hold.firm_until(), NoCapacityReason::ServerHold);
        if full.0 > now { Err(full) } else { Ok(()) }
    }

    /// Returns the utilisation of the fullest meter, 0.0 to 1.0, as of the last check.
    pub(super) fn used(&self) -> f64 {
        let requests = self.requests.as_ref().map_or(0.0, |requests| requests.minute.used_part());
        let tokens = self.tokens.as_ref().map_or(0.0, |tokens| tokens.minute.used_part());
        let optional = self.optional.as_ref().map_or(0.0, |optional| optional.used());
        requests.max(tokens).max(optional)
    }

    /// Returns the end of the server hold, if that has not passed.
    pub(super) fn held_until(&self, now: u64) -> Option<u64> {
        Some(self.server_hold.until()).filter(|until| *until > now)
    }

    /// Applies a server hold that another replica has received.
    pub(super) fn hold(&mut self, remaining: Duration, now: u64) {
        self.server_hold.hold(remaining, now);
    }

    /// Returns the cost to reserve for a call: the corrected estimate, and at most the whole limit of tokens.
    fn expected_cost(&self, estimate: u64, now: u64) -> u64 {
        self.correction.apply(estimate, now).min(self.token_limit())
    }

    fn token_limit(&self) -> u64 {
        self.tokens.as_ref().map_or(u64::MAX, |tokens| tokens.minute.limit)
    }

    pub(super) fn take(&mut self, cost: Cost, now: u64) -> Charge {
        let estimate = cost.total();
        let reserved = self.expected_cost(estimate, now);
        if self.replicas > 0 {
            self.took(reserved);
        }
        self.in_flight.now += 1;
        self.in_flight.reserved = self.in_flight.reserved.saturating_add(reserved);
        Charge {
            at: now,
            request: self.requests.as_mut().map(|requests| requests.take(now)),
            spent: self.tokens.as_mut().map(|tokens| tokens.take(reserved, now)),
            optional: self.optional.as_mut().map(|optional| Box::new(optional.take((cost, reserved), now))),
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
        if let (Some(optional), Some(charge)) = (&mut self.optional, &charge.optional) {
            optional.refund(charge);
        }
        self.finished(charge);
        self.freed = true;
    }

    /// Ends a call without a known outcome: the charge counts as spent.
    pub(super) fn finished(&mut self, charge: &Charge) {
        self.in_flight.now = self.in_flight.now.saturating_sub(1);
        self.in_flight.reserved = self.in_flight.reserved.saturating_sub(charge.reserved);
        self.freed |= self.in_flight.limit.is_some();
    }

    /// Records the outcome of a call. Returns true if other replicas should be notified of it.
    pub(super) fn completed(&mut self, charge: &Charge, outcome: &Outcome, now: u64) -> bool {
        if !outcome.was_sent() {
            self.refund(charge);
            return false;
        }
        self.finished(charge);
        let kept = self.settle(charge, outcome, now);
        if self.limits.learns {
            self.apply_reported((charge, kept), outcome, now);
        }
        match outcome.class() {
            // A used up account, or one of many backends, is no evidence about the limits of this deployment.
            Class::RateLimited if !self.limits.learns || self.is_about_account(outcome) => {}
            Class::RateLimited => {
                self.refused_by_server(charge, outcome, now);
                return true;
            }
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
        false
    }

    fn is_about_account(&self, outcome: &Outcome) -> bool {
        self.limits.account.as_ref().is_some_and(|account| account.is_about_account(outcome))
    }

    /// Replaces the reserved cost by the actual cost. Returns the cost that stays charged.
    fn settle(&mut self, charge: &Charge, outcome: &Outcome, now: u64) -> u64 {
        let (Accounting::Actual, Some(used)) = (self.limits.settle, outcome.used()) else {
            return charge.reserved;
        };
        let was = self.correction.factor(now);
        // A call cannot reserve more than the limit: the rest of its estimate is no evidence for the others.
        self.correction.learn(charge.estimate.min(self.token_limit()), used, now);
        if let (Some(tokens), Some(recorded_at)) = (&mut self.tokens, charge.spent) {
            // A lower expected cost of all calls frees capacity too.
            self.freed |= self.correction.factor(now) < was;
            if tokens.counts_late(now) {
                tokens.correct(recorded_at, charge.reserved, 0);
                tokens.take(used, now);
            } else {
                tokens.correct(recorded_at, charge.reserved, used);
            }
            self.freed |= used < charge.reserved;
        }
        if let (Some(optional), Some(charge)) = (&mut self.optional, &charge.optional) {
            self.freed |= optional.settle(charge, outcome, now);
        }
        used
    }

    fn refused_by_server(&mut self, charge: &Charge, outcome: &Outcome, now: u64) {
        self.server_hold.refused(outcome.retry_after(), charge.at, now);
        // A response that reports used up tokens is no evidence about the window of requests, and the reverse.
        let only_tokens = outcome.tokens().remaining == Some(0) && outcome.requests().remaining != Some(0);
        if let (Some(requests), false) = (&mut self.requests, only_tokens) {
            requests.refused(charge.request.unwrap_or(charge.at), now);
        }
        let only_requests = outcome.requests().remaining == Some(0) && outcome.tokens().remaining != Some(0);
        if let (Some(tokens), false) = (&mut self.tokens, only_requests) {
            tokens.refused(now);
        }
    }

    /// Records the limits and the remaining quota that the response to a call reported; `kept` is the cost of the call
    /// itself. More capacity than was known counts as freed.
    fn apply_reported(&mut self, (charge, kept): (&Charge, u64), outcome: &Outcome, now: u64) {
        let (reported, pin) = (outcome.requests(), self.limits.window);
        let by = |recorded: Option<u64>, own| ReportedBy {
            sent: charge.at,
            charge: recorded.map(|recorded_at| (recorded_at, own)),
        };
        if let Some(limit) = lower(&reported, self.limits.requests) {
            let requests = self.requests.get_or_insert_with(|| RequestMeter::new(limit, pin, now));
            self.freed |= limit > requests.minute.limit;
            requests.set_limit(limit);
        }
        if let Some(requests) = &mut self.requests {
            self.freed |= requests.minute.report(&reported, by(charge.request, 1), now);
        }
        let reported = outcome.tokens();
        if let Some(limit) = lower(&reported, self.limits.tokens) {
            let tokens = self.tokens.get_or_insert_with(|| Box::new(TokenMeter::new(limit)));
            self.freed |= limit > tokens.minute.limit;
            tokens.minute.set_limit(limit);
        }
        if let Some(tokens) = &mut self.tokens {
            self.freed |= tokens.minute.report(&reported, by(charge.spent, kept), now);
        }
    }

    /// Returns the number of such calls that could begin until `by`; with `certain`, only those that surely can.
    pub(super) fn slots(&mut self, estimate: Cost, (now, by): (u64, u64), certain: bool) -> u64 {
        let cost = self.expected_cost(estimate.total(), now);
        if by < now || self.server_hold.firm_until() > by {
            return 0;
        }
        let slots = |requests: &mut RequestMeter| {
            if certain { requests.certain_slots(now, by) } else { requests.slots(now, by) }
        };
        let requests = self.requests.as_mut().map_or(u64::MAX, slots);
        let slots = |tokens: &mut Box<TokenMeter>| tokens.slots(cost, (now, by), certain);
        let tokens = self.tokens.as_mut().map_or(u64::MAX, slots);
        let optional =
            self.optional.as_mut().map_or(u64::MAX, |optional| optional.slots((estimate, cost), now, by));
        requests.min(tokens).min(optional).min(self.in_flight.slots(by - now, certain))
    }

    /// Returns true once if the listeners should be notified of freed capacity.
    pub(super) fn freed(&mut self) -> bool {
        let notify = self.freed && self.refused;
        self.freed = false;
        self.refused &= !notify;
        notify
    }

    pub(super) fn learned_refusals(&self) -> u64 {
        self.requests.as_ref().map_or(0, |requests| requests.learned_refusals)
    }

    pub(super) fn snapshot(&mut self, now: u64) -> MeterSnapshot {
        // Advances the windows to the present.
        let _ = self.look(Cost::from(1), now);
        let optional = self.optional.as_deref();
        let daily = optional.and_then(|optional| optional.daily.as_ref());
        MeterSnapshot {
            request_limit: self.requests.as_ref().map(|requests| requests.minute.limit),
            requests: self.requests.as_ref().map_or(0, |requests| requests.minute.used()),
            requests_reset: self
                .requests
                .as_ref()
                .map_or(Duration::ZERO, |requests| requests.minute.reset(now)),
            token_limit: self.tokens.as_ref().map(|tokens| tokens.minute.limit),
            tokens: self.tokens.as_ref().map_or(0, |tokens| tokens.minute.used()),
            tokens_reset: self.tokens.as_ref().map_or(Duration::ZERO, |tokens| tokens.minute.reset(now)),
            input_tokens: optional.and_then(|o| o.input.as_ref()).map_or(0, DirectionMeter::used),
            output_tokens: optional.and_then(|o| o.output.as_ref()).map_or(0, DirectionMeter::used),
            daily_requests: daily.map_or(0, |daily| daily.requests),
            daily_tokens: daily.map_or(0, |daily| daily.tokens),
            day_ends: daily.map(|daily| daily.rest(now)),
            in_flight: self.in_flight.now,
            reserved: self.in_flight.reserved,
            window: self.requests.as_ref().and_then(RequestMeter::window),
            closed_for: self.server_hold.closed_for(now),
            request_lease: self.lease(LimitKind::Requests).map(|lease| lease.permits()),
            token_lease: self.lease(LimitKind::Tokens).map(|lease| lease.permits()),
            in_flight_lease: self.lease(LimitKind::InFlight).map(|lease| lease.permits()),
        }
    }
}

impl InFlightCalls {
    const fn new(limit: Option<u32>) -> Self {
        Self { limit, lease: None, now: 0, reserved: 0, median: 0.0 }
    }

    fn full(&self) -> bool {
        self.limit.is_some_and(|limit| self.now >= limit)
    }

    /// Returns the expected duration of a call: a second until one has completed.
    fn length(&self) -> u64 {
        if self.median > 0.0 { (self.median as u64).max(1) } else { 1_000 }
    }

    /// Returns the expected time until the first call in flight ends. Waiting requests are notified when one does.
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

    /// Returns the number of slots that are free or become free within `ahead`. With `certain`, calls in flight count as
    /// ended only after a whole duration.
    fn slots(&self, ahead: u64, certain: bool) -> u64 {
        let Some(limit) = self.limit.map(u64::from) else { return u64::MAX };
        // Every replica gets a leased slot in its turn.
        let limit = if self.lease.is_some() && !certain { limit.max(1) } else { limit };
        let free = limit.saturating_sub(self.now.into());
        let completed = if certain {
            limit * (ahead / self.length())
        } else {
            limit.saturating_mul(ahead) / self.length()
        };
        free.saturating_add(completed)
    }
}

/// Returns the limit that a response reported, but at most the configured one.
fn lower(reported: &ReportedLimit, configured: Option<u64>) -> Option<u64> {
    let limit = reported.limit.filter(|limit| *limit > 0)?;
    Some(configured.map_or(limit, |configured| limit.min(configured)))
}
