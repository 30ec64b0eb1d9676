//! The command `tollgate simulate`: a configuration under load, over simulated upstreams.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use super::{environment, failed, read};
use crate::{
    config::RoutingStrategy,
    simulate::{
        ArrivalPattern, InvalidArgument, Outage, Scenario, ServerWindow, TokenRange, Traffic, Upstreams, run,
    },
};

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
    /// Seed of all random numbers: equal seeds give equal runs
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    traffic: TrafficArguments,
    #[command(flatten)]
    upstreams: UpstreamArguments,
}

#[derive(Clone, Debug, clap::Args)]
struct TrafficArguments {
    /// Group to request (default: the first)
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Requests per second
    #[arg(long, value_name = "N", value_parser = rate)]
    rps: f64,
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

impl Arguments {
    /// Returns the scenario of these arguments.
    fn scenario(&self) -> Scenario {
        let (traffic, upstreams) = (&self.traffic, &self.upstreams);
        Scenario {
            traffic: Traffic {
                group: traffic.group.clone(),
                per_second: traffic.rps,
                pattern: traffic.arrivals,
                prompt: traffic.prompt_tokens.clone(),
                output: traffic.max_tokens.clone(),
            },
            upstreams: Upstreams {
                window: upstreams.window,
                jitter: Duration::from_millis(upstreams.jitter_ms),
                latency: Duration::from_millis(upstreams.latency_ms),
                outages: upstreams.outage.clone(),
            },
            duration: self.minutes,
            seed: self.seed,
        }
    }
}

/// Runs the scenario that the arguments name, and prints its report.
///
/// # Errors
///
/// Returns the exit code after printing the error.
pub(super) fn simulate(mut arguments: Arguments) -> Result<ExitCode, ExitCode> {
    let (mut config, _) = read(&environment::config(arguments.config.take())?)?;
    config.settings.strategy = arguments.strategy.unwrap_or(config.settings.strategy);
    print!("{}", run(&config, &arguments.scenario()).map_err(failed("cannot simulate"))?);
    Ok(ExitCode::SUCCESS)
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
