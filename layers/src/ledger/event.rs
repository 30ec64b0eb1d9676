//! The events that replicas send each other at once: [`Event`].

use std::time::Duration;

use super::{LimitKey, ReplicaId};

/// An event at one replica that the others act on. Times are the remaining ones at the moment of delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The backend accepts no calls for this time: of an endpoint, or of an account. The longer of two holds applies.
    ServerHold {
        /// The endpoint or account.
        key: LimitKey,
        /// The rest of the hold.
        remaining: Duration,
    },
    /// A cooldown has begun or was renewed. The longer of two applies.
    CoolingDown {
        /// The endpoint.
        key: LimitKey,
        /// The rest of the cooldown.
        remaining: Duration,
        /// The number of times that the next cooldown's length is doubled.
        doublings: u32,
    },
    /// A call has shown that the endpoint is healthy: its cooldown has ended.
    Recovered {
        /// The endpoint.
        key: LimitKey,
    },
    /// The outcomes of calls of an endpoint that has failed recently, since the last such event of this replica.
    Outcomes {
        /// The endpoint.
        key: LimitKey,
        /// Calls that were evidence for its health.
        successes: u32,
        /// Calls that were evidence against its health.
        failures: u32,
    },
    /// The receiver should report this limit now: it holds more than its share while another waits, it waits while
    /// permits are free, or the window or a limit has changed. Published by the ledger.
    SyncDue {
        /// The limit.
        key: LimitKey,
    },
}

impl Event {
    /// Returns the event as it is after this time in the ledger; `None` if it has expired.
    #[must_use]
    pub fn after(&self, age: Duration) -> Option<Self> {
        let mut event = self.clone();
        if let Self::ServerHold { remaining, .. } | Self::CoolingDown { remaining, .. } = &mut event {
            *remaining = remaining.checked_sub(age).filter(|left| !left.is_zero())?;
        }
        Some(event)
    }
}

/// The position of an event in the ledger's log. The default precedes all events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    millis: u64,
    number: u64,
}

impl EventId {
    /// Returns the id of the event with this number among those of one millisecond of the ledger's clock.
    #[must_use]
    pub const fn new(millis: u64, number: u64) -> Self {
        Self { millis, number }
    }

    /// Returns the millisecond of the ledger's clock.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.millis
    }

    /// Returns the number within the millisecond.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number
    }
}

/// A request for the events after a position. The response waits for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenRequest {
    /// The replica, which does not receive its own events.
    pub replica: ReplicaId,
    /// The position of the last event that was read.
    pub after: EventId,
    /// The longest time until the response, which then contains no events.
    pub wait: Duration,
}

/// The response to a [`ListenRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenResponse {
    /// The events, oldest first.
    pub events: Vec<Event>,
    /// The position from which to read on.
    pub last: EventId,
}
