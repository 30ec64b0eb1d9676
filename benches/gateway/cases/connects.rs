//! Bursts of clients that connect at one instant.

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Barrier,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::Bench;
use crate::{
    Result, machine,
    measure::{Measured, Sample, quantile},
    report::{Figure, Goal},
    scenario::{self, Prompt, Scenario},
    side::Side,
};

/// The name of each case, and its number of clients.
const BURSTS: [(&str, usize); 3] = [("connects-200", 200), ("connects-1000", 1000), ("connects-4000", 4000)];

/// The time between two bursts, in which the connections of the first are closed.
const REST: Duration = Duration::from_millis(500);

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    BURSTS.into_iter().map(|(name, _)| name)
}

/// Sends bursts of clients to each side in turn. Each client makes one request, and measures the time from its connect to the
/// first byte of its response.
pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    for (name, clients) in BURSTS {
        if !bench.arguments.wants(name) || (bench.arguments.quick && clients > 200) {
            continue;
        }
        if machine::open_files() < clients + 500 {
            bench.report.note(format!("{name}: too few open files"));
            continue;
        }
        eprintln!("{name}: {clients} clients that connect at one instant");
        let measured = bursts(bench, clients).await?;
        bench.report.add(name, &figures(clients), measured);
    }
    Ok(())
}

fn figures(clients: usize) -> [Figure; 4] {
    let p99 = if clients > 1000 { Goal::Ratio(1.5) } else { Goal::AtMost(300.0) };
    [
        Figure { key: "p99_ms", title: "first byte p99, ms", goal: p99 },
        Figure { key: "p50_ms", title: "first byte p50, ms", goal: Goal::None },
        Figure { key: "overflows", title: "ListenOverflows of the kernel", goal: Goal::AtMost(0.0) },
        Figure { key: "drops", title: "ListenDrops of the kernel", goal: Goal::AtMost(0.0) },
    ]
}

async fn bursts(bench: &mut Bench, clients: usize) -> Result<Measured> {
    let rounds = if bench.arguments.quick { 1 } else { 5 };
    let sides = bench.start_all().await?;
    let mut measured = Measured {
        sides: sides.iter().map(|side| (side.name.clone(), Vec::new())).collect(),
        failures: Vec::new(),
    };
    for _ in 0..rounds {
        for (side, (_, samples)) in sides.iter().zip(&mut measured.sides) {
            match burst(side, clients).await {
                Ok(sample) => samples.push(sample),
                Err(error) => measured.failures.push(format!("{}: {error}", side.name)),
            }
            sleep(REST).await;
        }
    }
    Ok(measured)
}

async fn burst(side: &Side, clients: usize) -> Result<Sample> {
    let (at, request) = (side.process.at, Arc::new(request(side)));
    let start = Arc::new(Barrier::new(clients));
    let (overflows, drops) = listen_counters()?;
    let mut calls = JoinSet::new();
    for _ in 0..clients {
        calls.spawn(first_byte(at, Arc::clone(&request), Arc::clone(&start)));
    }
    let mut times = Vec::with_capacity(clients);
    while let Some(time) = calls.join_next().await {
        times.push(time??);
    }
    times.sort_unstable();
    let (overflows_after, drops_after) = listen_counters()?;
    let ms = |of| quantile(&times, of).as_secs_f64() * 1000.0;
    Ok(Sample::from([
        ("p99_ms", ms(0.99)),
        ("p50_ms", ms(0.5)),
        ("overflows", overflows_after - overflows),
        ("drops", drops_after - drops),
    ]))
}

fn request(side: &Side) -> Vec<u8> {
    let body = scenario::body(Scenario::Chat.name(), Scenario::Chat.streams(), Prompt::Short);
    let path = side.kind.ask(Scenario::Chat, Prompt::Short).path;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body.as_ref()].concat()
}

async fn first_byte(at: SocketAddr, request: Arc<Vec<u8>>, start: Arc<Barrier>) -> Result<Duration> {
    start.wait().await;
    let begun = Instant::now();
    let mut client = TcpStream::connect(at).await?;
    client.write_all(&request).await?;
    let mut head = [0; 12];
    client.read_exact(&mut head).await?;
    if &head != b"HTTP/1.1 200" {
        return Err(format!("answered with {}", String::from_utf8_lossy(&head)).into());
    }
    Ok(begun.elapsed())
}

/// The kernel's counts of connections that an accept queue had no room for, and of those that were dropped.
fn listen_counters() -> Result<(f64, f64)> {
    let text = fs::read_to_string("/proc/net/netstat")?;
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else {
        return Err("the kernel shows no TcpExt counters".into());
    };
    let value = |wanted: &str| {
        let found = names.split_whitespace().zip(values.split_whitespace()).find(|(name, _)| *name == wanted);
        found.and_then(|(_, value)| value.parse().ok()).unwrap_or(f64::NAN)
    };
    Ok((value("ListenOverflows"), value("ListenDrops")))
}
