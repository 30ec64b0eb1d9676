//! The command `tollgate simulate`: a configuration under load, over simulated upstreams.

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use console::Term;
use indicatif::ProgressBar;

use super::{BAD_CONFIG, environment, failed, files::Files, load_with};
use crate::{
    config::{Config, Group, RoutingStrategy},
    simulate::{
        ArrivalPattern, InvalidArgument, Kill, LedgerOutage, Outage, ReplicaLoads, Replicas, Scenario,
        ServerWindow, TokenRange, Traffic, Upstreams, run_with,
    },
};

/// The number of requests from which a run takes long enough for a progress bar: some seconds.
const LONG_RUN: f64 = 50_000.0;

/// The arguments of `tollgate simulate`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Arguments {
    /// YAML configuration, in the format of LiteLLM's proxy [default: TOLLGATE_CONFIG, CONFIG_FILE_PATH]
    #[arg(short, long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Routing strategy, overrides the configuration
    #[arg(long, value_name = "NAME", value_parser = strategy)]
    strategy: Option<RoutingStrategy>,
    /// Duration of the traffic, in minutes
    #[arg(long, value_name = "M", default_value = "10", value_parser = minutes)]
    minutes: Duration,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Seed of all random numbers: equal seeds give equal runs
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    traffic: TrafficArguments,
    #[command(flatten)]
    upstreams: UpstreamArguments,
    #[command(flatten)]
    replicas: ReplicaArguments,
}

#[derive(Clone, Debug, clap::Args)]
struct TrafficArguments {
    /// Group to request (default: the first)
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Requests per second [default: 90 % of the limits of the group]
    #[arg(long, value_name = "N", value_parser = rate)]
    rps: Option<f64>,
    /// Arrival pattern: poisson or even
    #[arg(long, value_name = "PATTERN", default_value = "poisson")]
    arrivals: ArrivalPattern,
    /// Length of a prompt, in tokens
    #[arg(long, value_name = "FROM-TO", default_value = "20-400")]
    prompt_tokens: TokenRange,
    /// `max_tokens` of a request
    #[arg(long, value_name = "FROM-TO", default_value = "16-256")]
    max_tokens: TokenRange,
}

#[derive(Clone, Debug, clap::Args)]
struct UpstreamArguments {
    /// Window over which upstreams enforce request limits: 1s, 10s, 60s, fixed (clock minutes) or bucket
    #[arg(long, value_name = "WINDOW", default_value = "60s")]
    window: ServerWindow,
    /// Maximum network delay of a call to an upstream, and of its response
    #[arg(long, value_name = "MS", default_value_t = 20)]
    jitter_ms: u64,
    /// Median response time of an upstream (log-normal)
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    latency_ms: u64,
    /// Outage of a deployment, given by id or by position in the group: chat/2@60-120 is the second deployment of
    /// chat, from second 60 to second 120. With x10 appended, the deployment is ten times slower instead. May be
    /// repeated
    #[arg(long, value_name = "GROUP/ID@T1-T2")]
    outage: Vec<Outage>,
}

#[derive(Clone, Debug, clap::Args)]
struct ReplicaArguments {
    /// Gateways that share the limits through a ledger: their number, or the relative load of each, as 70,10,10,10
    #[arg(long, value_name = "N")]
    replicas: Option<ReplicaLoads>,
    /// Replica that ends without notice, as by SIGKILL: 2@60 is the second one, at second 60. May be repeated
    #[arg(long, value_name = "REPLICA@T", requires = "replicas")]
    kill: Vec<Kill>,
    /// Outage of the ledger in seconds, which has lost its data afterwards. May be repeated
    #[arg(long, value_name = "T1-T2", requires = "replicas")]
    ledger_down: Vec<LedgerOutage>,
}

impl ReplicaArguments {
    fn replicas(&self) -> Option<Replicas> {
        let loads = self.replicas.clone()?;
        Some(Replicas { loads, kills: self.kill.clone(), ledger_outages: self.ledger_down.clone() })
    }
}

impl Arguments {
    /// Returns the scenario of these arguments.
    ///
    /// # Errors
    ///
    /// Returns the exit code after printing that there is no limit from which a rate could be derived.
    fn scenario(&self, config: &Config) -> Result<Scenario, ExitCode> {
        let upstreams = &self.upstreams;
        Ok(Scenario {
            traffic: self.traffic.traffic(config)?,
            upstreams: Upstreams {
                window: upstreams.window,
                jitter: Duration::from_millis(upstreams.jitter_ms),
                latency: Duration::from_millis(upstreams.latency_ms),
                outages: upstreams.outage.clone(),
            },
            replicas: self.replicas.replicas(),
            duration: self.minutes,
            seed: self.seed,
        })
    }
}

impl TrafficArguments {
    fn traffic(&self, config: &Config) -> Result<Traffic, ExitCode> {
        let traffic = Traffic {
            group: self.group.clone(),
            per_second: self.rps.unwrap_or(1.0),
            pattern: self.arrivals,
            prompt: self.prompt_tokens.clone(),
            output: self.max_tokens.clone(),
        };
        let is_meant = |group: &&Group| self.group.as_deref().is_none_or(|name| *group.name == *name);
        let deployments = config.groups.iter().find(is_meant).map_or(&[][..], |group| &group.deployments);
        let rate = self.rps.or_else(|| traffic.default_rate(deployments.iter()));
        match rate {
            Some(per_second) => Ok(Traffic { per_second, ..traffic }),
            // The simulation reports that there is no such group.
            None if deployments.is_empty() => Ok(traffic),
            None => {
                eprintln!("error: the deployments of the group have no limit: state the rate with `--rps N`");
                Err(environment::USAGE.into())
            }
        }
    }
}

/// Runs the scenario that the arguments name, and prints its report.
///
/// # Errors
///
/// Returns the exit code after printing the error.
pub(super) fn simulate(mut arguments: Arguments) -> Result<ExitCode, ExitCode> {
    let mut config = config(&environment::config(arguments.config.take())?)?;
    config.settings.strategy = arguments.strategy.unwrap_or(config.settings.strategy);
    let scenario = arguments.scenario(&config)?;
    let bar = progress_bar(&scenario);
    let progress = |at: Duration| bar.set_position(at.as_secs());
    let report = run_with(&config, &scenario, progress).map_err(failed("cannot simulate"))?;
    bar.finish_and_clear();
    match arguments.json {
        true => println!("{:#}", report.json()),
        false => print!("{}", report.text(width())),
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the configuration. Neither keys nor warnings matter here: a variable of a key that is not set has a value, and
/// clients need no key.
///
/// # Errors
///
/// Returns the exit code after printing the errors.
fn config(path: &Path) -> Result<Config, ExitCode> {
    let is_key = |name: &str| ["KEY", "TOKEN", "SECRET"].iter().any(|end| name.ends_with(end));
    let variable = |name: &str| env::var(name).ok().or_else(|| is_key(name).then(|| "simulated".to_owned()));
    let (mut config, _) = load_with(path, &variable, &Files::default()).map_err(|errors| {
        errors.print();
        ExitCode::from(BAD_CONFIG)
    })?;
    (config.master_key, config.keys) = (None, Vec::new());
    Ok(config)
}

/// Returns the progress bar of a run, which is hidden if the run is short or stderr is not a terminal.
fn progress_bar(scenario: &Scenario) -> ProgressBar {
    let seconds = scenario.duration.as_secs_f64();
    if seconds * scenario.traffic.per_second < LONG_RUN {
        return ProgressBar::hidden();
    }
    ProgressBar::new(scenario.duration.as_secs())
}

/// Returns the number of columns of the terminal; 80 without one.
fn width() -> usize {
    Term::stdout().size_checked().map_or(80, |(_, columns)| usize::from(columns))
}

fn strategy(name: &str) -> Result<RoutingStrategy, InvalidArgument> {
    RoutingStrategy::named(name).ok_or(InvalidArgument(
        "adaptive, simple-shuffle, least-busy, usage-based-routing, latency-based-routing or cost-based-routing",
    ))
}

fn rate(text: &str) -> Result<f64, InvalidArgument> {
    let rate = text.parse().ok().filter(|rate| (0.001..=10_000.0).contains(rate));
    rate.ok_or(InvalidArgument("requests per second, 0.001 to 10000"))
}

/// Parses a number of minutes, at most a week: the report stores each second.
fn minutes(text: &str) -> Result<Duration, InvalidArgument> {
    let minutes = text.parse().ok().filter(|minutes| (0.05..=10_080.0).contains(minutes));
    minutes
        .map(|minutes: f64| Duration::from_secs_f64(minutes * 60.0))
        .ok_or(InvalidArgument("minutes, 0.05 to 10080"))
}
