//! Chats, streams, long prompts, and a deployment that fails.

use std::time::Duration;

use http_body_util::BodyExt;
use serde_json::Value;

use super::Bench;
use crate::{
    Result,
    arguments::Arguments,
    load::{Ask, Connection},
    measure::{Load, Rounds, Target},
    report::{Figure, Goal},
    scenario::{Prompt, Scenario},
    side::{Kind, Process, Side, config},
};

/// A kind of traffic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    about: &'static str,
    asked: (Scenario, Prompt),
    load: Load,
    /// Rounds, and seconds of one side in one round. Many short ones: a mood of the machine lasts for seconds.
    time: (usize, f64),
    figures: &'static [Figure],
}

const AT_ONCE: Duration = Duration::ZERO;
/// A paced stream lasts 1.28 s: spread over that, 200 of them do not tick together.
const SPREAD: Duration = Duration::from_millis(1280);
const FAILING: &str = "failing";

const fn figure(key: &'static str, title: &'static str, goal: Goal) -> Figure {
    Figure { key, title, goal }
}

const fn plain(name: &'static str, about: &'static str, prompt: Prompt) -> Case {
    let asked = (Scenario::Chat, prompt);
    Case { name, about, asked, load: Load::Closed(32, AT_ONCE), time: (15, 0.6), figures: &[] }
}

/// A plain answer of some length, by so many connections.
const fn answer(
    name: &'static str,
    scenario: Scenario,
    connections: usize,
    figures: &'static [Figure],
) -> Case {
    let load = Load::Closed(connections, AT_ONCE);
    Case { asked: (scenario, Prompt::Short), load, figures, ..plain(name, "plain answers", Prompt::Short) }
}

/// A request of some length, by 16 connections.
const fn prompt(name: &'static str, about: &'static str, prompt: Prompt, figures: &'static [Figure]) -> Case {
    Case { load: Load::Closed(16, AT_ONCE), figures, ..plain(name, about, prompt) }
}

const P50: Figure = figure("p50_us", "latency p50, us", Goal::None);
const P99: Figure = figure("p99_us", "latency p99, us", Goal::None);
const FIRST_P50: Figure = figure("first_p50_us", "first content p50, us", Goal::Ratio(1.1));
const FIRST_P99: Figure = figure("first_p99_us", "first content p99, us", Goal::None);
const RATE: Figure = figure("rate", "answers per second", Goal::None);
const PIECES: Figure = figure("pieces", "pieces of a stream", Goal::None);

const fn cpu(bound: f64) -> Figure {
    figure("cpu_us", "CPU per request, us", Goal::Ratio(bound))
}

const fn cpu_per_event(bound: f64) -> Figure {
    figure("cpu_us", "CPU per event, us", Goal::Ratio(bound))
}

/// All cases. The goals are those of docs/performance.md.
pub(super) const CASES: [Case; 18] = [
    Case {
        figures: &[cpu(1.05), RATE, P50, P99],
        ..plain("chat", "1 KB chat, 32 connections", Prompt::Short)
    },
    Case {
        load: Load::Open(Duration::from_millis(1)),
        time: (9, 1.5),
        figures: &[
            figure("p50_us", "latency p50, us", Goal::Plus(60.0)),
            figure("p99_us", "latency p99, us", Goal::Plus(300.0)),
            figure("cpu_us", "CPU per request, us", Goal::None),
        ],
        ..plain("open", "1 KB chat, 1,000/s whatever happens", Prompt::Short)
    },
    Case {
        asked: (Scenario::Burst, Prompt::Short),
        // Sides answer at different rates here, so the queue in front of the load differs: first content is judged below.
        figures: &[
            cpu_per_event(0.25),
            RATE,
            figure("first_p50_us", "first content p50, us", Goal::None),
            P50,
            P99,
            PIECES,
        ],
        ..plain("burst", "streams of 64 events at full speed, 32 connections", Prompt::Short)
    },
    Case {
        asked: (Scenario::Burst, Prompt::Short),
        load: Load::Open(Duration::from_millis(5)),
        figures: &[FIRST_P50, FIRST_P99, P50, P99],
        ..plain("open-burst", "streams of 64 events at full speed, 200/s whatever happens", Prompt::Short)
    },
    Case {
        asked: (Scenario::Paced, Prompt::Short),
        load: Load::Closed(200, SPREAD),
        time: (15, 2.6),
        figures: &[cpu_per_event(0.95), FIRST_P50, FIRST_P99, PIECES],
        ..plain("paced", "200 streams, an event every 20 ms", Prompt::Short)
    },
    Case {
        load: Load::Fresh(16),
        figures: &[cpu(1.05), P50, P99],
        ..plain("connection-each", "1 KB chat, a new connection for each request", Prompt::Short)
    },
    answer("answer-2k", Scenario::Answer2k, 32, &[cpu(1.1), P50]),
    answer("answer-34k", Scenario::Answer34k, 16, &[cpu(1.2), P50]),
    answer("answer-300k", Scenario::Answer300k, 8, &[cpu(1.2), P50]),
    answer("answer-1m", Scenario::Answer1m, 8, &[cpu(1.1), P50]),
    answer("chunked-34k", Scenario::Chunked34k, 16, &[cpu(1.2), P50]),
    answer("chunked-1m", Scenario::Chunked1m, 8, &[cpu(1.1), P50]),
    prompt("tools", "30 tool definitions, 33 KB", Prompt::Tools, &[cpu(1.25), P50]),
    prompt("prompt-33k", "33 KB prompts", Prompt::Prose33k, &[cpu(1.25), P50]),
    prompt("prompt-120k", "120 KB prompts", Prompt::Long, &[cpu(1.25), P50]),
    prompt("prompt-331k", "331 KB prompts", Prompt::Prose331k, &[cpu(1.15), P50]),
    Case {
        load: Load::Closed(4, AT_ONCE),
        time: (15, 1.0),
        ..prompt("prompt-5m", "5 MB prompts", Prompt::Picture, &[cpu(1.15), P50])
    },
    Case {
        figures: &[figure("cpu_us", "CPU per request, us", Goal::None), P50, P99],
        ..plain(FAILING, "1 of 3 deployments always fails; the floor's never", Prompt::Short)
    },
];

/// Runs the cases that are wanted.
pub(super) async fn run(bench: &mut Bench, sides: &[Side]) -> Result<()> {
    for case in CASES.into_iter().filter(|case| bench.arguments.wants(case.name)).collect::<Vec<_>>() {
        eprintln!("{}: {}", case.name, case.about);
        let before = failures_met(bench).await?;
        let targets = targets(bench, case, sides).await;
        if targets.first().map(|first| &first.name) != sides.first().map(|side| &side.name) {
            // Nothing to compare with; why, is among the failures.
            continue;
        }
        let measured = rounds(bench, case, targets.len()).run(&targets).await?;
        bench.report.add(case.name, &figures(bench, case), measured);
        if case.name == FAILING {
            let met = failures_met(bench).await? - before;
            bench.report.note(format!("failing: the failing deployment was asked {met} times"));
        }
    }
    Ok(())
}

fn rounds(bench: &Bench, case: Case, sides: usize) -> Rounds {
    let Arguments { against, rounds, quick, .. } = &bench.arguments;
    let (usual, seconds) = case.time;
    let usual = match (against.is_empty(), quick) {
        (false, _) => 30,
        (true, true) => usual.div_ceil(3),
        (true, false) => usual,
    };
    let share = if against.is_empty() { bench.share(sides) } else { 1.0 };
    let length = Duration::from_secs_f64(seconds * share);
    Rounds { load: case.load, rounds: rounds.unwrap_or(usual), length }
}

/// Goals are about the floor: beside another build there are none.
fn figures(bench: &Bench, case: Case) -> Vec<Figure> {
    let judged = bench.arguments.against.is_empty();
    let goal = |goal| if judged { goal } else { Goal::None };
    case.figures.iter().map(|figure| Figure { goal: goal(figure.goal), ..*figure }).collect()
}

/// The sides that take part, each asked once before: a side that cannot answer is left out, and said so.
async fn targets(bench: &mut Bench, case: Case, sides: &[Side]) -> Vec<Target> {
    let (scenario, prompt) = case.asked;
    let mut targets = Vec::new();
    for Side { name, kind, process } in sides {
        let mut ask = kind.ask(scenario, prompt);
        if case.name == FAILING {
            match kind {
                Kind::Floor => {}
                Kind::Tollgate => ask.bodies = [crate::scenario::body(config::FLAKY, false, prompt)].into(),
                // They have no deployments to choose from.
                Kind::Nginx | Kind::Haproxy => continue,
            }
        }
        match once(process, &ask).await {
            Ok(()) => targets.push(Target::new(name, process, ask)),
            Err(error) => bench.report.failures.push(format!("{}: {name}: {error}", case.name)),
        }
    }
    targets
}

async fn once(process: &Process, ask: &Ask) -> Result<()> {
    let mut connection = Connection::open(process.at).await?;
    connection.shoot(ask, 0, tokio::time::Instant::now()).await?;
    Ok(())
}

/// Returns the number of failing requests that the upstream has received.
async fn failures_met(bench: &Bench) -> Result<u64> {
    let ask =
        Ask { path: "/counts".to_owned(), bodies: [bytes::Bytes::new()].into(), length: None, units: 1 };
    let answer = Connection::open(bench.upstream()).await?.send(&ask, 0).await?;
    let counts: Value = serde_json::from_slice(&answer.into_body().collect().await?.to_bytes())?;
    Ok(counts[Scenario::Fail.name()][0].as_u64().unwrap_or(0))
}
