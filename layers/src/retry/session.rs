//! The decisions of one call through [`Retry`](super::Retry): [`Session`].

use std::time::Duration;

use tokio::time::Instant;

use super::policy::RetryPolicy;
use crate::{Attempts, Class, Outcome, attempts::Directive};

/// The repeats that one call has made so far, and the one that is under way.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// The number of attempts that this session made.
    calls: u32,
    retries: u32,
    /// The number of backoffs that were used.
    waits: u32,
    /// The backoff drawn for the answer that is judged now.
    drawn: Option<Duration>,
    under_way: Option<Repeat>,
    others: Others,
    /// Set if this session may call untried endpoints only.
    untried_only: bool,
}

/// A kind of repeat.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Repeat {
    /// At an endpoint that was not tried. Refused at once if none has capacity. Free, unless it is a retry.
    Elsewhere { is_retry: bool },
    /// At any endpoint; at one that was tried not before then.
    NotBefore(Instant),
    /// At any endpoint, after a sleep until then: no balancer below would wait.
    Sleep(Instant),
}

/// The state of the endpoints that were not tried.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Others {
    /// At least one untried endpoint may have capacity.
    #[default]
    Possible,
    /// None had room, when the answer that is judged now asked for one.
    NoRoom,
    /// No [`Directive`] is taken below, so no repeat can be sent to one.
    Unreachable,
}

/// The next action of the future.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// Gives the answer at hand.
    Stop,
    /// Calls now.
    Call,
    /// Calls then.
    Sleep(Instant),
}

impl Session {
    /// Begins, before the first call.
    pub(super) fn begin<Req, Res, Err>(policy: &impl RetryPolicy<Req, Res, Err>, req: &Req) -> Self {
        let attempts = policy.attempts(req);
        let mut session = Self::default();
        if let Some(attempts) = attempts.filter(|attempts| attempts.made() > 0) {
            session.untried_only = attempts.take_begin_untried();
            // Said in either case: a session before this one may have been dropped before its repeat was called.
            attempts.direct(if session.untried_only { Directive::Untried } else { Directive::Any });
        } else if attempts.is_none_or(Attempts::begins)
            && let Some(budget) = &policy.pacing().budget
        {
            // Once for each request: a fallback's first attempt is free, and earns nothing either.
            budget.deposit();
        }
        session
    }

    /// Notes that a call has ended. Returns whether it was a repeat elsewhere that found no endpoint, so that the answer
    /// before it is to be judged again.
    pub(super) fn completed<Req, Res, Err>(
        &mut self,
        policy: &impl RetryPolicy<Req, Res, Err>,
        req: &Req,
        outcome: &Outcome,
    ) -> bool {
        let repeat = self.under_way.take();
        if !outcome.is_refusal() {
            (self.calls, self.drawn) = (self.calls + 1, None);
            let untaken = |attempts: &Attempts| attempts.take_directive() == Directive::Untried;
            if matches!(repeat, Some(Repeat::Elsewhere { .. })) && policy.attempts(req).is_some_and(untaken) {
                self.others = Others::Unreachable;
            } else if self.others == Others::NoRoom {
                self.others = Others::Possible;
            }
            return false;
        }
        let Some(repeat) = repeat else { return false };
        if let Some(budget) = &policy.pacing().budget {
            // Nothing was called.
            budget.put_back();
        }
        let Repeat::Elsewhere { is_retry } = repeat else { return false };
        self.retries -= u32::from(is_retry);
        self.others = Others::NoRoom;
        true
    }

    /// Decides what comes after an answer that is worth another.
    pub(super) fn next<Req, Res, Err>(
        &mut self,
        policy: &impl RetryPolicy<Req, Res, Err>,
        req: &Req,
        outcome: &Outcome,
    ) -> Decision {
        let attempts = policy.attempts(req);
        let made = attempts.map_or(0, Attempts::made).max(self.calls);
        if policy.max_attempts(req).is_some_and(|most| made >= most) {
            return Decision::Stop;
        }
        let Some(repeat) = self.plan(policy, req, outcome) else {
            return Decision::Stop;
        };
        if policy.pacing().budget.as_ref().is_some_and(|budget| !budget.withdraw()) {
            return Decision::Stop;
        }
        self.under_way = Some(repeat);
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

    /// Returns the repeat that would be right, if any.
    fn plan<Req, Res, Err>(
        &mut self,
        policy: &impl RetryPolicy<Req, Res, Err>,
        req: &Req,
        outcome: &Outcome,
    ) -> Option<Repeat> {
        let now = Instant::now();
        let deadline = policy.deadline(req);
        if deadline.is_some_and(|deadline| now >= deadline) {
            return None;
        }
        let is_recorded = policy.attempts(req).is_some();
        let may_go_elsewhere = is_recorded && self.others == Others::Possible;
        let elsewhere = |is_retry| may_go_elsewhere.then_some(Repeat::Elsewhere { is_retry });
        let may_be_free = outcome.class() == Class::RateLimited || !outcome.was_sent();
        if may_be_free && let Some(free) = elsewhere(false) {
            return Some(free);
        }
        if self.retries >= policy.retries(req, outcome) {
            return None;
        }
        let pacing = policy.pacing();
        let waits = self.waits;
        let drawn = *self.drawn.get_or_insert_with(|| pacing.backoff.draw(waits));
        let asked = outcome.retry_after().unwrap_or_default();
        let at = now.checked_add(drawn.max(asked))?;
        let is_late = deadline.is_some_and(|deadline| at >= deadline);
        let elsewhere_only = outcome.class() == Class::Unauthorized || self.untried_only;
        if elsewhere_only || asked > pacing.max_wait || is_late {
            return elsewhere(true);
        }
        if is_recorded && drawn <= pacing.max_wait {
            return Some(Repeat::NotBefore(at));
        }
        // Longer than a balancer would keep it waiting, or there is none.
        elsewhere(true).or(Some(Repeat::Sleep(at)))
    }
}
