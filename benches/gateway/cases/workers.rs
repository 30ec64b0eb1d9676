//! The cost of a second worker thread on a second core.

use std::{iter::repeat_n, time::Duration};

use super::Bench;
use crate::{
    Result,
    load::Ask,
    measure::{Load, Rounds, Target},
    report::{Figure, Goal},
    scenario::{Prompt, Scenario, body},
    side::{Kind, config},
};

/// The name of each case, the side in it, its groups of three deployments, and the goal.
const CASES: [(&str, Kind, usize, Goal); 3] = [
    ("workers-floor", Kind::Floor, 1, Goal::None),
    ("workers", Kind::Tollgate, 1, Goal::Ratio(1.08)),
    ("workers-groups", Kind::Tollgate, 16, Goal::None),
];

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    CASES.into_iter().map(|(name, ..)| name)
}

/// Runs a side with one worker and with two, on all cores, in rotation.
///
/// The load shares a core with them, so the rate cannot double: the figure is the CPU of a request.
pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    for (name, kind, groups, goal) in CASES {
        if !bench.arguments.wants(name) || !bench.arguments.kinds().contains(&kind) {
            continue;
        }
        eprintln!("{name}: 1 KB chat, 64 connections, one worker and two");
        let yaml = config::sized(bench.upstream(), repeat_n(3, groups));
        let one = bench.starter.start_with_workers(kind, 1, &yaml).await?;
        let two = bench.starter.start_with_workers(kind, 2, &yaml).await?;
        let chat = |n| body(&format!("group-{n}"), false, Prompt::Short);
        let ask =
            || Ask { bodies: (0..groups).map(chat).collect(), ..kind.ask(Scenario::Chat, Prompt::Short) };
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
