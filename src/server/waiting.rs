//! The connections that wait for a request head: [`Connections`] and [`HeadState`].
//!
//! Before its first head is complete, a connection is of an unknown client. When the listener is at capacity,
//! [`Connections::close_waiting`] closes connections that have been waiting for a head, new and idle ones alike, so that
//! they do not keep out those that have a request. The bytes of all unfinished heads together have a limit too.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{
            AtomicU8, AtomicU64,
            Ordering::{AcqRel, Acquire, Relaxed, Release},
        },
    },
    task::Waker,
};

use futures_util::task::AtomicWaker;

/// The size of an ordinary request head in bytes: hyper's first buffer. A head up to this size is never refused.
const ORDINARY_HEAD: u64 = 8 * 1024;

/// The limit on the bytes of all unfinished heads beyond [`ORDINARY_HEAD`] each. When it is reached, a head that needs more
/// ends its connection. hyper's buffers take up to twice as much.
const MAX_LONG_HEADS: u64 = 512 * 1024;

/// The number of calls of [`Connections::close_waiting`] that a connection survives while it waits for a head.
const MAX_PASSES: u8 = 2;

/// A head is complete, and its request is being served.
const SERVING: u8 = u8::MAX;
/// The response has ended, and is not flushed yet.
const FLUSHING: u8 = u8::MAX - 1;
/// The connection is to end.
const CLOSED: u8 = u8::MAX - 2;

/// All connections of a server.
#[derive(Debug, Default)]
pub(super) struct Connections {
    long_heads: Arc<AtomicU64>,
    states: Mutex<States>,
}

#[derive(Debug, Default)]
struct States {
    all: Vec<Weak<HeadState>>,
    /// The length of `all` at which ended connections are removed.
    prune_at: usize,
}

/// The progress of one connection between two requests.
#[derive(Debug)]
pub(super) struct HeadState {
    /// [`SERVING`], [`FLUSHING`], [`CLOSED`], or the number of passes of [`Connections::close_waiting`] since the wait began.
    phase: AtomicU8,
    /// The received bytes of the head. Only the connection's task writes it.
    received: AtomicU64,
    /// The bytes of all unfinished heads beyond [`ORDINARY_HEAD`] each.
    long_heads: Arc<AtomicU64>,
    /// The task of the connection.
    task: AtomicWaker,
}

impl Connections {
    /// Adds a connection, which waits for its first head.
    pub(super) fn add(&self) -> Arc<HeadState> {
        let state = Arc::new(HeadState::new(Arc::clone(&self.long_heads)));
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if states.all.len() >= states.prune_at {
            states.all.retain(|state| state.strong_count() > 0);
            states.prune_at = 2 * states.all.len().max(64);
        }
        states.all.push(Arc::downgrade(&state));
        state
    }

    /// Closes the connections that have been waiting for a head since the last but one call.
    pub(super) fn close_waiting(&self) {
        let states: Vec<_> = {
            let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
            states.all.iter().filter_map(Weak::upgrade).collect()
        };
        states.iter().for_each(|state| state.age());
    }
}

impl HeadState {
    fn new(long_heads: Arc<AtomicU64>) -> Self {
        Self { phase: AtomicU8::new(0), received: AtomicU64::new(0), long_heads, task: AtomicWaker::new() }
    }

    /// Counts a pass for a connection that waits, and closes it after the last.
    fn age(&self) {
        let older = |phase| match phase {
            SERVING | FLUSHING | CLOSED => None,
            passes if passes < MAX_PASSES => Some(passes + 1),
            _ => Some(CLOSED),
        };
        if self.phase.fetch_update(AcqRel, Acquire, older) == Ok(MAX_PASSES) {
            self.task.wake();
        }
    }

    /// Records that a head is complete.
    pub(super) fn begin_request(&self) {
        self.phase.store(SERVING, Release);
        self.forget_head();
    }

    /// Records that the response has ended.
    pub(super) fn end_response(&self) {
        self.phase.store(FLUSHING, Release);
    }

    /// Records that all bytes were sent: after the end of a response the connection waits for the next head.
    pub(super) fn flushed(&self) {
        if self.phase.load(Relaxed) == FLUSHING {
            self.phase.store(0, Release);
        }
    }

    /// Registers the task of a pending read.
    ///
    /// # Errors
    /// Returns an error if the connection is to end.
    pub(super) fn wait(&self, task: &Waker) -> io::Result<()> {
        self.task.register(task);
        if self.phase.load(Acquire) == CLOSED {
            let message = "closed while it waited for a request, because too many clients are connected";
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, message));
        }
        Ok(())
    }

    /// Returns the maximum number of bytes to read next.
    ///
    /// # Errors
    /// Returns an error if the head is long, and all long heads together have reached their limit.
    pub(super) fn next_read(&self) -> io::Result<u64> {
        if self.phase.load(Relaxed) == SERVING {
            return Ok(u64::MAX);
        }
        let received = self.received.load(Relaxed);
        if received < ORDINARY_HEAD {
            return Ok(ORDINARY_HEAD - received);
        }
        let left = MAX_LONG_HEADS.saturating_sub(self.long_heads.load(Relaxed));
        if left == 0 {
            let message =
                "closed within a long request head, because too many other long heads are unfinished";
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, message));
        }
        Ok(left)
    }

    /// Counts bytes that were read.
    pub(super) fn received(&self, bytes: u64) {
        if self.phase.load(Relaxed) == SERVING {
            return;
        }
        let received = self.received.load(Relaxed);
        self.received.store(received + bytes, Relaxed);
        if received >= ORDINARY_HEAD {
            self.long_heads.fetch_add(bytes, Relaxed);
        }
    }

    fn forget_head(&self) {
        let received = self.received.load(Relaxed);
        self.received.store(0, Relaxed);
        if received > ORDINARY_HEAD {
            self.long_heads.fetch_sub(received - ORDINARY_HEAD, Relaxed);
        }
    }
}

impl Drop for HeadState {
    fn drop(&mut self) {
        self.forget_head();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_wait_for_a_head_are_closed_after_two_passes_and_serving_ones_are_not() {
        let connections = Connections::default();
        let [silent, serving, flushing, served] = [(); 4].map(|()| connections.add());
        [&serving, &flushing, &served].iter().for_each(|state| state.begin_request());
        [&flushing, &served].iter().for_each(|state| state.end_response());
        served.flushed();
        let open = |state: &HeadState| state.wait(Waker::noop()).is_ok();
        for _ in 0..2 {
            connections.close_waiting();
            assert!(open(&silent) && open(&serving) && open(&flushing) && open(&served));
        }
        let new = connections.add();
        connections.close_waiting();
        assert!(!open(&silent) && open(&serving) && open(&flushing) && !open(&served) && open(&new));
    }

    #[test]
    fn a_long_unfinished_head_is_refused_at_the_limit_and_an_ordinary_one_is_not() {
        let connections = Connections::default();
        let long = connections.add();
        assert_eq!(long.next_read().unwrap(), ORDINARY_HEAD);
        long.received(ORDINARY_HEAD - 1);
        assert_eq!(long.next_read().unwrap(), 1);
        long.received(1);
        assert_eq!(long.next_read().unwrap(), MAX_LONG_HEADS);
        long.received(MAX_LONG_HEADS);
        let other = connections.add();
        other.received(ORDINARY_HEAD - 7);
        assert_eq!(other.next_read().unwrap(), 7);
        other.received(7);
        assert!(other.next_read().is_err() && long.next_read().is_err());
        long.begin_request();
        assert_eq!(long.next_read().unwrap(), u64::MAX, "a body");
        assert!(other.next_read().is_ok());
        other.received(5);
        drop((long, other));
        assert_eq!(connections.long_heads.load(Relaxed), 0);
    }

    #[test]
    fn ended_connections_are_removed() {
        let connections = Connections::default();
        (0..10_000).for_each(|_| drop(connections.add()));
        assert!(connections.states.lock().unwrap().all.len() <= 128);
    }
}
