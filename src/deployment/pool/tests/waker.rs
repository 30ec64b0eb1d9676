//! `ConnectionWaker`: a wake-up during a poll repeats it, one from outside wakes the task, and none is lost.

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

/// Wakeups, their waker, a task and how often that was woken.
fn pair() -> (Wakeups, Waker, Arc<Task>, Waker) {
    let (wakeups, task) = (Wakeups::default(), Arc::<Task>::default());
    let own = wakeups.waker().clone();
    (wakeups, own, Arc::clone(&task), Waker::from(task))
}

fn woken(task: &Task) -> usize {
    task.0.load(Ordering::Relaxed)
}

#[test]
fn a_wake_during_a_poll_sends_it_round_once_more_and_wakes_nobody() {
    let (mut wakeups, own, task, waker) = pair();
    assert!(wakeups.begin_poll(&waker));
    own.wake_by_ref();
    own.wake_by_ref();
    assert!(!wakeups.try_end_poll(), "round again");
    assert!(wakeups.try_end_poll(), "and no more");
    assert_eq!(woken(&task), 0);
}

#[test]
fn a_wake_while_all_wait_wakes_the_task_once_until_it_polls_again() {
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
fn a_poll_of_what_waits_is_spared_but_not_for_another_task() {
    let (mut wakeups, own, _task, waker) = pair();
    let (_, _, another, its) = pair();
    assert!(wakeups.begin_poll(&waker) && wakeups.try_end_poll());
    assert!(!wakeups.begin_poll(&waker), "nothing was woken");
    assert!(wakeups.begin_poll(&its) && wakeups.try_end_poll(), "but another task must be woken");
    own.wake();
    assert_eq!(woken(&another), 1);
}

#[test]
fn after_a_poll_that_got_something_the_next_is_never_spared() {
    let (mut wakeups, own, task, waker) = pair();
    assert!(wakeups.begin_poll(&waker));
    wakeups.end_poll();
    assert!(wakeups.begin_poll(&waker));
    wakeups.end_poll();
    own.wake_by_ref();
    assert_eq!(woken(&task), 1, "whoever has not polled to the end is told as well");
}

#[test]
fn one_that_is_forgotten_is_not_woken_and_not_kept() {
    let (mut wakeups, own, task, waker) = pair();
    assert!(wakeups.begin_poll(&waker) && wakeups.try_end_poll());
    drop(waker);
    wakeups.clear_task();
    own.wake();
    assert_eq!((woken(&task), Arc::strong_count(&task)), (0, 1));
}
