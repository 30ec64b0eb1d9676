//! Open loop: requests arrive when they arrive, whether or not earlier ones were answered.
//!
//! A thread of its own keeps the beat; it waits for nobody. Each latency counts from the moment at which the request was
//! *due*, so a side that stalls is charged for everyone who would have come meanwhile (no coordinated omission).

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinSet, time::Instant};

use super::{Ask, Connection, Shot, Tally};
use crate::Result;

/// The operating system wakes a thread that late; what is left of the wait is spun.
const SLACK: Duration = Duration::from_micros(120);

/// Which idle connection is used next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The one that was used last: few are busy.
    Warmest,
    /// The one that was used longest ago: all are, in turn.
    Coldest,
}

/// Asks every `every`, for `length`. The `connections` are a start: a request that finds none idle opens another.
pub(crate) async fn open(
    (connections, next): (Vec<Connection>, Next),
    to: SocketAddr,
    ask: &Arc<Ask>,
    (length, every): (Duration, Duration),
) -> Result<Tally> {
    let (beat, mut due) = mpsc::unbounded_channel();
    let count = u32::try_from(length.as_nanos() / every.as_nanos().max(1))?;
    let first = Instant::now() + every;
    let metronome = std::thread::spawn(move || keep(&beat, first, (every, count)));
    let idle = Arc::new(Idle { to, next, connections: Mutex::new(connections.into()) });
    let (mut running, mut n) = (JoinSet::new(), 0);
    while let Some(due) = due.recv().await {
        let (idle, ask) = (idle.clone(), ask.clone());
        running.spawn(async move { idle.shoot(&ask, n, due).await });
        n += 1;
    }
    let mut tally = Tally::default();
    while let Some(shot) = running.join_next().await {
        tally.record(shot?);
    }
    metronome.join().map_err(|_| "the metronome broke")?;
    Ok(tally)
}

/// Says when each request is due, when it is.
fn keep(beat: &mpsc::UnboundedSender<Instant>, first: Instant, (every, count): (Duration, u32)) {
    for n in 0..count {
        let due = first + every * n;
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            } else if left > SLACK {
                std::thread::park_timeout(left - SLACK);
            } else {
                std::hint::spin_loop();
            }
        }
        if beat.send(due).is_err() {
            return;
        }
    }
}

/// Connections that nobody uses now; the warmest last.
struct Idle {
    to: SocketAddr,
    next: Next,
    connections: Mutex<VecDeque<Connection>>,
}

impl Idle {
    async fn shoot(&self, ask: &Ask, n: usize, due: Instant) -> Result<Shot> {
        let mut connection = match self.take().filter(|connection| !connection.is_closed()) {
            Some(connection) => connection,
            None => Connection::open(self.to).await?,
        };
        let shot = connection.shoot(ask, n, due).await?;
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).push_back(connection);
        Ok(shot)
    }

    fn take(&self) -> Option<Connection> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        match self.next {
            Next::Warmest => connections.pop_back(),
            Next::Coldest => connections.pop_front(),
        }
    }
}
