//! The part of a shared limit that this process may use, and its demand for more: [`LeaseState`].

use std::{cmp::Ordering, num::NonZeroU32, time::Duration};

use crate::ledger::{AGES, Lease, LimitKey, Report, tolerance};

/// The time for which a replica returns idle permits after a response that states that another waits, in milliseconds.
const WANTED_TIME: u64 = 2_000;
/// The time for which a free permit is kept for a call of this process while another waits, in milliseconds.
pub(super) const LINGER: u64 = 5;
/// The time after which a call that lacks only a permit checks again, while the ledger may respond with one, in
/// milliseconds. A grant wakes the call earlier.
const RECHECK: u64 = 50;
/// The bounds of the time for which a failed check counts as a waiting call, in milliseconds.
const WAITING: (u64, u64) = (1_000, 10_000);

/// The limits of one endpoint that replicas share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitKind {
    /// Requests per minute, or per learned window.
    Requests,
    /// Tokens per minute.
    Tokens,
    /// Calls in flight.
    InFlight,
}

impl LimitKind {
    pub(crate) const ALL: [Self; 3] = [Self::Requests, Self::Tokens, Self::InFlight];

    /// Returns the key of this limit of an endpoint.
    pub(crate) fn key(self, endpoint: &LimitKey) -> LimitKey {
        let name = match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InFlight => "in_flight",
        };
        LimitKey::from(format!("{endpoint}/{name}"))
    }
}

/// The values of a limit that a report contains besides those of the lease.
#[derive(Debug)]
pub(super) struct Usage {
    pub(super) limit: u64,
    /// The window in milliseconds; zero for calls in flight.
    pub(super) window: u64,
    pub(super) wider: Option<u64>,
    pub(super) used: u64,
    pub(super) ages: [u64; AGES],
}

/// The lease of one limit. Times are those of the meters.
#[derive(Debug)]
pub(super) struct LeaseState {
    permits: u64,
    /// The permits if the ledger does not respond. Set while no permit may be used before a response.
    fallback: Option<u64>,
    epoch: u64,
    spare: bool,
    wanted_until: u64,
    /// False since a sync has failed.
    in_touch: bool,
    /// The number of replicas among which the limit is divided at the next refusal; set while the replica is isolated.
    isolated: Option<NonZeroU32>,
    /// Set by a refusal that has taught the window, until the next response.
    learned: bool,
    /// Set if something happened since the last report that the ledger must learn of at once.
    changed: bool,
    declared: Declared,
    // Boxed, because most limits have permits for all calls.
    demand: Option<Box<Demand>>,
}

/// The content of a report by which the ledger assigns permits. Which of them are used matters to it only while another
/// replica waits, and then it asks.
#[derive(Clone, Copy, Debug, Default)]
struct Declared {
    limit: u64,
    window: u64,
    held: u64,
    want: u64,
    need: u64,
}

/// The calls that found no permit.
#[derive(Debug, Default)]
struct Demand {
    /// The cost of the last call that failed a check, and the time until which that call counts as waiting.
    cost: u64,
    until: u64,
    /// The cost of the calls that wait.
    waiting: u64,
    /// Set if the ledger had no permit for these calls.
    denied: bool,
    /// The cost of the calls that found no permit on arrival, for each twelfth of the window, the last at `twelfth`.
    unmet: [u64; AGES],
    twelfth: u64,
}

/// The effects of a response.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Applied {
    /// True if there are more permits than before.
    pub(crate) grown: bool,
    /// True if the number of permits differs from before.
    pub(crate) changed: bool,
    /// True if the limit should be reported again at once.
    pub(crate) report: bool,
}

impl LeaseState {
    /// Returns the state before the first response. If there is none, the replica uses `fallback` permits.
    pub(super) fn new(fallback: u64) -> Self {
        Self {
            permits: 0,
            fallback: Some(fallback),
            epoch: 0,
            spare: false,
            wanted_until: 0,
            in_touch: true,
            isolated: None,
            learned: false,
            changed: true,
            declared: Declared::default(),
            demand: None,
        }
    }

    pub(super) const fn permits(&self) -> u64 {
        self.permits
    }

    /// Returns true if the ledger has permits for further calls.
    pub(super) const fn has_spare(&self) -> bool {
        self.spare && self.in_touch
    }

    /// Records that a call of this cost is admitted.
    pub(super) fn took(&mut self, cost: u64) {
        if let Some(demand) = &mut self.demand {
            demand.took(cost);
        }
    }

    /// Records that a call of this cost lacks permits until `at`, as far as this process knows. Returns the time at which
    /// the call should check again.
    pub(super) fn lacks(&mut self, cost: u64, at: u64, now: u64) -> u64 {
        self.changed = true;
        let demand = self.demand.get_or_insert_default();
        demand.cost = cost;
        demand.until = at.clamp(now + WAITING.0, now + WAITING.1);
        let may_come = self.in_touch && (self.spare || !demand.denied);
        if may_come { at.min(now + RECHECK) } else { at }
    }

    /// Records a call that found no permit on arrival.
    pub(super) fn record_unmet(&mut self, cost: u64, (window, now): (u64, u64)) {
        self.changed = true;
        self.demand.get_or_insert_default().record_unmet(cost, (window, now));
    }

    /// Returns true if the ledger would assign permits otherwise if it had the present report.
    pub(super) fn has_changed(&mut self, usage: &Usage, now: u64) -> bool {
        self.changed || self.declare(usage, now).differs_from(&self.declared)
    }

    pub(super) fn report(&mut self, key: LimitKey, usage: &Usage, now: u64) -> Report {
        (self.changed, self.declared) = (false, self.declare(usage, now));
        let Declared { limit, window, held, want, need } = self.declared;
        Report {
            key,
            limit,
            window: Duration::from_millis(window),
            wider: usage.wider.map(Duration::from_millis),
            learned: self.learned,
            epoch: self.epoch,
            held,
            used: usage.used,
            ages: usage.ages,
            want,
            need,
            cost: self.demand.as_ref().map_or(0, |demand| demand.waiting().1),
        }
    }

    fn declare(&mut self, usage: &Usage, now: u64) -> Declared {
        let (mut waiting, mut unmet) = (0, 0);
        if let Some(demand) = &mut self.demand {
            demand.advance(usage.window, now);
            (waiting, unmet) = (demand.waiting().0, demand.unmet.iter().sum());
        }
        if waiting + unmet == 0 {
            self.demand = None;
        }
        let want = usage.used + waiting;
        Declared {
            limit: usage.limit,
            window: usage.window,
            held: self.permits.max(usage.used),
            want,
            need: want.max(usage.used + unmet),
        }
    }

    /// Applies the response to the last report. The window has not changed.
    pub(super) fn apply(&mut self, lease: &Lease, used: u64, now: u64) -> Applied {
        let held = self.permits.max(used);
        let (grown, changed) = (lease.permits > self.permits, lease.permits != self.permits);
        if let Some(demand) = &mut self.demand {
            demand.denied = demand.until > now && !grown;
        }
        self.permits = lease.permits;
        (self.fallback, self.in_touch, self.isolated, self.learned) = (None, true, None, false);
        (self.epoch, self.spare) = (lease.epoch, lease.spare);
        if lease.wanted {
            self.wanted_until = now + WANTED_TIME;
        }
        let lowered = lease.permits.max(used) < held;
        if grown {
            self.declared.held = lease.permits;
        }
        // The ledger gives the permits to others after that is declared.
        self.changed |= lowered;
        Applied { grown, changed, report: lowered }
    }

    /// Returns true if the last report was about this window.
    pub(super) const fn has_reported(&self, window: u64) -> bool {
        self.declared.window == window
    }

    /// Records a response with permits that cannot be used here, because they count over another window.
    pub(super) fn close(&mut self, epoch: u64) {
        (self.in_touch, self.isolated, self.epoch) = (true, None, epoch);
        self.fallback = Some(self.fallback.unwrap_or(self.permits));
        (self.permits, self.changed) = (0, true);
    }

    /// Closes the limit until the next response, because its permits count over another window now. If the ledger does
    /// not respond, the replica uses a part of the `new` limit as large as its part of the `old` one.
    pub(super) fn change_window(&mut self, (new, old): (u64, u64)) {
        let permits = self.fallback.unwrap_or(self.permits) * new / old.max(1);
        (self.permits, self.fallback) = if self.in_touch { (0, Some(permits)) } else { (permits, None) };
        self.changed = true;
        if let Some(demand) = &mut self.demand {
            demand.unmet = [0; AGES];
        }
    }

    /// Records a refusal that was not foreseen. An isolated replica takes it as evidence that others use its permits.
    pub(super) fn refused(&mut self, limit: u64) {
        self.changed = true;
        if let Some(replicas) = self.isolated {
            self.permits = self.permits.min(limit / u64::from(replicas.get()));
        }
    }

    /// Records that a refusal has taught the window.
    pub(super) const fn learned(&mut self) {
        self.learned = true;
    }

    /// Records that a sync has failed. `isolated` is the number of replicas if the lease may have expired.
    pub(super) fn lost(&mut self, isolated: Option<NonZeroU32>) {
        (self.in_touch, self.spare, self.isolated) = (false, false, isolated);
        self.permits = self.fallback.take().unwrap_or(self.permits);
    }

    /// Records that the ledger responds again.
    pub(super) const fn found(&mut self) {
        self.in_touch = true;
    }

    /// Gives up all permits.
    pub(super) fn stop(&mut self) {
        (self.in_touch, self.spare, self.fallback, self.permits) = (false, false, None, 0);
        self.changed = true;
    }

    /// Returns the time at which permits that are free and not wanted here go back; `None` if no replica waits. The next
    /// permit in use comes free at `next`, and stays here for a call unless the lease was lowered.
    pub(super) fn return_at(&self, used: u64, next: Option<u64>, now: u64) -> Option<u64> {
        if now >= self.wanted_until {
            return None;
        }
        match used.cmp(&self.permits) {
            Ordering::Less => Some(now + LINGER),
            Ordering::Equal => next.map(|next| next.max(now) + LINGER),
            Ordering::Greater => next.map(|next| next.max(now + 1)),
        }
    }

    /// Gives back the permits that are free and not wanted here, if another replica waits. Returns true if there were
    /// some.
    pub(super) fn give_back(&mut self, used: u64, now: u64) -> bool {
        let lacks = |demand: &Demand| demand.until > now && used + demand.cost > self.permits;
        let has_call = self.demand.as_deref().is_some_and(lacks);
        if now >= self.wanted_until || used >= self.permits || has_call {
            return false;
        }
        // A waiting call would have begun by now.
        if let Some(demand) = &mut self.demand {
            (demand.waiting, demand.until) = (0, 0);
        }
        self.permits = used;
        self.changed = true;
        true
    }
}

impl Declared {
    fn differs_from(&self, other: &Self) -> bool {
        let exact = |declared: &Self| {
            let Self { limit, window, held, want, .. } = *declared;
            (limit, window, held, want > held)
        };
        exact(self) != exact(other) || self.need.abs_diff(other.need) > tolerance(self.limit)
    }
}

impl Demand {
    fn took(&mut self, cost: u64) {
        if self.until == 0 {
            return;
        }
        self.denied = false;
        // A call that begins while others wait is one of them: calls do not overtake each other.
        let mut met = cost.min(self.waiting);
        self.waiting -= met;
        for amount in self.unmet.iter_mut().rev() {
            let part = met.min(*amount);
            *amount -= part;
            met -= part;
        }
        if self.waiting == 0 {
            self.until = 0;
        }
    }

    fn record_unmet(&mut self, cost: u64, (window, now): (u64, u64)) {
        self.advance(window, now);
        self.unmet[AGES - 1] += cost;
        self.waiting += cost;
        self.until = self.until.max(now + WAITING.0);
    }

    /// Advances to the present: a call that has waited for too long has given up.
    fn advance(&mut self, window: u64, now: u64) {
        if self.until <= now {
            (self.until, self.waiting, self.denied) = (0, 0, false);
        }
        let twelfth = (now * AGES as u64).checked_div(window).unwrap_or(0);
        let passed = usize::try_from(twelfth.abs_diff(self.twelfth)).unwrap_or(AGES).min(AGES);
        self.unmet.rotate_left(passed);
        self.unmet[AGES - passed..].fill(0);
        self.twelfth = twelfth;
        if window == 0 {
            self.unmet = [0; AGES];
        }
    }

    /// Returns the cost of the waiting calls and that of the first.
    fn waiting(&self) -> (u64, u64) {
        if self.until == 0 {
            return (0, 0);
        }
        let cost = self.cost.max(1);
        (self.waiting.max(cost), cost)
    }
}
