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

/// Groups, and deployments in those that are asked; the first is what the others are compared with.
const SIZES: [(usize, usize); 5] = [(1, 3), (100, 3), (10_000, 3), (1, 100), (1, 10_000)];

/// Of many groups so many are asked, spread over all; the others have one deployment each.
const ASKED: usize = 64;

const MB: f64 = 1024.0 * 1024.0;

/// One tollgate for each size, all driven in turn.
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
        sides.iter().map(|(size, process)| Target::new(name(*size), process, ask(size.0))).collect();
    // The pick over 10,000 tries them all before it settles: give each size the time for that.
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

async fn start(bench: &mut Bench) -> Result<Vec<((usize, usize), Process)>> {
    let mut sides = Vec::new();
    for size in SIZES {
        let (groups, deployments) = size;
        let asked: Vec<_> = asked(groups).collect();
        let each = (0..groups).map(|n| if asked.binary_search(&n).is_ok() { deployments } else { 1 });
        let yaml = config::sized(bench.upstream(), each);
        match bench.starter.tollgate(&yaml).await {
            Ok(process) => sides.push((size, process)),
            Err(error) => bench.report.failures.push(format!("{GROWTH}: {}: {error}", name(size))),
        }
    }
    Ok(sides)
}

fn name((groups, deployments): (usize, usize)) -> String {
    if groups == 1 { format!("{deployments} deployments") } else { format!("{groups} groups") }
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
