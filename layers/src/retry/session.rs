//! The decisions of one call through [`Retry`](super::Retry): [`Session`].

use std::time::Duration;

use tokio::time::Instant;

use super::rules::Rules;
use crate::{Attempts, Class, Ending};

/// What one call has spent so far.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Attempts that this session knows of.
    calls: u32,
    retries: u32,
    /// How often a backoff was used.
    waits: u32,
    /// The backoff drawn for the answer that is judged now.
    drawn: Option<Duration>,
    under_way: Option<Repeat>,
    /// No untried endpoint had room when the answer that is judged now asked for one.
    no_other: bool,
    /// A move met an endpoint that was tried: whoever picks does not heed the record.
    unheeded: bool,
    /// The round before this one has called the others as often as they may be called.
    untried_alone: bool,
}

/// A repeat, as it was decided.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Repeat {
    /// To an endpoint that was not tried; refused at once when there is none.
    Move { paid: bool, tried: usize },
    /// To any; to one that was tried not before then.
    Again(Instant),
    /// The same, with no one behind us who would wait.
    Slept(Instant),
    /// The first attempt of a session that was asked to begin at an endpoint that was not tried. Not ours to pay.
    Begun,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// The answer at hand is the answer.
    Stop,
    /// Call now.
    Call,
    /// Call then.
    Sleep(Instant),
}

impl Session {
    /// Before the first call.
    pub(super) fn begin<Req, Res, Err>(rules: &impl Rules<Req, Res, Err>, req: &Req) -> Self {
        let attempts = rules.attempts(req);
        let mut session = Self::default();
        match attempts.filter(|attempts| attempts.made() > 0) {
            Some(attempts) => {
                // A session before this one may have been dropped in the middle of a repeat.
                attempts.lift();
                if attempts.take_begin_untried() {
                    attempts.set_untried_only(true);
                    (session.under_way, session.untried_alone) = (Some(Repeat::Begun), true);
                }
            }
            // A fallback's first attempt is free, and earns nothing either, also where nobody was called before it.
            None => {
                if attempts.is_none_or(Attempts::begins)
                    && let Some(budget) = &rules.pace().budget
                {
                    budget.deposit();
                }
            }
        }
        session
    }

    /// A call has ended. Whether it was a move that found no endpoint, so that the answer before it is to be
    /// judged again.
    pub(super) fn ended<Req, Res, Err>(
        &mut self,
        rules: &impl Rules<Req, Res, Err>,
        req: &Req,
        ending: &Ending,
    ) -> bool {
        let repeat = self.under_way.take();
        let attempts = rules.attempts(req);
        if repeat.is_some()
            && let Some(attempts) = attempts
        {
            attempts.lift();
        }
        if !ending.is_refusal() {
            self.calls += 1;
            (self.no_other, self.drawn) = (false, None);
            if let (Some(Repeat::Move { tried, .. }), Some(attempts)) = (repeat, attempts) {
                self.unheeded |= attempts.endpoints() <= tried;
            }
            return false;
        }
        if repeat.is_some_and(|repeat| repeat != Repeat::Begun)
            && let Some(budget) = &rules.pace().budget
        {
            // Nothing was called.
            budget.put_back();
        }
        let Some(Repeat::Move { paid, .. }) = repeat else {
            return false;
        };
        self.retries -= u32::from(paid);
        self.no_other = true;
        true
    }

    /// What comes after an answer that is worth another.
    pub(super) fn next<Req, Res, Err>(
        &mut self,
        rules: &impl Rules<Req, Res, Err>,
        req: &Req,
        ending: &Ending,
    ) -> Step {
        let attempts = rules.attempts(req);
        let made = attempts.map_or(0, Attempts::made).max(self.calls);
        if rules.max_attempts(req).is_some_and(|most| made >= most) {
            return Step::Stop;
        }
        let Some(repeat) = self.plan(rules, req, ending) else {
            return Step::Stop;
        };
        if rules.pace().budget.as_ref().is_some_and(|budget| !budget.withdraw()) {
            return Step::Stop;
        }
        self.under_way = Some(repeat);
        match repeat {
            Repeat::Move { paid, .. } => self.retries += u32::from(paid),
            Repeat::Again(_) | Repeat::Slept(_) | Repeat::Begun => {
                (self.retries, self.waits) = (self.retries + 1, self.waits + 1)
            }
        }
        match (repeat, attempts) {
            (Repeat::Slept(at), _) => return Step::Sleep(at),
            (Repeat::Move { .. }, Some(attempts)) => attempts.set_untried_only(true),
            (Repeat::Again(at), Some(attempts)) => attempts.set_not_before(Some(at)),
            (Repeat::Move { .. } | Repeat::Again(_), None) | (Repeat::Begun, _) => {}
        }
        Step::Call
    }

    /// Which repeat would be right, if any.
    fn plan<Req, Res, Err>(
        &mut self,
        rules: &impl Rules<Req, Res, Err>,
        req: &Req,
        ending: &Ending,
    ) -> Option<Repeat> {
        let now = Instant::now();
        let deadline = rules.deadline(req);
        if deadline.is_some_and(|deadline| now >= deadline) {
            return None;
        }
        let attempts = rules.attempts(req);
        let other = attempts.filter(|_| !self.no_other && !self.unheeded);
        let to_other = |paid| other.map(|attempts| Repeat::Move { paid, tried: attempts.endpoints() });
        let may_be_free = ending.class() == Class::RateLimited || !ending.was_sent();
        if may_be_free && let Some(free) = to_other(false) {
            return Some(free);
        }
        if self.retries >= rules.retries(req, ending) {
            return None;
        }
        let pace = rules.pace();
        let waits = self.waits;
        let drawn = *self.drawn.get_or_insert_with(|| pace.backoff.draw(waits));
        let asked = ending.retry_after().unwrap_or_default();
        let at = now.checked_add(drawn.max(asked))?;
        let late = deadline.is_some_and(|deadline| at >= deadline);
        let only_other = ending.class() == Class::Unauthorized || self.untried_alone;
        if only_other || asked > pace.patience || late {
            return to_other(true);
        }
        match attempts {
            None => Some(Repeat::Slept(at)),
            Some(_) if drawn <= pace.patience => Some(Repeat::Again(at)),
            // Longer than the balancer would keep it waiting.
            Some(_) => to_other(true).or(Some(Repeat::Slept(at))),
        }
    }
}
