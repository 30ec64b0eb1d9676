//! Tests of concurrent threads at one group, in thousands of interleavings.

use std::{future::poll_fn, pin::pin, task::Poll};

use shuttle::{
    future::{block_on, yield_now},
    thread,
};

use super::*;
use crate::sync::explore;

/// A group of one, which answers after a while and counts how many it has at one time, and the most there were.
fn narrow(
    limits: Limits,
) -> (
    Meters,
    Arc<[AtomicUsize; 2]>,
    impl Service<Ask, Response = Answer, Error = Failed, Future: Send> + Clone + Send + Sync + 'static + use<>,
) {
    let (meters, inside) = (Meters::new(limits), Arc::new([const { AtomicUsize::new(0) }; 2]));
    let counts = Arc::clone(&inside);
    let inner = service_fn(move |_: Ask| {
        let inside = Arc::clone(&counts);
        async move {
            let now = inside[0].fetch_add(1, Ordering::Relaxed) + 1;
            inside[1].fetch_max(now, Ordering::Relaxed);
            // Long enough for another to find no room, and to fall asleep.
            for _ in 0..20 {
                yield_now().await;
            }
            inside[0].fetch_sub(1, Ordering::Relaxed);
            Ok::<_, Failed>(Answer { by: 0, outcome: Outcome::new(Class::Success) })
        }
    });
    let endpoint = QuotaLayer::new(meters.clone(), CLASSIFY).layer(Strict::new(inner));
    let balance = layer(Strategy::LeastBusy).with_queue(secs(3_600), 8).layer(vec![endpoint]);
    // The plan of a group is made under a lock of its own, by the first call.
    block_on(call(&balance, Ask::default())).expect("room");
    (meters, inside, balance)
}

#[test]
fn a_request_that_waits_for_an_in_flight_slot_is_woken_and_no_slot_is_given_twice() {
    explore(1, 1_000, || {
        let (meters, inside, balance) = narrow(Limits { in_flight: Some(1), ..Limits::default() });
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let balance = balance.clone();
                // Nothing advances the clock: a request that is not woken waits forever, which is a deadlock.
                thread::spawn(move || block_on(call(&balance, Ask::default())).expect("in the end"))
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.join().expect("no panic").by, 0);
        }
        assert_eq!(inside[1].load(Ordering::Relaxed), 1);
        assert_eq!((meters.snapshot().in_flight, meters.snapshot().reserved), (0, 0));
    });
}

#[test]
fn a_request_that_leaves_the_queue_loses_no_wakeup_of_another() {
    explore(2, 1_000, || {
        let (meters, _, balance) = narrow(Limits { in_flight: Some(1), ..Limits::default() });
        let callers: Vec<_> = (0..3)
            .map(|n| {
                let balance = balance.clone();
                thread::spawn(move || {
                    block_on(async {
                        let mut one = pin!(call(&balance, Ask::default()));
                        if n > 0 {
                            one.await.expect("in the end");
                        } else {
                            // Polled once or twice, then gone.
                            let _ = poll_fn(|cx| Poll::Ready(one.as_mut().poll(cx))).await;
                            yield_now().await;
                            let _ = poll_fn(|cx| Poll::Ready(one.as_mut().poll(cx))).await;
                        }
                    });
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().expect("no panic"));
        assert_eq!((meters.snapshot().in_flight, meters.snapshot().reserved), (0, 0));
    });
}

#[test]
fn concurrent_threads_get_exactly_the_limit() {
    explore(3, 1_000, || {
        let limits =
            Limits { requests: Some(3), tokens: Some(3), window: Some(RateWindow::S60), ..Limits::default() };
        let (meters, _, balance) = narrow(limits);
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let balance = balance.clone();
                let ask = Ask { deadline: None, ..Ask::default() };
                thread::spawn(move || {
                    block_on(async {
                        // One that has to wait does so for a minute: it is not for this story.
                        let mut one = pin!(call(&balance, ask));
                        for _ in 0..40 {
                            if poll_fn(|cx| Poll::Ready(one.as_mut().poll(cx).is_ready())).await {
                                return true;
                            }
                            yield_now().await;
                        }
                        false
                    })
                })
            })
            .collect();
        let admitted =
            callers.into_iter().filter_map(|caller| caller.join().ok()).filter(|done| *done).count();
        let reading = meters.snapshot();
        assert_eq!((admitted, reading.requests, reading.tokens, reading.in_flight), (2, 3, 3, 0));
    });
}
