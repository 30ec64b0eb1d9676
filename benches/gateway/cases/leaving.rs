//! How soon an upstream learns that a client has left.
//!
//! The upstream of this case lives in this process, so that one clock tells when a client closed its connection and when
//! the upstream saw its own closed.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::Bench;
use crate::{
    Result,
    measure::{Measured, Sample, quantile},
    report::{Figure, Goal},
    scenario::{self, Prompt, Scenario},
    side::{Kind, Process, Starter},
};

pub(super) const LEAVING: &str = "leaving";

/// They come at random moments, so many in each second, and each leaves at a random moment of its stay.
const RATE: usize = 250;
const STAY: Duration = Duration::from_secs(1);

/// The time within which an upstream should notice a disconnect.
const SOON: Duration = Duration::from_millis(100);

/// The time after which a disconnect counts as never noticed.
const PATIENCE: Duration = Duration::from_secs(5);

const SEED: u64 = 20_261_123;

/// When each call was seen to end, by the number of its client.
type Seen = Arc<Mutex<HashMap<usize, Option<Instant>>>>;

/// Runs the same clients through a new process of each side.
pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    if !bench.arguments.wants(LEAVING) {
        return Ok(());
    }
    let clients = if bench.arguments.quick { RATE } else { 4 * RATE };
    eprintln!("{LEAVING}: {clients} clients that leave before their answer has ended");
    let (seen, listener) = (Seen::default(), TcpListener::bind("127.0.0.1:0").await?);
    let starter = Starter { pins: bench.arguments.pins(), upstream: listener.local_addr()? };
    let upstream = tokio::spawn(serve(listener, seen.clone()));
    let mut measured = Measured::default();
    for kind in bench.arguments.kinds() {
        let sample = match starter.start(kind).await {
            Ok(side) => leave(kind, &side, &seen, clients).await,
            Err(error) => Err(error),
        };
        match sample {
            Ok(sample) => measured.sides.push((kind.name().to_owned(), vec![sample])),
            Err(error) => measured.failures.push(format!("{}: {error}", kind.name())),
        }
    }
    upstream.abort();
    let figures = [
        Figure { key: "late_percent", title: "upstream told later than 100 ms, %", goal: Goal::AtMost(0.0) },
        Figure { key: "max_ms", title: "upstream told at the latest, ms", goal: Goal::AtMost(100.0) },
        Figure { key: "p50_ms", title: "upstream told p50, ms", goal: Goal::None },
        Figure { key: "p99_ms", title: "upstream told p99, ms", goal: Goal::None },
        Figure { key: "calls", title: "calls that were under way", goal: Goal::None },
        Figure { key: "files", title: "files left open", goal: Goal::None },
    ];
    bench.report.add(LEAVING, &figures, measured);
    Ok(())
}

async fn leave(kind: Kind, side: &Process, seen: &Seen, count: usize) -> Result<Sample> {
    seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    let before = files(side)?;
    let mut random = fastrand::Rng::with_seed(SEED);
    let (mut clients, start) = (JoinSet::new(), Instant::now());
    let coming = Duration::from_secs_f64(count as f64 / RATE as f64);
    for n in 0..count {
        let comes = start + coming.mul_f64(random.f64());
        let leaves = comes + STAY.mul_f64(random.f64());
        let request = request(kind, n);
        let at = side.at;
        clients.spawn(async move { (n, come_and_leave(at, &request, (comes, leaves)).await) });
    }
    let mut left = HashMap::new();
    while let Some(client) = clients.join_next().await {
        let (n, moment) = client?;
        left.insert(n, moment?);
    }
    let late = late(&left, seen).await?;
    let share = late.iter().filter(|late| **late > SOON).count() as f64 / late.len() as f64;
    let ms = |of| quantile(&late, of).as_secs_f64() * 1000.0;
    Ok(Sample::from([
        ("late_percent", share * 100.0),
        ("max_ms", ms(1.0)),
        ("p50_ms", ms(0.5)),
        ("p99_ms", ms(0.99)),
        ("calls", late.len() as f64),
        ("files", left_open(side, before).await? as f64),
    ]))
}

/// Half of them wait for an answer that never begins, half are in the middle of one.
fn request(kind: Kind, n: usize) -> Vec<u8> {
    let scenario = if n.is_multiple_of(2) { Scenario::Chat } else { Scenario::Idle };
    let body = scenario::body(scenario.name(), scenario.streams(), Prompt::Short);
    let path = kind.ask(scenario, Prompt::Short).path;
    let length = body.len() + format!("\"user\":\"{n}\",").len();
    let mut request =
        format!("POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n")
            .into_bytes();
    request.extend_from_slice(format!("{{\"user\":\"{n}\",").as_bytes());
    request.extend_from_slice(&body[1..]);
    request
}

/// Gives the moment at which it left.
async fn come_and_leave(at: SocketAddr, request: &[u8], when: (Instant, Instant)) -> Result<Instant> {
    sleep_until(when.0).await;
    let mut socket = TcpStream::connect(at).await?;
    socket.write_all(request).await?;
    let mut answer = [0; 4096];
    let read = async {
        while socket.read(&mut answer).await? > 0 {}
        Result::Ok(())
    };
    tokio::select! {
        () = sleep_until(when.1) => {}
        ended = read => {
            ended?;
            return Err("an answer ended by itself".into());
        }
    }
    let left = Instant::now();
    drop(socket);
    Ok(left)
}

/// Returns the delay from each client's disconnect until its upstream noticed it.
async fn late(left: &HashMap<usize, Instant>, seen: &Seen) -> Result<Vec<Duration>> {
    let until = Instant::now() + PATIENCE;
    while seen.lock().unwrap_or_else(PoisonError::into_inner).values().any(Option::is_none) {
        if Instant::now() > until {
            return Err("an upstream was never told that its client had left".into());
        }
        sleep(Duration::from_millis(10)).await;
    }
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let late = seen.iter().filter_map(|(n, at)| Some(at.as_ref()?.saturating_duration_since(left[n])));
    let mut late: Vec<_> = late.collect();
    late.sort();
    if late.len() < left.len() / 2 { Err(format!("only {} calls", late.len()).into()) } else { Ok(late) }
}

/// Returns the number of files that a side has open beyond `before`, after it had time to close them.
async fn left_open(side: &Process, before: usize) -> Result<usize> {
    let until = Instant::now() + PATIENCE;
    loop {
        let more = files(side)?.saturating_sub(before);
        if more == 0 || Instant::now() > until {
            return Ok(more);
        }
        sleep(Duration::from_millis(10)).await;
    }
}

fn files(side: &Process) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{}/fd", side.pid))?.count())
}

async fn serve(listener: TcpListener, seen: Seen) {
    let mut calls = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        calls.spawn(call(socket, seen.clone()));
    }
}

/// Takes one call and waits until its caller has gone.
async fn call(mut socket: TcpStream, seen: Seen) {
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    let n = loop {
        match socket.read(&mut piece).await {
            // Nobody asked, so nobody left.
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&piece[..count]),
        }
        if let Some(n) = number(&request) {
            break n;
        }
    };
    seen.lock().unwrap_or_else(PoisonError::into_inner).insert(n, None);
    if request.starts_with(b"POST /idle/") {
        let head =
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let event = &scenario::events()[0];
        let chunk = [head, format!("{:x}\r\n", event.len()).as_bytes(), event, b"\r\n"].concat();
        // Who has left already is seen below.
        let _left = socket.write_all(&chunk).await;
    }
    while socket.read(&mut piece).await.is_ok_and(|count| count > 0) {}
    seen.lock().unwrap_or_else(PoisonError::into_inner).insert(n, Some(Instant::now()));
}

/// Returns the number of the client in a request, once it has arrived.
fn number(request: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(request).ok()?;
    let (number, _) = text.split_once("\"user\":\"")?.1.split_once('"')?;
    number.parse().ok()
}
