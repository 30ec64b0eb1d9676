//! The endpoints of a group: [`Group`].
//!
//! An endpoint has a *slot*, an index that stays the same until the endpoint is removed and its calls have ended.

use std::{
    ops::Range,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::strategy::{Strategy, WeightedIndex, weights};
use crate::{attempts::EndpointKey, endpoint::EndpointWeight};

/// The endpoints by slot. A slot may be empty.
#[derive(Debug)]
pub(super) struct Group<S> {
    slots: Vec<Option<Member<S>>>,
    // Created by the first request after a change: `Endpoint<Req>` reports the weight, and `Req` is not known before.
    tiers: OnceLock<Tiers>,
}

/// An endpoint of a group.
#[derive(Debug)]
pub(super) struct Member<S> {
    pub(super) endpoint: S,
    pub(super) key: EndpointKey,
    subscribed: AtomicBool,
}

/// The weights of the endpoints, and their slots sorted by [order](crate::endpoint::EndpointWeight::order).
#[derive(Debug)]
pub(super) struct Tiers {
    pub(super) strategy: Strategy,
    /// Slots, lowest order first.
    pub(super) sequence: Vec<usize>,
    /// The ranges of `sequence` that have the same order.
    pub(super) ranges: Vec<Range<usize>>,
    /// The index of `sequence` from which the sample of a large tier is drawn: by weight if the strategy uses weights, else
    /// evenly.
    pub(super) sampling: WeightedIndex,
    /// By slot.
    pub(super) weights: Vec<f64>,
    /// By slot.
    pub(super) shares: Vec<EndpointWeight>,
}

impl<S> Group<S> {
    pub(super) fn new(endpoints: Vec<S>) -> Self {
        Self {
            slots: endpoints.into_iter().map(|one| Some(Member::new(one))).collect(),
            tiers: OnceLock::new(),
        }
    }

    /// Returns the number of slots.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn endpoints(&self) -> impl Iterator<Item = &S> + Clone {
        self.slots.iter().flatten().map(|member| &member.endpoint)
    }

    /// Returns the endpoint of a slot.
    pub(super) fn member(&self, slot: usize) -> Option<&Member<S>> {
        self.slots.get(slot)?.as_ref()
    }

    /// Replaces the endpoint of a slot, which may be the next one.
    pub(super) fn set(&mut self, slot: usize, endpoint: Option<S>) -> Option<S> {
        self.tiers = OnceLock::new();
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        let member = std::mem::replace(&mut self.slots[slot], endpoint.map(Member::new));
        member.map(|member| member.endpoint)
    }

    /// Returns the tiers. After a change, `weight` returns the weight of each endpoint; it is called once for an endpoint
    /// whose second argument is true.
    pub(super) fn tiers(&self, strategy: Strategy, weight: impl Fn(&S, bool) -> EndpointWeight) -> &Tiers {
        self.tiers.get_or_init(|| {
            let shares = self.slots.iter().map(|member| {
                let member = member.as_ref()?;
                Some(weight(&member.endpoint, !member.subscribed.swap(true, Relaxed)))
            });
            Tiers::new(&shares.collect::<Vec<_>>(), strategy)
        })
    }
}

impl<S> Member<S> {
    fn new(endpoint: S) -> Self {
        Self { endpoint, key: EndpointKey::unique(), subscribed: AtomicBool::new(false) }
    }
}

impl Tiers {
    fn new(slots: &[Option<EndpointWeight>], strategy: Strategy) -> Self {
        let occupied = || slots.iter().enumerate().filter_map(|(slot, share)| Some((slot, share.as_ref()?)));
        // Endpoints without an order come last.
        let tier = |slot: &usize| {
            slots[*slot].and_then(|share| share.order).map_or((true, 0), |order| (false, order))
        };
        let mut sequence: Vec<_> = occupied().map(|(slot, _)| slot).collect();
        sequence.sort_by_key(tier);
        let mut end = 0;
        let sizes = sequence.chunk_by(|one, other| tier(one) == tier(other)).map(<[usize]>::len);
        let ranges = sizes.map(|size| {
            end += size;
            end - size..end
        });
        let ranges = ranges.collect();
        let mut by_slot = vec![0.0; slots.len()];
        let weights = weights(&occupied().map(|(_, share)| *share).collect::<Vec<_>>());
        occupied().zip(weights).for_each(|((slot, _), weight)| by_slot[slot] = weight);
        let even = |slot: &usize| if strategy.is_weighted() { by_slot[*slot] } else { 1.0 };
        let sampling = WeightedIndex::new(sequence.iter().map(even));
        let shares = slots.iter().map(|share| share.unwrap_or_default()).collect();
        Self { strategy, sequence, ranges, sampling, weights: by_slot, shares }
    }
}
