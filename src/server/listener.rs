//! The TCP listener of the server, [`Listener`]: accepts a limited number of concurrent connections.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep},
};

/// The number of open files that are neither a client's nor an upstream's connection: the log, the poller, the
/// configuration, name resolution.
const OTHER_FILES: usize = 64;

/// The default maximum of concurrent connections, for any limit of open files: as many as are served at once by default,
/// and as many idle ones. Each has 16 KB of buffers.
const DEFAULT_MAX_CONNECTIONS: usize = 32_768;

/// The minimum interval between two warnings of one kind.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// A TCP listener with a maximum of concurrent connections. Further clients wait in the kernel's accept queue.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    permits: Arc<Semaphore>,
    max_connections: usize,
    at_capacity: AtCapacity,
    capacity_warning: RateLimitedWarning,
    accept_warning: RateLimitedWarning,
}

impl Listener {
    /// Returns a listener that accepts at most this many concurrent connections, at least one.
    #[must_use]
    pub fn new(inner: TcpListener, max_connections: usize) -> Self {
        let max_connections = max_connections.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            inner,
            permits: Arc::new(Semaphore::new(max_connections)),
            max_connections,
            at_capacity: AtCapacity::default(),
            capacity_warning: RateLimitedWarning::default(),
            accept_warning: RateLimitedWarning::default(),
        }
    }

    /// Returns the default maximum of concurrent connections under a limit of open files: a client's connection may need
    /// a second file, the connection to an upstream.
    #[must_use]
    pub const fn default_max_connections(open_files: usize) -> usize {
        let affordable = open_files.saturating_sub(OTHER_FILES) / 2;
        if affordable < DEFAULT_MAX_CONNECTIONS { affordable } else { DEFAULT_MAX_CONNECTIONS }
    }

    /// Returns the flag that is set while the maximum is reached.
    pub(super) fn at_capacity(&self) -> AtCapacity {
        self.at_capacity.clone()
    }

    /// Returns the next connection, and the permit that is to be dropped when it ends.
    pub(super) async fn accept(&mut self) -> (TcpStream, OwnedSemaphorePermit) {
        let permit = self.permit().await;
        loop {
            match self.inner.accept().await {
                Ok((stream, _)) => {
                    if stream.set_nodelay(true).is_ok() {
                        return (stream, permit);
                    }
                }
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
        let max_connections = self.max_connections;
        self.capacity_warning.warn(format_args!(
            "{max_connections} clients are connected (max_connections): new clients wait until one disconnects"
        ));
        self.at_capacity.set(true);
        loop {
            // The semaphore is never closed.
            if let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await {
                self.at_capacity.set(false);
                return permit;
            }
        }
    }
}

/// A flag that is true while the maximum of connections is reached and a client may be waiting.
///
/// Meanwhile each response closes its connection. Otherwise a client could keep a connection for ever with a request now
/// and then, and a waiting client, such as a health check, would never be accepted.
#[derive(Clone, Debug, Default)]
pub(super) struct AtCapacity(Arc<AtomicBool>);

impl AtCapacity {
    fn set(&self, at_capacity: bool) {
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
    async fn a_listener_with_max_connections_0_accepts_one_client() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut listener = Listener::new(listener, 0);
        let address = listener.inner.local_addr().unwrap();
        let (client, (server, _)) = tokio::join!(TcpStream::connect(address), listener.accept());
        assert_eq!(client.unwrap().local_addr().unwrap(), server.peer_addr().unwrap());
    }
}
