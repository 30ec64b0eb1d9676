//! Counts of connections: of clients, and to upstreams.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::{
    histogram::Histogram,
    scope::RESULTS,
    text::{Kind, Writer},
};

/// The counts of connections. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConnectionMetrics {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    closed: AtomicU64,
    /// The times of successful and of failed dials.
    dials: [Histogram; 2],
}

/// An open connection of a client. Counts its end when it is dropped.
#[derive(Debug)]
pub(crate) struct OpenConnection(Arc<Counts>);

impl ConnectionMetrics {
    /// Counts a connection of a client.
    pub(crate) fn accepted(&self) -> OpenConnection {
        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
        OpenConnection(Arc::clone(&self.counts))
    }

    /// Counts the dial of an upstream, TLS included.
    pub(crate) fn dialled(&self, success: bool, after: Duration) {
        self.counts.dials[usize::from(!success)].observe(after);
    }

    /// Writes the families.
    pub(super) fn encode(&self, writer: &mut Writer) {
        let Counts { accepted, closed, dials } = &*self.counts;
        // Read first: a connection that is counted in between is open.
        let closed = closed.load(Ordering::Relaxed);
        let accepted = accepted.load(Ordering::Relaxed);
        let help = "Connections of clients that were accepted.";
        writer.family("tollgate_client_connections", Kind::Counter, help).sample(&[], accepted);
        let help = "Connections of clients that are open.";
        let open = accepted.saturating_sub(closed);
        writer.family("tollgate_client_connections_open", Kind::Gauge, help).sample(&[], open);
        let help = "Time to connect to an upstream, TLS included, by result.";
        let mut family = writer.family("tollgate_upstream_connect_seconds", Kind::Histogram, help);
        for (result, dials) in RESULTS.iter().zip(dials) {
            family.histogram(&[("result", result)], &dials.read_with(None));
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.closed.fetch_add(1, Ordering::Relaxed);
    }
}
