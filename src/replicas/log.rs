//! A ledger with log lines: [`LogChanges`].

use std::{
    collections::BTreeSet,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::Instant;
use tollgate_layers::ledger::{LimitKey, ListenRequest, SyncRequest, SyncResponse};
use tower::Service;

/// The number of failures in a row after which a line is written: with the pauses between them, one to two seconds.
const FAILURES: u32 = 3;

/// Writes a line when a ledger does not respond, when it responds again, and when a limit differs between replicas.
#[derive(Clone, Debug)]
pub(crate) struct LogChanges<L> {
    ledger: L,
    seen: Arc<Mutex<Seen>>,
}

/// The ledger as the lines describe it.
#[derive(Debug, Default)]
struct Seen {
    /// The number of failures since the last response, and the time of the first of them.
    failures: u32,
    since: Option<Instant>,
    /// The limits that another replica has smaller.
    mismatches: BTreeSet<LimitKey>,
}

/// A change that has a line.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// The ledger responds again after this time.
    Up(Duration),
    /// The limit of this replica, and the smaller one that is in force.
    Mismatch(LimitKey, u64, u64),
}

impl<L> LogChanges<L> {
    pub(crate) fn new(ledger: L) -> Self {
        Self { ledger, seen: Arc::default() }
    }
}

impl Seen {
    /// Records a sync without a response. Returns true if the ledger counts as down since this one.
    fn failed(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.since.get_or_insert_with(Instant::now);
        self.failures == FAILURES
    }

    fn responded(&mut self, request: &SyncRequest, response: &SyncResponse) -> Vec<Change> {
        let outage = self.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        let was_down = std::mem::take(&mut self.failures) >= FAILURES;
        let mut changes: Vec<_> = was_down.then_some(Change::Up(outage)).into_iter().collect();
        for (report, lease) in request.reports.iter().zip(&response.leases) {
            // The limit of another window cannot be compared.
            let differs = lease.window == report.window && (1..report.limit).contains(&lease.limit);
            if !differs {
                self.mismatches.remove(&report.key);
            } else if self.mismatches.insert(report.key.clone()) {
                changes.push(Change::Mismatch(report.key.clone(), report.limit, lease.limit));
            }
        }
        changes
    }
}

impl<L> Service<SyncRequest> for LogChanges<L>
where
    L: Service<SyncRequest, Response = SyncResponse, Error: fmt::Display>,
{
    type Response = SyncResponse;
    type Error = L::Error;
    type Future = LoggedSync<L::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), L::Error>> {
        self.ledger.poll_ready(cx)
    }

    fn call(&mut self, request: SyncRequest) -> Self::Future {
        let seen = Arc::clone(&self.seen);
        LoggedSync { sync: self.ledger.call(request.clone()), request, seen, completed: false }
    }
}

impl<L: Service<ListenRequest>> Service<ListenRequest> for LogChanges<L> {
    type Response = L::Response;
    type Error = L::Error;
    type Future = L::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), L::Error>> {
        self.ledger.poll_ready(cx)
    }

    fn call(&mut self, request: ListenRequest) -> Self::Future {
        self.ledger.call(request)
    }
}

pin_project! {
    /// The future of a sync with a [`LogChanges`].
    pub(crate) struct LoggedSync<F> {
        #[pin]
        sync: F,
        request: SyncRequest,
        seen: Arc<Mutex<Seen>>,
        completed: bool,
    }

    impl<F> PinnedDrop for LoggedSync<F> {
        fn drop(this: Pin<&mut Self>) {
            // The member has given up the sync after its timeout.
            let this = this.project();
            if !*this.completed {
                report_failure(this.seen, &"no response in time");
            }
        }
    }
}

impl<F, E> Future for LoggedSync<F>
where
    F: Future<Output = Result<SyncResponse, E>>,
    E: fmt::Display,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.sync.poll(cx));
        *this.completed = true;
        match &result {
            Ok(response) => {
                let mut seen = this.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.responded(this.request, response).iter().for_each(report_change);
            }
            Err(error) => report_failure(this.seen, error),
        }
        Poll::Ready(result)
    }
}

fn report_failure(seen: &Mutex<Seen>, reason: &dyn fmt::Display) {
    if seen.lock().unwrap_or_else(PoisonError::into_inner).failed() {
        tracing::warn!(
            target: "tollgate::events",
            "replicas: Redis does not respond ({reason}): each replica keeps its part of the limits",
        );
    }
}

fn report_change(change: &Change) {
    match change {
        Change::Up(outage) => tracing::info!(
            target: "tollgate::events",
            "replicas: Redis responds again after {:.0} s", outage.as_secs_f64(),
        ),
        Change::Mismatch(limit, own, in_force) => tracing::warn!(
            target: "tollgate::events",
            "replicas: the limit {limit} is {own} here and {in_force} in another replica: {in_force} is in force \
             until all have the same",
        ),
    }
}

#[cfg(test)]
mod tests {
    use tollgate_layers::ledger::{Lease, ReplicaId, Report};

    use super::*;

    fn exchange(limit: u64, in_force: u64) -> (SyncRequest, SyncResponse) {
        let report = Report { limit, ..Report::new(LimitKey::from("a")) };
        let window = report.window;
        let lease = Lease { permits: 1, limit: in_force, window, epoch: 0, wanted: false, spare: false };
        let request = SyncRequest { reports: vec![report], ..SyncRequest::new(ReplicaId::new(1)) };
        (request, SyncResponse { generation: 1, replicas: 2, rank: 0, leases: vec![lease] })
    }

    fn changes(seen: &mut Seen, limit: u64, in_force: u64) -> Vec<Change> {
        let (request, response) = exchange(limit, in_force);
        seen.responded(&request, &response)
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_of_the_ledger_has_one_line_and_its_end_another() {
        let mut seen = Seen::default();
        assert_eq!((seen.failed(), changes(&mut seen, 6, 6)), (false, vec![]), "a single failure");
        let failures: Vec<bool> = (0..5).map(|_| seen.failed()).collect();
        assert_eq!(failures, [false, false, true, false, false]);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(changes(&mut seen, 6, 6), [Change::Up(Duration::from_secs(9))]);
        assert_eq!(changes(&mut seen, 6, 6), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_differs_between_replicas_has_one_line_until_it_is_equal() {
        let mut seen = Seen::default();
        assert_eq!(changes(&mut seen, 12, 6), [Change::Mismatch(LimitKey::from("a"), 12, 6)]);
        assert_eq!(changes(&mut seen, 12, 6), []);
        assert_eq!(changes(&mut seen, 12, 12), []);
        assert_eq!(changes(&mut seen, 12, 6).len(), 1);
    }
}
