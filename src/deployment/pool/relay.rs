//! Wakes that tell a poll under way apart from a task asleep: [`Relay`], and [`Wakes`], which its connection has.

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

/// The one waker of a connection, for as long as that lives.
///
/// A connection and the two ends of its channels wake each other all the time while they are polled side by side.
/// Passed on to the task, each such wake would cost a turn of the scheduler and a second poll of the whole tree. So a
/// wake during a poll is noted, and the poll goes round once more; only one from outside, the socket's, wakes the task.
#[derive(Debug, Default)]
struct Relay {
    phase: AtomicU8,
    // Locked when the connection gets another user, and by wakes from outside.
    task: Mutex<Option<Waker>>,
}

/// Nobody polls, and there may be something to poll for.
const IDLE: u8 = 0;
/// A poll is under way, and nothing was woken since it last looked.
const POLLING: u8 = 1;
/// Something was woken while it was polled.
const AGAIN: u8 = 2;
/// A poll found that all wait, and nothing was woken since.
const ASLEEP: u8 = 3;
/// Nobody polls yet, but the task was told to.
const WOKEN: u8 = 4;

/// A relay as its connection has it: all that each poll looks at lies together.
#[derive(Debug)]
pub(super) struct Wakes {
    relay: Arc<Relay>,
    waker: Waker,
    /// The task that the relay wakes.
    task: Option<Waker>,
}

impl Default for Wakes {
    fn default() -> Self {
        let relay = Arc::<Relay>::default();
        Self { waker: Waker::from(Arc::clone(&relay)), relay, task: None }
    }
}

impl Wakes {
    /// What the connection is to wake.
    pub(super) const fn waker(&self) -> &Waker {
        &self.waker
    }

    /// A poll begins, on behalf of `task`. False: there is no use in it, and `task` will be woken when there is.
    pub(super) fn enter(&mut self, task: &Waker) -> bool {
        let known = self.wakes(task);
        if known && self.relay.phase.load(Acquire) == ASLEEP {
            return false;
        }
        if !known {
            *self.relay.task() = Some(task.clone());
            self.task = Some(task.clone());
        }
        // Whoever woke before this had something ready before: the poll will find it.
        self.relay.phase.swap(POLLING, AcqRel);
        true
    }

    /// Whether the relay wakes this task.
    fn wakes(&self, task: &Waker) -> bool {
        self.task.as_ref().is_some_and(|known| known.will_wake(task))
    }

    /// Whether the poll may end: nothing was woken since it began, or since this was asked last.
    pub(super) fn rest(&self) -> bool {
        let phase = &self.relay.phase;
        let rest = phase.compare_exchange(POLLING, ASLEEP, AcqRel, Acquire).is_ok();
        if !rest {
            phase.swap(POLLING, AcqRel);
        }
        rest
    }

    /// The poll ends, whatever was woken: its caller comes again.
    pub(super) fn leave(&self) {
        self.relay.phase.store(IDLE, Release);
    }

    /// Nobody uses the connection: nobody is woken, and the last user's task is let go.
    pub(super) fn forget(&mut self) {
        self.task = None;
        *self.relay.task() = None;
        self.leave();
    }

    /// Whether anything was woken since nobody polls.
    pub(super) fn were_heard(&self) -> bool {
        self.relay.phase.load(Acquire) == WOKEN
    }
}

impl Relay {
    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let next = |phase| Some(if matches!(phase, POLLING | AGAIN) { AGAIN } else { WOKEN });
        // It never refuses.
        let (Ok(before) | Err(before)) = self.phase.fetch_update(AcqRel, Acquire, next);
        if matches!(before, IDLE | ASLEEP) {
            let task = self.task().clone(); // woken without the lock
            if let Some(task) = task {
                task.wake();
            }
        }
    }
}
