//! The endpoints of a group, and how one of them is taken: [`Group`].

use std::{
    sync::{Arc, OnceLock, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    flight::Flight,
    loads::{Call, Loads},
    room::{Room, Tier},
    scan::{Found, Scan},
    search::Search,
    strategy::Strategy,
};
use crate::{Attempts, Endpoint, attempts::EndpointKey, endpoint::Freed, sync::AtomicU64};

/// How often a choice is made again when the room has gone before it could be taken.
const AGAIN: usize = 8;
const MILLISECOND: Duration = Duration::from_millis(1);

/// Many endpoints.
#[derive(Debug)]
pub(super) struct Group<S> {
    pub(super) endpoints: Vec<S>,
    strategy: Strategy,
    random: AtomicU64,
    // Made by the first request: only then the type is known by which an endpoint can be asked for its share.
    plan: OnceLock<Plan>,
}

/// The endpoints in order, those of the lowest first. All else is numbered by this.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) order: Vec<usize>,
    pub(super) loads: Arc<Loads>,
    pub(super) room: Arc<Room>,
}

/// What a request wants, as far as the search must know.
#[derive(Debug)]
pub(super) struct Want<'a, Req> {
    pub(super) req: &'a Req,
    pub(super) attempts: Option<&'a Attempts>,
    pub(super) kind: usize,
    /// How long it can wait.
    pub(super) expires: Instant,
}

/// A clone that holds all that the call needs.
#[derive(Debug)]
pub(super) struct Taken<S> {
    pub(super) service: S,
    /// There until the call is made.
    pub(super) flight: Option<Flight>,
    pub(super) key: EndpointKey,
}

/// What the search came to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pick {
    Taken,
    /// There is room at that time, and the request can wait for it.
    Later(Instant),
    /// There is none in time; if ever, then.
    Never(Option<Instant>),
}

impl<S> Group<S> {
    pub(super) const fn new(endpoints: Vec<S>, strategy: Strategy, seed: u64) -> Self {
        Self { endpoints, strategy, random: AtomicU64::new(seed), plan: OnceLock::new() }
    }

    pub(super) fn plan<Req>(&self) -> &Plan
    where
        S: Endpoint<Req>,
    {
        self.plan.get_or_init(|| Plan::new(&self.endpoints, self.strategy))
    }

    /// Searches, and takes. What it took is written where it is to lie: it is large, and every hand it passed through
    /// would copy it.
    pub(super) fn pick<Req>(&self, want: &Want<'_, Req>, now: Instant, taken: &mut Option<Taken<S>>) -> Pick
    where
        S: Endpoint<Req>,
    {
        let search = Search { group: self, plan: self.plan(), want };
        let (mut soonest, mut now) = (want.expires, now);
        for _ in 0..AGAIN {
            let mut scan = Scan::new(now, want.attempts);
            search.scan(&mut scan);
            let among = match scan.found(want.expires) {
                Found::Room(among) => among,
                Found::At(at) => return Pick::Later(at),
                Found::Nobody(at) => return Pick::Never(at),
            };
            let call = Call {
                now: scan.now,
                kind: want.kind,
                random: if self.strategy.draws() { self.random() } else { 0 },
            };
            let Some((chosen, flight)) = search.plan.loads.begin(among, &call) else { break };
            let (service, key) = (search.endpoint(chosen.which).clone(), search.plan.key(chosen.which));
            *taken = Some(Taken { service, flight: Some(flight), key });
            let Some(held) = taken.as_mut() else { break };
            let Err(until) = held.service.reserve(want.req, &chosen.score, now) else { return Pick::Taken };
            if let Some(void) = taken.take().and_then(|taken| taken.flight) {
                void.undo();
            }
            soonest = soonest.min(until.at);
            now = Instant::now();
        }
        // Others were faster, each time; the next slot may be ours.
        let at = soonest.max(Instant::now() + MILLISECOND);
        if at <= want.expires { Pick::Later(at) } else { Pick::Never(Some(at)) }
    }

    /// From when there is room for one more than `waiting`. `earliest` is when there may be room at all.
    pub(super) fn slot<Req>(&self, req: &Req, waiting: usize, earliest: Option<Instant>) -> Option<Instant>
    where
        S: Endpoint<Req>,
    {
        if self.endpoints.is_empty() {
            return None;
        }
        let now = Instant::now();
        let soonest = earliest.unwrap_or(now).max(now + MILLISECOND);
        if waiting == 0 && earliest.is_some() {
            return Some(soonest);
        }
        let enough = |by: Instant| {
            let slots = |endpoint: &S| endpoint.sure_slots(req, by);
            self.come_to((req, waiting + 1), (now, by), slots)
        };
        let (mut short, mut long) = (Duration::ZERO, MILLISECOND);
        // An hour is the longest that a word may close.
        while !enough(soonest + long) && long < Duration::from_secs(3600) {
            (short, long) = (long, long * 2);
        }
        // Those who are told a minute need not be told it to the millisecond: each step asks all.
        let near = |long| ((soonest + long - now) / 256).max(MILLISECOND);
        while long > short + near(long) {
            let middle = (short + long) / 2;
            if enough(soonest + middle) { long = middle } else { short = middle }
        }
        Some(soonest + long)
    }

    /// Whether so many such calls could begin from now until then. Asked of every newcomer while others wait.
    pub(super) fn has_slots<Req>(&self, req: &Req, count: usize, (now, by): (Instant, Instant)) -> bool
    where
        S: Endpoint<Req>,
    {
        self.come_to((req, count), (now, by), |endpoint| endpoint.slots(req, by))
    }

    /// Whether what each of them has comes to so many such calls in all.
    fn come_to<Req>(
        &self,
        (req, count): (&Req, usize),
        (now, by): (Instant, Instant),
        slots: impl Fn(&S) -> u64,
    ) -> bool
    where
        S: Endpoint<Req>,
    {
        let Plan { order, room, .. } = self.plan();
        let (now, by, count) = (room.nanos(now), room.nanos(by), count as u64);
        let endpoint = |which: usize| &self.endpoints[order[which]];
        let all = |tier: &Tier| {
            let start = tier.members.start;
            let Some(due) = tier.due((now, by), || endpoint(start).cost(req), count) else {
                let members = tier.members.clone().map(|which| slots(endpoint(which)));
                return members.fold(0, u64::saturating_add);
            };
            // Each of them has one slot at least. Where that is not enough, a few say how many it is.
            if due.count >= count { due.count } else { due.of_all(|which| slots(endpoint(start + which))) }
        };
        room.tiers.iter().map(all).fold(0, u64::saturating_add) >= count
    }

    /// From a counter: as good as a generator, and it needs no lock.
    pub(super) fn random(&self) -> u64 {
        let seed = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        fastrand::Rng::with_seed(seed).u64(..)
    }
}

impl Plan {
    fn new<S, Req>(endpoints: &[S], strategy: Strategy) -> Self
    where
        S: Endpoint<Req>,
    {
        // Those without an order stand behind those with one.
        let tier = |which: &usize| endpoints[*which].share().order.map_or((true, 0), |order| (false, order));
        let mut order: Vec<_> = (0..endpoints.len()).collect();
        order.sort_by_key(tier);
        let mut end = 0;
        let sizes = order.chunk_by(|one, other| tier(one) == tier(other)).map(<[usize]>::len);
        let room = Arc::new(Room::new(sizes.map(|size| {
            end += size;
            end - size..end
        })));
        let told: Arc<dyn Freed> = Arc::<Room>::clone(&room);
        for (which, endpoint) in order.iter().enumerate() {
            endpoints[*endpoint].on_freed(&Arc::downgrade(&told), which);
        }
        let shares = order.iter().map(|which| endpoints[*which].share()).collect();
        Self { order, loads: Arc::new(Loads::new(strategy, shares)), room }
    }

    pub(super) fn key(&self, which: usize) -> EndpointKey {
        EndpointKey::of(&self.loads.shares[which])
    }
}
