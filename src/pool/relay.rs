//! Wakes that tell a poll under way apart from a task asleep: [`Relay`].

use std::{
    ptr,
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
pub(super) struct Relay {
    phase: AtomicU8,
    // Locked when the connection gets another user, and by wakes from outside.
    task: Mutex<Option<Waker>>,
}

/// Which task the relay wakes: what [`Waker::will_wake`] goes by, without a count of the task's. It means that task for as
/// long as the relay has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    data: usize,
    vtable: usize,
}

impl Known {
    fn of(task: &Waker) -> Self {
        Self { data: task.data().addr(), vtable: ptr::from_ref(task.vtable()).addr() }
    }
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

impl Relay {
    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A poll begins, on behalf of `task`; `known` is the one that entered last, and was not forgotten since. False:
    /// there is no use in it, and `task` will be woken when there is.
    pub(super) fn enter(&self, known: &mut Option<Known>, task: &Waker) -> bool {
        if self.sleeps(*known, task) {
            return false;
        }
        if *known != Some(Known::of(task)) {
            *self.task() = Some(task.clone());
            *known = Some(Known::of(task));
        }
        // Whoever woke before this had something ready before: the poll will find it.
        self.phase.swap(POLLING, AcqRel);
        true
    }

    /// Whether a poll found that all wait, and `task`, the one that is `known`, will be woken when there is any use in
    /// another.
    pub(super) fn sleeps(&self, known: Option<Known>, task: &Waker) -> bool {
        self.phase.load(Acquire) == ASLEEP && known == Some(Known::of(task))
    }

    /// Whether the poll may end: nothing was woken since it began, or since this was asked last.
    pub(super) fn rests(&self) -> bool {
        let rests = self.phase.compare_exchange(POLLING, ASLEEP, AcqRel, Acquire).is_ok();
        if !rests {
            self.phase.swap(POLLING, AcqRel);
        }
        rests
    }

    /// The poll ends, whatever was woken: its caller comes again.
    pub(super) fn leave(&self) {
        self.phase.store(IDLE, Release);
    }

    /// Whether anything was woken since nobody polls.
    pub(super) fn was_woken(&self) -> bool {
        self.phase.load(Acquire) == WOKEN
    }

    /// Nobody uses the connection: nobody is woken, and the last user's task is let go.
    pub(super) fn forget(&self, known: &mut Option<Known>) {
        *known = None;
        *self.task() = None;
        self.leave();
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
