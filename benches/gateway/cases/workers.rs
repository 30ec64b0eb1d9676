//! The cost of a second worker thread on a second core.

use std::time::Duration;

use super::Bench;
use crate::{
    Result,
    measure::{Load, Rounds, Target},
    report::{Figure, Goal},
    scenario::{Prompt, Scenario},
    side::Kind,
};

/// The name of each case, and the side in it.
const CASES: [(&str, Kind, Goal); 2] =
    [("workers-floor", Kind::Floor, Goal::None), ("workers", Kind::Tollgate, Goal::Ratio(1.08))];

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    CASES.into_iter().map(|(name, ..)| name)
}

/// Runs a side with one worker and with two, on all cores, in rotation.
///
/// The load shares a core with them, so the rate cannot double: the figure is the CPU of a request.
pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    for (name, kind, goal) in CASES {
        if !bench.arguments.wants(name) || !bench.arguments.kinds().contains(&kind) {
            continue;
        }
        eprintln!("{name}: 1 KB chat, 64 connections, one worker and two");
        let one = bench.starter.start_with_workers(kind, 1).await?;
        let two = bench.starter.start_with_workers(kind, 2).await?;
        let ask = || kind.ask(Scenario::Chat, Prompt::Short);
        let targets = [Target::new("one worker", &one, ask()), Target::new("two workers", &two, ask())];
        let length = Duration::from_secs_f64(if bench.arguments.quick { 0.3 } else { 1.0 });
        let rounds = bench.arguments.rounds.unwrap_or(if bench.arguments.quick { 3 } else { 15 });
        let rounds = Rounds { load: Load::Closed(64, Duration::ZERO), rounds, length };
        let measured = rounds.run(&targets).await?;
        let figures = [
            Figure { key: "cpu_us", title: "CPU per request, us", goal },
            Figure { key: "rate", title: "answers per second", goal: Goal::None },
        ];
        bench.report.add(name, &figures, measured);
    }
    Ok(())
}
