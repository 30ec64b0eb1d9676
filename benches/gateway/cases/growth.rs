//! How cost grows with the configuration: start, memory, and CPU per request.

use std::time::Duration;

use super::Bench;
use crate::{
    Result, account,
    load::Ask,
    measure::{Load, Rounds, Target},
    report::{Figure, Goal},
    scenario::{self, Prompt, Scenario},
    side::{Kind, Process, config},
};

pub(super) const GROWTH: &str = "growth";

/// The size of a configuration.
#[derive(Clone, Copy)]
struct Size {
    groups: usize,
    /// The number of deployments in each group that is asked, and in each of the others.
    asked: usize,
    others: usize,
}

/// The sizes. The first is what the others are compared with.
const SIZES: [Size; 6] = [
    Size { groups: 1, asked: 3, others: 0 },
    Size { groups: 100, asked: 3, others: 1 },
    Size { groups: 10_000, asked: 3, others: 1 },
    Size { groups: 1_000, asked: 10, others: 10 },
    Size { groups: 1, asked: 100, others: 0 },
    Size { groups: 1, asked: 1_000, others: 0 },
];

/// The number of groups that are asked, spread over all.
const ASKED: usize = 64;

const MB: f64 = 1024.0 * 1024.0;

/// Runs a tollgate for each size, all in rotation.
pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    let tollgate = bench.arguments.kinds().contains(&Kind::Tollgate);
    if !bench.arguments.wants(GROWTH) || !tollgate {
        return Ok(());
    }
    eprintln!("{GROWTH}: tollgates with small and large configurations");
    let sides = start(bench).await?;
    // Fresh, before any load.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut resident = Vec::new();
    for (_, process) in &sides {
        resident.push(account::memory(process.pid)?.rss as f64 / MB);
    }
    let targets: Vec<_> =
        sides.iter().map(|(size, process)| Target::new(name(*size), process, ask(size.groups))).collect();
    // The pick over 1,000 tries them all before it settles: give each size the time for that.
    let length = Duration::from_secs_f64(1.5 * if bench.arguments.quick { 0.4 } else { 1.0 });
    let rounds = Rounds { load: Load::Closed(32, Duration::ZERO), rounds: 3, length };
    let mut measured = rounds.run(&targets).await?;
    for (n, (_, samples)) in measured.sides.iter_mut().enumerate() {
        if let Some(first) = samples.first_mut() {
            first.insert("start_s", sides[n].1.started_in.as_secs_f64());
            first.insert("rss_mb", resident[n]);
        }
    }
    let figures = [
        Figure { key: "cpu_us", title: "CPU per request, us", goal: Goal::Ratio(1.3) },
        Figure { key: "start_s", title: "from start to listening, s", goal: Goal::AtMost(1.0) },
        Figure { key: "rss_mb", title: "resident at rest, MB", goal: Goal::AtMost(100.0) },
    ];
    bench.report.add(GROWTH, &figures, measured);
    Ok(())
}

async fn start(bench: &mut Bench) -> Result<Vec<(Size, Process)>> {
    let mut sides = Vec::new();
    for size in SIZES {
        let asked: Vec<_> = asked(size.groups).collect();
        let each = |n| if asked.binary_search(&n).is_ok() { size.asked } else { size.others };
        let each = (0..size.groups).map(each);
        let yaml = config::sized(bench.upstream(), each);
        match bench.starter.tollgate(&yaml).await {
            Ok(process) => sides.push((size, process)),
            Err(error) => bench.report.failures.push(format!("{GROWTH}: {}: {error}", name(size))),
        }
    }
    Ok(sides)
}

fn name(size: Size) -> String {
    match size {
        Size { groups: 1, asked, .. } => format!("{asked} deployments"),
        Size { groups, others: 1, .. } => format!("{groups} groups"),
        Size { groups, others, .. } => format!("{groups} groups of {others}"),
    }
}

/// Which of so many groups are asked, in their order.
fn asked(groups: usize) -> impl Iterator<Item = usize> {
    let asked = groups.min(ASKED);
    (0..asked).map(move |n| n * groups / asked)
}

fn ask(groups: usize) -> Ask {
    let body = |group| scenario::body(&format!("group-{group}"), false, Prompt::Short);
    Ask { bodies: asked(groups).map(body).collect(), ..Kind::Tollgate.ask(Scenario::Chat, Prompt::Short) }
}
