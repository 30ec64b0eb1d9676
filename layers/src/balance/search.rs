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

    /// Finds some with room among many: of two at random; else by the index.
    fn sample(&self, tier: &Tier, scan: &mut Scan) {
        let mut rng = fastrand::Rng::with_seed(self.group.random());
        let (start, len) = (tier.members.start, tier.members.len());
        let one = rng.usize(..len);
        let other = (one + rng.usize(1..len)) % len;
        for offset in [one, other] {
            // What is full by the index too is no news; what is noted is asked again under its lock, so that room which
            // comes meanwhile is noted after it.
            if self.ask(start + offset, scan).is_some()
                && let Some(mut index) = tier.index()
                && index.keys()[offset].at <= self.plan.room.millis(scan.now)
                && let Some(key) = self.ask(start + offset, scan)
            {
                index.set(offset, key);
            }
        }
        if !scan.has_untried() {
            self.walk(tier, [rng.usize(..len), rng.usize(..len)], scan);
        }
    }

    /// Asks those that have room by the index. What it says too early is put right, and paid for by the call that
    /// filled the endpoint: so the walk is short.
    fn walk(&self, tier: &Tier, from: [usize; 2], scan: &mut Scan) {
        let Some(mut index) = tier.index() else { return };
        let (start, now) = (tier.members.start, self.plan.room.millis(scan.now));
        let [mut from, other] = from;
        for _ in 0..WALK {
            let Some(offset) = index.next(from, now).or_else(|| index.next(0, now)) else { break };
            if let Some(key) = self.ask(start + offset, scan) {
                // Later than now, or it would be asked for ever.
                index.set(offset, Key { at: key.at.max(now + 1), ..key });
            }
            from = offset + 1;
            if scan.has_untried() {
                // There is a choice of two here too.
                let other = index.next(other, now).or_else(|| index.next(0, now));
                if let Some(other) = other.filter(|other| *other != offset)
                    && let Some(key) = self.ask(start + other, scan)
                {
                    index.set(other, Key { at: key.at.max(now + 1), ..key });
                }
                return;
            }
        }
        let first = index.first();
        scan.none_before(self.plan.room.instant(first.at.max(now + 1)), first.ill);
        if let Some(offset) = index.least_ill() {
            self.ask(start + offset, scan);
        }
    }
}
