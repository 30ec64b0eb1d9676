//! The permits that each live replica of a limit holds, and its target: [`Standing`].

use std::collections::BTreeMap;

use super::{
    super::{ReplicaId, tolerance},
    limit::Shared,
    record::Record,
};

/// The live replicas that count over the present window, in the order of their ids, and their targets.
#[derive(Debug)]
pub(super) struct Standing<'a> {
    live: Vec<(ReplicaId, &'a Record)>,
    limit: u64,
    /// The limit without the permits of replicas that are not live.
    available: u64,
    targets: Vec<u64>,
    /// The longest waiting replica, if its call costs more than its share: all that comes back is kept for it.
    expensive: Option<usize>,
}

impl<'a> Standing<'a> {
    pub(super) fn new(
        records: &'a BTreeMap<ReplicaId, Record>,
        window: u64,
        shared: &Shared<'_>,
    ) -> Standing<'a> {
        let (mut live, mut locked) = (Vec::new(), 0);
        for (replica, record) in records {
            match (shared.is_live(*replica, record), record.window == window) {
                (true, true) => live.push((*replica, record)),
                (true, false) => locked += record.converted(window),
                (false, _) => {
                    let times = (shared.last(*replica, record), shared.lease_time, shared.now);
                    locked += record.locked(window, times);
                }
            }
        }
        let limit = live.iter().map(|(_, record)| record.limit).min().unwrap_or(0);
        let available = limit.saturating_sub(locked);
        let mut standing = Self { live, limit, available, targets: Vec::new(), expensive: None };
        standing.set_targets();
        standing
    }

    /// Returns the position of a replica, if it is live and counts over this window.
    pub(super) fn place(&self, replica: ReplicaId) -> Option<usize> {
        self.live.binary_search_by_key(&replica, |(id, _)| *id).ok()
    }

    /// Returns the limit in force.
    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    pub(super) fn held(&self, place: usize) -> u64 {
        self.record(place).held
    }

    /// Returns the number of permits to grant: up to the target, and of those that the others leave, up to all that is
    /// wanted. Permits that are not wanted are only given where no other replica waits.
    pub(super) fn grant(&self, place: usize) -> u64 {
        let (record, target) = (self.record(place), self.targets[place]);
        let pool = self.unassigned();
        let reserved = self.expensive.filter(|first| *first != place).map_or(0, |first| self.unmet(first));
        let granted = self.unmet(place).min(pool.saturating_sub(reserved));
        let unmet: u64 = self.others(place).filter(|i| self.record(*i).waits()).map(|i| self.unmet(i)).sum();
        let rest = pool.saturating_sub(granted).saturating_sub(unmet);
        let most = if self.others_wait(place) { record.want } else { record.want.max(target) };
        granted + rest.min(most.saturating_sub(record.held + granted))
    }

    /// Returns the permits that a replica without a grant may keep: its target, if another waits for the surplus, or if
    /// the surplus is worth a move. It never keeps permits that others hold besides: a replica that was silent, or comes
    /// after a loss of data, declares some that were given away or have come free since.
    pub(super) fn lowered(&self, place: usize) -> u64 {
        let (held, target) = (self.held(place), self.targets[place]);
        let surplus = held.saturating_sub(target);
        let is_due = self.others_wait(place) || surplus > tolerance(self.limit);
        let deficit = self.all_held().saturating_sub(self.available);
        held.saturating_sub(deficit).min(if surplus > 0 && is_due { target } else { held })
    }

    /// Returns true if another replica waits for permits.
    pub(super) fn others_wait(&self, place: usize) -> bool {
        self.longest_waiting(Some(place)).is_some()
    }

    /// Returns true if permits are left after this grant.
    pub(super) fn has_unassigned(&self, granted: u64) -> bool {
        self.unassigned() > granted
    }

    /// Returns true if a replica could have more than this grant at once.
    pub(super) fn has_spare(&self, place: usize, granted: u64) -> bool {
        let has_surplus = |i: usize| self.record(i).held > self.targets[i].max(self.record(i).used);
        self.has_unassigned(granted) || self.others(place).any(has_surplus)
    }

    /// Returns the replicas that should report because this one waits in spite of its grant: those with a lease above
    /// their target, and those that may have idle permits.
    pub(super) fn due(&self, place: usize, granted: u64, now: u64) -> Vec<ReplicaId> {
        let record = self.record(place);
        if record.held + granted >= record.want {
            return Vec::new();
        }
        let has_more = |other: &usize| {
            let record = self.record(*other);
            record.leased > self.targets[*other] || record.may_be_idle(now)
        };
        self.others(place).filter(has_more).map(|other| self.live[other].0).collect()
    }

    /// Returns the replica that has waited longest, without the one at `but`.
    pub(super) fn first_waiting(&self, but: Option<usize>) -> Option<ReplicaId> {
        self.longest_waiting(but).map(|first| self.live[first].0)
    }

    fn longest_waiting(&self, but: Option<usize>) -> Option<usize> {
        let waiting = (0..self.live.len()).filter(|i| Some(*i) != but && self.record(*i).waits());
        waiting.min_by_key(|i| self.order(*i))
    }

    fn record(&self, place: usize) -> &Record {
        self.live[place].1
    }

    fn others(&self, place: usize) -> impl Iterator<Item = usize> + use<> {
        (0..self.live.len()).filter(move |other| *other != place)
    }

    /// Returns the permits that no replica holds.
    fn unassigned(&self) -> u64 {
        self.available.saturating_sub(self.all_held())
    }

    fn all_held(&self) -> u64 {
        self.live.iter().map(|(_, record)| record.held).sum()
    }

    /// Returns the permits that a replica wants and lacks, up to its target.
    fn unmet(&self, place: usize) -> u64 {
        let record = self.record(place);
        record.want.min(self.targets[place]).saturating_sub(record.held)
    }

    /// Returns the key of the order in which replicas have begun to wait.
    fn order(&self, place: usize) -> (bool, u64, usize) {
        let record = self.record(place);
        (!record.waits(), record.since, place)
    }

    fn set_targets(&mut self) {
        let total: u64 = self.live.iter().map(|(_, record)| record.need).sum();
        if total > self.available {
            self.divide_scarce(total);
        } else {
            self.divide_spare(self.available - total);
        }
    }

    /// Sets each target to the need and a part of the spare permits, in proportion to the demand: if the ledger fails,
    /// they are where the load is. A tenth of the limit goes out evenly.
    fn divide_spare(&mut self, spare: u64) {
        let evenly = self.limit as f64 / (10.0 * self.live.len() as f64);
        let weights: Vec<f64> = self.live.iter().map(|(_, record)| record.need as f64 + evenly).collect();
        let sum: f64 = weights.iter().sum();
        let part = |weight: f64| if spare == 0 { 0 } else { floor(spare as f64 * weight / sum) };
        let parts: Vec<u64> = weights.into_iter().map(part).collect();
        let mut left = spare.saturating_sub(parts.iter().sum());
        for ((_, record), part) in self.live.iter().zip(parts) {
            let one = left.min(1);
            left -= one;
            self.targets.push(record.need + part + one);
        }
    }

    /// Sets the targets in proportion to the needs, which exceed the permits. What is left by rounding goes to those that
    /// have waited longest, one each. A call that costs more than its replica's share gets its cost when that replica is
    /// the first of them: it would wait for ever otherwise.
    fn divide_scarce(&mut self, total: u64) {
        let (mut rest, mut needs) = (self.available, total);
        let first = self.longest_waiting(None);
        self.expensive = first.filter(|i| self.record(*i).cost > share(self.record(*i).need, rest, needs));
        if let Some(first) = self.expensive {
            let record = self.record(first);
            needs -= record.need;
            rest -= rest.min(record.used + record.cost);
        }
        let of = |(i, (_, record)): (usize, &(ReplicaId, &Record))| {
            if self.expensive == Some(i) { self.available - rest } else { share(record.need, rest, needs) }
        };
        self.targets = self.live.iter().enumerate().map(of).collect();
        self.divide_rest();
    }

    fn divide_rest(&mut self) {
        let mut left = self.available.saturating_sub(self.targets.iter().sum());
        let mut places: Vec<usize> = (0..self.live.len()).filter(|i| self.expensive != Some(*i)).collect();
        places.sort_by_key(|i| self.order(*i));
        for place in places {
            if left > 0 && self.targets[place] < self.record(place).need {
                self.targets[place] += 1;
                left -= 1;
            }
        }
    }
}

/// Returns the part of `permits` for one of the `needs`, rounded down.
fn share(need: u64, permits: u64, needs: u64) -> u64 {
    if needs == 0 { 0 } else { floor(need as f64 * permits as f64 / needs as f64) }
}

/// Rounds down a number that is not negative. Numbers above 2^53 lose their low bits as doubles: a target may then be off by
/// a few, but no sum of grants is.
const fn floor(number: f64) -> u64 {
    number as u64
}
