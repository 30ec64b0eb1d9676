//! What calls find that began before all has changed.

use super::*;

#[tokio::test(start_paused = true)]
async fn failures_of_calls_that_began_before_the_bench_say_nothing_any_more() {
    let bench = strict();
    let mut old: Vec<_> = [SECOND, 9 * SECOND]
        .map(|takes| {
            let mut old = task::spawn(endpoint(&bench).oneshot(Ask(BAD, takes)));
            assert_pending!(old.poll());
            old
        })
        .into();
    call(&bench, BAD).await;
    old.remove(0).await.unwrap();
    assert_eq!((state(&bench), left(&bench)), (State::Benched, 4 * SECOND), "it is not renewed");
    advance(4 * SECOND).await;
    picked(&bench, GOOD).await.unwrap();
    old.remove(0).await.unwrap();
    assert_eq!((state(&bench), bench.snapshot().fails), (State::SlowStart, 0), "it is well since");
    call(&bench, BAD).await;
    assert_eq!(state(&bench), State::Benched, "but what fails now counts");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_is_not_the_probe_of_the_next_bench() {
    let bench = strict();
    call(&bench, BAD).await;
    advance(5 * SECOND).await;
    let ask = Ask(BAD, 12 * SECOND);
    let mut probe = endpoint(&bench);
    probe.reserve(&ask, &probe.score(&ask, Instant::now()).unwrap(), Instant::now()).unwrap();
    let mut hangs = task::spawn(probe.ready().await.unwrap().call(ask));
    assert_pending!(hangs.poll());
    // Another, called as the least bad, ends the bench. Then comes the next.
    picked(&bench, GOOD).await.unwrap();
    call(&bench, BAD).await;
    let length = left(&bench);
    advance(length).await;
    assert_eq!(state(&bench), State::HalfOpen);
    let mut next = endpoint(&bench);
    next.reserve(&ask, &next.score(&ask, Instant::now()).unwrap(), Instant::now()).unwrap();
    hangs.await.unwrap();
    assert_eq!((state(&bench), bench.snapshot().benches), (State::Probing, 2), "what the first finds is old");
}
