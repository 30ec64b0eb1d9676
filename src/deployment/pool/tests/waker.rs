//! Tests of `ConnectionWaker`: a wake-up during a poll repeats it, one from outside wakes the task, and none is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
};

use crate::deployment::pool::waker::Wakeups;

#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Wakeups, their waker, and a task that counts its wake-ups.
fn pair() -> (Wakeups, Waker, Arc<Task>, Waker) {
    let (wakeups, task) = (Wakeups::default(), Arc::<Task>::default());
    let own = wakeups.waker().clone();
    (wakeups, own, Arc::clone(&task), Waker::from(task))
}

fn woken(task: &Task) -> usize {
    task.0.load(Ordering::Relaxed)
}

#[test]
fn a_wake_up_during_a_poll_repeats_it_once_and_wakes_no_task() {
    let (mut wakeups, own, task, waker) = pair();
    assert!(wakeups.begin_poll(&waker));
    own.wake_by_ref();
    own.wake_by_ref();
    assert!(!wakeups.try_end_poll(), "another round");
    assert!(wakeups.try_end_poll(), "and no more");
    assert_eq!(woken(&task), 0);
}

#[test]
fn a_wake_up_while_pending_wakes_the_task_once_until_it_polls_again() {
    let (mut wakeups, own, task, waker) = pair();
    assert!(wakeups.begin_poll(&waker) && wakeups.try_end_poll());
    own.wake_by_ref();
    own.wake_by_ref();
    assert_eq!(woken(&task), 1);
    assert!(wakeups.begin_poll(&waker) && wakeups.try_end_poll());
    own.wake();
    assert_eq!(woken(&task), 2);
}

#[test]
fn a_poll_without_a_wake_up_is_skipped_except_for_another_task() {
    let (mut wakeups, own, _task, waker) = pair();
    let (_, _, another, other) = pair();
    assert!(wakeups.begin_poll(&waker) && wakeups.try_end_poll());
    assert!(!wakeups.begin_poll(&waker), "nothing was woken");
    assert!(wakeups.begin_poll(&other) && wakeups.try_end_poll(), "but another task has to be registered");
    own.wake();
    assert_eq!(woken(&another), 1);
}

#[test]
fn a_poll_after_a_ready_one_is_never_skipped() {
    let (mut wakeups, own, task, waker) = pair();
    assert!(wakeups.begin_poll(&waker));
    wakeups.end_poll();
    assert!(wakeups.begin_poll(&waker));
    wakeups.end_poll();
    own.wake_by_ref();
    assert_eq!(woken(&task), 1, "a task that has not polled to pending is woken, too");
}

#[test]
fn a_cleared_task_is_not_woken_and_dropped() {
    let (mut wakeups, own, task, waker) = pair();
    assert!(wakeups.begin_poll(&waker) && wakeups.try_end_poll());
    drop(waker);
    wakeups.clear_task();
    own.wake();
    assert_eq!((woken(&task), Arc::strong_count(&task)), (0, 1));
}
