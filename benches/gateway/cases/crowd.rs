//! How cost grows with the connections that are open, at the same rate of requests.

use std::time::Duration;

use super::{Bench, growth::GROWTH};
use crate::{
    Result, machine,
    measure::{Load, Measured, Rounds, Target},
    report::{Figure, Goal},
    scenario::{Prompt, Scenario},
    side::{Kind, Side},
};

/// Connections that are open, each asked over in its turn; the first is what the others are compared with.
const SIZES: [usize; 4] = [16, 100, 1000, 10_000];

/// 1,000 requests a second.
const EVERY: Duration = Duration::from_millis(1);

/// Until a side has closed what was open before.
const REST: Duration = Duration::from_millis(500);

/// A fresh process of each side, driven with few and with many connections, side by side.
pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    if !bench.arguments.wants(GROWTH) {
        return Ok(());
    }
    let sizes = fitting(bench);
    eprintln!("{GROWTH}: the same rate over {} to {} connections", sizes[0], sizes[sizes.len() - 1]);
    let sides = bench.start_all().await?;
    let mut measured: Vec<_> = sides.iter().map(|side| (side.kind, begun(&sizes))).collect();
    let (count, length) = if bench.arguments.quick { (1, 0.5) } else { (3, 1.5) };
    let length = Duration::from_secs_f64(length);
    for round in 0..count {
        for (n, &size) in sizes.iter().enumerate() {
            let rounds = Rounds { load: Load::Turns(size, EVERY), rounds: 1, length };
            for ((_, measured), side) in measured.iter_mut().zip(&sides) {
                stretch(rounds, side, (round, n), measured).await?;
            }
        }
    }
    for (kind, measured) in measured {
        let figure = Figure { key: "cpu_us", title: title(kind), goal: Goal::None };
        bench.report.add(GROWTH, &[figure], measured);
    }
    Ok(())
}

/// Nothing measured yet, of each size.
fn begun(sizes: &[usize]) -> Measured {
    let sides = sizes.iter().map(|size| (format!("{size} connections"), Vec::new())).collect();
    Measured { sides, failures: Vec::new() }
}

async fn stretch(
    rounds: Rounds,
    side: &Side,
    (round, n): (usize, usize),
    measured: &mut Measured,
) -> Result<()> {
    let ask = side.kind.ask(Scenario::Chat, Prompt::Short);
    let target = Target::new(&*side.name, &side.process, ask);
    let (sample, tally) = rounds.side(&target).await?;
    tokio::time::sleep(REST).await;
    let (size, samples) = &mut measured.sides[n];
    samples.push(sample);
    if let Some(failure) = tally.failure {
        measured.failures.push(format!("{}, {size}, round {round}: {failure}", side.name));
    }
    Ok(())
}

/// A connection is a file of a side and one of the load; the few calls that are under way need some more.
fn fitting(bench: &mut Bench) -> Vec<usize> {
    if bench.arguments.quick {
        return SIZES[..3].to_vec();
    }
    let limit = machine::open_files();
    let (fitting, left): (Vec<_>, Vec<_>) = SIZES.into_iter().partition(|size| size + 500 <= limit);
    if !left.is_empty() {
        bench.report.note(format!("{GROWTH}: {limit} open files are too few for {left:?} connections"));
    }
    fitting
}

const fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Floor => "CPU per request, us: floor",
        Kind::Tollgate => "CPU per request, us: tollgate",
        Kind::Nginx => "CPU per request, us: nginx",
        Kind::Haproxy => "CPU per request, us: haproxy",
    }
}
