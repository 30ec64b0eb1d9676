//! The door: at most so many clients at once, [`Listener`].

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

/// Files that are neither a client nor an upstream: the log, the poller, the configuration, a resolver at work.
const OTHERS: usize = 64;

/// More clients than that are not let in unless the configuration says so, however many files there may be: as many as
/// are served at once by default, and as many that are between two requests. Each has 16 KB of buffers.
const USUAL: usize = 32_768;

/// A warning that stays true is repeated so often at most.
const SELDOM: Duration = Duration::from_secs(60);

/// A socket that lets in at most so many clients at once. Whoever comes then waits in the kernel's queue.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    room: Arc<Semaphore>,
    most: usize,
    crowd: Crowd,
    full: Seldom,
    failing: Seldom,
}

impl Listener {
    /// Lets in at most this many, and one at least.
    #[must_use]
    pub fn new(inner: TcpListener, most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let room = Arc::new(Semaphore::new(most));
        let (full, failing) = (Seldom::default(), Seldom::default());
        Self { inner, room, most, crowd: Crowd::default(), full, failing }
    }

    /// How many clients there is room for with so many open files: each may have one connection to us, and cause one to
    /// an upstream.
    #[must_use]
    pub const fn fitting(open_files: usize) -> usize {
        let fitting = open_files.saturating_sub(OTHERS) / 2;
        if fitting < USUAL { fitting } else { USUAL }
    }

    /// Returns true if a new client has to wait.
    pub(super) fn crowd(&self) -> Crowd {
        self.crowd.clone()
    }

    /// The next client, and its place.
    pub(super) async fn accept(&mut self) -> (TcpStream, OwnedSemaphorePermit) {
        let place = self.place().await;
        loop {
            match self.inner.accept().await {
                Ok((stream, _)) => {
                    if stream.set_nodelay(true).is_ok() {
                        return (stream, place);
                    }
                }
                // Out of file descriptors is a state that passes: wait a little, and try again.
                Err(error) => {
                    self.failing.warn(format_args!("cannot accept: {error}"));
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn place(&mut self) -> OwnedSemaphorePermit {
        if let Ok(place) = Arc::clone(&self.room).try_acquire_owned() {
            return place;
        }
        self.full.warn(format_args!(
            "{} clients are connected (max_connections): who comes now waits until one leaves",
            self.most
        ));
        self.crowd.set(true);
        loop {
            // It is never closed.
            if let Ok(place) = Arc::clone(&self.room).acquire_owned().await {
                self.crowd.set(false);
                return place;
            }
        }
    }
}

/// Whether all places are taken. Then a client that has been served leaves: one that is idle could otherwise keep its place
/// for ever by a request now and then, while who waits, a health check perhaps, is never heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Crowd(Arc<AtomicBool>);

impl Crowd {
    fn set(&self, crowded: bool) {
        self.0.store(crowded, Relaxed);
    }

    pub(super) fn is_there(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// A warning that is not repeated while it is fresh.
#[derive(Debug, Default)]
struct Seldom {
    last: Option<Instant>,
}

impl Seldom {
    fn warn(&mut self, what: fmt::Arguments<'_>) {
        if self.last.is_none_or(|last| last.elapsed() >= SELDOM) {
            tracing::warn!("{what}");
            self.last = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_need_two_files_and_some_are_for_others() {
        assert_eq!([0, 64, 1024, 20_000].map(Listener::fitting), [0, 0, 480, 9968]);
        assert_eq!(Listener::fitting(usize::MAX), USUAL);
    }

    #[tokio::test]
    async fn one_client_at_least_is_let_in() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut listener = Listener::new(listener, 0);
        let address = listener.inner.local_addr().unwrap();
        let (client, (server, _)) = tokio::join!(TcpStream::connect(address), listener.accept());
        assert_eq!(client.unwrap().local_addr().unwrap(), server.peer_addr().unwrap());
    }
}
