//! The search for endpoints with room: [`Search`].

use tokio::time::Instant;

use super::{
    choose::Candidate,
    group::{Group, Plan, Want},
    index::{Index, Key},
    room::Tier,
    scan::Scan,
    strategy::Strategy,
};
use crate::{Attempts, Endpoint, endpoint::Full};

/// The shortest time until one is asked again that is benched and whose bench is over: its probe is out.
const PROBING: u64 = 1_000_000;

/// Why one cannot be had now: it is benched until then, or full, perhaps only for a call as dear as this.
#[derive(Clone, Copy, Debug)]
struct Unfit {
    until: Instant,
    ill: bool,
    dear: bool,
}

/// One request's search through a group.
#[derive(Debug)]
pub(super) struct Search<'a, S, Req> {
    pub(super) group: &'a Group<S>,
    pub(super) plan: &'a Plan,
    pub(super) want: &'a Want<'a, Req>,
}

impl<S, Req> Search<'_, S, Req>
where
    S: Endpoint<Req>,
{
    pub(super) fn endpoint(&self, which: usize) -> &S {
        &self.group.endpoints[self.plan.order[which]]
    }

    /// Asks tier after tier, until one has an endpoint with room that this request has not tried.
    pub(super) fn scan(&self, scan: &mut Scan) {
        for tier in &self.plan.room.tiers {
            if tier.is_large() {
                self.sample(tier, scan);
            } else {
                for which in tier.members.clone() {
                    self.ask(which, scan);
                }
            }
            if scan.has_untried() {
                break;
            }
            scan.tier_ends();
        }
    }

    /// Asks one, and says why not, if it has no room that is to be had now.
    fn ask(&self, which: usize, scan: &mut Scan) -> Option<Unfit> {
        let tried = self.want.attempts.is_some_and(|attempts| self.tried(which, attempts));
        match self.endpoint(which).score(self.want.req, scan.now) {
            Ok(score) => {
                let until = scan.room(Candidate { which, score }, tried)?;
                Some(Unfit { until, ill: true, dear: false })
            }
            Err(until) => {
                scan.full(&until, tried);
                Some(Unfit { until: until.at, ill: false, dear: until.why == Full::Cost })
            }
        }
    }

    /// Asks one, for the index: from when it may have room.
    fn key(&self, (which, cost): (usize, u64), scan: &mut Scan) -> Option<Key> {
        let Unfit { until, ill, dear } = self.ask(which, scan)?;
        let room = &self.plan.room;
        // Later than now, or it would be asked for ever.
        let soonest = room.nanos(scan.now) + if ill { PROBING } else { 1 };
        let below = if dear { cost } else { 0 };
        Some(Key { at: room.nanos(until).max(soonest), below, ill })
    }

    /// What this request costs. All of a tier measure alike.
    fn cost(&self, tier: &Tier) -> u64 {
        self.endpoint(tier.members.start).cost(self.want.req)
    }

    fn tried(&self, which: usize, attempts: &Attempts) -> bool {
        attempts.tried(self.plan.key(which))
    }

    /// Finds some with room among many: those drawn, but for those that the index knows to be full; if that comes to
    /// nothing, two that it says may have room.
    fn sample(&self, tier: &Tier, scan: &mut Scan) {
        let mut rng = fastrand::Rng::with_seed(self.group.random());
        let (start, pair) = (tier.members.start, self.drawn(tier, &mut rng));
        let now = self.plan.room.nanos(scan.now);
        let may = tier.is_noted().then(|| self.cost(tier)).and_then(|cost| {
            let index = tier.noted(now)?;
            Some(pair.map(|drawn| drawn.is_some_and(|offset| index.may_have_room(offset, now, cost))))
        });
        for (drawn, may) in pair.into_iter().zip(may.unwrap_or([true; 2])) {
            let Some(offset) = drawn.filter(|_| may) else { continue };
            if self.ask(start + offset, scan).is_some() {
                self.note(tier, offset, scan);
            }
        }
        if !scan.has_untried() {
            let from = [rng.usize(..tier.members.len()), rng.usize(..tier.members.len())];
            self.search(tier, from, scan);
        }
    }

    /// Two of a tier: of these the better one balances as it should. But one alone where the strategy is itself a draw by
    /// weight: to draw from two once more would favour the heavier.
    fn drawn(&self, tier: &Tier, rng: &mut fastrand::Rng) -> [Option<usize>; 2] {
        let (of, lots) = (&tier.members, &self.plan.loads.lots);
        let one = lots.one(of, rng);
        let two = (self.plan.loads.strategy != Strategy::SimpleShuffle).then(|| lots.other(of, one, rng));
        [Some(one), two].map(|drawn| drawn.map(|which| which - of.start))
    }

    /// Notes one that was full, if it still is: under the lock of the index, so that room which comes meanwhile is noted
    /// after that.
    fn note(&self, tier: &Tier, offset: usize, scan: &mut Scan) {
        let cost = self.cost(tier);
        if let Some(mut index) = tier.index()
            && let Some(key) = self.key((tier.members.start + offset, cost), scan)
        {
            index.set(offset, key);
            tier.set_noted();
        }
    }

    /// Asks those that may have room by the index. What it says too early is put right, and paid for by what made it
    /// so: a call that filled an endpoint, a time that has come.
    fn search(&self, tier: &Tier, from: [usize; 2], scan: &mut Scan) {
        let cost = self.cost(tier);
        let Some(mut index) = tier.index() else { return };
        if self.walk((tier, &mut index), (from[0], cost), scan) {
            // There is a choice of two here too.
            self.walk((tier, &mut index), (from[1], cost), scan);
            return;
        }
        let (start, room) = (tier.members.start, &self.plan.room);
        if let Some(at) = index.first_after(room.nanos(scan.now)) {
            scan.none_before(room.instant(at));
        }
        let tried = |which| self.want.attempts.is_some_and(|attempts| self.tried(start + which, attempts));
        while let Some(offset) = index.least_ill(|which| !tried(which)).or_else(|| index.least_ill(|_| true))
        {
            // Its bench may have been renewed; then another may return before it.
            match self.key((start + offset, cost), scan) {
                Some(key) if key != index.key(offset) => index.set(offset, key),
                Some(_) | None => return,
            }
        }
    }

    /// Asks all that may have room by the index, from there on and once round, until one has that was not tried. Whether
    /// one has.
    fn walk(&self, (tier, index): (&Tier, &mut Index), (from, cost): (usize, u64), scan: &mut Scan) -> bool {
        let (start, now) = (tier.members.start, self.plan.room.nanos(scan.now));
        let (mut next, mut round) = (from, false);
        loop {
            let Some(offset) = index.next(next, now, cost).filter(|offset| !round || *offset < from) else {
                if round {
                    return false;
                }
                (next, round) = (0, true);
                continue;
            };
            let known = scan.untried();
            if let Some(key) = self.key((start + offset, cost), scan) {
                index.set(offset, key);
                tier.set_noted();
            }
            if scan.untried() > known {
                return true;
            }
            next = offset + 1;
        }
    }
}
