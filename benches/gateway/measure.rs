//! Interleaved rounds, and what they come to.
//!
//! Machines have moods: other work comes and goes, and clocks change. So every round drives each side once, in an order that
//! rotates, and what is reported of a side is the median over rounds of its ratio to the first side *of the same round*.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    Result, account,
    load::{self, Ask, Connection, Next, Reuse, Tally},
    side::Process,
};

/// Figures of one side in one round, by name.
pub(crate) type Sample = BTreeMap<&'static str, f64>;

/// The load on a side.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// Connections that each send the next request at once; they are opened over this duration.
    Closed(usize, Duration),
    /// Connections that each send one request and are replaced by new ones.
    Fresh(usize),
    /// A request at each interval, regardless of the responses.
    Open(Duration),
    /// A request at each interval, over these connections in rotation.
    Turns(usize, Duration),
}

/// The rounds of a case: their load, number and length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    pub(crate) load: Load,
    pub(crate) rounds: usize,
    /// The length of a stretch: one side in one round.
    pub(crate) length: Duration,
}

/// A side of a comparison.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) pid: u32,
    pub(crate) at: SocketAddr,
    pub(crate) ask: Arc<Ask>,
}

impl Target {
    pub(crate) fn new(name: impl Into<String>, process: &Process, ask: Ask) -> Self {
        Self { name: name.into(), pid: process.pid, at: process.at, ask: Arc::new(ask) }
    }
}

/// The samples of each side, round by round; and what went wrong.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) sides: Vec<(String, Vec<Sample>)>,
    pub(crate) failures: Vec<String>,
}

impl Rounds {
    /// Drives all targets; the first is what the others are compared with.
    pub(crate) async fn run(&self, targets: &[Target]) -> Result<Measured> {
        let mut measured = Measured::default();
        for target in targets {
            measured.sides.push((target.name.clone(), Vec::new()));
            let warm = Self { length: self.length / 5, ..*self };
            warm.side(target).await?;
        }
        for round in 0..self.rounds {
            for turn in 0..targets.len() {
                let n = (round + turn) % targets.len();
                let (sample, tally) = self.side(&targets[n]).await?;
                measured.sides[n].1.push(sample);
                if let Some(failure) = tally.failure {
                    let (name, failed, of) = (&targets[n].name, tally.failed, tally.failed + tally.answers);
                    measured
                        .failures
                        .push(format!("{name}, round {round}: {failed} of {of} failed: {failure}"));
                }
            }
        }
        Ok(measured)
    }

    /// Measures one stretch of one side.
    pub(crate) async fn side(&self, target: &Target) -> Result<(Sample, Tally)> {
        let (count, next) = match self.load {
            Load::Closed(count, _) | Load::Fresh(count) => (count, Next::Warmest),
            Load::Open(_) => (16, Next::Warmest),
            Load::Turns(count, _) => (count, Next::Coldest),
        };
        let connections = connect(count, target.at).await?;
        let (start, before) = (Instant::now(), account::cpu(target.pid)?);
        let tally = match self.load {
            Load::Closed(_, stagger) => {
                // In a short stretch too, all of them must have begun before the first is done.
                let stagger = stagger.min(self.length / 2);
                load::closed((connections, Reuse::Keep), target.at, &target.ask, (self.length, stagger))
                    .await?
            }
            Load::Fresh(_) => {
                let time = (self.length, Duration::ZERO);
                load::closed((connections, Reuse::Close), target.at, &target.ask, time).await?
            }
            Load::Open(every) | Load::Turns(_, every) => {
                load::open((connections, next), target.at, &target.ask, (self.length, every)).await?
            }
        };
        let cpu = account::cpu(target.pid)?.saturating_sub(before);
        let mut sample = sample(&tally, cpu, target.ask.units);
        sample.insert("rate", tally.answers as f64 / start.elapsed().as_secs_f64());
        Ok((sample, tally))
    }
}

/// More than any side needs to accept a connection.
const ACCEPT: Duration = Duration::from_micros(100);

async fn connect(count: usize, at: SocketAddr) -> Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        connections.push(Connection::open(at).await?);
    }
    // Accepting them is not part of what is counted.
    tokio::time::sleep(Duration::from_millis(20) + ACCEPT * u32::try_from(count)?).await;
    Ok(connections)
}

fn sample(tally: &Tally, cpu: Duration, units: usize) -> Sample {
    let answers = tally.answers.max(1) as f64;
    let mut sample = Sample::from([
        ("answers", tally.answers as f64),
        ("cpu_us", cpu.as_secs_f64() * 1e6 / answers / units as f64),
        ("p50_us", tally.whole.quantile(0.5)),
        ("p99_us", tally.whole.quantile(0.99)),
        ("pieces", tally.pieces as f64 / answers),
    ]);
    if !tally.first.is_empty() {
        sample.insert("first_p50_us", tally.first.quantile(0.5));
        sample.insert("first_p99_us", tally.first.quantile(0.99));
    }
    sample
}

/// Returns the quantile of sorted durations; zero if there are none.
pub(crate) fn quantile(ordered: &[Duration], share: f64) -> Duration {
    let rank = (ordered.len() as f64 * share).ceil() as usize;
    ordered.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The 95 % interval of the median of what these values are a sample of, by its order statistics: no shape is assumed.
/// The least and the greatest of fewer than six; nothing of none.
pub(crate) fn interval(mut values: Vec<f64>) -> Option<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let (count, half) = (values.len() as f64, 0.98 * (values.len() as f64).sqrt());
    let below = ((count / 2.0 - half).round() as usize).saturating_sub(1);
    Some((*values.get(below)?, *values.iter().nth_back(below)?))
}

/// The middle one; of an even number the mean of the two in the middle; 0 of none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => 0.0,
        (n, middle) if n % 2 == 1 => values[middle],
        (_, middle) => f64::midpoint(values[middle - 1], values[middle]),
    }
}
