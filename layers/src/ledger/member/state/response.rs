//! The effects of responses, and of their absence.

use std::{num::NonZeroU32, time::Duration};

use tokio::time::Instant;

use super::{Contact, MemberState, Outgoing};
use crate::ledger::{EventId, ListenRequest, ListenResponse, SyncResponse};

/// The first wait after a failed sync, which doubles up to the second. With half of it more, and the timeout of a sync, that
/// is below the grace of a ledger that comes back without its data: all replicas declare what they hold in time.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(1));

/// The time before the loss of a ledger of which it may have kept nothing: its copy, which takes over, is not further behind.
const MAY_BE_LOST: Duration = Duration::from_secs(15);

impl MemberState {
    /// Applies the response to the last request.
    pub(in crate::ledger::member) fn apply(
        &mut self,
        outgoing: Outgoing,
        response: SyncResponse,
        now: Instant,
    ) {
        if self.contact.stopped.is_some_and(|stopped| outgoing.sent < stopped) {
            // The ledger may have given the permits of this response to others since.
            return self.fail(outgoing, now);
        }
        self.note_contact(&response, now);
        let contact = &mut self.contact;
        contact.sent = Some(outgoing.sent);
        contact.sync_time = now.saturating_duration_since(outgoing.sent);
        (contact.replicas, contact.rank) = (response.replicas, response.rank);
        contact.syncs += 1;
        (contact.retry, contact.stopped) = (None, None);
        self.outbox.drain(..outgoing.events.min(self.outbox.len()));
        for (reported, lease) in outgoing.reported.iter().zip(response.leases) {
            let short = 5 * self.config.heartbeat;
            self.hurries |= !lease.window.is_zero() && lease.window < short;
            let Some(endpoint) = self.endpoints.get_mut(&reported.endpoint) else { continue };
            let applied = endpoint.apply(reported, lease);
            let returns = endpoint.return_at;
            let at = if applied.report { Some(now) } else { returns };
            at.into_iter().for_each(|at| self.schedule(&reported.endpoint, at));
        }
        self.note_generation(response.generation);
    }

    /// Lets all endpoints be reported soon if their shares may have changed: the ledger could not be reached, or the number of
    /// replicas differs. Declares at once what others may have taken over since, or what the ledger may have lost: its last writes.
    fn note_contact(&mut self, response: &SyncResponse, now: Instant) {
        let Contact { started, retry, sent, replicas, .. } = self.contact;
        if retry.is_none() && replicas == response.replicas {
            return;
        }
        let silent = sent.is_none_or(|sent| now > sent + self.config.lease_time);
        let recent = sent.filter(|_| !silent).and_then(|sent| sent.checked_sub(MAY_BE_LOST));
        let declared_since = retry.map(|_| recent.unwrap_or(started));
        for endpoint in self.endpoints.values_mut() {
            endpoint.refresh_soon(declared_since);
        }
    }

    /// Declares everything to a ledger that has lost its data.
    fn note_generation(&mut self, generation: u64) {
        let lost = self.generation != 0 && self.generation != generation;
        self.generation = generation;
        if lost {
            self.endpoints.values_mut().for_each(|endpoint| endpoint.all = true);
            self.unvisited = self.endpoints.keys().cloned().collect();
            self.heartbeat_at = Instant::now();
            (self.read_to, self.joins) = (EventId::default(), true);
        }
    }

    /// Records that a request got no response.
    pub(in crate::ledger::member) fn fail(&mut self, outgoing: Outgoing, now: Instant) {
        for reported in outgoing.reported {
            if let Some(endpoint) = self.endpoints.get_mut(&reported.endpoint) {
                endpoint.all = true;
            }
        }
        let contact = &mut self.contact;
        contact.failures += 1;
        let (_, wait) = contact.retry.unwrap_or((now, BACKOFF.0));
        // Not all replicas at one time.
        contact.retry = Some((now + wait.mul_f64(0.5 + fastrand::f64()), (2 * wait).min(BACKOFF.1)));
        let stale = contact.sent.is_some_and(|sent| now > sent + self.config.lease_time);
        let replicas = contact.replicas.max(self.config.replicas);
        let replicas =
            NonZeroU32::new(u32::try_from(replicas).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
        let isolated = stale.then_some(replicas);
        for meters in self.endpoints.values().filter_map(|endpoint| endpoint.meters.upgrade()) {
            meters.ledger_lost(isolated);
        }
    }

    /// Returns the position from which to read events.
    pub(in crate::ledger::member) const fn read_to(&self) -> EventId {
        self.read_to
    }

    /// Applies the events of other replicas.
    pub(in crate::ledger::member) fn receive(
        &mut self,
        request: &ListenRequest,
        response: ListenResponse,
        now: Instant,
    ) {
        if self.read_to != request.after {
            // The ledger has lost its data meanwhile.
            return;
        }
        self.read_to = response.last;
        let is_late = std::mem::take(&mut self.joins);
        response.events.into_iter().for_each(|event| self.handle((event, is_late), now));
    }
}
