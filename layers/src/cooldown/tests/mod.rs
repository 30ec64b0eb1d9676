//! Tests of the cooldown layer: the phases, the probe, and the evidence of outcomes.

mod endpoint;
mod operator;
mod properties;
mod stale_calls;
mod threads;

use std::time::Duration;

use tokio::time::{Instant, advance, sleep};
use tokio_test::{assert_pending, task};
use tower::{ServiceExt as _, service_fn};

use self::endpoint::StaticEndpoint;
use super::*;
use crate::{BoxError, OnComplete, endpoint::NoCapacityReason, testing::Strict};

const SECOND: Duration = Duration::from_secs(1);
const BAD: Outcome = Outcome::new(Class::Unavailable);
const GOOD: Outcome = Outcome::new(Class::Success);

/// A request: the outcome of the call, which is also the response, and the time that it takes.
#[derive(Clone, Copy, Debug)]
struct Ask(Outcome, Duration);

/// The error of all calls.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Refused(CoolingDown);

impl From<CoolingDown> for Refused {
    fn from(error: CoolingDown) -> Self {
        Self(error)
    }
}

fn classify(result: Result<&Outcome, &Refused>) -> Outcome {
    result.copied().unwrap_or(BAD)
}

fn endpoint(health: &EndpointHealth) -> impl Endpoint<Ask, Response = Outcome, Error = Refused> + use<> {
    let backend = service_fn(|Ask(outcome, time)| async move {
        sleep(time).await;
        Ok::<_, Refused>(outcome)
    });
    CooldownLayer::new(health.clone(), classify).layer(StaticEndpoint::unlimited(Strict::new(backend)))
}

/// Makes a call as a balancer does that has no other endpoint.
async fn call(health: &EndpointHealth, outcome: Outcome) {
    picked(health, outcome).await.expect("no other call has the probe");
}

/// Makes a call like a balancer: with score and reservation.
async fn picked(health: &EndpointHealth, outcome: Outcome) -> Result<(), NoCapacity> {
    let ask = Ask(outcome, Duration::ZERO);
    let mut endpoint = endpoint(health);
    let seen = endpoint.score(&ask, Instant::now())?;
    endpoint.reserve(&ask, &seen, Instant::now())?;
    assert_eq!(endpoint.ready().await.unwrap().call(ask).await, Ok(outcome));
    Ok(())
}

/// The health of an endpoint that cools down for five seconds after any failure.
fn strict() -> EndpointHealth {
    EndpointHealth::new(CooldownConfig::default().with_allowed_fails(Some(0)))
}

fn state(health: &EndpointHealth) -> HealthState {
    health.snapshot().state
}

/// The rest of the current cooldown.
fn left(health: &EndpointHealth) -> Duration {
    health.snapshot().until.unwrap().saturating_duration_since(Instant::now())
}

#[tokio::test(start_paused = true)]
async fn more_failures_than_allowed_start_a_cooldown_for_the_cooldown_time() {
    let health = EndpointHealth::new(CooldownConfig::default().with_allowed_fails(Some(2)));
    for _ in 0..2 {
        call(&health, BAD).await;
        assert_eq!(state(&health), HealthState::Healthy);
    }
    call(&health, BAD).await;
    assert_eq!((state(&health), left(&health)), (HealthState::CoolingDown, 5 * SECOND));
    assert_eq!(health.snapshot().cooldowns, 1);
}

#[tokio::test(start_paused = true)]
async fn failures_expire_after_a_minute() {
    let health = EndpointHealth::new(CooldownConfig::default().with_allowed_fails(Some(1)));
    call(&health, BAD).await;
    advance(60 * SECOND).await;
    call(&health, BAD).await;
    assert_eq!((state(&health), health.snapshot().fails), (HealthState::Healthy, 1));
    advance(58 * SECOND).await;
    call(&health, BAD).await;
    assert_eq!(state(&health), HealthState::CoolingDown);
}

#[tokio::test(start_paused = true)]
async fn by_default_five_failures_in_a_row_start_a_cooldown_and_four_do_not() {
    let health = EndpointHealth::new(CooldownConfig::default());
    for _ in 0..20 {
        call(&health, GOOD).await;
    }
    for _ in 0..4 {
        call(&health, BAD).await;
    }
    assert_eq!(state(&health), HealthState::Healthy);
    call(&health, GOOD).await;
    for _ in 0..4 {
        call(&health, BAD).await;
    }
    assert_eq!(state(&health), HealthState::Healthy);
    call(&health, BAD).await;
    assert_eq!(state(&health), HealthState::CoolingDown);
}

#[tokio::test(start_paused = true)]
async fn by_default_a_majority_of_at_least_five_starts_a_cooldown() {
    let health = EndpointHealth::new(CooldownConfig::default());
    for outcome in [BAD, GOOD, BAD, GOOD] {
        call(&health, outcome).await;
    }
    assert_eq!(state(&health), HealthState::Healthy);
    call(&health, BAD).await;
    assert_eq!(state(&health), HealthState::CoolingDown);

    let health = EndpointHealth::new(CooldownConfig::default());
    for outcome in [BAD, GOOD, GOOD, BAD, GOOD, BAD] {
        call(&health, outcome).await;
    }
    assert_eq!(state(&health), HealthState::Healthy, "half is not more than half");
}

#[tokio::test(start_paused = true)]
async fn an_unauthorized_outcome_starts_a_cooldown_at_once() {
    let health = EndpointHealth::new(CooldownConfig::default().with_allowed_fails(Some(100)));
    call(&health, Outcome::new(Class::Unauthorized)).await;
    assert_eq!(state(&health), HealthState::CoolingDown);
}

#[tokio::test(start_paused = true)]
async fn an_allowance_for_a_kind_of_outcome_overrides_the_allowed_fails() {
    let allowance = |outcome: &Outcome| (outcome.kind() == 7).then_some(2);
    let health =
        EndpointHealth::new(CooldownConfig::default().with_allowed_fails(Some(0)).with_allowance(allowance));
    for _ in 0..2 {
        call(&health, Outcome::new(Class::Unauthorized).with_kind(7)).await;
    }
    assert_eq!(state(&health), HealthState::Healthy);
    call(&health, Outcome::new(Class::Unauthorized).with_kind(7)).await;
    assert_eq!(state(&health), HealthState::CoolingDown);
}

#[tokio::test(start_paused = true)]
async fn outcomes_without_evidence_never_count() {
    let health = strict();
    for class in [Class::Caller, Class::ContextWindow, Class::ContentPolicy, Class::RateLimited] {
        call(&health, Outcome::new(class)).await;
    }
    call(&health, BAD.without_evidence()).await;
    call(&health, Outcome::new(Class::Timeout).without_evidence()).await;
    call(&health, BAD.refused()).await;
    let mut left = task::spawn(endpoint(&health).oneshot(Ask(BAD, SECOND)));
    assert_pending!(left.poll());
    drop(left);
    assert_eq!((state(&health), health.snapshot().fails), (HealthState::Healthy, 0));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_counts_unless_the_caller_set_a_shorter_limit() {
    use crate::timeout::{Elapsed, Limit, TimeoutLayer};

    let classify = |result: Result<&(), &BoxError>| match result {
        Ok(()) => GOOD,
        Err(error) if error.downcast_ref().is_some_and(Elapsed::is_evidence) => Outcome::new(Class::Timeout),
        Err(_) => Outcome::new(Class::Timeout).without_evidence(),
    };
    let slow = service_fn(|_: Limit| async {
        sleep(10 * SECOND).await;
        Ok::<_, BoxError>(())
    });
    let health = strict();
    // Outside the timeout, which would otherwise drop the call before its outcome is recorded.
    let attempt = CooldownLayer::new(health.clone(), classify)
        .layer(TimeoutLayer::new(|limit: &Limit| *limit).layer(Strict::new(slow)));
    attempt.clone().oneshot(Limit::of(SECOND).without_evidence()).await.unwrap_err();
    assert_eq!((state(&health), health.snapshot().fails), (HealthState::Healthy, 0));
    attempt.oneshot(Limit::of(SECOND)).await.unwrap_err();
    assert_eq!(state(&health), HealthState::CoolingDown);
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_time_of_zero_never_starts_a_cooldown() {
    let health = EndpointHealth::new(CooldownConfig::new(Duration::ZERO).with_allowed_fails(Some(0)));
    call(&health, BAD).await;
    call(&health, Outcome::new(Class::Unauthorized)).await;
    assert_eq!(health.health(), Health::Healthy(1.0));
    health.set_config(CooldownConfig::default().with_allowed_fails(Some(0)));
    call(&health, BAD).await;
    assert_eq!(state(&health), HealthState::CoolingDown);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_in_cooldown_can_still_be_called_and_a_failure_there_renews_its_cooldown() {
    let health = strict();
    call(&health, BAD).await;
    advance(3 * SECOND).await;
    assert!(matches!(health.health(), Health::CoolingDown(_)));
    assert_eq!(picked(&health, BAD).await, Ok(()));
    // Renewed, not doubled: it was called because there was no other.
    assert_eq!((left(&health), health.snapshot().cooldowns), (5 * SECOND, 1));
}

#[tokio::test(start_paused = true)]
async fn a_success_of_a_call_that_began_during_the_cooldown_ends_it() {
    let health = strict();
    call(&health, BAD).await;
    assert_eq!(picked(&health, GOOD).await, Ok(()));
    assert_eq!(state(&health), HealthState::SlowStart);
}

#[tokio::test(start_paused = true)]
async fn a_success_of_a_call_that_began_before_the_cooldown_does_not_end_it() {
    let health = strict();
    let mut old = task::spawn(endpoint(&health).oneshot(Ask(GOOD, SECOND)));
    assert_pending!(old.poll());
    call(&health, BAD).await;
    old.await.unwrap();
    assert_eq!((state(&health), left(&health)), (HealthState::CoolingDown, 4 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn after_the_cooldown_one_call_is_the_probe_and_a_second_is_refused() {
    let health = strict();
    call(&health, BAD).await;
    advance(5 * SECOND).await;
    let ask = Ask(GOOD, SECOND);
    let (mut first, mut second, mut third) = (endpoint(&health), endpoint(&health), endpoint(&health));
    let seen = first.score(&ask, Instant::now()).unwrap();
    assert_eq!((seen.health, state(&health)), (Health::HalfOpen, HealthState::HalfOpen));
    assert_eq!(first.reserve(&ask, &seen, Instant::now()), Ok(()));
    assert_eq!(second.reserve(&ask, &seen, Instant::now()).unwrap_err().reason, NoCapacityReason::Probing);
    // An endpoint that is picked although it cools down may be called meanwhile.
    let seen = third.score(&ask, Instant::now()).unwrap();
    assert!(matches!(seen.health, Health::CoolingDown(_)));
    assert_eq!((third.reserve(&ask, &seen, Instant::now()), state(&health)), (Ok(()), HealthState::Probing));
    assert_eq!(first.ready().await.unwrap().call(ask).await, Ok(GOOD));
    assert_eq!(state(&health), HealthState::SlowStart);
}

#[tokio::test(start_paused = true)]
async fn a_probe_without_evidence_is_returned() {
    let health = strict();
    call(&health, BAD).await;
    advance(5 * SECOND).await;
    let ask = Ask(GOOD, SECOND);
    let seen = endpoint(&health).score(&ask, Instant::now()).unwrap();

    let mut dropped = endpoint(&health);
    dropped.reserve(&ask, &seen, Instant::now()).unwrap();
    assert_eq!(state(&health), HealthState::Probing);
    drop(dropped.clone());
    assert_eq!(state(&health), HealthState::Probing, "a clone does not hold it");
    drop(dropped);
    assert_eq!(state(&health), HealthState::HalfOpen);

    let mut cancelled = endpoint(&health);
    cancelled.reserve(&ask, &seen, Instant::now()).unwrap();
    let mut running = task::spawn(cancelled.ready().await.unwrap().call(ask));
    assert_pending!(running.poll());
    drop(running);
    assert_eq!(state(&health), HealthState::HalfOpen);

    for silent in [GOOD.without_evidence(), Outcome::new(Class::Caller), Outcome::new(Class::RateLimited)] {
        picked(&health, silent).await.unwrap();
        assert_eq!(state(&health), HealthState::HalfOpen);
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_returned_when_the_inner_endpoint_has_no_capacity() {
    let health = strict();
    call(&health, BAD).await;
    advance(5 * SECOND).await;
    let backend = service_fn(|Ask(outcome, _)| std::future::ready(Ok::<_, Refused>(outcome)));
    let mut full = CooldownLayer::new(health.clone(), classify).layer(StaticEndpoint::full(backend));
    let ask = Ask(GOOD, SECOND);
    let seen = full.score(&ask, Instant::now()).unwrap();
    assert_eq!(full.reserve(&ask, &seen, Instant::now()).unwrap_err().reason, NoCapacityReason::RateLimit);
    assert_eq!(state(&health), HealthState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_doubles_the_cooldown_up_to_five_minutes() {
    let health = strict();
    call(&health, BAD).await;
    for expected in [10, 20, 40, 80, 160, 300, 300] {
        advance(left(&health)).await;
        picked(&health, BAD).await.unwrap();
        assert_eq!(left(&health), expected * SECOND);
    }
    // One healthy minute halves the cooldown, regardless of the time before.
    advance(left(&health)).await;
    picked(&health, GOOD).await.unwrap();
    advance(60 * SECOND).await;
    call(&health, BAD).await;
    assert_eq!(left(&health), 160 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn each_minute_of_health_halves_the_next_cooldown() {
    let health = strict();
    call(&health, BAD).await;
    for _ in 0..3 {
        advance(left(&health)).await;
        picked(&health, BAD).await.unwrap();
    }
    assert_eq!(left(&health), 40 * SECOND);
    advance(left(&health)).await;
    picked(&health, GOOD).await.unwrap();
    // The next would be 80 s.
    advance(130 * SECOND).await;
    call(&health, BAD).await;
    assert_eq!(left(&health), 20 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_idle_endpoint_does_not_count_as_healthy() {
    let health = strict();
    call(&health, BAD).await;
    advance(3_600 * SECOND).await;
    assert_eq!(state(&health), HealthState::HalfOpen);
    picked(&health, BAD).await.unwrap();
    assert_eq!(left(&health), 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn the_weight_grows_for_ten_seconds_after_a_cooldown() {
    let health = strict();
    call(&health, BAD).await;
    advance(5 * SECOND).await;
    picked(&health, GOOD).await.unwrap();
    for (after, part) in [(0, 0.1), (5, 0.5), (4, 0.9), (1, 1.0)] {
        advance(after * SECOND).await;
        assert_eq!(health.health(), Health::Healthy(part));
    }
    assert_eq!(state(&health), HealthState::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_successful_head_ends_the_cooldown_before_the_end_of_the_body() {
    /// Keeps the handle like a body.
    #[derive(Clone, Default)]
    struct AtEnd(std::sync::Arc<std::sync::Mutex<Vec<HealthGuard>>>);
    impl TrackOutcome<HealthGuard, Outcome, Refused> for AtEnd {
        fn track(&self, handle: HealthGuard, result: Result<Outcome, Refused>) -> Result<Outcome, Refused> {
            self.0.lock().unwrap().push(handle);
            result
        }
    }
    let health = strict();
    call(&health, BAD).await;
    advance(5 * SECOND).await;
    let bodies = AtEnd::default();
    let backend = || {
        StaticEndpoint::unlimited(service_fn(|Ask(outcome, _)| std::future::ready(Ok::<_, Refused>(outcome))))
    };
    let ask = Ask(GOOD, SECOND);

    let mut without_head =
        CooldownLayer::new(health.clone(), classify).with_tracking(bodies.clone()).layer(backend());
    without_head.reserve(&ask, &without_head.score(&ask, Instant::now()).unwrap(), Instant::now()).unwrap();
    without_head.call(ask).await.unwrap();
    assert_eq!(state(&health), HealthState::Probing);
    bodies.0.lock().unwrap().clear();
    assert_eq!(state(&health), HealthState::HalfOpen);

    let mut inner = CooldownLayer::new(health.clone(), classify)
        .with_tracking(bodies.clone())
        .with_head(classify)
        .layer(backend());
    inner.reserve(&ask, &inner.score(&ask, Instant::now()).unwrap(), Instant::now()).unwrap();
    inner.call(ask).await.unwrap();
    assert_eq!(state(&health), HealthState::SlowStart);
    // Then the body breaks.
    let handle = bodies.0.lock().unwrap().pop().unwrap();
    handle.complete(&BAD);
    assert_eq!((state(&health), left(&health)), (HealthState::CoolingDown, 10 * SECOND));
}
