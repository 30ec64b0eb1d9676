//! The waker of a pooled connection, which skips wake-ups during a poll: [`ConnectionWaker`] and [`Wakeups`].

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU8,
            Ordering::{AcqRel, Acquire, Release},
        },
    },
    task::{Wake, Waker},
};

/// The waker of a connection, for its whole lifetime.
///
/// A connection and the two ends of its channels wake each other often while they are polled together. Forwarded to the
/// task, each such wake-up would cost a scheduler turn and a second poll of the whole tree. So a wake-up during a poll
/// is recorded, and the connection is polled once more; only a wake-up from outside, by the socket, wakes the task.
#[derive(Debug, Default)]
struct ConnectionWaker {
    phase: AtomicU8,
    // Locked when another task uses the connection, and by wake-ups from outside.
    task: Mutex<Option<Waker>>,
}

/// No poll runs, and the next poll may make progress.
const IDLE: u8 = 0;
/// A poll runs, and nothing was woken since its last round.
const POLLING: u8 = 1;
/// A poll runs, and something was woken since its last round.
const WOKEN_WHILE_POLLING: u8 = 2;
/// The last poll returned pending, and nothing was woken since.
const PENDING: u8 = 3;
/// The task was woken and has not polled yet.
const WOKEN: u8 = 4;

/// The connection's handle of its [`ConnectionWaker`], with the fields that each poll reads.
#[derive(Debug)]
pub(super) struct Wakeups {
    shared: Arc<ConnectionWaker>,
    waker: Waker,
    /// The task that is woken.
    task: Option<Waker>,
}

impl Default for Wakeups {
    fn default() -> Self {
        let shared = Arc::<ConnectionWaker>::default();
        Self { waker: Waker::from(Arc::clone(&shared)), shared, task: None }
    }
}

impl Wakeups {
    /// Returns the waker for polls of the connection.
    pub(super) const fn waker(&self) -> &Waker {
        &self.waker
    }

    /// Begins a poll for `task`. Returns false if a poll is useless; `task` is woken when that changes.
    pub(super) fn begin_poll(&mut self, task: &Waker) -> bool {
        let known = self.wakes(task);
        if known && self.shared.phase.load(Acquire) == PENDING {
            return false;
        }
        if !known {
            *self.shared.task() = Some(task.clone());
            self.task = Some(task.clone());
        }
        // The poll finds all that was made ready by wake-ups before this.
        self.shared.phase.swap(POLLING, AcqRel);
        true
    }

    /// Returns true if the connection wakes this task.
    fn wakes(&self, task: &Waker) -> bool {
        self.task.as_ref().is_some_and(|known| known.will_wake(task))
    }

    /// Ends the poll as pending. Returns false, and continues it, if something was woken since the last round.
    pub(super) fn try_end_poll(&self) -> bool {
        let phase = &self.shared.phase;
        let ended = phase.compare_exchange(POLLING, PENDING, AcqRel, Acquire).is_ok();
        if !ended {
            phase.swap(POLLING, AcqRel);
        }
        ended
    }

    /// Ends the poll as ready, or to be polled again by its caller.
    pub(super) fn end_poll(&self) {
        self.shared.phase.store(IDLE, Release);
    }

    /// Drops the task of the last user: no task is woken while the connection is idle.
    pub(super) fn clear_task(&mut self) {
        self.task = None;
        *self.shared.task() = None;
        self.end_poll();
    }

    /// Returns true if something was woken since the last poll.
    pub(super) fn was_woken(&self) -> bool {
        self.shared.phase.load(Acquire) == WOKEN
    }
}

impl ConnectionWaker {
    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for ConnectionWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let next = |phase| {
            Some(if matches!(phase, POLLING | WOKEN_WHILE_POLLING) { WOKEN_WHILE_POLLING } else { WOKEN })
        };
        // `next` always returns a value.
        let (Ok(before) | Err(before)) = self.phase.fetch_update(AcqRel, Acquire, next);
        if matches!(before, IDLE | PENDING) {
            let task = self.task().clone(); // woken without the lock
            if let Some(task) = task {
                task.wake();
            }
        }
    }
}
