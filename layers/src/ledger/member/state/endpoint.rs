//! The limits of one endpoint at this replica: [`Endpoint`].

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::super::Source;
use crate::{
    ledger::{Event, Lease, LimitKey, Report, member::SharedLimit},
    quota::{Applied, LimitKind, Meters, WeakMeters},
};

/// The time after which an unchanged endpoint is reported. It doubles with each report that changed nothing, so many times.
const REFRESH: Duration = Duration::from_secs(15);
const MAX_DOUBLINGS: u8 = 3;

/// The meters of an endpoint, and what other replicas know of them.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) meters: WeakMeters,
    /// The scheduled time of the next report.
    pub(super) next: Option<Instant>,
    /// The time of the last report.
    pub(super) last: Instant,
    /// The number of times that the time until the next report is doubled, if no limit has changed.
    doublings: u8,
    /// Set if all limits should be reported, not only those that have changed.
    pub(super) all: bool,
    /// The time at which idle permits go back.
    pub(super) return_at: Option<Instant>,
    // Boxed, because most endpoints have one or two.
    limits: [Option<Box<Known>>; 3],
    /// The end of the server hold that the others know of.
    held_until: Option<Instant>,
    /// Set if the meters were dropped and their permits have been given back.
    returned: bool,
    /// Kept for the meters, which refer to it weakly.
    _source: Arc<Source>,
}

/// The content of the last report of a limit, and the limit in force by the last response.
#[derive(Debug)]
struct Known {
    limit: u64,
    window: Duration,
    epoch: u64,
    in_force: Option<NonZeroU64>,
}

/// The limit of a report.
#[derive(Clone, Debug)]
pub(super) struct Reported {
    pub(super) endpoint: LimitKey,
    kind: LimitKind,
}

impl Endpoint {
    pub(super) fn new(meters: WeakMeters, source: Arc<Source>) -> Self {
        Self {
            meters,
            next: None,
            last: Instant::now(),
            doublings: 0,
            all: true,
            return_at: None,
            limits: [None, None, None],
            held_until: None,
            returned: false,
            _source: source,
        }
    }

    /// Adds the due reports. An unchanged endpoint is reported if there are `refreshes` left. Returns the event of a new server
    /// hold.
    pub(super) fn report(
        &mut self,
        (key, now): (&LimitKey, Instant),
        reports: &mut Vec<(Reported, Report)>,
        refreshes: &mut usize,
    ) -> Option<Event> {
        let Some(meters) = self.meters.upgrade() else {
            self.report_returned(key, now, reports);
            return None;
        };
        if self.return_at.is_some_and(|at| at <= now) {
            meters.give_back();
            self.return_at = meters.return_at();
        }
        let mut own = meters.reports(key, self.all);
        if !own.is_empty() {
            self.doublings = 0;
        } else if *refreshes > 0 && now >= self.last + REFRESH * (1 << self.doublings) {
            *refreshes -= 1;
            own = meters.reports(key, true);
            (self.last, self.doublings) = (now, (self.doublings + 1).min(MAX_DOUBLINGS));
        }
        self.add((key, now), own, reports);
        self.server_hold(key, &meters, now)
    }

    /// Lets the endpoint be reported soon, because its share may have changed. If the ledger could not be reached, and was told of
    /// the endpoint after `declared_since`, it is reported at once.
    pub(super) fn refresh_soon(&mut self, declared_since: Option<Instant>) {
        self.doublings = 0;
        let Some(since) = declared_since else { return };
        self.all |= self.last >= since;
        if let Some(meters) = self.meters.upgrade() {
            meters.ledger_found();
        }
    }

    fn add(
        &mut self,
        (key, now): (&LimitKey, Instant),
        own: Vec<(LimitKind, Report)>,
        reports: &mut Vec<(Reported, Report)>,
    ) {
        if !own.is_empty() {
            (self.all, self.last) = (false, now);
        }
        for (kind, report) in own {
            let known = &mut self.limits[kind as usize];
            let in_force = known.as_ref().and_then(|known| known.in_force);
            let Report { limit, window, epoch, .. } = report;
            *known = Some(Box::new(Known { limit, window, epoch, in_force }));
            reports.push((Reported { endpoint: key.clone(), kind }, report));
        }
    }

    /// Gives back the permits of dropped meters, once the used ones are free. The ledger may assign some again, until
    /// another replica wants them.
    fn report_returned(&mut self, key: &LimitKey, now: Instant, reports: &mut Vec<(Reported, Report)>) {
        let windows = self.limits.iter().flatten().map(|known| known.window);
        let free_at = self.last + windows.max().unwrap_or(Duration::ZERO);
        if now < free_at || self.returned && !self.all {
            return;
        }
        self.returned = true;
        let empty = |(kind, known): (LimitKind, &Option<Box<Known>>)| {
            let Known { limit, window, epoch, .. } = **known.as_ref()?;
            Some((kind, Report { limit, window, epoch, ..Report::new(kind.key(key)) }))
        };
        let own = LimitKind::ALL.into_iter().zip(&self.limits).filter_map(empty).collect();
        self.add((key, now), own, reports);
    }

    /// Returns the event of a server hold that the others do not know of.
    fn server_hold(&mut self, key: &LimitKey, meters: &Meters, now: Instant) -> Option<Event> {
        let until = meters.server_hold().filter(|until| Some(*until) > self.held_until)?;
        self.held_until = Some(until);
        Some(Event::ServerHold { key: key.clone(), remaining: until.saturating_duration_since(now) })
    }

    /// Applies the server hold of another replica.
    pub(super) fn hold(&mut self, remaining: Duration) {
        if let Some(meters) = self.meters.upgrade() {
            meters.hold(remaining);
            self.held_until = meters.server_hold();
        }
    }

    /// Applies the response to a report.
    pub(super) fn apply(&mut self, reported: &Reported, lease: Lease) -> Applied {
        if let Some(known) = &mut self.limits[reported.kind as usize] {
            known.in_force = NonZeroU64::new(lease.limit);
        }
        let Some(meters) = self.meters.upgrade() else { return Applied::default() };
        let applied = meters.apply_lease(reported.kind, &lease);
        if applied.changed {
            self.doublings = 0;
        }
        self.return_at = meters.return_at();
        applied
    }

    /// Gives up all permits, and adds the last reports.
    pub(super) fn disconnect(&mut self, key: &LimitKey, now: Instant, reports: &mut Vec<(Reported, Report)>) {
        if let Some(meters) = self.meters.upgrade() {
            meters.give_up();
            self.add((key, now), meters.reports(key, true), reports);
        }
    }

    pub(super) fn limits<'a>(&'a self, key: &'a LimitKey) -> impl Iterator<Item = SharedLimit> + 'a {
        LimitKind::ALL.into_iter().zip(&self.limits).filter_map(|(kind, known)| {
            let Known { limit, in_force, .. } = **known.as_ref()?;
            Some(SharedLimit { key: kind.key(key), limit, in_force: in_force?.get() })
        })
    }
}
