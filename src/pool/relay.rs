//! Wakes that tell a poll under way apart from a task asleep: [`Relay`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Wake, Waker},
};

/// The one waker of a connection, for as long as that lives.
///
/// A connection and the two ends of its channels wake each other all the time while they are polled side by side.
/// Passed on to the task, each such wake would cost a turn of the scheduler and a second poll of the whole tree. So a
/// wake during a poll is noted, and the poll goes round once more; only one from outside, the socket's, wakes the task.
#[derive(Debug, Default)]
pub(super) struct Relay {
    // One user at a time, and the socket's driver now and then: never contended for long.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    task: Option<Waker>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Nobody polls, and there may be something to poll for.
    #[default]
    Idle,
    /// A poll is under way, and nothing was woken since it last looked.
    Polling,
    /// Something was woken while it was polled.
    Again,
    /// A poll found that all wait, and nothing was woken since.
    Asleep,
}

impl Relay {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A poll begins, on behalf of `task`. False: there is no use in it, and `task` will be woken when there is.
    pub(super) fn enter(&self, task: &Waker) -> bool {
        let mut state = self.state();
        match &mut state.task {
            Some(known) if known.will_wake(task) => {
                if state.phase == Phase::Asleep {
                    return false;
                }
            }
            other => *other = Some(task.clone()),
        }
        state.phase = Phase::Polling;
        true
    }

    /// Whether the poll may end: nothing was woken since it began, or since this was asked last.
    pub(super) fn rests(&self) -> bool {
        let mut state = self.state();
        let rests = state.phase == Phase::Polling;
        state.phase = if rests { Phase::Asleep } else { Phase::Polling };
        rests
    }

    /// The poll ends, whatever was woken: its caller comes again.
    pub(super) fn leave(&self) {
        self.state().phase = Phase::Idle;
    }

    /// Nobody uses the connection: nobody is woken, and the last user's task is let go.
    pub(super) fn forget(&self) {
        *self.state() = State::default();
    }
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.state();
        match state.phase {
            Phase::Polling | Phase::Again => state.phase = Phase::Again,
            Phase::Idle | Phase::Asleep => {
                state.phase = Phase::Idle;
                let task = state.task.take();
                drop(state);
                if let Some(task) = task {
                    task.wake();
                }
            }
        }
    }
}
