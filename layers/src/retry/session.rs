//! The decisions of one call through [`Retry`](super::Retry): [`Session`].

use std::time::Duration;

use tokio::time::Instant;

use super::{budget::Budget, policy::RetryPolicy};
use crate::{Attempts, Class, Outcome, attempts::Directive};

/// The state of one call: its repeats so far, and the repeat in flight.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// The number of attempts made.
    calls: u32,
    retries: u32,
    /// The number of backoffs used.
    waits: u32,
    /// The backoff drawn for the current response.
    drawn: Option<Duration>,
    in_flight: Option<Repeat>,
    others: Others,
    /// True if this session may call untried endpoints only.
    untried_only: bool,
}

/// A kind of repeat.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Repeat {
    /// On an untried endpoint. Refused at once if none has capacity. Free, unless it is a retry.
    Elsewhere { is_retry: bool },
    /// On any endpoint; on a tried one no earlier than this.
    NotBefore(Instant),
    /// On any endpoint, after a sleep until this time: no balancer below would wait.
    Sleep(Instant),
}

/// The state of the endpoints that were not tried.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Others {
    /// At least one untried endpoint may have capacity.
    #[default]
    Possible,
    /// None had capacity when a repeat for the current response needed one.
    NoCapacity,
    /// No service below takes the [`Directive`], so no repeat can be sent to an untried one.
    Unreachable,
}

/// The next action of the future.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// Return the current response.
    Stop,
    /// Call now.
    Call,
    /// Call at this time.
    Sleep(Instant),
}

impl Session {
    /// Begins a session before the first call.
    pub(super) fn begin<Req, Res, Err>(policy: &impl RetryPolicy<Req, Res, Err>, req: &Req) -> Self {
        let attempts = policy.attempts(req);
        let mut session = Self::default();
        if let Some(attempts) = attempts.filter(|attempts| attempts.made() > 0) {
            session.untried_only = attempts.take_begin_untried();
            // Set in both cases: an earlier session may have been dropped before its repeat was called.
            attempts.direct(if session.untried_only { Directive::Untried } else { Directive::Any });
        } else if attempts.is_none_or(Attempts::begins) {
            // Once for each request: the first attempt of a fallback is free and not a deposit.
            policy.pacing().budget.iter().for_each(Budget::deposit);
        }
        session
    }

    /// Records the end of a call. Returns true if it was a repeat on an untried endpoint and there was none, so that the
    /// previous response needs another decision.
    pub(super) fn completed<Req, Res, Err>(
        &mut self,
        policy: &impl RetryPolicy<Req, Res, Err>,
        attempts: Option<&Attempts>,
        outcome: &Outcome,
    ) -> bool {
        let repeat = self.in_flight.take();
        if !outcome.is_refusal() {
            (self.calls, self.drawn) = (self.calls + 1, None);
            let not_taken = |attempts: &Attempts| attempts.take_directive() == Directive::Untried;
            if matches!(repeat, Some(Repeat::Elsewhere { .. })) && attempts.is_some_and(not_taken) {
                self.others = Others::Unreachable;
            } else if self.others == Others::NoCapacity {
                self.others = Others::Possible;
            }
            return false;
        }
        let Some(repeat) = repeat else { return false };
        if let Some(budget) = &policy.pacing().budget {
            // No endpoint was called.
            budget.put_back();
        }
        let Repeat::Elsewhere { is_retry } = repeat else { return false };
        self.retries -= u32::from(is_retry);
        self.others = Others::NoCapacity;
        true
    }

    /// Decides on a repeat after a failure for which another endpoint may succeed.
    pub(super) fn next<Req, Res, Err>(
        &mut self,
        policy: &impl RetryPolicy<Req, Res, Err>,
        (req, attempts): (&Req, Option<&Attempts>),
        outcome: &Outcome,
    ) -> Decision {
        let made = attempts.map_or(0, Attempts::made).max(self.calls);
        if policy.max_attempts(req).is_some_and(|max| made >= max) {
            return Decision::Stop;
        }
        let Some(repeat) = self.plan(policy, (req, attempts.is_some()), outcome) else {
            return Decision::Stop;
        };
        if policy.pacing().budget.as_ref().is_some_and(|budget| !budget.withdraw()) {
            return Decision::Stop;
        }
        self.in_flight = Some(repeat);
        let (directive, decision) = match repeat {
            Repeat::Elsewhere { is_retry } => {
                self.retries += u32::from(is_retry);
                (Directive::Untried, Decision::Call)
            }
            Repeat::NotBefore(at) => (Directive::NotBefore(at), Decision::Call),
            Repeat::Sleep(at) => (Directive::Any, Decision::Sleep(at)),
        };
        if !matches!(repeat, Repeat::Elsewhere { .. }) {
            (self.retries, self.waits) = (self.retries + 1, self.waits + 1);
        }
        if let Some(attempts) = attempts {
            attempts.direct(directive);
        }
        decision
    }

    /// Returns the repeat to make, if any.
    fn plan<Req, Res, Err>(
        &mut self,
        policy: &impl RetryPolicy<Req, Res, Err>,
        (req, is_recorded): (&Req, bool),
        outcome: &Outcome,
    ) -> Option<Repeat> {
        let now = Instant::now();
        let deadline = policy.deadline(req);
        if deadline.is_some_and(|deadline| now >= deadline) {
            return None;
        }
        let may_go_elsewhere = is_recorded && self.others == Others::Possible;
        let elsewhere = |is_retry| may_go_elsewhere.then_some(Repeat::Elsewhere { is_retry });
        let may_be_free = outcome.class() == Class::RateLimited || !outcome.was_sent();
        if let Some(free) = elsewhere(false).filter(|_| may_be_free) {
            return Some(free);
        }
        if self.retries >= policy.retries(req, outcome) {
            return None;
        }
        let pacing = policy.pacing();
        let waits = self.waits;
        let drawn = *self.drawn.get_or_insert_with(|| pacing.backoff.draw(waits));
        let retry_after = outcome.retry_after().unwrap_or_default();
        let at = now.checked_add(drawn.max(retry_after))?;
        let is_late = deadline.is_some_and(|deadline| at >= deadline);
        let elsewhere_only = outcome.class() == Class::Unauthorized || self.untried_only;
        if elsewhere_only || retry_after > pacing.max_wait || is_late {
            return elsewhere(true);
        }
        if is_recorded && drawn <= pacing.max_wait {
            return Some(Repeat::NotBefore(at));
        }
        // Longer than a balancer would wait, or there is no balancer.
        elsewhere(true).or(Some(Repeat::Sleep(at)))
    }
}
