//! The cost of a chat whose upstream speaks TLS.

use std::time::Duration;

use super::Bench;
use crate::{
    Result,
    measure::{Load, Rounds, Target},
    report::{Figure, Goal},
    scenario::{Prompt, Scenario},
    side::{Kind, Process, config},
};

/// The name of each case, and the ALPN protocol of the upstream.
const CASES: [(&str, &str); 2] = [("tls-http1", "http/1.1"), ("tls-http2", "h2")];

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    CASES.into_iter().map(|(name, _)| name)
}

/// Runs floor and tollgate in front of an upstream with TLS, in rotation.
pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    for (name, protocol) in CASES {
        if !bench.arguments.wants(name) {
            continue;
        }
        eprintln!("{name}: 1 KB chat over TLS, 32 connections");
        let certificate = config::path("certificate.pem")?;
        let role = ["upstream", &certificate.display().to_string(), protocol];
        let upstream = Process::role(&role, bench.starter.pins.load.as_deref()).await?;
        let base = format!("https://localhost:{}", upstream.at.port());
        let server = (&*base, protocol == "h2");
        let floor = bench.starter.start_with_tls(Kind::Floor, server, &certificate).await?;
        let tollgate = bench.starter.start_with_tls(Kind::Tollgate, server, &certificate).await?;
        let target =
            |kind: Kind, side| Target::new(kind.name(), side, kind.ask(Scenario::Chat, Prompt::Short));
        let targets = [target(Kind::Floor, &floor), target(Kind::Tollgate, &tollgate)];
        let length = Duration::from_secs_f64(if bench.arguments.quick { 0.2 } else { 0.6 });
        let rounds = bench.arguments.rounds.unwrap_or(if bench.arguments.quick { 3 } else { 15 });
        let rounds = Rounds { load: Load::Closed(32, Duration::ZERO), rounds, length };
        let measured = rounds.run(&targets).await?;
        let figures = [
            Figure { key: "cpu_us", title: "CPU per request, us", goal: Goal::Ratio(1.1) },
            Figure { key: "p50_us", title: "latency p50, us", goal: Goal::None },
        ];
        bench.report.add(name, &figures, measured);
    }
    Ok(())
}
