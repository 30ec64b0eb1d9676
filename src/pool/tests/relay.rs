//! A wake during a poll goes round, one from outside goes to the task, and none is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
};

use crate::pool::relay::Relay;

#[derive(Default)]
struct Task(AtomicUsize);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A relay, its waker, a task and how often that was woken.
fn pair() -> (Arc<Relay>, Waker, Arc<Task>, Waker) {
    let (relay, task) = (Arc::<Relay>::default(), Arc::<Task>::default());
    (Arc::clone(&relay), Waker::from(relay), Arc::clone(&task), Waker::from(task))
}

fn woken(task: &Task) -> usize {
    task.0.load(Ordering::Relaxed)
}

#[test]
fn a_wake_during_a_poll_sends_it_round_once_more_and_wakes_nobody() {
    let (relay, own, task, waker) = pair();
    let mut known = None;
    assert!(relay.enter(&mut known, &waker));
    own.wake_by_ref();
    own.wake_by_ref();
    assert!(!relay.rests(), "round again");
    assert!(relay.rests(), "and no more");
    assert_eq!(woken(&task), 0);
}

#[test]
fn a_wake_while_all_wait_wakes_the_task_once_until_it_polls_again() {
    let (relay, own, task, waker) = pair();
    let mut known = None;
    assert!(relay.enter(&mut known, &waker) && relay.rests());
    own.wake_by_ref();
    own.wake_by_ref();
    assert_eq!(woken(&task), 1);
    assert!(relay.enter(&mut known, &waker) && relay.rests());
    own.wake();
    assert_eq!(woken(&task), 2);
}

#[test]
fn a_poll_of_what_waits_is_spared_but_not_for_another_task() {
    let (relay, _own, _task, waker) = pair();
    let mut known = None;
    let (_, _, another, its) = pair();
    assert!(relay.enter(&mut known, &waker) && relay.rests());
    assert!(!relay.enter(&mut known, &waker), "nothing was woken");
    assert!(relay.enter(&mut known, &its) && relay.rests(), "but this one must be heard of");
    Waker::from(Arc::clone(&relay)).wake();
    assert_eq!(woken(&another), 1);
}

#[test]
fn after_a_poll_that_got_something_the_next_is_never_spared() {
    let (relay, own, task, waker) = pair();
    let mut known = None;
    assert!(relay.enter(&mut known, &waker));
    relay.leave();
    assert!(relay.enter(&mut known, &waker));
    relay.leave();
    own.wake_by_ref();
    assert_eq!(woken(&task), 1, "whoever has not polled to the end is told as well");
}

#[test]
fn one_that_is_forgotten_is_not_woken_and_not_kept() {
    let (relay, own, task, waker) = pair();
    let mut known = None;
    assert!(relay.enter(&mut known, &waker) && relay.rests());
    drop(waker);
    relay.forget(&mut known);
    own.wake();
    assert_eq!((woken(&task), Arc::strong_count(&task)), (0, 1));
}
