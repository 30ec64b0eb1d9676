//! The memory of uploads that arrive at once.

use std::{net::SocketAddr, sync::Arc};

use tokio::{task::JoinSet, time::Instant};

use super::Bench;
use crate::{
    Result, account,
    load::{Ask, Connection},
    machine,
    measure::{Measured, Sample},
    report::{Figure, Goal},
    scenario::{Prompt, Scenario},
    side::Kind,
};

pub(super) const UPLOADS: &str = "uploads";

/// The number of clients, each with a body of 1 MB.
const CLIENTS: usize = 1000;

const ROUNDS: usize = 3;

const MB: f64 = 1024.0 * 1024.0;

/// Fresh processes; each receives all uploads once.
pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    if !bench.arguments.wants(UPLOADS) || bench.arguments.quick {
        return Ok(());
    }
    if machine::open_files() < 2 * CLIENTS + 500 {
        bench.report.note(format!("{UPLOADS}: too few open files"));
        return Ok(());
    }
    eprintln!("{UPLOADS}: {CLIENTS} clients that send 1 MB at one instant");
    let mut measured = Measured::default();
    for kind in bench.arguments.kinds() {
        let mut samples = Vec::new();
        for _ in 0..ROUNDS {
            match round(bench, kind).await {
                Ok(sample) => samples.push(sample),
                Err(error) => measured.failures.push(format!("{}: {error}", kind.name())),
            }
        }
        measured.sides.push((kind.name().to_owned(), samples));
    }
    let figures = [
        Figure { key: "peak_mb", title: "peak of resident memory, MB", goal: Goal::Ratio(1.2) },
        Figure { key: "cpu_us", title: "CPU per upload, us", goal: Goal::None },
    ];
    bench.report.add(UPLOADS, &figures, measured);
    Ok(())
}

async fn round(bench: &Bench, kind: Kind) -> Result<Sample> {
    let side = bench.starter.start(kind).await?;
    let ask = Arc::new(kind.ask(Scenario::Chat, Prompt::Upload));
    let before = account::cpu(side.pid)?;
    upload(side.at, &ask).await?;
    let cpu = account::cpu(side.pid)?.saturating_sub(before);
    Ok(Sample::from([
        ("peak_mb", account::peak(side.pid)? as f64 / MB),
        ("cpu_us", cpu.as_secs_f64() * 1e6 / CLIENTS as f64),
    ]))
}

/// All at once: the connections are there before the first request is sent.
async fn upload(at: SocketAddr, ask: &Arc<Ask>) -> Result<()> {
    let mut connections = Vec::with_capacity(CLIENTS);
    for _ in 0..CLIENTS {
        connections.push(Connection::open(at).await?);
    }
    let mut running = JoinSet::new();
    for mut connection in connections {
        let ask = ask.clone();
        running.spawn(async move { connection.shoot(&ask, 0, Instant::now()).await });
    }
    while let Some(shot) = running.join_next().await {
        shot??;
    }
    Ok(())
}
