//! The choice of an endpoint for one attempt: [`Picker`].

use std::{
    ops::Range,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    group::{Group, Tiers},
    load::{Call, InFlight, Loads},
    strategy::{Candidate, Strategy},
};
use crate::{
    Attempts, Endpoint,
    attempts::{Directive, EndpointKey},
    endpoint::{CapacityListener, Health, NoCapacity, NoCapacityReason},
    sync::AtomicU64,
};

/// The size of the largest tier of which all endpoints are queried.
pub(super) const QUERY_ALL: usize = 64;
/// The number of endpoints that are drawn from a larger tier.
const SAMPLE: usize = 16;
/// The number of endpoints among which the adaptive strategy chooses in a larger tier. The state of each is some 16 cache
/// lines, which in a group of a thousand are in no cache.
const ADAPTIVE_SAMPLE: usize = 4;
/// The maximum number of choices for one pick, when other requests reserve the capacity first.
const ATTEMPTS: usize = 8;
const MILLISECOND: Duration = Duration::from_millis(1);

/// The endpoints of a group, and the choice among them.
#[derive(Debug)]
pub(super) struct Picker<S> {
    // Read for each choice, written when an endpoint comes or goes.
    group: RwLock<Group<S>>,
    loads: Arc<Loads>,
    strategy: Strategy,
    random: AtomicU64,
    listener: Weak<dyn CapacityListener>,
}

/// A request for an endpoint.
#[derive(Debug)]
pub(super) struct PickRequest<'a, Req> {
    pub(super) req: &'a Req,
    pub(super) attempts: Option<&'a Attempts>,
    pub(super) directive: Directive,
    /// 0 or 1: plain, or streamed.
    pub(super) kind: usize,
    /// The time until which the request can wait.
    pub(super) expires: Instant,
}

/// A clone of the chosen endpoint, with the reservation for the call.
#[derive(Debug)]
pub(super) struct Picked<S> {
    pub(super) service: S,
    /// The handle of the call; `None` once the call is made.
    pub(super) in_flight: Option<InFlight>,
    pub(super) key: EndpointKey,
}

/// The result of [`Picker::pick`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Pick {
    /// An endpoint was picked.
    Picked,
    /// No endpoint has capacity now, but one may at this time, and the request can wait until then.
    Later(Instant),
    /// No endpoint has capacity in time. Contains the time at which one may have capacity, if known.
    Never(Option<Instant>),
}

impl<S> Picker<S> {
    /// Returns a picker; its endpoints notify `listener` of capacity that returns early.
    pub(super) fn new(
        endpoints: Vec<S>,
        strategy: Strategy,
        seed: u64,
        listener: Weak<dyn CapacityListener>,
    ) -> Self {
        let loads = Arc::new(Loads::new(endpoints.len()));
        let (group, random) = (RwLock::new(Group::new(endpoints)), AtomicU64::new(seed));
        Self { group, loads, strategy, random, listener }
    }

    /// Returns the endpoints, which do not change while the guard is held.
    pub(super) fn group(&self) -> RwLockReadGuard<'_, Group<S>> {
        self.group.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn group_mut(&self) -> RwLockWriteGuard<'_, Group<S>> {
        self.group.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an endpoint. Returns its slot.
    pub(super) fn insert(&self, endpoint: S) -> usize {
        let mut group = self.group_mut();
        let mut table = self.loads.table();
        let free = |slot: &usize| group.member(*slot).is_none() && table.is_idle(*slot);
        let slot = (0..group.len()).find(free).unwrap_or(group.len());
        table.begin_slot(slot);
        drop(table);
        group.set(slot, Some(endpoint));
        slot
    }

    /// Removes the endpoint of a slot. It is returned, so that it is not dropped under the lock.
    pub(super) fn remove(&self, slot: usize) -> Option<S> {
        self.group_mut().set(slot, None)
    }

    /// Chooses an endpoint, and reserves on a clone of it. The clone is written to `picked` instead of returned, because
    /// it is large and each return would copy it.
    pub(super) fn pick<Req>(
        &self,
        request: &PickRequest<'_, Req>,
        now: Instant,
        picked: &mut Option<Picked<S>>,
    ) -> Pick
    where
        S: Endpoint<Req>,
    {
        let group = self.group();
        let tiers = self.tiers(&group);
        let (mut soonest, mut now) = (request.expires, now);
        for _ in 0..ATTEMPTS {
            let mut candidates = Candidates::new((self, &group, tiers), request, now);
            candidates.query_tiers();
            let among = match candidates.best(request.expires) {
                Best::Among(among) => among,
                Best::Later(at) => return Pick::Later(at),
                Best::Never(at) => return Pick::Never(at),
            };
            let random = if self.strategy.is_random() { self.random() } else { 0 };
            let call = Call { now, kind: request.kind, random };
            let Some((chosen, in_flight)) = self.loads.begin(tiers, among, &call) else { break };
            let Some(member) = group.member(chosen.index) else { break };
            let reserved = picked.insert(Picked {
                service: member.endpoint.clone(),
                in_flight: Some(in_flight),
                key: member.key,
            });
            let Err(full) = reserved.service.reserve(request.req, &chosen.score, now) else {
                return Pick::Picked;
            };
            if let Some(void) = picked.take().and_then(|picked| picked.in_flight) {
                void.undo();
            }
            soonest = soonest.min(full.until);
            now = Instant::now();
        }
        // Other requests reserved first each time. Wait for the next capacity.
        let at = soonest.max(Instant::now() + MILLISECOND);
        if at <= request.expires { Pick::Later(at) } else { Pick::Never(Some(at)) }
    }

    fn tiers<'a, Req>(&self, group: &'a Group<S>) -> &'a Tiers
    where
        S: Endpoint<Req>,
    {
        group.tiers(self.strategy, |endpoint, is_new| {
            if is_new {
                endpoint.subscribe(&self.listener);
            }
            endpoint.weight()
        })
    }

    /// Returns a random number, seeded from a counter: unlike the state of a generator, that needs no lock.
    fn random(&self) -> u64 {
        let seed = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        fastrand::Rng::with_seed(seed).u64(..)
    }
}

/// The scores and refusals of the endpoints that are queried for one request.
#[derive(Debug)]
struct Candidates<'a, S, Req> {
    picker: &'a Picker<S>,
    group: &'a Group<S>,
    tiers: &'a Tiers,
    request: &'a PickRequest<'a, Req>,
    now: Instant,
    /// The healthy endpoints with capacity: untried endpoints, or while there is none, the tried endpoints of one tier.
    open: Vec<Candidate>,
    are_untried: bool,
    /// True if `open` contains the tried endpoints of a tier, so that those of later tiers are ignored.
    complete: bool,
    /// The best endpoint that is cooling down: untried first, then the earliest end of the cooldown.
    cooling: Option<Cooling>,
    /// The earliest times at which a healthy endpoint may have capacity: an untried one, and one that was tried.
    healthy_at: Option<Instant>,
    tried_at: Option<Instant>,
    /// The earliest time at which an unhealthy endpoint may have capacity.
    unhealthy_at: Option<Instant>,
    /// The earliest time at which a tried endpoint may be called again, if that is in the future.
    not_before: Option<Instant>,
    untried_only: bool,
}

#[derive(Clone, Copy, Debug)]
struct Cooling {
    tried: bool,
    until: Instant,
    candidate: Candidate,
}

/// The endpoints to choose from, or the time at which there may be one.
#[derive(Debug)]
enum Best<'a> {
    Among(&'a [Candidate]),
    Later(Instant),
    Never(Option<Instant>),
}

impl<'a, S, Req> Candidates<'a, S, Req>
where
    S: Endpoint<Req>,
{
    #[inline]
    fn new(
        (picker, group, tiers): (&'a Picker<S>, &'a Group<S>, &'a Tiers),
        request: &'a PickRequest<'a, Req>,
        now: Instant,
    ) -> Self {
        let not_before = match request.directive {
            Directive::NotBefore(at) if at > now => Some(at),
            Directive::NotBefore(_) | Directive::Any | Directive::Untried => None,
        };
        Self {
            picker,
            group,
            tiers,
            request,
            now,
            open: Vec::new(),
            are_untried: false,
            complete: false,
            cooling: None,
            healthy_at: None,
            tried_at: None,
            unhealthy_at: None,
            not_before,
            untried_only: request.directive == Directive::Untried,
        }
    }

    /// Queries the tiers in order, until one has an untried endpoint with capacity.
    fn query_tiers(&mut self) {
        for tier in &self.tiers.ranges {
            if tier.len() > QUERY_ALL {
                self.query_sample(tier);
            }
            if !self.are_untried {
                self.begin_tier(tier.len());
                tier.clone().for_each(|position| self.query(position));
            }
            if self.are_untried {
                return;
            }
            self.complete = !self.open.is_empty();
        }
    }

    /// Queries a sample of a large tier, until there are enough endpoints that can be called.
    ///
    /// A strategy that is itself a draw by weight takes the first endpoint of the sample that can be called: a draw by
    /// weight from a sample by weight would apply the weights twice.
    fn query_sample(&mut self, tier: &Range<usize>) {
        self.begin_tier(SAMPLE);
        let enough = match self.picker.strategy {
            Strategy::SimpleShuffle => 1,
            Strategy::Adaptive => ADAPTIVE_SAMPLE,
            _ => SAMPLE,
        };
        let mut rng = fastrand::Rng::with_seed(self.picker.random());
        for _ in 0..SAMPLE {
            self.query(self.tiers.sampling.sample(tier, &mut rng));
            if self.are_untried && self.open.len() >= enough {
                return;
            }
        }
    }

    /// Prepares for the candidates of a tier, and discards those of a sample of it.
    fn begin_tier(&mut self, queried: usize) {
        if !self.complete {
            self.open.clear();
            self.open.reserve(queried.min(QUERY_ALL));
        }
    }

    /// Queries the endpoint at a position of the sequence.
    fn query(&mut self, position: usize) {
        let index = self.tiers.sequence[position];
        let Some(member) = self.group.member(index) else { return };
        let tried = self.request.attempts.is_some_and(|attempts| attempts.tried(member.key));
        match member.endpoint.score(self.request.req, self.now) {
            Ok(score) => self.add(Candidate { index, score }, tried),
            Err(full) => self.add_full(&full, tried),
        }
    }

    /// Adds an endpoint with capacity.
    #[inline]
    fn add(&mut self, candidate: Candidate, tried: bool) {
        if let Health::CoolingDown(until) = candidate.score.health {
            return self.add_cooling(Cooling { tried, until, candidate });
        }
        match (tried, self.not_before) {
            (false, _) => {
                if !self.are_untried {
                    self.open.clear();
                    self.are_untried = true;
                }
                self.open.push(candidate);
            }
            (true, _) if self.untried_only || self.are_untried || self.complete => {}
            (true, Some(at)) => earlier(&mut self.tried_at, at),
            (true, None) => self.open.push(candidate),
        }
    }

    fn add_cooling(&mut self, other: Cooling) {
        if let (true, Some(not_before)) = (other.tried, self.not_before) {
            return earlier(&mut self.unhealthy_at, not_before);
        }
        if self.cooling.is_none_or(|least| (other.tried, other.until) < (least.tried, least.until)) {
            self.cooling = Some(other);
        }
    }

    /// Adds an endpoint without capacity.
    fn add_full(&mut self, full: &NoCapacity, tried: bool) {
        if tried && self.untried_only {
            return;
        }
        let at =
            self.not_before.filter(|_| tried).map_or(full.until, |not_before| not_before.max(full.until));
        match full.reason {
            // The endpoint was unhealthy until now: calling another one that is cooling down is better than to wait for it.
            NoCapacityReason::Probing => earlier(&mut self.unhealthy_at, at),
            NoCapacityReason::RateLimit
            | NoCapacityReason::Cost
            | NoCapacityReason::InFlight
            | NoCapacityReason::ServerHold
            | NoCapacityReason::Drained => {
                earlier(if tried { &mut self.tried_at } else { &mut self.healthy_at }, at);
            }
        }
    }

    /// Returns the best candidates: untried before tried, then healthy before cooling down, even if the request must wait
    /// for a healthy endpoint. Health closes no group: an endpoint that is cooling down is called if no other can be, and
    /// before an endpoint that has failed for this request is called again.
    fn best(&self, expires: Instant) -> Best<'_> {
        let in_time = |at: &Instant| *at <= expires;
        let untried_at = self.healthy_at.filter(in_time);
        let untried_cooling = self.cooling.iter().find(|cooling| !cooling.tried);
        let is_first = !self.are_untried && (untried_at.is_none() || !self.open.is_empty());
        if let Some(cooling) = untried_cooling.filter(|_| is_first) {
            return Best::Among(std::slice::from_ref(&cooling.candidate));
        }
        if !self.open.is_empty() {
            return Best::Among(&self.open);
        }
        let soonest = [self.healthy_at, self.tried_at, self.unhealthy_at].into_iter().flatten().min();
        if self.untried_only {
            return Best::Never(soonest);
        }
        let healthy_at = [untried_at, self.tried_at.filter(in_time)].into_iter().flatten().min();
        match (healthy_at, &self.cooling, self.unhealthy_at.filter(in_time)) {
            (Some(at), _, _) | (None, None, Some(at)) => Best::Later(at),
            (None, Some(cooling), _) => Best::Among(std::slice::from_ref(&cooling.candidate)),
            (None, None, None) => Best::Never(soonest),
        }
    }
}

fn earlier(known: &mut Option<Instant>, at: Instant) {
    *known = Some(known.map_or(at, |known| known.min(at)));
}
