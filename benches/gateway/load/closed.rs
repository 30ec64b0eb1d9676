//! Closed loop: so many connections, each asks again as soon as it has its answer.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};

use super::{Ask, Connection, Tally};
use crate::Result;

/// The use of a connection after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// The next request.
    Keep,
    /// None: it is closed, and the next request opens another.
    Close,
}

/// Asks over `connections` for `length`, then lets what runs come to its end.
///
/// The connections start one after the other, spread over `stagger`, so that paced streams do not tick together.
pub(crate) async fn closed(
    (connections, reuse): (Vec<Connection>, Reuse),
    to: SocketAddr,
    ask: &Arc<Ask>,
    (length, stagger): (Duration, Duration),
) -> Result<Tally> {
    let start = Instant::now();
    let step = stagger / u32::try_from(connections.len().max(1))?;
    let mut workers = JoinSet::new();
    for (n, connection) in (0_u32..).zip(connections) {
        let caller = Caller { connection, reuse, to, ask: ask.clone(), n: n as usize };
        workers.spawn(caller.run(start + step * n, start + length));
    }
    let mut sum = Tally::default();
    while let Some(tally) = workers.join_next().await {
        sum.merge(tally?);
    }
    Ok(sum)
}

struct Caller {
    connection: Connection,
    reuse: Reuse,
    to: SocketAddr,
    ask: Arc<Ask>,
    n: usize,
}

impl Caller {
    async fn run(mut self, from: Instant, until: Instant) -> Tally {
        let mut tally = Tally::default();
        tokio::time::sleep_until(from).await;
        loop {
            let since = Instant::now();
            if since >= until {
                return tally;
            }
            let result = self.connection.shoot(&self.ask, self.n, since).await;
            let failed = result.is_err();
            tally.record(result);
            self.n += 1;
            if self.reuse == Reuse::Close && !failed && !self.reopen().await || failed && !self.renew().await
            {
                return tally;
            }
        }
    }

    /// After a failure: a new connection where the old one is gone. Without one this caller is done.
    async fn renew(&mut self) -> bool {
        // A side that fails at once must not turn this loop into a busy one.
        tokio::time::sleep(Duration::from_millis(1)).await;
        if !self.connection.is_closed() {
            return true;
        }
        self.reopen().await
    }

    async fn reopen(&mut self) -> bool {
        match Connection::open(self.to).await {
            Ok(connection) => {
                self.connection = connection;
                true
            }
            Err(_) => false,
        }
    }
}
