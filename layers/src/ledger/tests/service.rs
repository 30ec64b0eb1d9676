//! The ledger as a tower service.

use std::time::Duration;

use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{ServiceExt, limit::ConcurrencyLimit};

use crate::ledger::{
    Event, EventId, Ledger, LimitKey, ListenRequest, ListenResponse, LocalLedger, ReplicaId, SyncRequest,
};

const SECOND: Duration = Duration::from_secs(1);

fn hold(seconds: u64) -> Event {
    Event::ServerHold { key: LimitKey::from("a"), remaining: Duration::from_secs(seconds) }
}

fn listen(replica: u64, after: EventId) -> ListenRequest {
    ListenRequest { replica: ReplicaId::new(replica), after, wait: SECOND }
}

async fn publish(ledger: &LocalLedger, replica: u64, events: Vec<Event>) {
    let request = SyncRequest { seq: 1, events, ..SyncRequest::new(ReplicaId::new(replica)) };
    let Ok(response) = ledger.clone().oneshot(request).await;
    assert!(response.generation > 0);
}

async fn read(ledger: &LocalLedger, request: ListenRequest) -> ListenResponse {
    let Ok(response) = ledger.clone().oneshot(request).await;
    response
}

#[tokio::test(start_paused = true)]
async fn a_ledger_delivers_an_event_to_all_other_replicas_at_once() {
    let ledger = LocalLedger::default();
    let mut other = task::spawn(ledger.clone().oneshot(listen(2, EventId::default())));
    let mut own = task::spawn(ledger.clone().oneshot(listen(1, EventId::default())));
    assert_pending!(other.poll());
    assert_pending!(own.poll());
    publish(&ledger, 1, vec![hold(3)]).await;
    assert!(other.is_woken());
    let Ok(response) = assert_ready!(other.poll());
    assert_eq!(response.events, [hold(3)]);
    assert_pending!(own.poll());
    advance(SECOND).await;
    let Ok(response) = assert_ready!(own.poll());
    assert!(response.events.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_event_of_a_ledger_has_the_time_that_remains_and_is_read_once() {
    let ledger = LocalLedger::default();
    let recovered = Event::Recovered { key: LimitKey::from("a") };
    publish(&ledger, 1, vec![hold(3), recovered.clone()]).await;
    advance(SECOND).await;
    let first = read(&ledger, listen(2, EventId::default())).await;
    assert_eq!(first.events, [hold(2), recovered.clone()]);
    let start = Instant::now();
    assert!(read(&ledger, listen(2, first.last)).await.events.is_empty());
    assert_eq!(start.elapsed(), SECOND, "a response without events comes after the wait");
    advance(SECOND).await;
    assert_eq!(read(&ledger, listen(3, EventId::default())).await.events, [recovered], "the hold is over");
}

#[tokio::test(start_paused = true)]
async fn a_layer_over_a_ledger_is_a_ledger() {
    fn is_ledger(_: &impl Ledger) {}
    let ledger = ConcurrencyLimit::new(LocalLedger::default(), 8);
    is_ledger(&ledger);
    let response = ledger.oneshot(SyncRequest { seq: 1, ..SyncRequest::new(ReplicaId::random()) }).await;
    assert_eq!(response.map(|response| response.replicas).ok(), Some(1));
}
