//! The search for endpoints with room: [`Search`].

use tokio::time::Instant;

use super::{
    choose::Candidate,
    group::{Group, Plan, Want},
    index::Key,
    room::{FEW, Tier},
    scan::Scan,
};
use crate::{Attempts, Endpoint};

/// How many pairs of a large tier are drawn when by its index all are full.
const PAIRS: usize = 3;
/// How many of those that have room by the index are asked, before the request waits for a millisecond.
const WALK: usize = 512;

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
    pub(super) fn scan(&self, now: Instant) -> Scan {
        let mut scan = Scan::new(now, self.want.attempts);
        for tier in &self.plan.room.tiers {
            if tier.members.len() > FEW {
                self.sample(tier, &mut scan);
            } else {
                for which in tier.members.clone() {
                    self.ask(which, &mut scan);
                }
            }
            if scan.has_untried() {
                break;
            }
            scan.tier_ends();
        }
        scan
    }

    /// Asks one. Since when it may have room, if it has none that is to be had now.
    fn ask(&self, which: usize, scan: &mut Scan) -> Option<Key> {
        let tried = self.want.attempts.is_some_and(|attempts| self.tried(which, attempts));
        match self.endpoint(which).score(self.want.req, scan.now) {
            Ok(score) => {
                let benched = scan.room(Candidate { which, score }, tried)?;
                Some(Key { at: self.plan.room.millis(benched), ill: true })
            }
            Err(until) => {
                scan.full(&until, tried);
                Some(Key { at: self.plan.room.millis(until.at), ill: false })
            }
        }
    }

    fn tried(&self, which: usize, attempts: &Attempts) -> bool {
        attempts.tried(self.plan.key(which))
    }

    /// Finds some with room among many: two at random; if those are full, two of those that have room by the index.
    fn sample(&self, tier: &Tier, scan: &mut Scan) {
        let mut rng = fastrand::Rng::with_seed(self.group.random());
        for offset in pair(&mut rng, tier) {
            if !self.is_full(tier, offset, scan.now) {
                self.note(tier, offset, scan);
            }
        }
        if !scan.has_untried() {
            self.walk(tier, [rng.usize(..tier.members.len()), rng.usize(..tier.members.len())], scan);
        }
        // What was full for a dearer request need not be full for this one, and a bench may have ended early.
        for _ in 0..PAIRS {
            for offset in pair(&mut rng, tier) {
                if !scan.has_untried() {
                    self.note(tier, offset, scan);
                }
            }
        }
    }

    /// Whether it has no room by the index.
    fn is_full(&self, tier: &Tier, offset: usize, now: Instant) -> bool {
        let now = self.plan.room.millis(now);
        tier.is_noted() && tier.index().is_some_and(|index| index.keys()[offset].at > now)
    }

    /// Asks one, and notes it when it is full: under the lock of the index, so that room which comes meanwhile is noted
    /// after that.
    fn note(&self, tier: &Tier, offset: usize, scan: &mut Scan) {
        let which = tier.members.start + offset;
        if let Some(known) = self.ask(which, scan)
            && let Some(mut index) = tier.index()
            && index.keys()[offset] != known
            && let Some(key) = self.ask(which, scan)
        {
            index.set(offset, key);
            tier.set_noted();
        }
    }

    /// Asks those that have room by the index. What it says too early is put right, and paid for by the call that
    /// filled the endpoint: so the walk is short.
    fn walk(&self, tier: &Tier, from: [usize; 2], scan: &mut Scan) {
        let Some(mut index) = tier.index() else { return };
        let (start, now) = (tier.members.start, self.plan.room.millis(scan.now));
        let ([mut from, other], mut found) = (from, None);
        for _ in 0..WALK {
            let Some(offset) = index.next(from, now).or_else(|| index.next(0, now)) else { break };
            if found == Some(offset) {
                return;
            }
            if let Some(key) = self.ask(start + offset, scan) {
                // Later than now, or it would be asked for ever.
                index.set(offset, Key { at: key.at.max(now + 1), ..key });
                tier.set_noted();
            }
            from = offset + 1;
            if scan.has_untried() && found.is_some() {
                return;
            }
            if scan.has_untried() {
                // There is a choice of two here too.
                (found, from) = (Some(offset), other);
            }
        }
        if scan.has_untried() {
            return;
        }
        let first = index.first();
        scan.none_before(self.plan.room.instant(first.at.max(now + 1)), first.ill);
        if let Some(offset) = index.least_ill() {
            self.ask(start + offset, scan);
        }
    }
}

/// Two of a tier.
fn pair(rng: &mut fastrand::Rng, tier: &Tier) -> [usize; 2] {
    let len = tier.members.len();
    let one = rng.usize(..len);
    [one, (one + rng.usize(1..len)) % len]
}
