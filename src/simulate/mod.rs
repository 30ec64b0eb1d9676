//! Simulation of a gateway under load on a virtual clock, for `tollgate simulate`.
//!
//! The tree of services is the one that serves real requests, [`stack::gateway`](crate::stack::gateway); only its
//! upstreams are simulated. The clock is tokio's paused clock, which jumps from each timer to the next, so that minutes of
//! traffic take a second. The report shows how a configuration behaves at a given rate of requests, or when a deployment
//! fails. Each upstream enforces the configured limits of its deployment in the strictest way: refused calls count against
//! the limit, and `Retry-After` is in whole seconds.
//!
//! A scenario always gives the same report. Simulation does no input or output.
//!
//! ```
//! use std::time::Duration;
//! use tollgate::{config::Config, simulate::{self, Scenario, Traffic}};
//!
//! let yaml = "
//! model_list:
//!   - model_name: chat
//!     litellm_params: {model: openai/any, api_key: none, rpm: 120}
//! ";
//! let (config, _) = Config::from_yaml(yaml, "inline.yaml", &|_| None)?;
//! let scenario = Scenario::new(Traffic::new(1.0), Duration::from_secs(60));
//! let report = simulate::run(&config, &scenario)?;
//! assert_eq!(report.clients.served, report.clients.requests);
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! Hazards: the resolution of the clock is a millisecond, so shorter effects are invisible; responses are not
//! streamed; an upstream of a deployment without limits never refuses a call, unlike a real one.

mod arrivals;
mod chart;
mod clients;
mod clock_windows;
mod json;
mod ledger;
mod limiter;
mod replicas;
mod report;
mod text;
mod upstreams;

use std::{error::Error, fmt, sync::Arc, time::Duration};

use tokio::{
    runtime::Builder,
    time::{Instant, sleep_until},
};
use tollgate_layers::BoxError;

use self::{
    arrivals::{Arrival, Arrivals},
    clients::{ClientResult, Clients, CompletedCall},
    clock_windows::ClockWindows,
    replicas::SimulatedReplicas,
    upstreams::SimulatedUpstreams,
};
pub use self::{
    arrivals::{ArrivalPattern, TokenRange, Traffic},
    limiter::ServerWindow,
    replicas::{Kill, LedgerOutage, ReplicaLoads, Replicas},
    report::{
        ClientReport, ClockWindowsReport, DeploymentReport, ReplicaReport, ReplicasReport, Report,
        ReturnVisit,
    },
    text::ReportText,
    upstreams::{Outage, SecondStats, Upstreams},
};
use crate::config::{Config, Deployment, Group};

/// The time for which traffic continues after the end, until a refused request allows to check its `Retry-After`.
const EXTRA_TIME: Duration = Duration::from_secs(10);

/// The parameters of a run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The requests.
    pub traffic: Traffic,
    /// The upstreams.
    pub upstreams: Upstreams,
    /// The replicas of the gateway. None means a gateway alone.
    pub replicas: Option<Replicas>,
    /// The duration of the traffic.
    pub duration: Duration,
    /// The seed of all random numbers.
    pub seed: u64,
}

impl Scenario {
    /// Returns a scenario with this traffic for this duration, through one gateway over upstreams without outages.
    #[must_use]
    pub fn new(traffic: Traffic, duration: Duration) -> Self {
        Self { traffic, upstreams: Upstreams::default(), replicas: None, duration, seed: 1 }
    }
}

/// An argument with invalid syntax. Contains a description of the expected syntax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidArgument(pub(crate) &'static str);

impl fmt::Display for InvalidArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.0)
    }
}

impl Error for InvalidArgument {}

/// Runs a scenario on a paused clock.
///
/// # Errors
/// Returns an error if the gateway cannot be built from the configuration, if a group or a deployment of the scenario is
/// not in the configuration, or if the scenario kills a replica that it does not have, or all.
pub fn run(config: &Config, scenario: &Scenario) -> Result<Report, BoxError> {
    run_with(config, scenario, |_| ())
}

/// Runs a scenario as [`run`] does, and reports the simulated time that has passed.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    config: &Config,
    scenario: &Scenario,
    progress: impl FnMut(Duration),
) -> Result<Report, BoxError> {
    // The layers use the random generator of the thread.
    fastrand::seed(scenario.seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    // `Instant::now` returns the paused time only inside of the runtime.
    runtime.block_on(async { Run::new(config, scenario)?.report(progress).await })
}

fn no_group(requested: &str, config: &Config) -> String {
    if config.groups.is_empty() {
        return "the configuration has no deployment that can be served".to_owned();
    }
    let groups: Vec<_> = config.groups.iter().map(|group| format!("`{}`", group.name)).collect();
    format!("there is no group `{requested}`; the groups are {}", groups.join(", "))
}

/// A run in progress.
struct Run<'a> {
    config: &'a Config,
    scenario: &'a Scenario,
    start: Instant,
    simulated: Arc<SimulatedUpstreams>,
    replicas: SimulatedReplicas,
    arrivals: Arrivals,
    /// The comparison with counters of clock windows; none without replicas.
    clock_windows: Option<ClockWindows>,
    /// For each deployment, the seconds at which a refusal made its meter widen a window.
    learned_refusals: Vec<Vec<u64>>,
}

impl<'a> Run<'a> {
    fn new(config: &'a Config, scenario: &'a Scenario) -> Result<Self, BoxError> {
        let requested = scenario.traffic.group.as_deref();
        let group =
            config.groups.iter().find(|group| requested.is_none_or(|requested| requested == &*group.name));
        let group = group.ok_or_else(|| no_group(requested.unwrap_or_default(), config))?;
        if let Some(outage) = scenario.upstreams.outages.iter().find(|outage| !outage.is_in(config)) {
            return Err(format!("there is no deployment `{}/{}`", outage.group, outage.deployment).into());
        }
        let start = Instant::now();
        let simulated = Arc::new(SimulatedUpstreams::new(config, scenario, start));
        Ok(Self {
            config,
            scenario,
            start,
            replicas: SimulatedReplicas::new(config, scenario, &simulated)?,
            arrivals: Arrivals::new(&scenario.traffic, group.name.to_string(), scenario.seed),
            clock_windows: clock_windows(config, scenario, group),
            learned_refusals: vec![
                Vec::new();
                config.groups.iter().map(|group| group.deployments.len()).sum()
            ],
            simulated,
        })
    }

    async fn report(mut self, progress: impl FnMut(Duration)) -> Result<Report, BoxError> {
        let mut clients = Clients::new(self.start);
        let duration = self.scenario.duration;
        let next = self.send_until(&mut clients, duration, progress).await;
        let returned = match clients.report().refused {
            0 => None,
            _ => self.check_retry_after(&mut clients, next).await,
        };
        while let Some(call) = clients.next_completed().await {
            self.count(&mut clients, &call);
        }
        let rows =
            self.deployments().enumerate().map(|(position, deployment)| self.row(position, deployment));
        let deployments = rows.collect();
        let clock_windows = self.clock_windows.map(|windows| windows.report(duration));
        let replicas = self.replicas.report().map(|report| ReplicasReport { clock_windows, ..report });
        Ok(Report { duration, deployments, clients: clients.into_report(), returned, replicas })
    }

    fn deployments(&self) -> impl Iterator<Item = &'a Deployment> + use<'a> {
        self.config.groups.iter().flat_map(|group| &group.deployments)
    }

    fn row(&self, position: usize, deployment: &Deployment) -> DeploymentReport {
        DeploymentReport {
            group: Arc::clone(&deployment.group),
            id: Arc::clone(&deployment.id),
            model: Arc::clone(&deployment.target.model),
            rpm: deployment.limits.rpm,
            tpm: deployment.limits.tpm,
            seconds: self.simulated.seconds(deployment, self.scenario.duration),
            fullest: self.simulated.fullest(deployment),
            meters: self.replicas.meters(position).snapshot(),
            learned_refusals: self.learned_refusals[position].clone(),
            outages: self.simulated.outages(deployment),
        }
    }

    /// Sends requests until `until`. Returns the first request that is due later.
    async fn send_until(
        &mut self,
        clients: &mut Clients,
        until: Duration,
        mut progress: impl FnMut(Duration),
    ) -> Arrival {
        loop {
            let arrival = self.arrivals.next();
            if arrival.at >= until {
                return arrival;
            }
            progress(arrival.at);
            let at = self.start + arrival.at;
            while let Some(call) = clients.next_completed_before(at).await {
                self.count(clients, &call);
            }
            self.record_learned_refusals();
            let replica = self.arrive(clients, arrival);
            if let Some(windows) = &mut self.clock_windows {
                windows.arrive(at - self.start, replica);
            }
        }
    }

    /// Starts a call. Returns the position of its replica.
    fn arrive(&mut self, clients: &mut Clients, arrival: Arrival) -> usize {
        let position = self.replicas.choose();
        clients.arrive(arrival, (position, self.replicas.get(position)));
        position
    }

    /// Sends requests until one is refused, then repeats that one alone after its `Retry-After`.
    async fn check_retry_after(
        &mut self,
        clients: &mut Clients,
        mut arrival: Arrival,
    ) -> Option<ReturnVisit> {
        let end = self.scenario.duration + EXTRA_TIME;
        while arrival.at < end {
            let at = self.start + arrival.at;
            while let Some(call) = clients.next_completed_before(at).await {
                self.count(clients, &call);
                if let (ClientResult::Refused(Some(retry_after)), true) =
                    (call.result, self.is_after_end(&call))
                {
                    sleep_until(call.ended + retry_after).await;
                    let waited = match clients.repeat(&call, self.replicas.get(call.replica)).await {
                        ClientResult::Served(waited) => Some(waited),
                        ClientResult::Refused(_) | ClientResult::Failed => None,
                    };
                    return Some(ReturnVisit { retry_after, waited });
                }
            }
            self.arrive(clients, arrival);
            arrival = self.arrivals.next();
        }
        None
    }

    /// Counts a call. Calls that arrive after the end are not part of the report.
    fn count(&mut self, clients: &mut Clients, call: &CompletedCall) {
        if !self.is_after_end(call) {
            clients.count(call);
            self.replicas.count(call);
        }
    }

    fn is_after_end(&self, call: &CompletedCall) -> bool {
        call.arrived >= self.start + self.scenario.duration
    }

    fn record_learned_refusals(&mut self) {
        let second = self.start.elapsed().as_secs();
        for (position, learned_refusals) in self.learned_refusals.iter_mut().enumerate() {
            let total = self.replicas.learned_refusals(position);
            learned_refusals.resize(usize::try_from(total).unwrap_or(usize::MAX), second);
        }
    }
}

/// Returns the counters of clock windows for the limit of a group, if the comparison makes sense.
fn clock_windows(config: &Config, scenario: &Scenario, group: &Group) -> Option<ClockWindows> {
    let replicas = scenario.replicas.as_ref()?;
    let window = Some(scenario.upstreams.window).filter(|window| window.slides())?;
    let per_minute = group.deployments.iter().map(|deployment| deployment.limits.rpm).sum::<Option<u64>>()?;
    let windows = ClockWindows::new(per_minute, window, config.settings.queue_timeout);
    Some(windows.with_outages(&replicas.ledger_outages))
}
