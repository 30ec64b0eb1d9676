//! A wake during a poll goes round, one from outside goes to the task, and none is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
};

use crate::deployment::pool::relay::Wakes;

#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Wakes, their waker, a task and how often that was woken.
fn pair() -> (Wakes, Waker, Arc<Task>, Waker) {
    let (wakes, task) = (Wakes::default(), Arc::<Task>::default());
    let own = wakes.waker().clone();
    (wakes, own, Arc::clone(&task), Waker::from(task))
}

fn woken(task: &Task) -> usize {
    task.0.load(Ordering::Relaxed)
}

#[test]
fn a_wake_during_a_poll_sends_it_round_once_more_and_wakes_nobody() {
    let (mut wakes, own, task, waker) = pair();
    assert!(wakes.enter(&waker));
    own.wake_by_ref();
    own.wake_by_ref();
    assert!(!wakes.rest(), "round again");
    assert!(wakes.rest(), "and no more");
    assert_eq!(woken(&task), 0);
}

#[test]
fn a_wake_while_all_wait_wakes_the_task_once_until_it_polls_again() {
    let (mut wakes, own, task, waker) = pair();
    assert!(wakes.enter(&waker) && wakes.rest());
    own.wake_by_ref();
    own.wake_by_ref();
    assert_eq!(woken(&task), 1);
    assert!(wakes.enter(&waker) && wakes.rest());
    own.wake();
    assert_eq!(woken(&task), 2);
}

#[test]
fn a_poll_of_what_waits_is_spared_but_not_for_another_task() {
    let (mut wakes, own, _task, waker) = pair();
    let (_, _, another, its) = pair();
    assert!(wakes.enter(&waker) && wakes.rest());
    assert!(!wakes.enter(&waker), "nothing was woken");
    assert!(wakes.enter(&its) && wakes.rest(), "but this one must be heard of");
    own.wake();
    assert_eq!(woken(&another), 1);
}

#[test]
fn after_a_poll_that_got_something_the_next_is_never_spared() {
    let (mut wakes, own, task, waker) = pair();
    assert!(wakes.enter(&waker));
    wakes.leave();
    assert!(wakes.enter(&waker));
    wakes.leave();
    own.wake_by_ref();
    assert_eq!(woken(&task), 1, "whoever has not polled to the end is told as well");
}

#[test]
fn one_that_is_forgotten_is_not_woken_and_not_kept() {
    let (mut wakes, own, task, waker) = pair();
    assert!(wakes.enter(&waker) && wakes.rest());
    drop(waker);
    wakes.forget();
    own.wake();
    assert_eq!((woken(&task), Arc::strong_count(&task)), (0, 1));
}
