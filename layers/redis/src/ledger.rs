//! The ledger: [`RedisLedger`].

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use redis::{RedisError, RedisResult, Value, cmd};
use tokio::{
    sync::Mutex,
    time::{Instant, error::Elapsed, timeout},
};
use tollgate_layers::ledger::{
    EventId, LedgerConfig, ListenRequest, ListenResponse, Report, SyncRequest, SyncResponse,
};
use tower_service::Service;

use crate::{
    connection::{Connection, Link, ServerInfo, Servers},
    event,
    script::{self, Arguments, Script},
    sync::{self, Keys},
    totals::{self, Total, TotalsRequest},
};

/// The reports or amounts of one script call: at most about 5 ms of the server's time.
const REPORTS: usize = 32;

/// The settings of a [`RedisLedger`]. All replicas have equal ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisLedgerConfig {
    /// The part of the keys that distinguishes ledgers on one server. Neither empty nor with `}`.
    pub namespace: String,
    /// The lease time and the grace.
    pub ledger: LedgerConfig,
    /// The time after which a call to the server has failed.
    pub timeout: Duration,
    /// The time after which an attempt to connect has failed.
    pub connect_timeout: Duration,
}

impl RedisLedgerConfig {
    /// Returns the settings with a timeout of 250 ms, and of one second to connect.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            ledger: LedgerConfig::default(),
            timeout: Duration::from_millis(250),
            connect_timeout: Duration::from_secs(1),
        }
    }
}

/// A failed call to the server.
#[derive(Debug)]
pub enum RedisLedgerError {
    /// The server did not respond in time.
    TimedOut,
    /// The server could not be reached, or it responded with an error.
    Server(RedisError),
}

impl fmt::Display for RedisLedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the server did not respond in time"),
            Self::Server(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RedisLedgerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::TimedOut => None,
            Self::Server(error) => Some(error),
        }
    }
}

impl From<RedisError> for RedisLedgerError {
    fn from(error: RedisError) -> Self {
        Self::Server(error)
    }
}

impl From<Elapsed> for RedisLedgerError {
    fn from(_: Elapsed) -> Self {
        Self::TimedOut
    }
}

/// A future of a [`RedisLedger`].
pub type LedgerFuture<T> = Pin<Box<dyn Future<Output = Result<T, RedisLedgerError>> + Send>>;

/// A ledger in Redis or Valkey. Clones are one ledger with two connections: one for syncs, which take place one after
/// another, and one for events.
///
/// A connection is made by the first call that needs it, and again by the first call after a failure. A caller that
/// repeats failed calls waits between them.
#[derive(Clone)]
pub struct RedisLedger {
    shared: Arc<Shared>,
}

struct Shared {
    config: RedisLedgerConfig,
    keys: Keys,
    sync: Script,
    events: Script,
    totals: Script,
    sync_link: Mutex<Link>,
    events_link: Mutex<Link>,
}

impl RedisLedger {
    /// Returns a ledger on these servers. It does not connect yet.
    #[must_use]
    pub fn new(servers: Servers, config: RedisLedgerConfig) -> Self {
        let link = |servers| Mutex::new(Link::new(servers, config.connect_timeout));
        let shared = Shared {
            sync_link: link(servers.clone()),
            events_link: link(servers),
            keys: Keys::new(&config.namespace),
            sync: Script::sync(),
            events: Script::events(),
            totals: Script::totals(),
            config,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Connects, and returns the description of the server.
    ///
    /// # Errors
    /// If the server cannot be reached, refuses the credentials, or does not respond in time.
    pub async fn info(&self) -> Result<ServerInfo, RedisLedgerError> {
        let mut link = self.shared.sync_link.lock().await;
        let mut connection = link.take().await?;
        let info = timeout(self.shared.config.timeout, connection.info()).await??;
        link.put_back(connection);
        Ok(info)
    }
}

impl fmt::Debug for RedisLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisLedger").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

impl Shared {
    async fn sync(&self, mut request: SyncRequest) -> Result<SyncResponse, RedisLedgerError> {
        let mut link = self.sync_link.lock().await;
        let mut connection = link.take().await?;
        let reports = std::mem::take(&mut request.reports);
        let (first, rest) = reports.split_at(reports.len().min(REPORTS));
        let mut response = self.sync_some(&mut connection, &request, first).await?;
        request.events.clear();
        for reports in rest.chunks(REPORTS) {
            let next = self.sync_some(&mut connection, &request, reports).await?;
            response.generation = next.generation;
            (response.replicas, response.rank) = (next.replicas, next.rank);
            response.leases.extend(next.leases);
        }
        link.put_back(connection);
        Ok(response)
    }

    async fn sync_some(
        &self,
        connection: &mut Connection,
        request: &SyncRequest,
        reports: &[Report],
    ) -> Result<SyncResponse, RedisLedgerError> {
        let arguments = self.keys.arguments(request, reports, &self.config.ledger);
        let numbers: Vec<u64> =
            timeout(self.config.timeout, self.sync.call(connection, &arguments)).await??;
        Ok(sync::response(&numbers, reports.len())?)
    }

    /// Reads events until there is one for the replica, or the wait has passed.
    async fn listen(&self, mut request: ListenRequest) -> Result<ListenResponse, RedisLedgerError> {
        let end = Instant::now() + request.wait;
        let mut link = self.events_link.lock().await;
        let mut connection = link.take().await?;
        loop {
            let response = timeout(self.config.timeout, self.read(&mut connection, &request)).await??;
            let rest = end.saturating_duration_since(Instant::now());
            // Not below a millisecond: zero would block for ever.
            if !response.events.is_empty() || rest < Duration::from_millis(1) {
                link.put_back(connection);
                return Ok(response);
            }
            request.after = response.last;
            let wait = self.wait_command(request.after, rest);
            timeout(rest + self.config.timeout, connection.query::<Value>(&wait)).await??;
        }
    }

    async fn read(
        &self,
        connection: &mut Connection,
        request: &ListenRequest,
    ) -> RedisResult<ListenResponse> {
        let arguments = Arguments { keys: vec![self.keys.events()], values: vec![stream_id(request.after)] };
        let (now, entries) = self.events.call(connection, &arguments).await?;
        Ok(event::read(request, now, entries))
    }

    /// Returns the totals. A sync waits for one call of the script at most.
    async fn totals(&self, request: &TotalsRequest) -> Result<Vec<Total>, RedisLedgerError> {
        let mut totals = Vec::with_capacity(request.amounts.len());
        for amounts in request.amounts.chunks(REPORTS) {
            let arguments = self.keys.totals(request.replica, amounts);
            let mut link = self.sync_link.lock().await;
            let mut connection = link.take().await?;
            let call = self.totals.call(&mut connection, &arguments);
            let numbers: Vec<u64> = timeout(self.config.timeout, call).await??;
            link.put_back(connection);
            totals.extend(totals::response(&numbers, amounts.len())?);
        }
        Ok(totals)
    }

    /// Returns the command that responds at the first event after a position, whichever replica it is for.
    fn wait_command(&self, after: EventId, wait: Duration) -> redis::Cmd {
        let mut command = cmd("XREAD");
        command.arg("COUNT").arg(1).arg("BLOCK").arg(script::millis(wait));
        command.arg("STREAMS").arg(self.keys.events()).arg(stream_id(after));
        command
    }
}

fn stream_id(id: EventId) -> String {
    format!("{}-{}", id.millis(), id.number())
}

impl Service<SyncRequest> for RedisLedger {
    type Response = SyncResponse;
    type Error = RedisLedgerError;
    type Future = LedgerFuture<SyncResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RedisLedgerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: SyncRequest) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.sync(request).await })
    }
}

impl Service<TotalsRequest> for RedisLedger {
    /// The totals, in the order of the amounts.
    type Response = Vec<Total>;
    type Error = RedisLedgerError;
    type Future = LedgerFuture<Vec<Total>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RedisLedgerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: TotalsRequest) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.totals(&request).await })
    }
}

impl Service<ListenRequest> for RedisLedger {
    type Response = ListenResponse;
    type Error = RedisLedgerError;
    type Future = LedgerFuture<ListenResponse>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), RedisLedgerError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ListenRequest) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.listen(request).await })
    }
}
