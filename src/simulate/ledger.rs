//! The ledger of simulated replicas: [`SimulatedLedger`].

use std::{
    convert::Infallible,
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};
use tollgate_layers::ledger::LocalLedger;
use tower::Service;

use super::replicas::LedgerOutage;

/// The time from a replica to the server, or back: the step of the clock.
const NETWORK: Duration = Duration::from_millis(1);

/// A [`LocalLedger`] as if it were a server: with the delay of a network, and outages. Clones are the same server.
#[derive(Clone, Debug)]
pub(super) struct SimulatedLedger {
    ledger: LocalLedger,
    start: Instant,
    outages: Arc<[LedgerOutage]>,
    requests: Arc<AtomicU64>,
}

impl SimulatedLedger {
    pub(super) fn new(outages: &[LedgerOutage]) -> Self {
        Self {
            ledger: LocalLedger::default(),
            start: Instant::now(),
            outages: outages.into(),
            requests: Arc::default(),
        }
    }

    /// Returns the number of requests that the server has received.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    fn is_down(&self) -> bool {
        let at = self.start.elapsed();
        self.outages.iter().any(|outage| (outage.from..outage.until).contains(&at))
    }

    /// Loses all data at the end of each outage.
    pub(super) async fn lose_data(self) {
        let mut ends: Vec<_> = self.outages.iter().map(|outage| outage.until).collect();
        ends.sort_unstable();
        for end in ends {
            sleep_until(self.start + end).await;
            self.ledger.clear();
        }
    }
}

impl<R> Service<R> for SimulatedLedger
where
    R: Send + 'static,
    LocalLedger: Service<R, Error = Infallible, Response: Send, Future: Send>,
{
    type Response = <LocalLedger as Service<R>>::Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let mut server = self.clone();
        Box::pin(async move {
            sleep(NETWORK).await;
            server.requests.fetch_add(1, Ordering::Relaxed);
            let response = if server.is_down() { pending().await } else { server.ledger.call(request).await };
            // A response that is ready during an outage is lost with the connection.
            if server.is_down() {
                pending::<()>().await;
            }
            sleep(NETWORK).await;
            response
        })
    }
}
