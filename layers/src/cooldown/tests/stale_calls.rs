//! Outcomes of calls that began before the last change of health.

use super::*;

#[tokio::test(start_paused = true)]
async fn failures_of_calls_that_began_before_the_cooldown_do_not_count() {
    let health = strict();
    let mut old: Vec<_> = [SECOND, 9 * SECOND]
        .map(|time| {
            let mut old = task::spawn(endpoint(&health).oneshot(Ask(BAD, time)));
            assert_pending!(old.poll());
            old
        })
        .into();
    call(&health, BAD).await;
    old.remove(0).await.unwrap();
    assert_eq!((state(&health), left(&health)), (HealthState::CoolingDown, 4 * SECOND), "it is not renewed");
    advance(4 * SECOND).await;
    picked(&health, GOOD).await.unwrap();
    old.remove(0).await.unwrap();
    assert_eq!(
        (state(&health), health.snapshot().fails),
        (HealthState::SlowStart, 0),
        "it has been healthy since"
    );
    call(&health, BAD).await;
    assert_eq!(state(&health), HealthState::CoolingDown, "but a new failure counts");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_is_not_the_probe_of_the_next_cooldown() {
    let health = strict();
    call(&health, BAD).await;
    advance(5 * SECOND).await;
    let ask = Ask(BAD, 12 * SECOND);
    let mut probe = endpoint(&health);
    probe.reserve(&ask, &probe.score(&ask, Instant::now()).unwrap(), Instant::now()).unwrap();
    let mut hangs = task::spawn(probe.ready().await.unwrap().call(ask));
    assert_pending!(hangs.poll());
    // Another call ends the cooldown. Then the next one begins.
    picked(&health, GOOD).await.unwrap();
    call(&health, BAD).await;
    let length = left(&health);
    advance(length).await;
    assert_eq!(state(&health), HealthState::HalfOpen);
    let mut next = endpoint(&health);
    next.reserve(&ask, &next.score(&ask, Instant::now()).unwrap(), Instant::now()).unwrap();
    hangs.await.unwrap();
    assert_eq!(
        (state(&health), health.snapshot().cooldowns),
        (HealthState::Probing, 2),
        "the outcome of the first is stale"
    );
}
