//! Differences from other crates, each as the same story with both, on a paused clock.

use std::{
    future::{Ready, ready},
    hash::{BuildHasherDefault, DefaultHasher},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use governor::{RateLimiter, clock::FakeRelativeClock};
use tokio::time::advance;
use tollgate_layers::{
    BoxError, Class, OnComplete, Outcome, TrackOutcome,
    balance::{RateLimitBalanceLayer, Strategy},
    quota::{Limits, Meters, QuotaGuard, QuotaLayer},
    retry::RetryLayer,
};
use tower::{
    Service, ServiceBuilder, ServiceExt,
    balance::p2c::Balance,
    discover::ServiceList,
    limit::ConcurrencyLimitLayer,
    load::{CompleteOnResponse, PendingRequests},
    retry::Policy,
    service_fn,
    util::rng::HasherRng,
};

const SECOND: Duration = Duration::from_secs(1);

fn classify<T>(result: Result<&T, &BoxError>) -> Outcome {
    Outcome::new(if result.is_ok() { Class::Success } else { Class::Unavailable })
}

/// The number of steps of 0.1 s in the first minute. In each, a client calls until it is refused.
const STEPS: u32 = 600;

#[test]
fn governor_lets_nearly_twice_a_limit_through_in_its_first_minute() {
    let clock = FakeRelativeClock::default();
    let per_minute = governor::Quota::per_minute(NonZeroU32::MIN.saturating_add(59));
    let limiter = RateLimiter::direct_with_clock(per_minute, clock.clone());
    let mut passed = 0;
    for _ in 0..STEPS {
        passed += std::iter::from_fn(|| limiter.check().ok()).count();
        clock.advance(SECOND / 10);
    }
    assert_eq!(passed, 119, "sixty at once, and another one in each of the next 59 seconds");
}

#[tokio::test(start_paused = true)]
async fn quota_lets_the_limit_through_in_its_first_minute() {
    let limits = Limits { requests: Some(60), ..Limits::default() };
    let mut service = ServiceBuilder::new()
        .layer(QuotaLayer::new(Meters::new(limits), classify::<()>))
        .service(service_fn(|()| ready(Ok::<_, BoxError>(()))));
    let mut passed = 0;
    for _ in 0..STEPS {
        while service.ready().await.unwrap().call(()).await.is_ok() {
            passed += 1;
        }
        advance(SECOND / 10).await;
    }
    assert_eq!(passed, 60);
}

/// The number of bodies that a backend is sending.
#[derive(Clone, Default)]
struct Running(Arc<AtomicUsize>);

/// A body of which nothing was read yet.
struct Body {
    running: Running,
    guard: Option<QuotaGuard>,
}

impl Drop for Body {
    fn drop(&mut self) {
        self.running.0.fetch_sub(1, Relaxed);
        if let Some(guard) = self.guard.take() {
            guard.complete(&Outcome::new(Class::Success));
        }
    }
}

/// Keeps the guard in the body.
#[derive(Clone)]
struct InBody;

impl TrackOutcome<QuotaGuard, Body, BoxError> for InBody {
    fn track(&self, guard: QuotaGuard, result: Result<Body, BoxError>) -> Result<Body, BoxError> {
        let mut body = result?;
        body.guard = Some(guard);
        Ok(body)
    }
}

fn streaming(running: &Running) -> impl Service<(), Response = Body, Error = BoxError> + Clone + use<> {
    let running = running.clone();
    service_fn(move |()| {
        running.0.fetch_add(1, Relaxed);
        ready(Ok(Body { running: running.clone(), guard: None }))
    })
}

#[tokio::test(start_paused = true)]
async fn concurrency_limit_of_tower_ends_at_the_head_of_a_streamed_response() {
    let running = Running::default();
    let mut service = ServiceBuilder::new().layer(ConcurrencyLimitLayer::new(1)).service(streaming(&running));
    let mut bodies = Vec::new();
    for _ in 0..5 {
        bodies.push(service.ready().await.unwrap().call(()).await.unwrap());
    }
    assert_eq!(running.0.load(Relaxed), 5, "bodies at one time, with a limit of one call");
}

#[tokio::test(start_paused = true)]
async fn quota_keeps_the_slot_until_the_end_of_a_streamed_response() {
    let (running, limits) = (Running::default(), Limits { in_flight: Some(1), ..Limits::default() });
    let mut service = ServiceBuilder::new()
        .layer(QuotaLayer::new(Meters::new(limits), classify::<Body>).with_tracking(InBody))
        .service(streaming(&running));
    for _ in 0..5 {
        let body = service.ready().await.unwrap().call(()).await.unwrap();
        for _ in 0..5 {
            assert!(service.ready().await.unwrap().call(()).await.is_err(), "one is running");
        }
        assert_eq!(running.0.load(Relaxed), 1);
        drop(body);
    }
}

/// A policy of tower's retry: `left` repeats after an error.
#[derive(Clone)]
struct Repeat {
    left: usize,
}

impl Policy<(), &'static str, BoxError> for Repeat {
    type Future = Ready<()>;

    fn retry(&mut self, (): &mut (), result: &mut Result<&'static str, BoxError>) -> Option<Ready<()>> {
        self.left = self.left.checked_sub(usize::from(result.is_err()))?;
        result.is_err().then(|| ready(()))
    }

    fn clone_request(&mut self, (): &()) -> Option<()> {
        Some(())
    }
}

/// A backend that always fails, and one that never does.
fn backends()
-> [impl Service<(), Response = &'static str, Error = BoxError, Future: Send> + Clone + Send + Sync; 2] {
    [None, Some("good")].map(|name| service_fn(move |()| ready(name.ok_or_else(|| BoxError::from("bad")))))
}

/// Returns the number of calls that fail, of 100.
async fn failures(service: impl Service<(), Response = &'static str, Error = BoxError> + Clone) -> usize {
    let mut failed = 0;
    for _ in 0..100 {
        failed += usize::from(service.clone().oneshot(()).await.is_err());
    }
    failed
}

#[tokio::test(start_paused = true)]
async fn retry_of_tower_over_its_balancer_calls_the_same_endpoint_again() {
    let counted = backends().map(|backend| PendingRequests::new(backend, CompleteOnResponse::default()));
    // The same draws in every run.
    let random = HasherRng::with_hasher(BuildHasherDefault::<DefaultHasher>::default());
    let balance = Balance::from_rng(ServiceList::new::<()>(counted), random);
    let service = ServiceBuilder::new().retry(Repeat { left: 1 }).buffer(16).service(balance);
    let failed = failures(service).await;
    assert!((15..35).contains(&failed), "about a quarter, both attempts at the bad one: {failed}");
}

#[tokio::test(start_paused = true)]
async fn retry_over_the_balancer_calls_the_other_endpoint() {
    let balance = RateLimitBalanceLayer::new(Strategy::SimpleShuffle, classify::<&str>);
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(1u32, classify::<&str>))
        .service(balance.services(backends()));
    assert_eq!(failures(service).await, 0);
}
