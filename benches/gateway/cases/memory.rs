//! What the sides hold in memory: at rest, and per idle stream.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use hyper::body::Incoming;
use tokio::task::JoinSet;

use super::Bench;
use crate::{
    Result, account,
    load::{Ask, Connection},
    machine,
    measure::{Measured, Sample},
    report::{Figure, Goal},
    scenario::{Prompt, Scenario},
    side::{Process, Side},
};

pub(super) const RESIDENT: &str = "resident";
pub(super) const IDLE: &str = "idle";

const MB: f64 = 1024.0 * 1024.0;

/// Until what was just done has come to rest.
const REST: Duration = Duration::from_secs(1);

/// Fresh processes, before any load.
pub(super) async fn resident(bench: &mut Bench, sides: &[Side]) -> Result<()> {
    if !bench.arguments.wants(RESIDENT) {
        return Ok(());
    }
    eprintln!("{RESIDENT}: memory at rest");
    tokio::time::sleep(REST).await;
    let mut measured = Measured::default();
    for side in sides {
        let memory = account::memory(side.process.pid)?;
        let sample = Sample::from([("rss_mb", memory.rss as f64 / MB), ("pss_mb", memory.pss as f64 / MB)]);
        measured.sides.push((side.name.clone(), vec![sample]));
    }
    let figures = [
        Figure { key: "rss_mb", title: "resident at rest, MB", goal: Goal::AtMost(15.0) },
        Figure { key: "pss_mb", title: "the same, shared pages divided", goal: Goal::None },
    ];
    bench.report.add(RESIDENT, &figures, measured);
    Ok(())
}

/// Many streams, each with one event behind it and the next seconds away.
pub(super) async fn idle_streams(bench: &mut Bench) -> Result<()> {
    if !bench.arguments.wants(IDLE) {
        return Ok(());
    }
    let streams = fitting(bench);
    eprintln!("{IDLE}: {streams} streams with nothing to say");
    let mut measured = Measured::default();
    for kind in bench.arguments.kinds() {
        // A fresh process: what earlier load left behind would hide what streams cost.
        let sample = match bench.starter.start(kind).await {
            Ok(side) => per_stream(&side, kind.ask(Scenario::Idle, Prompt::Short), streams).await,
            Err(error) => Err(error),
        };
        match sample {
            Ok(sample) => measured.sides.push((kind.name().to_owned(), vec![sample])),
            Err(error) => measured.failures.push(format!("{}: {error}", kind.name())),
        }
    }
    let figures = [
        Figure { key: "kb", title: "memory per idle stream, KB", goal: Goal::AtMost(40.0) },
        Figure { key: "rss_mb", title: "resident with all of them, MB", goal: Goal::None },
    ];
    bench.report.note(format!("{IDLE}: {streams} streams"));
    bench.report.add(IDLE, &figures, measured);
    Ok(())
}

/// A side needs two files for each stream, the load and the upstream one.
fn fitting(bench: &mut Bench) -> usize {
    let (wanted, limit) = (bench.arguments.idle_streams(), machine::open_files());
    let fitting = limit.saturating_sub(200) / 2;
    if fitting < wanted {
        bench.report.note(format!("{IDLE}: {limit} open files allow {fitting} streams; see ulimit -n"));
    }
    wanted.min(fitting)
}

async fn per_stream(side: &Process, ask: Ask, streams: usize) -> Result<Sample> {
    let ask = Arc::new(ask);
    let warm = hold(side.at, &ask, 1).await?;
    tokio::time::sleep(REST).await;
    let before = account::memory(side.pid)?;
    let held = hold(side.at, &ask, streams).await?;
    tokio::time::sleep(REST).await;
    let after = account::memory(side.pid)?;
    drop((warm, held));
    let kb = after.rss.saturating_sub(before.rss) as f64 / 1024.0 / streams as f64;
    Ok(BTreeMap::from([("kb", kb), ("rss_mb", after.rss as f64 / MB)]))
}

/// Opens streams, 64 at a time, and holds them.
async fn hold(at: SocketAddr, ask: &Arc<Ask>, streams: usize) -> Result<Vec<(Connection, Incoming)>> {
    const AT_A_TIME: usize = 64;
    let mut workers = JoinSet::new();
    for worker in 0..AT_A_TIME {
        let (ask, count) = (ask.clone(), (streams + worker) / AT_A_TIME);
        workers.spawn(async move {
            let mut held = Vec::with_capacity(count);
            for _ in 0..count {
                let mut connection = Connection::open(at).await?;
                let body = connection.hold(&ask).await?;
                held.push((connection, body));
            }
            Result::Ok(held)
        });
    }
    let mut held = Vec::with_capacity(streams);
    while let Some(more) = workers.join_next().await {
        held.extend(more??);
    }
    Ok(held)
}
