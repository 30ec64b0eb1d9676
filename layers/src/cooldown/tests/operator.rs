//! Tests of the operator's part: a cooldown by hand, its end, and a drain.

use super::*;
use crate::{balance::Strategy, endpoint::Horizon};

#[tokio::test(start_paused = true)]
async fn a_cooldown_by_hand_ends_with_a_probe() {
    let health = strict();
    assert!(health.cool_down(60 * SECOND));
    assert_eq!((state(&health), left(&health)), (HealthState::CoolingDown, 60 * SECOND));
    advance(60 * SECOND).await;
    assert_eq!(state(&health), HealthState::HalfOpen);
    call(&health, GOOD).await;
    assert_eq!(state(&health), HealthState::SlowStart);
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_by_hand_is_refused_where_cooldowns_are_off() {
    let health = EndpointHealth::new(CooldownConfig::new(Duration::ZERO));
    assert!(!health.cool_down(SECOND));
    assert_eq!(state(&health), HealthState::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_revived_endpoint_has_a_slow_start_and_a_healthy_one_does_not_change() {
    let health = strict();
    call(&health, BAD).await;
    health.revive();
    assert_eq!(state(&health), HealthState::SlowStart);
    advance(10 * SECOND).await;
    health.revive();
    assert_eq!(state(&health), HealthState::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_drained_endpoint_has_no_capacity_until_the_drain_ends() {
    let health = strict();
    health.set_drained(true);
    assert_eq!(state(&health), HealthState::Drained);
    let refused = picked(&health, GOOD).await.unwrap_err();
    assert_eq!((refused.reason, refused.until), (NoCapacityReason::Drained, Instant::now() + 60 * SECOND));
    let ask = Ask(GOOD, Duration::ZERO);
    let slots = |by| endpoint(&health).slots(&ask, Horizon::likely(Instant::now(), Instant::now() + by));
    assert_eq!(slots(59 * SECOND), 0);
    assert!(slots(60 * SECOND) > 0);
    health.set_drained(false);
    call(&health, GOOD).await;
    assert_eq!(state(&health), HealthState::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_begins_after_the_score_refuses_the_reservation() {
    let health = strict();
    let ask = Ask(GOOD, Duration::ZERO);
    let mut endpoint = endpoint(&health);
    let seen = endpoint.score(&ask, Instant::now()).unwrap();
    health.set_drained(true);
    let refused = endpoint.reserve(&ask, &seen, Instant::now()).unwrap_err();
    assert_eq!(refused.reason, NoCapacityReason::Drained);
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_calls_in_flight_continue_and_keeps_their_outcome() {
    let health = strict();
    let mut calls = task::spawn(endpoint(&health).oneshot(Ask(BAD, SECOND)));
    assert_pending!(calls.poll());
    health.set_drained(true);
    advance(SECOND).await;
    assert_eq!(calls.await, Ok(BAD));
    assert_eq!((state(&health), health.snapshot().cooldowns), (HealthState::Drained, 1));
    health.set_drained(false);
    assert_eq!(state(&health), HealthState::CoolingDown);
}

#[tokio::test(start_paused = true)]
async fn a_balancer_calls_no_drained_endpoint_and_refuses_if_there_is_no_other() {
    let healths = [strict(), strict()];
    let endpoints = healths.iter().map(|health| {
        let backend = service_fn(|_: ()| async { Ok::<_, BoxError>(()) });
        let classify = |_: Result<&(), &BoxError>| GOOD;
        CooldownLayer::new(health.clone(), classify).layer(StaticEndpoint::unlimited(backend))
    });
    let classify = |_: Result<&(), &BoxError>| GOOD;
    let balance = crate::balance::RateLimitBalance::new(endpoints.collect(), Strategy::Adaptive, classify);
    healths[0].set_drained(true);
    healths[1].cool_down(60 * SECOND);
    assert!(balance.clone().oneshot(()).await.is_ok(), "the other one, although it cools down");
    healths[1].set_drained(true);
    let refused = balance.clone().oneshot(()).await.unwrap_err();
    let exhausted = refused.downcast::<crate::balance::Exhausted>().unwrap();
    assert_eq!(exhausted.retry_after(), Some(60 * SECOND));
    healths[0].revive();
    assert!(balance.oneshot(()).await.is_ok());
}
