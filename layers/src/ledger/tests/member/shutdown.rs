//! The shutdown of a member.

use std::{
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep, sleep_until},
};
use tower::{BoxError, Service};

use super::cluster::{key, ms, secs};
use crate::{
    ledger::{
        LedgerConfig, ListenRequest, ListenResponse, LocalLedger, Member, MemberConfig, ReplicaId,
        SyncRequest, SyncResponse,
    },
    quota::{Limits, Meters},
};

type LedgerFuture<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// A ledger behind one connection, which takes 10 ms for a request and is not there for another meanwhile.
#[derive(Clone)]
struct OneConnection {
    connection: Arc<Mutex<LocalLedger>>,
    /// True once the last request of the member has arrived.
    left: Arc<AtomicBool>,
}

impl Service<SyncRequest> for OneConnection {
    type Response = SyncResponse;
    type Error = BoxError;
    type Future = LedgerFuture<SyncResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: SyncRequest) -> Self::Future {
        let Self { connection, left } = self.clone();
        Box::pin(async move {
            let mut ledger = connection.lock().await;
            sleep(ms(10)).await;
            left.fetch_or(request.leaving, Ordering::Relaxed);
            Ok(ledger.call(request).await?)
        })
    }
}

impl Service<ListenRequest> for OneConnection {
    type Response = ListenResponse;
    type Error = BoxError;
    type Future = LedgerFuture<ListenResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: ListenRequest) -> Self::Future {
        Box::pin(pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_that_shuts_down_during_a_sync_sends_its_last_request() {
    let connection = Arc::new(Mutex::new(LocalLedger::new(LedgerConfig::default())));
    for during in 0..2_000 {
        let left = Arc::new(AtomicBool::new(false));
        let ledger = OneConnection { connection: Arc::clone(&connection), left: Arc::clone(&left) };
        let meters = Meters::new(Limits { requests: Some(60), ..Limits::default() });
        let member = Member::new(ReplicaId::new(during + 1), MemberConfig::default());
        member.share(&key(), &meters);
        let shutdown = Instant::now() + ms(during);
        member.run(ledger, sleep_until(shutdown)).await;
        assert!(left.load(Ordering::Relaxed), "shut down after {during} ms");
        assert!(shutdown.elapsed() < secs(1));
    }
}
