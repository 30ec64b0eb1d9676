//! The limits of one endpoint at this replica: [`Endpoint`].

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{super::Source, UNCHANGED};
use crate::{
    ledger::{Event, Lease, LimitKey, Report, member::SharedLimit},
    quota::{Applied, LimitKind, Meters, WeakMeters},
};

/// The meters of an endpoint, and what other replicas know of them.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) meters: WeakMeters,
    keys: [LimitKey; 3],
    /// The scheduled time of the next report.
    pub(super) next: Option<Instant>,
    /// The time of the last report.
    pub(super) last: Instant,
    /// Set if all limits should be reported, not only those that have changed.
    pub(super) all: bool,
    /// The time at which idle permits go back.
    pub(super) return_at: Option<Instant>,
    limits: [Option<Known>; 3],
    /// The end of the server hold that the others know of.
    held_until: Option<Instant>,
    /// Set if the meters were dropped and their permits have been given back.
    returned: bool,
    /// Kept for the meters, which refer to it weakly.
    _source: Arc<Source>,
}

/// The last report of a limit, and the last response.
#[derive(Debug)]
struct Known {
    report: Report,
    lease: Option<Lease>,
}

/// The limit of a report.
#[derive(Clone, Debug)]
pub(super) struct Reported {
    pub(super) endpoint: LimitKey,
    kind: LimitKind,
}

impl Endpoint {
    pub(super) fn new(key: &LimitKey, meters: WeakMeters, source: Arc<Source>) -> Self {
        let name = |limit| LimitKey::from(format!("{key}/{limit}"));
        Self {
            meters,
            keys: ["requests", "tokens", "in_flight"].map(name),
            next: None,
            last: Instant::now(),
            all: true,
            return_at: None,
            limits: [None, None, None],
            held_until: None,
            returned: false,
            _source: source,
        }
    }

    /// Adds the due reports. Returns the event of a new server hold.
    pub(super) fn report(
        &mut self,
        key: &LimitKey,
        now: Instant,
        reports: &mut Vec<(Reported, Report)>,
    ) -> Option<Event> {
        let Some(meters) = self.meters.upgrade() else {
            self.report_returned(key, now, reports);
            return None;
        };
        if self.return_at.is_some_and(|at| at <= now) {
            meters.give_back();
            self.return_at = meters.return_at();
        }
        let all = self.all || now >= self.last + UNCHANGED;
        self.add((key, now), meters.reports(&self.keys, all), reports);
        self.server_hold(key, &meters, now)
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
            let lease = known.take().and_then(|known| known.lease);
            *known = Some(Known { report: report.clone(), lease });
            reports.push((Reported { endpoint: key.clone(), kind }, report));
        }
    }

    /// Gives back the permits of dropped meters, once the used ones are free. The ledger may assign some again, until
    /// another replica wants them.
    fn report_returned(&mut self, key: &LimitKey, now: Instant, reports: &mut Vec<(Reported, Report)>) {
        let windows = self.limits.iter().flatten().map(|known| known.report.window);
        let free_at = self.last + windows.max().unwrap_or(Duration::ZERO);
        if now < free_at || self.returned && !self.all {
            return;
        }
        self.returned = true;
        let empty = |(kind, known): (LimitKind, &Option<Known>)| {
            let Report { key, limit, window, epoch, .. } = known.as_ref()?.report.clone();
            Some((kind, Report { limit, window, epoch, ..Report::new(key) }))
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
            known.lease = Some(lease);
        }
        let Some(meters) = self.meters.upgrade() else { return Applied::default() };
        let applied = meters.apply_lease(reported.kind, &lease);
        self.return_at = meters.return_at();
        applied
    }

    /// Gives up all permits, and adds the last reports.
    pub(super) fn disconnect(&mut self, key: &LimitKey, now: Instant, reports: &mut Vec<(Reported, Report)>) {
        if let Some(meters) = self.meters.upgrade() {
            meters.give_up();
            self.add((key, now), meters.reports(&self.keys, true), reports);
        }
    }

    pub(super) fn limits(&self) -> impl Iterator<Item = SharedLimit> + '_ {
        self.limits.iter().flatten().filter_map(|Known { report, lease }| {
            let Lease { permits, limit, .. } = (*lease)?;
            let key = report.key.clone();
            Some(SharedLimit { key, limit: report.limit, in_force: limit, permits, used: report.used })
        })
    }
}
