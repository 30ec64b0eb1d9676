//! Limits that several processes share, without a request that waits for it: [`Ledger`], [`LocalLedger`].
//!
//! A limit of L in any window W is L *permits*, each of which is free again W after its use. Each process, a *replica*,
//! has a [`Lease`] for some of them and enforces that number alone, with its own meters and no I/O. The ledger records
//! the number that each replica holds. Only free permits move from one to another. Hence the sum of what replicas may
//! use is at most L at every moment, and no clocks are compared.
//!
//! A replica *syncs*: it sends a [`SyncRequest`] with a [`Report`] for each limit that has changed, and receives the
//! leases. It *listens* ([`ListenRequest`]) for the [`Event`]s of others. Both are requests of one tower service, so that
//! timeouts and load shedding are layers. A ledger that cannot be reached changes nothing: the leases stay valid.
//! [`Member`] does this for [`Meters`](crate::quota::Meters) and [`EndpointHealth`](crate::cooldown::EndpointHealth).
//!
//! ```
//! use std::time::Duration;
//! use tollgate_layers::ledger::{LimitKey, LocalLedger, ReplicaId, Report, SyncRequest};
//! use tower::{Service, ServiceExt};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?.block_on(async {
//! let mut ledger = LocalLedger::default();
//! let report = Report {
//!     limit: 600,
//!     window: Duration::from_secs(60),
//!     want: 10,
//!     need: 10,
//!     cost: 1,
//!     ..Report::new(LimitKey::from("a deployment"))
//! };
//! let request = SyncRequest { seq: 1, reports: vec![report], ..SyncRequest::new(ReplicaId::random()) };
//! let ready = <LocalLedger as ServiceExt<SyncRequest>>::ready(&mut ledger).await?;
//! assert_eq!(ready.call(request).await?.leases[0].permits, 600, "a replica alone has the whole limit");
//! # Ok::<(), std::convert::Infallible>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The contract of a replica
//! - A meter admits while `used < permits`. `held` is the larger of the two.
//! - The number `seq` grows with each request. A response is applied only if no later request was sent: a response that
//!   comes after its timeout is dropped, because the later request has declared something else.
//! - A replica reports a limit at once when calls wait for permits; within a heartbeat when `held`, the limit or the window
//!   has changed, when calls no longer wait, and when `need` differs by more than a fiftieth of the limit (at least one); when
//!   [`Event::SyncDue`] asks for it; and otherwise from time to time, because the ledger may have lost it or may have assigned
//!   another share. It need not report what it uses of its lease: that matters only while another replica waits, and then the
//!   ledger asks.
//! - A lease that is lower than before applies at once. The replica declares the lower `held` in its next sync, which it
//!   sends at once if permits are free by it. The ledger gives permits to others only after that declaration.
//! - A replica that learns a window from a refusal admits nothing until the response to its report.
//! - If the window in the response differs from the one reported, permits are counted over another window now: the
//!   replica adopts window and epoch, admits nothing, and reports the amount used in that window as `used` and `held`.
//! - If the generation in the response differs from the one sent, the ledger has lost its data: all limits are reported
//!   at once, and events are read from [`EventId::default`].
//! - While [`Lease::wanted`] was true within the last second, a permit that is free and not wanted here goes back.
//! - An isolated replica keeps its leases by default. If it must never exceed a limit, it sets them to zero once the last
//!   request that got a response was sent [`LedgerConfig::lease_time`] ago, and drops the response to a request that was
//!   on the way then: permits that it declared there may have been given to others.
//!
//! # Arithmetic
//! All implementations must give equal leases, also one in a language that has only doubles: every number is an
//! integer below 2^53, replicas are ordered by id, and the only divisions are those of [`LocalLedger`]'s targets, its
//! step of a window and its tolerance, each rounded down.

mod change;
mod event;
mod lease;
mod local;
mod member;
mod sync;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use tower_service::Service;

pub(crate) use self::change::{ChangeListener, ChangeNotifier};
pub use self::{
    event::{Event, EventId, ListenRequest, ListenResponse},
    lease::{Lease, Report},
    local::{ListenFuture, LocalLedger},
    member::{Member, MemberConfig, MemberSnapshot, Run, SharedLimit, WhenIsolated},
    sync::{LedgerConfig, SyncRequest, SyncResponse},
};
use crate::BoxError;

/// The twelfths of a window, in which a report states when used permits come free.
pub const AGES: usize = 12;

/// The part of a limit, one in so many, up to which a difference in demand moves no permits while no replica waits.
const TOLERANCE: u64 = 50;

/// Returns the permits by which the demand of a replica may differ from what the ledger knows, or its lease from its share.
pub(crate) fn tolerance(limit: u64) -> u64 {
    (limit / TOLERANCE).max(1)
}

/// A ledger: an alias of a tower service for both requests, implemented for every such service.
pub trait Ledger:
    Service<SyncRequest, Response = SyncResponse, Error: Into<BoxError>>
    + Service<ListenRequest, Response = ListenResponse, Error: Into<BoxError>>
    + Clone
{
}

impl<S> Ledger for S where
    S: Service<SyncRequest, Response = SyncResponse, Error: Into<BoxError>>
        + Service<ListenRequest, Response = ListenResponse, Error: Into<BoxError>>
        + Clone
{
}

/// The id of one run of a process. A process that starts again is another replica, because its numbers begin again.
///
/// A number below 2^53, by which replicas are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId(u64);

impl ReplicaId {
    /// Returns an id of the low 53 bits of `id`.
    #[must_use]
    pub const fn new(id: u64) -> Self {
        Self(id & ((1 << 53) - 1))
    }

    /// Returns a random id.
    #[must_use]
    pub fn random() -> Self {
        Self::new(fastrand::u64(..))
    }

    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The key of one limit, or of an endpoint or account that events are about. Equal in all replicas, and unchanged when
/// the limit changes. An endpoint has one key for each of its limits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitKey(Arc<str>);

impl LimitKey {
    /// Returns the text of the key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for LimitKey {
    fn from(key: T) -> Self {
        Self(key.into())
    }
}

impl fmt::Display for LimitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
