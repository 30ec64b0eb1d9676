//! The clock of a connection's heads: [`HeadClock`].
//!
//! hyper asks its [`Timer`] for a sleep before each head, and drops that when the head has come. With a timer of tokio's
//! for each, every request is put into the runtime's wheel and taken out again, under a lock that all cores share. Nearly
//! all heads come in time. So a connection has one timer here for as long as it lives: it stays where it is when a head
//! has come, and only when it rings, once in [`HEAD`](super::HEAD), it is put off to when the present one is due.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use hyper::rt::{Sleep, Timer};
use tokio::time::{self, Instant};

/// The one that hyper's trait names.
#[expect(
    clippy::disallowed_types,
    reason = "tokio's, which tests can pause, is what it is made of and turned into"
)]
type Std = std::time::Instant;

/// hyper's timer for one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadClock {
    // Locked by the connection's own task alone: hyper wants what it hands out to be `Sync`.
    bell: Arc<Mutex<Bell>>,
}

/// Rings no later than the head that is waited for is due.
#[derive(Debug, Default)]
struct Bell {
    sleep: Option<Pin<Box<time::Sleep>>>,
    /// Whom it wakes when it rings; none: it has rung.
    wakes: Option<Waker>,
}

impl Bell {
    /// Whether `due` is over; else `cx` is woken by then.
    fn poll_until(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(time::sleep_until(due)));
        let rings = |wakes: &Waker| wakes.will_wake(cx.waker());
        if sleep.deadline() <= due && !sleep.is_elapsed() && self.wakes.as_ref().is_some_and(rings) {
            return Poll::Pending;
        }
        loop {
            if sleep.deadline() > due {
                sleep.as_mut().reset(due);
            }
            if sleep.as_mut().poll(cx).is_pending() {
                self.wakes = Some(cx.waker().clone());
                return Poll::Pending;
            }
            self.wakes = None;
            if sleep.deadline() == due {
                return Poll::Ready(());
            }
            // It has rung for a head that has come.
            sleep.as_mut().reset(due);
        }
    }
}

/// Over when a head is.
struct Due {
    bell: Arc<Mutex<Bell>>,
    at: Instant,
}

impl Future for Due {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.bell.lock().unwrap_or_else(PoisonError::into_inner).poll_until(self.at, cx)
    }
}

impl Sleep for Due {}

impl Timer for HeadClock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Std) -> Pin<Box<dyn Sleep>> {
        Box::pin(Due { bell: Arc::clone(&self.bell), at: deadline.into() })
    }

    fn now(&self) -> Std {
        Instant::now().into()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;
    use tokio_test::{assert_pending, assert_ready, task::spawn};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn due_in(clock: &HeadClock, seconds: u32) -> Pin<Box<dyn Sleep>> {
        clock.sleep_until((Instant::now() + seconds * SECOND).into())
    }

    #[tokio::test(start_paused = true)]
    async fn each_head_has_all_of_its_time_whatever_became_of_the_one_before() {
        let clock = HeadClock::default();
        let mut first = spawn(due_in(&clock, 30));
        assert_pending!(first.poll());
        drop(first);
        advance(20 * SECOND).await;
        let mut second = spawn(due_in(&clock, 30));
        assert_pending!(second.poll());
        // The bell rings for the first, and is put off.
        advance(29 * SECOND).await;
        assert!(second.is_woken());
        assert_pending!(second.poll());
        advance(SECOND).await;
        assert!(second.is_woken());
        assert_ready!(second.poll());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_due_before_the_bell_has_it_ring_sooner() {
        let clock = HeadClock::default();
        let mut late = spawn(due_in(&clock, 30));
        assert_pending!(late.poll());
        let mut soon = spawn(due_in(&clock, 1));
        assert_pending!(soon.poll());
        advance(SECOND).await;
        assert!(soon.is_woken());
        assert_ready!(soon.poll());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_asked_last_is_woken() {
        let clock = HeadClock::default();
        let mut due = due_in(&clock, 1);
        let (mut before, mut now) = (spawn(()), spawn(()));
        before.enter(|cx, _| assert_pending!(due.as_mut().poll(cx)));
        now.enter(|cx, _| assert_pending!(due.as_mut().poll(cx)));
        advance(SECOND).await;
        assert!(now.is_woken() && !before.is_woken());
        now.enter(|cx, _| assert_ready!(due.as_mut().poll(cx)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_was_due_long_ago_is_over() {
        let clock = HeadClock::default();
        let mut due = spawn(due_in(&clock, 1));
        advance(100 * SECOND).await;
        assert_ready!(due.poll());
    }
}
