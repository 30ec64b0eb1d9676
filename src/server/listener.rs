//! The listener of the server, [`Listener`]: accepts a limited number of concurrent connections, by TCP or on a unix socket.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream, lookup_host},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{Certificate, ConnectionContext, DRAIN_TIMEOUT, MAX_HEAD_SIZE, waiting::Connections};
use crate::{
    front::paths::Draining,
    metrics::{ConnectionMetrics, OpenConnection},
};

/// The number of open files that are neither a client's nor an upstream's connection: the log, the poller, the
/// configuration, name resolution.
const OTHER_FILES: usize = 64;

/// The default maximum of concurrent connections, for any limit of open files: as many as are served at once by default,
/// and as many idle ones. Each has 16 KB of buffers.
const DEFAULT_MAX_CONNECTIONS: usize = 32_768;

/// The default keep-alive timeout: longer than the 60 s for which common load balancers keep an idle connection, which
/// would otherwise send a request into a connection that has just been closed.
const DEFAULT_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(75);

/// The interval at which connections without a request are closed while the maximum is reached.
const PASS: Duration = Duration::from_millis(750);

/// The minimum interval between two warnings of one kind.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// A listener with a maximum of concurrent connections. Further clients wait in the kernel's accept queue.
#[derive(Debug)]
pub struct Listener {
    inner: ListenerSocket,
    permits: Arc<Semaphore>,
    max_connections: usize,
    keepalive_timeout: Duration,
    max_head_size: usize,
    pub(super) drain_timeout: Duration,
    connections: Arc<Connections>,
    at_capacity: AtCapacity,
    capacity_warning: RateLimitedWarning,
    accept_warning: RateLimitedWarning,
    metrics: ConnectionMetrics,
    certificate: Option<Arc<Certificate>>,
}

impl Listener {
    /// Returns a listener that accepts at most this many concurrent connections, at least one.
    #[must_use]
    pub fn new(inner: impl Into<ListenerSocket>, max_connections: usize) -> Self {
        let max_connections = max_connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            inner: inner.into(),
            permits: Arc::new(Semaphore::new(max_connections)),
            max_connections,
            keepalive_timeout: DEFAULT_KEEPALIVE_TIMEOUT,
            max_head_size: MAX_HEAD_SIZE,
            drain_timeout: DRAIN_TIMEOUT,
            connections: Arc::default(),
            at_capacity: AtCapacity::default(),
            capacity_warning: RateLimitedWarning::default(),
            accept_warning: RateLimitedWarning::default(),
            metrics: ConnectionMetrics::default(),
            certificate: None,
        }
    }

    /// Sets the counts of connections.
    #[must_use]
    pub(crate) fn with_metrics(mut self, metrics: ConnectionMetrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Binds a TCP listener to the first address of the host that can be bound, with an accept queue of `backlog`
    /// connections; the kernel may allow fewer (`net.core.somaxconn`). An IPv6 address may stand in brackets.
    ///
    /// # Errors
    /// Returns the error of the last address.
    pub async fn bind(host: &str, port: u16, backlog: u32) -> io::Result<TcpListener> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let mut error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in lookup_host((host, port)).await? {
            match listen(address, backlog) {
                Ok(listener) => return Ok(listener),
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }

    /// Sets the maximum silence of a client between two requests, and the maximum time of a request's head; 75 s by default.
    #[must_use]
    pub const fn with_keepalive_timeout(mut self, keepalive_timeout: Duration) -> Self {
        self.keepalive_timeout = keepalive_timeout;
        self
    }

    /// Sets the maximum size of a request's head in bytes; 64 KB by default.
    #[must_use]
    pub const fn with_max_head_size(mut self, max_head_size: usize) -> Self {
        self.max_head_size = max_head_size;
        self
    }

    /// Sets the maximum time for finishing the requests in flight after a shutdown signal; 600 s by default.
    #[must_use]
    pub const fn with_drain_timeout(mut self, drain_timeout: Duration) -> Self {
        self.drain_timeout = drain_timeout;
        self
    }

    /// Sets the certificate with which connections by TCP are served by TLS; without one they are plain.
    #[must_use]
    pub fn with_certificate(mut self, certificate: Arc<Certificate>) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Returns the acceptor of a new connection, if it has TLS.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.certificate.as_ref().map(|certificate| certificate.acceptor())
    }

    /// Returns the default maximum of concurrent connections under a limit of open files: a client's connection may need
    /// a second file, the connection to an upstream.
    #[must_use]
    pub const fn default_max_connections(open_files: usize) -> usize {
        let affordable = open_files.saturating_sub(OTHER_FILES) / 2;
        if affordable < DEFAULT_MAX_CONNECTIONS { affordable } else { DEFAULT_MAX_CONNECTIONS }
    }

    /// Returns the part of the server's state that each connection needs.
    pub(super) fn context(&self, draining: Draining) -> ConnectionContext {
        ConnectionContext {
            draining,
            at_capacity: self.at_capacity.clone(),
            connections: Arc::clone(&self.connections),
            keepalive_timeout: self.keepalive_timeout,
            max_head_size: self.max_head_size,
        }
    }

    /// Returns the next connection.
    pub(super) async fn accept(&mut self) -> Accepted {
        let permit = self.permit().await;
        loop {
            match self.inner.accept().await {
                Ok(Some((stream, peer))) => {
                    return Accepted { stream, peer, held: (permit, self.metrics.accepted()) };
                }
                Ok(None) => {}
                // Running out of file descriptors is temporary: wait a little, and try again.
                Err(error) => {
                    self.accept_warning.warn(format_args!("cannot accept: {error}"));
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn permit(&mut self) -> OwnedSemaphorePermit {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return permit;
        }
        self.at_capacity.set(true);
        let max_connections = self.max_connections;
        self.capacity_warning.warn(format_args!(
            "{max_connections} clients are connected (max_connections): new clients wait until one disconnects"
        ));
        loop {
            // The semaphore is never closed.
            if let Ok(Ok(permit)) = timeout(PASS, Arc::clone(&self.permits).acquire_owned()).await {
                self.at_capacity.set(false);
                return permit;
            }
            self.connections.close_waiting();
        }
    }
}

/// The socket of a listener.
#[derive(Debug)]
pub enum ListenerSocket {
    /// A TCP socket.
    Tcp(TcpListener),
    /// A unix socket.
    Unix(UnixListener),
}

impl From<TcpListener> for ListenerSocket {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for ListenerSocket {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl ListenerSocket {
    /// Returns the next connection with the address of its client, or none if it has ended already.
    async fn accept(&self) -> io::Result<Option<(ClientStream, SocketAddr)>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                let is_open = stream.set_nodelay(true).is_ok();
                Ok(is_open.then_some((ClientStream::Tcp(stream), peer)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Some((ClientStream::Unix(stream), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))))
            }
        }
    }
}

/// The connection of a client.
#[derive(Debug)]
pub(super) enum ClientStream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection that was accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: ClientStream,
    /// The address of the client.
    pub(super) peer: SocketAddr,
    pub(super) held: Held,
}

/// The permit and the count of a connection, to be dropped when it ends.
pub(super) type Held = (OwnedSemaphorePermit, OpenConnection);

fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As tokio's own `bind` does: a restarted server need not wait for the old one's connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(backlog)
}

/// A flag that is true while the maximum of connections is reached and a client may be waiting.
///
/// Meanwhile each response closes its connection. Otherwise a client could keep a connection for ever with a request now
/// and then, and a waiting client, such as a health check, would never be accepted.
#[derive(Clone, Debug, Default)]
pub(super) struct AtCapacity(Arc<AtomicBool>);

impl AtCapacity {
    pub(super) fn set(&self, at_capacity: bool) {
        self.0.store(at_capacity, Relaxed);
    }

    pub(super) fn get(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// A warning that is logged at most once per [`WARNING_INTERVAL`].
#[derive(Debug, Default)]
struct RateLimitedWarning {
    last: Option<Instant>,
}

impl RateLimitedWarning {
    fn warn(&mut self, message: fmt::Arguments<'_>) {
        if self.last.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL) {
            tracing::warn!("{message}");
            self.last = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_max_connections_leaves_two_files_per_client_and_some_for_others() {
        assert_eq!([0, 64, 1024, 20_000].map(Listener::default_max_connections), [0, 0, 480, 9968]);
        assert_eq!(Listener::default_max_connections(usize::MAX), DEFAULT_MAX_CONNECTIONS);
    }

    #[tokio::test]
    async fn the_accept_queue_holds_as_many_connections_as_its_backlog() {
        let listener = Listener::bind("127.0.0.1", 0, 500).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients = Vec::new();
        for _ in 0..500 {
            // Beyond its length the queue drops connections, and the client's kernel tries again after a second.
            let client = timeout(Duration::from_millis(900), TcpStream::connect(address)).await;
            clients.push(client.expect("room in the queue").unwrap());
        }
    }

    #[tokio::test]
    async fn a_host_may_be_a_name_or_an_ipv6_address_in_brackets() {
        for host in ["localhost", "127.0.0.1", "::1", "[::1]"] {
            let listener = Listener::bind(host, 0, 1).await.unwrap();
            assert!(listener.local_addr().unwrap().ip().is_loopback(), "{host}");
        }
        assert!(Listener::bind("no.such.host.invalid", 0, 1).await.is_err());
    }

    #[tokio::test]
    async fn a_listener_with_max_connections_0_accepts_one_client() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut listener = Listener::new(listener, 0);
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        assert_eq!(client.unwrap().local_addr().unwrap(), accepted.peer);
    }
}
