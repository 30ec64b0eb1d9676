//! `tollgate simulate ..`: a configuration under load, over simulated upstreams.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use super::{failed, read};
use crate::{
    config::RoutingStrategy,
    simulate::{Pattern, Scenario, Tokens, Traffic, Trouble, Unreadable, Upstreams, Window, run},
};

/// `tollgate simulate ..`.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration: the YAML that LiteLLM's proxy reads
    #[arg(long, value_name = "PATH")]
    config: PathBuf,
    /// The strategy, instead of the configuration's
    #[arg(long, value_name = "NAME", value_parser = strategy)]
    strategy: Option<RoutingStrategy>,
    /// For how many minutes requests come
    #[arg(long, value_name = "M", default_value = "10", value_parser = minutes)]
    minutes: Duration,
    /// Of all that is drawn: the same seed gives the same run
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    traffic: TrafficArguments,
    #[command(flatten)]
    upstreams: UpstreamArguments,
}

#[derive(Clone, Debug, clap::Args)]
struct TrafficArguments {
    /// The group that is asked for (default: the first)
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// How many requests come in a second
    #[arg(long, value_name = "N", value_parser = rate)]
    rps: f64,
    /// How they follow each other: poisson or even
    #[arg(long, value_name = "PATTERN", default_value = "poisson")]
    arrivals: Pattern,
    /// The length of a prompt, in tokens
    #[arg(long, value_name = "FROM-TO", default_value = "20-400")]
    prompt_tokens: Tokens,
    /// How many tokens a request allows its answer
    #[arg(long, value_name = "FROM-TO", default_value = "16-256")]
    max_tokens: Tokens,
}

#[derive(Clone, Debug, clap::Args)]
struct UpstreamArguments {
    /// Over what upstreams judge a limit of requests: 1s, 10s, 60s, fixed (clock minutes) or bucket
    #[arg(long, value_name = "WINDOW", default_value = "60s")]
    window: Window,
    /// How long a call is on its way to an upstream at most, and its answer back
    #[arg(long, value_name = "MS", default_value_t = 20)]
    jitter_ms: u64,
    /// The median time that an answer takes (log-normal)
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    latency_ms: u64,
    /// A deployment that fails for a while, by id or by its place in the group: chat/2@60-120 is the second one of
    /// chat, from the 60th second to the 120th. With x10 behind it, it is ten times slower instead. May be repeated
    #[arg(long, value_name = "GROUP/ID@T1-T2")]
    outage: Vec<Trouble>,
}

impl Arguments {
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
                troubles: upstreams.outage.clone(),
            },
            lasts: self.minutes,
            seed: self.seed,
        }
    }
}

/// Runs the scenario that the arguments name, and prints its report.
pub(super) fn simulate(arguments: &Arguments) -> ExitCode {
    let (mut config, warnings) = match read(&arguments.config) {
        Ok(read) => read,
        Err(code) => return code,
    };
    eprint!("{warnings}");
    config.settings.strategy = arguments.strategy.unwrap_or(config.settings.strategy);
    match run(&config, &arguments.scenario()) {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => failed("cannot simulate", &error),
    }
}

fn strategy(name: &str) -> Result<RoutingStrategy, Unreadable> {
    RoutingStrategy::named(name).ok_or(Unreadable(
        "adaptive, simple-shuffle, least-busy, usage-based-routing, latency-based-routing or cost-based-routing",
    ))
}

fn rate(text: &str) -> Result<f64, Unreadable> {
    let rate = text.parse().ok().filter(|rate| (0.001..=10_000.0).contains(rate));
    rate.ok_or(Unreadable("requests per second, 0.001 to 10000"))
}

/// A week is the longest: the report keeps each second.
fn minutes(text: &str) -> Result<Duration, Unreadable> {
    let minutes = text.parse().ok().filter(|minutes| (0.05..=10_080.0).contains(minutes));
    minutes
        .map(|minutes: f64| Duration::from_secs_f64(minutes * 60.0))
        .ok_or(Unreadable("minutes, 0.05 to 10080"))
}
