//! The cost of the access log and of traces: a chat through a tollgate with them, beside one without.

use std::time::Duration;

use super::Bench;
use crate::{
    Result,
    measure::{Load, Rounds, Target},
    report::{Figure, Goal},
    scenario::{Prompt, Scenario},
    side::{Kind, Process, config},
};

const ACCESS_LOG: &str = "access-log";
const TRACES: &str = "traces";

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    [ACCESS_LOG, TRACES].into_iter()
}

/// Runs both cases, the two tollgates of each in rotation.
pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    if bench.arguments.wants(ACCESS_LOG) {
        let path = config::path("access.log")?.display().to_string();
        let arguments = ["--log-format", "json", "--access-log", &path];
        let with = bench.starter.start_with_arguments(&[], &arguments).await?;
        compare(bench, (ACCESS_LOG, "a line of JSON for each request, to a file", 1.15), &with).await?;
    }
    if bench.arguments.wants(TRACES) {
        // The upstream responds to the exporter as to a chat.
        let collector = format!("OTEL_EXPORTER_OTLP_ENDPOINT=http://{}/chat", bench.upstream());
        let variables = [&*collector, "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.1"];
        let with = bench.starter.start_with_arguments(&variables, &[]).await?;
        compare(bench, (TRACES, "spans of a tenth of the requests", 1.1), &with).await?;
    }
    Ok(())
}

async fn compare(
    bench: &mut Bench,
    (name, about, bound): (&'static str, &str, f64),
    with: &Process,
) -> Result<()> {
    eprintln!("{name}: 1 KB chat, 32 connections: {about}");
    let without = bench.starter.start(Kind::Tollgate).await?;
    let ask = || Kind::Tollgate.ask(Scenario::Chat, Prompt::Short);
    let targets = [Target::new("without", &without, ask()), Target::new("with", with, ask())];
    let length = Duration::from_secs_f64(if bench.arguments.quick { 0.2 } else { 0.6 });
    let rounds = bench.arguments.rounds.unwrap_or(if bench.arguments.quick { 3 } else { 15 });
    let rounds = Rounds { load: Load::Closed(32, Duration::ZERO), rounds, length };
    let measured = rounds.run(&targets).await?;
    let figures = [
        Figure { key: "cpu_us", title: "CPU per request, us", goal: Goal::Ratio(bound) },
        Figure { key: "rate", title: "answers per second", goal: Goal::None },
        Figure { key: "p50_us", title: "latency p50, us", goal: Goal::None },
    ];
    bench.report.add(name, &figures, measured);
    Ok(())
}
