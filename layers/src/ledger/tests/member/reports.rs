//! The reports of a member: what the ledger must learn of, and when.

use std::{
    convert::Infallible,
    future::{Ready, pending, ready},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tower::{BoxError, Service};

use super::cluster::{key, ms, secs};
use crate::{
    ledger::{
        ListenFuture, ListenRequest, LocalLedger, Member, MemberConfig, ReplicaId, Report, SyncRequest,
        SyncResponse,
    },
    quota::{Limits, Meters, QuotaGuard, RateWindow},
};

/// A ledger, and all reports that it receives. While it is down, it refuses them.
#[derive(Clone, Default)]
struct Recorded {
    ledger: LocalLedger,
    is_down: Arc<AtomicBool>,
    reports: Arc<Mutex<Vec<(Instant, Report)>>>,
}

impl Service<SyncRequest> for Recorded {
    type Response = SyncResponse;
    type Error = BoxError;
    type Future = Ready<Result<SyncResponse, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: SyncRequest) -> Self::Future {
        if self.is_down.load(Ordering::Relaxed) {
            return ready(Err("down".into()));
        }
        let received = request.reports.iter().map(|report| (Instant::now(), report.clone()));
        self.reports.lock().unwrap_or_else(PoisonError::into_inner).extend(received);
        ready(self.ledger.call(request).into_inner().map_err(BoxError::from))
    }
}

impl Service<ListenRequest> for Recorded {
    type Response = crate::ledger::ListenResponse;
    type Error = Infallible;
    type Future = ListenFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ListenRequest) -> ListenFuture {
        self.ledger.call(request)
    }
}

/// A member that shares one endpoint with a limit of requests in any minute.
struct Process {
    meters: Meters,
    ledger: Recorded,
    member: Member,
    running: JoinHandle<()>,
}

impl Process {
    async fn start(requests: u64, ledger: &Recorded, id: u64) -> Self {
        let limits = Limits { requests: Some(requests), window: Some(RateWindow::S60), ..Limits::default() };
        let meters = Meters::new(limits);
        let member = Member::new(ReplicaId::new(id), MemberConfig::default());
        member.share(&key(), &meters);
        let (running, ledger) = (member.clone(), ledger.clone());
        let recorded = ledger.clone();
        let running = tokio::spawn(async move { running.run(recorded, pending()).await });
        sleep(ms(10)).await;
        Self { meters, ledger, member, running }
    }

    /// Shares a thousand more endpoints, with numbers after this name.
    fn share_a_thousand(&self, name: &str) -> Vec<Meters> {
        let share = |n| {
            let meters = Meters::new(Limits { requests: Some(60), ..Limits::default() });
            self.member.share(&format!("{name} {n}").into(), &meters);
            meters
        };
        (0..1_000).map(share).collect()
    }

    /// Begins calls. Returns those for which there were permits.
    fn begin(&self, calls: usize) -> Vec<QuotaGuard> {
        (0..calls).filter_map(|_| self.meters.begin(1)).collect()
    }

    /// Returns the reports that the ledger has received since the last call.
    fn take(&self) -> Vec<(Instant, Report)> {
        std::mem::take(&mut self.ledger.reports.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.running.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_reports_only_a_demand_that_would_move_permits() {
    let process = Process::start(500, &Recorded::default(), 1).await;
    sleep(secs(2)).await;
    assert_eq!(process.take().len(), 1, "the first");
    let _calls = process.begin(10);
    sleep(secs(2)).await;
    assert_eq!(process.take().len(), 0, "a fiftieth of the limit moves no permits");
    let _more = process.begin(1);
    sleep(secs(2)).await;
    let reports = process.take();
    assert_eq!(reports.iter().map(|(_, report)| report.used).collect::<Vec<_>>(), [11]);
}

#[tokio::test(start_paused = true)]
async fn a_member_reports_that_its_calls_no_longer_wait() {
    let process = Process::start(6, &Recorded::default(), 1).await;
    let _calls = process.begin(6);
    sleep(secs(2)).await;
    process.take();
    assert!(process.begin(1).is_empty());
    sleep(ms(100)).await;
    let (_, waits) = process.take().pop().expect("a call waits");
    assert_eq!((waits.want, waits.cost), (7, 1));
    sleep(secs(12)).await;
    let (_, ended) = process.take().pop().expect("it has given up");
    assert_eq!((ended.want, ended.cost), (6, 0));
}

#[tokio::test(start_paused = true)]
async fn a_member_reports_an_unchanged_limit_more_and_more_rarely() {
    let start = Instant::now();
    let process = Process::start(500, &Recorded::default(), 1).await;
    sleep(secs(600)).await;
    let times = |reports: Vec<(Instant, Report)>| -> Vec<u64> {
        reports.into_iter().map(|(at, _)| (at - start).as_secs()).collect()
    };
    let at = times(process.take());
    assert_eq!(at, [0, 15, 45, 105, 225, 345, 465, 585]);
    // Another replica may change the share of each.
    let joined = Process::start(500, &process.ledger, 2).await;
    sleep(secs(40)).await;
    let leases = [&process, &joined].map(|process| process.meters.snapshot().request_lease);
    assert_eq!(leases, [Some(250), Some(250)]);
}

#[tokio::test(start_paused = true)]
async fn a_member_reports_many_unchanged_limits_one_after_another() {
    let process = Process::start(500, &Recorded::default(), 1).await;
    let _meters = process.share_a_thousand("endpoint");
    sleep(secs(14)).await;
    assert_eq!(process.take().len(), 1_001, "no permit may be used before");
    let mut each = Vec::new();
    for _ in 0..40 {
        sleep(secs(1)).await;
        each.push(process.take().len());
    }
    assert!(each.iter().all(|reports| *reports <= 30), "{each:?}");
    assert!(each.iter().sum::<usize>() > 1_000, "{each:?}");
}

#[tokio::test(start_paused = true)]
async fn a_member_declares_at_once_what_a_ledger_that_was_down_may_have_lost() {
    let process = Process::start(500, &Recorded::default(), 1).await;
    let _meters = process.share_a_thousand("endpoint");
    sleep(secs(300)).await;
    let recent = Meters::new(Limits { requests: Some(60), ..Limits::default() });
    process.member.share(&"a recent endpoint".into(), &recent);
    sleep(secs(5)).await;
    process.ledger.is_down.store(true, Ordering::Relaxed);
    sleep(secs(3)).await;
    process.take();
    process.ledger.is_down.store(false, Ordering::Relaxed);
    sleep(ms(2_500)).await;
    let reports = process.take();
    assert!(reports.iter().any(|(_, report)| report.key.as_str() == "a recent endpoint/requests"));
    assert!(
        reports.len() < 250,
        "{}: a server that was slow must not have everything to do at once",
        reports.len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_member_reports_waiting_calls_before_the_limits_of_a_start() {
    let process = Process::start(1, &Recorded::default(), 1).await;
    let _call = process.begin(1);
    sleep(secs(2)).await;
    process.take();
    let _meters = process.share_a_thousand("a");
    assert!(process.begin(1).is_empty());
    sleep(ms(20)).await;
    let reports = process.take();
    let waits = reports.iter().position(|(_, report)| report.key.as_str() == "endpoint/requests");
    assert_eq!(waits, Some(0));
    assert_eq!(reports[0].1.want, 2);
    assert!(reports.len() > 1_000, "{}", reports.len());
}
