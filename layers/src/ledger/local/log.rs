//! The last events of a ledger: [`EventLog`].

use std::{collections::VecDeque, task::Waker, time::Duration};

use super::super::{Event, EventId, ListenRequest, ListenResponse, ReplicaId};

/// The number of events that are kept: minutes of them, for replicas that join.
const KEPT: usize = 10_000;

/// Events in the order of their ids.
#[derive(Debug, Default)]
pub(in crate::ledger) struct EventLog {
    entries: VecDeque<Entry>,
    last: EventId,
    waiting: Vec<Waker>,
}

#[derive(Debug)]
struct Entry {
    id: EventId,
    audience: Audience,
    event: Event,
}

/// The receivers of an event.
#[derive(Debug)]
pub(super) enum Audience {
    AllBut(ReplicaId),
    Only(Vec<ReplicaId>),
}

impl EventLog {
    pub(super) fn publish(&mut self, audience: Audience, event: Event, now: u64) {
        self.last = if now > self.last.millis() {
            EventId::new(now, 0)
        } else {
            EventId::new(self.last.millis(), self.last.number() + 1)
        };
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { id: self.last, audience, event });
    }

    /// Returns the events after a position that are for this replica and have not expired.
    pub(in crate::ledger) fn read(&self, request: &ListenRequest, now: u64) -> ListenResponse {
        let first = self.entries.partition_point(|entry| entry.id <= request.after);
        let events = self.entries.range(first..).filter(|entry| entry.audience.includes(request.replica));
        let age = |entry: &Entry| Duration::from_millis(now.saturating_sub(entry.id.millis()));
        let events = events.filter_map(|entry| entry.event.after(age(entry))).collect();
        ListenResponse { events, last: self.last }
    }

    /// Registers a task to wake at the next event.
    pub(super) fn wake_later(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|known| known.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    /// Returns the tasks to wake if there are events after `seen`.
    pub(super) fn woken(&mut self, seen: EventId) -> Vec<Waker> {
        if self.last > seen { std::mem::take(&mut self.waiting) } else { Vec::new() }
    }

    pub(super) const fn last(&self) -> EventId {
        self.last
    }

    /// Drops all events. The ids go on, so that a position stays valid.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

impl Audience {
    fn includes(&self, replica: ReplicaId) -> bool {
        match self {
            Self::AllBut(sender) => *sender != replica,
            Self::Only(replicas) => replicas.contains(&replica),
        }
    }
}
