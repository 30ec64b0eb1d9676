//! Processes that share a ledger over a network, and the backend that they call: [`Cluster`].

use std::{
    collections::BTreeSet,
    future::{Future, pending},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn, util::BoxCloneSyncService};

use crate::{
    Class, Outcome,
    cooldown::{CooldownConfig, EndpointHealth},
    ledger::{LedgerConfig, LimitKey, LocalLedger, Member, MemberConfig, ReplicaId, WhenIsolated},
    quota::{Limits, Meters, QuotaLayer},
};

pub(super) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(super) fn key() -> LimitKey {
    LimitKey::from("endpoint")
}

/// The replicas that cannot reach the ledger.
#[derive(Debug, Default)]
pub(super) struct Network {
    cut: Mutex<BTreeSet<usize>>,
}

impl Network {
    pub(super) fn cut(&self, replicas: impl IntoIterator<Item = usize>) {
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner) = replicas.into_iter().collect();
    }

    async fn pass(&self, replica: usize) {
        sleep(ms(1)).await;
        let is_cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner).contains(&replica);
        if is_cut {
            pending().await
        }
    }
}

/// The connection of a replica: 1 ms for each way.
#[derive(Clone, Debug)]
pub(super) struct Link {
    ledger: LocalLedger,
    network: Arc<Network>,
    replica: usize,
}

impl<R> Service<R> for Link
where
    LocalLedger: Service<R, Error = std::convert::Infallible, Future: Send>,
    R: Send + 'static,
    <LocalLedger as Service<R>>::Response: Send,
{
    type Response = <LocalLedger as Service<R>>::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Self::Future {
        let Self { mut ledger, network, replica } = self.clone();
        Box::pin(async move {
            network.pass(replica).await;
            let Ok(response) = ledger.call(request).await;
            network.pass(replica).await;
            Ok(response)
        })
    }
}

/// A process.
pub(super) struct Process {
    pub(super) meters: Meters,
    pub(super) health: EndpointHealth,
    pub(super) member: Member,
    service: BoxCloneSyncService<u64, u16, BoxError>,
    /// Cleared when the process is killed: its waiting calls are never sent.
    is_alive: Arc<AtomicBool>,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.is_alive.store(false, Ordering::Relaxed);
        self.task.abort();
    }
}

impl Process {
    /// Makes a call, which waits for capacity for up to 2 s. Returns true if it succeeded.
    pub(super) async fn call(&self, cost: u64) -> bool {
        matches!(self.service.clone().oneshot(cost).await, Ok(200))
    }

    /// Shuts down.
    pub(super) async fn terminate(mut self) {
        self.shutdown.take().expect("it runs").send(()).expect("it runs");
        (&mut self.task).await.expect("it ends");
    }
}

/// The calls that the backend has received: the time, the replica and the cost of each.
pub(super) type Calls = Arc<Mutex<Vec<(Instant, usize, u64)>>>;

pub(super) struct Cluster {
    pub(super) ledger: LocalLedger,
    pub(super) network: Arc<Network>,
    pub(super) calls: Calls,
    pub(super) processes: Vec<Option<Process>>,
    pub(super) config: MemberConfig,
    limits: Limits,
    start: Instant,
    random: fastrand::Rng,
}

impl Cluster {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            ledger: LocalLedger::new(LedgerConfig::default()),
            network: Arc::default(),
            calls: Arc::default(),
            processes: Vec::new(),
            config: MemberConfig::default(),
            limits,
            start: Instant::now(),
            random: fastrand::Rng::with_seed(7),
        }
    }

    pub(super) fn with_replicas(mut self, count: usize) -> Self {
        (0..count).for_each(|_| self.join());
        self
    }

    pub(super) fn when_isolated(mut self, when_isolated: WhenIsolated) -> Self {
        self.config.when_isolated = when_isolated;
        self
    }

    /// Starts one more process.
    pub(super) fn join(&mut self) {
        let replica = self.processes.len();
        let meters = Meters::new(self.limits.clone());
        let health = EndpointHealth::new(CooldownConfig::new(secs(5)).with_allowed_fails(Some(3)));
        let member = Member::new(ReplicaId::new(replica as u64 + 1), self.config);
        member.share(&key(), &meters);
        member.share_health(&key(), &health);
        let calls = Arc::clone(&self.calls);
        let is_alive = Arc::new(AtomicBool::new(true));
        let alive = Arc::clone(&is_alive);
        let backend = service_fn(move |cost: u64| {
            if !alive.load(Ordering::Relaxed) {
                return std::future::ready(Err(BoxError::from("killed")));
            }
            calls.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), replica, cost));
            std::future::ready(Ok::<_, BoxError>(200))
        });
        let classify = |_: Result<&u16, &BoxError>| Outcome::new(Class::Success);
        let quota = QuotaLayer::new(meters.clone(), classify).with_cost(|cost: &u64| *cost);
        let service = BoxCloneSyncService::new(quota.waiting(secs(2)).layer(backend));
        let link = Link { ledger: self.ledger.clone(), network: Arc::clone(&self.network), replica };
        let (shutdown, stopped) = oneshot::channel();
        let running = member.clone();
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            running.run(link, stopped).await;
        });
        let process = Process { meters, health, member, service, is_alive, shutdown: Some(shutdown), task };
        self.processes.push(Some(process));
    }

    pub(super) fn process(&self, replica: usize) -> &Process {
        self.processes[replica].as_ref().expect("it runs")
    }

    /// Makes calls at random times for `period`, `rate` in a second, of which each replica gets its part of `weights`.
    pub(super) async fn load(&mut self, (rate, period): (f64, Duration), weights: &[u32]) {
        self.load_with((rate, period), weights, |_| 1).await;
    }

    pub(super) async fn load_with(
        &mut self,
        (rate, period): (f64, Duration),
        weights: &[u32],
        cost: impl Fn(&mut fastrand::Rng) -> u64,
    ) {
        let end = Instant::now() + period;
        loop {
            let wait = Duration::from_secs_f64(-(1.0 - self.random.f64()).ln() / rate);
            if Instant::now() + wait > end {
                tokio::time::sleep_until(end).await;
                return;
            }
            sleep(wait).await;
            let replica = self.pick(weights);
            let cost = cost(&mut self.random);
            let service = self.process(replica).service.clone();
            drop(tokio::spawn(service.oneshot(cost)));
        }
    }

    fn pick(&mut self, weights: &[u32]) -> usize {
        let mut at = self.random.u32(..weights.iter().sum::<u32>());
        let found = weights.iter().position(|weight| {
            let here = at < *weight;
            at = at.saturating_sub(*weight);
            here
        });
        found.expect("the weights have a sum")
    }

    /// Returns the sum of the costs in the fullest period of this length.
    pub(super) fn fullest(&self, window: Duration) -> u64 {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut first, mut sum, mut most) = (0, 0, 0);
        for (at, _, cost) in calls.iter() {
            sum += cost;
            while calls[first].0 + window <= *at {
                sum -= calls[first].2;
                first += 1;
            }
            most = most.max(sum);
        }
        most
    }

    /// Returns the sum of the costs from one second after the start to another.
    pub(super) fn sent(&self, from: u64, to: u64) -> u64 {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let period = self.start + secs(from)..self.start + secs(to);
        calls.iter().filter(|(at, ..)| period.contains(at)).map(|(_, _, cost)| cost).sum()
    }

    /// Returns the number of calls of a replica.
    pub(super) fn calls_of(&self, replica: usize) -> usize {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().filter(|(_, by, _)| *by == replica).count()
    }

    /// Returns the sum of the leases of requests.
    pub(super) fn leased(&self) -> u64 {
        let processes = self.processes.iter().flatten();
        processes.filter_map(|process| process.meters.snapshot().request_lease).sum()
    }
}
