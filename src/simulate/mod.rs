//! A gateway under load, in minutes that last a second: `tollgate simulate`.
//!
//! The tree is the one that serves, [`stack::gateway`]; only its upstreams are simulated, and the clock is tokio's
//! paused one, which jumps from each timer to the next. So it answers what a configuration will do at so many
//! requests a second, or when a deployment fails, before it happens. Each upstream keeps the limits that the
//! configuration says its deployment has, in the way that is the hardest on the caller: refused calls count, and
//! `Retry-After` comes in whole seconds.
//!
//! The same scenario gives the same report. Nothing is read or written here.
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
//! assert_eq!(report.clients.served, report.clients.asked);
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```
//!
//! Hazards: the clock's step is a millisecond, so what is shorter is not shown; answers are not streamed; a deployment
//! without limits is never refused, however it would be in truth.

mod arrivals;
mod callers;
mod chart;
mod gate;
mod report;
mod server;

use std::{error::Error, fmt, sync::Arc, time::Duration};

use tokio::{
    runtime::Builder,
    time::{Instant, sleep_until},
};
use tollgate_layers::BoxError;

use self::{
    arrivals::{Arrival, Arrivals},
    callers::{Call, Callers, Outcome},
    server::World,
};
pub use self::{
    arrivals::{Pattern, Tokens, Traffic},
    gate::Window,
    report::{Clients, Report, Returned, Row},
    server::{Second, Trouble, Upstreams},
};
use crate::{
    config::Config,
    stack::{self, Options},
    state::State,
};

/// How long requests still come at the end, until one of them is refused and shows whether it was told the truth.
const ENCORE: Duration = Duration::from_secs(10);

/// A run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What comes.
    pub traffic: Traffic,
    /// What it meets.
    pub upstreams: Upstreams,
    /// For how long.
    pub lasts: Duration,
    /// Of all that is drawn.
    pub seed: u64,
}

impl Scenario {
    /// This traffic for so long, over upstreams that work.
    #[must_use]
    pub fn new(traffic: Traffic, lasts: Duration) -> Self {
        Self { traffic, upstreams: Upstreams::default(), lasts, seed: 1 }
    }
}

/// A text that does not say what it should: this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable(pub(crate) &'static str);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.0)
    }
}

impl Error for Unreadable {}

/// Runs it, on a clock of its own.
///
/// # Errors
/// When the gateway cannot be built from this configuration, or the configuration has no such group.
pub fn run(config: &Config, scenario: &Scenario) -> Result<Report, BoxError> {
    // The layers draw from the thread's own generator.
    fastrand::seed(scenario.seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
    // Time is asked for inside only: outside it would be the real one.
    runtime.block_on(async { Run::new(config, scenario)?.report().await })
}

fn no_group(asked: &str, config: &Config) -> String {
    let groups: Vec<_> = config.groups.iter().map(|group| format!("`{}`", group.name)).collect();
    format!("there is no group `{asked}`; the groups are {}", groups.join(", "))
}

/// One run under way.
struct Run<'a> {
    config: &'a Config,
    scenario: &'a Scenario,
    began: Instant,
    world: Arc<World>,
    state: State,
    arrivals: Arrivals,
    /// For each deployment, when a refusal taught its meter a window.
    lessons: Vec<Vec<u64>>,
}

impl<'a> Run<'a> {
    fn new(config: &'a Config, scenario: &'a Scenario) -> Result<Self, BoxError> {
        let asked = scenario.traffic.group.as_deref();
        let group = config.groups.iter().find(|group| asked.is_none_or(|asked| asked == &*group.name));
        let group = group.ok_or_else(|| no_group(asked.unwrap_or_default(), config))?;
        if let Some(trouble) = scenario.upstreams.troubles.iter().find(|trouble| !trouble.is_of(config)) {
            return Err(format!("there is no deployment `{}/{}`", trouble.group, trouble.deployment).into());
        }
        let began = Instant::now();
        let world = Arc::new(World::new(config, scenario, began));
        let upstreams = Arc::clone(&world);
        Ok(Self {
            config,
            scenario,
            began,
            state: State::with_upstreams(move |deployment| upstreams.upstream(deployment)),
            arrivals: Arrivals::new(&scenario.traffic, group.name.to_string(), scenario.seed),
            lessons: vec![Vec::new(); world.len()],
            world,
        })
    }

    async fn report(mut self) -> Result<Report, BoxError> {
        let gateway = stack::gateway(self.config, &self.state, Options::default())?;
        let mut callers = Callers::new(gateway, self.began);
        let lasts = self.scenario.lasts;
        let next = self.let_come(&mut callers, lasts).await;
        let returned = match callers.seen().refused {
            0 => None,
            _ => self.encore(&mut callers, next).await,
        };
        while let Some(call) = callers.answered().await {
            self.count(&mut callers, &call);
        }
        let deployments = self.config.groups.iter().flat_map(|group| &group.deployments);
        let rows = deployments.zip(&self.lessons).map(|(deployment, lessons)| Row {
            group: Arc::clone(&deployment.group),
            id: Arc::clone(&deployment.id),
            model: Arc::clone(&deployment.target.model),
            rpm: deployment.limits.rpm,
            tpm: deployment.limits.tpm,
            seconds: self.world.seconds(deployment, lasts),
            meters: self.state.meters(deployment, &self.config.settings).reading(),
            lessons: lessons.clone(),
        });
        Ok(Report { lasted: lasts, deployments: rows.collect(), clients: callers.into_seen(), returned })
    }

    /// Lets requests come until then. Returns the first that came too late.
    async fn let_come(&mut self, callers: &mut Callers, until: Duration) -> Arrival {
        loop {
            let arrival = self.arrivals.next();
            if arrival.at >= until {
                return arrival;
            }
            let at = self.began + arrival.at;
            while let Some(call) = callers.answered_before(at).await {
                self.count(callers, &call);
            }
            self.look_for_lessons();
            callers.arrive(arrival);
        }
    }

    /// Lets requests come until one is refused. That one comes back when it was told to, while nobody else does.
    async fn encore(&mut self, callers: &mut Callers, mut arrival: Arrival) -> Option<Returned> {
        let end = self.scenario.lasts + ENCORE;
        while arrival.at < end {
            let at = self.began + arrival.at;
            while let Some(call) = callers.answered_before(at).await {
                self.count(callers, &call);
                if let (Outcome::Refused(Some(told)), true) = (call.outcome, self.is_late(&call)) {
                    sleep_until(call.ended + told).await;
                    let waited = match callers.again(&call).await {
                        Outcome::Served(waited) => Some(waited),
                        Outcome::Refused(_) | Outcome::Failed => None,
                    };
                    return Some(Returned { told, waited });
                }
            }
            callers.arrive(arrival);
            arrival = self.arrivals.next();
        }
        None
    }

    /// Those who come after the end are no part of the report.
    fn count(&self, callers: &mut Callers, call: &Call) {
        if !self.is_late(call) {
            callers.count(call);
        }
    }

    fn is_late(&self, call: &Call) -> bool {
        call.came >= self.began + self.scenario.lasts
    }

    fn look_for_lessons(&mut self) {
        let second = self.began.elapsed().as_secs();
        let deployments = self.config.groups.iter().flat_map(|group| &group.deployments);
        for (deployment, lessons) in deployments.zip(&mut self.lessons) {
            let taught = self.state.meters(deployment, &self.config.settings).lessons();
            lessons.resize(usize::try_from(taught).unwrap_or(usize::MAX), second);
        }
    }
}
