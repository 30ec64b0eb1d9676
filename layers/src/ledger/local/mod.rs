//! A ledger within one process: [`LocalLedger`].

mod limit;
mod log;
mod record;
mod standing;
pub(in crate::ledger) mod state;

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tower_service::Service;

use self::state::LedgerState;
use super::{LedgerConfig, ListenRequest, ListenResponse, SyncRequest, SyncResponse};
use crate::sync::{Mutex, MutexGuard};

/// A ledger for replicas within one process: the reference for other ledgers, and the one for tests and simulations.
///
/// Clones are the same ledger.
#[derive(Clone, Debug)]
pub struct LocalLedger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    start: Instant,
    state: Mutex<LedgerState>,
}

impl LocalLedger {
    /// Returns a ledger without data.
    #[must_use]
    pub fn new(config: LedgerConfig) -> Self {
        let state = Mutex::new(LedgerState::new(config));
        Self { shared: Arc::new(Shared { start: Instant::now(), state }) }
    }

    /// Loses all data, as a server without persistence does when it starts again.
    pub fn clear(&self) {
        self.state().clear();
    }

    /// Loses the data of one limit, as a server that evicts keys does.
    #[cfg(test)]
    pub(in crate::ledger) fn evict(&self, key: &super::LimitKey) {
        self.state().evict(key);
    }

    fn state(&self) -> MutexGuard<'_, LedgerState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the milliseconds since the start. The first is 1, because 0 is the time of nothing.
    fn now(&self) -> u64 {
        millis(self.shared.start.elapsed()) + 1
    }
}

impl Default for LocalLedger {
    fn default() -> Self {
        Self::new(LedgerConfig::default())
    }
}

impl Service<SyncRequest> for LocalLedger {
    type Response = SyncResponse;
    type Error = Infallible;
    type Future = Ready<Result<SyncResponse, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: SyncRequest) -> Self::Future {
        let now = self.now();
        let (response, woken) = self.state().sync(&request, now);
        // Not under the lock: a task that is woken may call this ledger.
        woken.into_iter().for_each(std::task::Waker::wake);
        ready(Ok(response))
    }
}

impl Service<ListenRequest> for LocalLedger {
    type Response = ListenResponse;
    type Error = Infallible;
    type Future = ListenFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ListenRequest) -> ListenFuture {
        ListenFuture { timeout: sleep(request.wait), ledger: self.clone(), request }
    }
}

pin_project! {
    /// The future of a [`ListenRequest`] to a [`LocalLedger`].
    #[derive(Debug)]
    pub struct ListenFuture {
        #[pin]
        timeout: Sleep,
        ledger: LocalLedger,
        request: ListenRequest,
    }
}

impl Future for ListenFuture {
    type Output = Result<ListenResponse, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let elapsed = this.timeout.poll(cx).is_ready();
        let now = this.ledger.now();
        let mut state = this.ledger.state();
        let response = state.events.read(this.request, now);
        if elapsed || !response.events.is_empty() {
            return Poll::Ready(Ok(response));
        }
        // A long log is not read again at each event.
        this.request.after = response.last;
        state.events.wake_later(cx.waker());
        Poll::Pending
    }
}

/// Returns the whole milliseconds of a duration.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
