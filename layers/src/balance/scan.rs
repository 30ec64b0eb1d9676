//! What a search has found so far: [`Scan`].

use tokio::time::Instant;

use super::{choose::Candidate, room::FEW};
use crate::{
    Attempts,
    endpoint::{Full, Health, Score, Until},
};

/// What the endpoints said, one after the other. Lives on the stack: a search allocates nothing.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) now: Instant,
    candidates: Candidates,
    /// The least bad of those that are benched.
    benched: Option<Benched>,
    /// When one that is well may have room, and one that is not.
    well: Option<Instant>,
    ill: Option<Instant>,
    /// When one that was tried may be called again, if that is still to come.
    hold: Option<Instant>,
    untried_only: bool,
}

#[derive(Clone, Copy, Debug)]
struct Benched {
    tried: bool,
    until: Instant,
    candidate: Candidate,
}

/// Those that are well and have room: the untried from the front, the tried from the back. As soon as there is one
/// untried the tried do not matter, and may be overwritten.
#[derive(Debug)]
struct Candidates {
    untried: usize,
    tried: usize,
    /// The tried ones of one tier are there; those of later tiers are not wanted.
    complete: bool,
    all: [Candidate; FEW],
}

/// What follows from a search.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// One of these.
    Room(&'a [Candidate]),
    /// None before that.
    At(Instant),
    /// None in time; if ever, then.
    Nobody(Option<Instant>),
}

impl Scan {
    #[inline]
    pub(super) fn new(now: Instant, attempts: Option<&Attempts>) -> Self {
        const NOBODY: Candidate =
            Candidate { which: 0, score: Score { health: Health::Well(1.0), cost: 0.0, used: 0.0 } };
        // Most requests are at their first attempt: their record need not be opened.
        let attempts = attempts.filter(|attempts| attempts.made() > 0);
        Self {
            now,
            candidates: Candidates { untried: 0, tried: 0, complete: false, all: [NOBODY; FEW] },
            benched: None,
            well: None,
            ill: None,
            hold: attempts.and_then(Attempts::not_before).filter(|at| *at > now),
            untried_only: attempts.is_some_and(Attempts::untried_only),
        }
    }

    /// How many have room that were not tried.
    pub(super) const fn untried(&self) -> usize {
        self.candidates.untried
    }

    pub(super) const fn has_untried(&self) -> bool {
        self.untried() > 0
    }

    /// What follows is of a higher order.
    pub(super) const fn tier_ends(&mut self) {
        self.candidates.complete = self.candidates.tried > 0;
    }

    /// This one has room. Until when it is benched, if it is.
    #[inline]
    pub(super) fn room(&mut self, candidate: Candidate, tried: bool) -> Option<Instant> {
        if let Health::Benched(until) = candidate.score.health {
            self.benched(Benched { tried, until, candidate });
            return Some(until);
        }
        match (tried, self.hold) {
            (false, _) => self.candidates.push_untried(candidate),
            (true, _) if self.untried_only => {}
            (true, Some(at)) => earlier(&mut self.well, at),
            (true, None) => self.candidates.push_tried(candidate),
        }
        None
    }

    /// This one has none.
    pub(super) fn full(&mut self, until: &Until, tried: bool) {
        if tried && self.untried_only {
            return;
        }
        let at = self.hold.filter(|_| tried).map_or(until.at, |hold| hold.max(until.at));
        match until.why {
            // It was ill a moment ago: rather another that is benched than waiting for this one.
            Full::Probing => earlier(&mut self.ill, at),
            Full::Limit | Full::Cost | Full::InFlight | Full::Word => earlier(&mut self.well, at),
        }
    }

    /// None of those that were not asked, and are well, has room before that.
    pub(super) fn none_before(&mut self, at: Instant) {
        earlier(&mut self.well, at);
    }

    /// Untried before tried; then well before benched, waiting included. Health closes no group: a bench is only as
    /// strong as there are others.
    pub(super) fn found(&self, expires: Instant) -> Found<'_> {
        let room = self.candidates.best();
        if !room.is_empty() {
            return Found::Room(room);
        }
        let soonest = [self.well, self.ill].into_iter().flatten().min();
        if self.untried_only {
            return Found::Nobody(soonest);
        }
        let in_time = |at: &Instant| *at <= expires;
        match (self.well.filter(in_time), &self.benched, self.ill.filter(in_time)) {
            (Some(at), _, _) | (None, None, Some(at)) => Found::At(at),
            (None, Some(benched), _) => Found::Room(std::slice::from_ref(&benched.candidate)),
            (None, None, None) => Found::Nobody(soonest),
        }
    }

    fn benched(&mut self, other: Benched) {
        if let (true, Some(hold)) = (other.tried, self.hold) {
            earlier(&mut self.ill, hold);
            return;
        }
        if self.benched.is_none_or(|least| (other.tried, other.until) < (least.tried, least.until)) {
            self.benched = Some(other);
        }
    }
}

impl Candidates {
    fn best(&self) -> &[Candidate] {
        if self.untried > 0 { &self.all[..self.untried] } else { &self.all[FEW - self.tried..] }
    }

    const fn push_untried(&mut self, candidate: Candidate) {
        if self.untried < FEW {
            self.all[self.untried] = candidate;
            self.untried += 1;
        }
    }

    const fn push_tried(&mut self, candidate: Candidate) {
        if self.tried < FEW && !self.complete && self.untried == 0 {
            self.tried += 1;
            self.all[FEW - self.tried] = candidate;
        }
    }
}

fn earlier(known: &mut Option<Instant>, at: Instant) {
    *known = Some(known.map_or(at, |known| known.min(at)));
}
