//! Tests of the allocations of a pick, and of a call through all layers. They have their own test binary, because allocations are counted
//! for the process.

use std::{
    alloc::System,
    future::{Ready, ready},
    pin::pin,
    sync::Mutex,
    task::{Context, Poll, Waker},
    time::Duration,
};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tollgate_layers::{
    BoxError, Class, Outcome,
    balance::{RateLimitBalanceLayer, Strategy},
    context_window::ContextWindowFallbackLayer,
    cooldown::{CooldownConfig, CooldownLayer, EndpointHealth},
    fallback::FallbackLayer,
    quota::{Limits, Meters, QuotaLayer, RateWindow},
    retry::RetryLayer,
    timeout::TimeoutLayer,
};
use tower::{Layer, Service, ServiceBuilder, service_fn};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Held by each test: they must not run at the same time.
static COUNTING: Mutex<()> = Mutex::new(());

fn classify(_: Result<&u32, &BoxError>) -> Outcome {
    Outcome::new(Class::Success)
}

fn answer(n: u32) -> Ready<Result<u32, BoxError>> {
    ready(Ok(n))
}

/// Returns the number of allocations per call, from the pick to the end, in a group of `endpoints` that accept `each` calls
/// each. The first call of each is not counted: it allocates the windows of the endpoint.
fn allocations(endpoints: u64, each: u64, strategy: Strategy) -> usize {
    let track = classify;
    let endpoints: Vec<_> = (0..endpoints)
        .map(|_| {
            let limits = Limits {
                requests: Some(each),
                tokens: Some(1_000_000),
                window: Some(RateWindow::S60),
                ..Limits::default()
            };
            let quota = QuotaLayer::new(Meters::new(limits), track).layer(service_fn(answer));
            CooldownLayer::new(EndpointHealth::new(CooldownConfig::default()), track).layer(quota)
        })
        .collect();
    endpoints.iter().for_each(call);
    let calls = (each - 1) * endpoints.len() as u64;
    let balance = RateLimitBalanceLayer::new(strategy, track).layer(endpoints);
    // The first call creates the tiers of the group.
    call(&balance);
    per_call(&balance, usize::try_from(calls - 1).unwrap_or(1))
}

/// Calls a clone of the service and polls it to its end.
fn call<S: Service<u32, Response = u32, Error = BoxError> + Clone>(service: &S) {
    let result = pin!(service.clone().call(1)).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(result, Poll::Ready(Ok(1))), "there is room");
}

/// Returns the number of allocations per call.
fn per_call<S: Service<u32, Response = u32, Error = BoxError> + Clone>(service: &S, calls: usize) -> usize {
    let region = Region::new(ALLOCATOR);
    (0..calls).for_each(|_| call(service));
    region.change().allocations.div_ceil(calls)
}

#[test]
fn a_pick_allocates_once() {
    let _alone = COUNTING.lock();
    let latency = Strategy::LatencyBased { buffer: 0.5 };
    for strategy in [Strategy::Adaptive, Strategy::SimpleShuffle, Strategy::UsageBased, latency] {
        // To the last slot.
        for (endpoints, each) in [(1, 100), (3, 1_000), (16, 100), (2_000, 3)] {
            // The list of the candidates. The test harness may allocate at the same time, so the least count is used.
            let least = (0..3).map(|_| allocations(endpoints, each, strategy)).min();
            assert_eq!(least, Some(1), "{strategy:?} among {endpoints}");
        }
    }
}

#[test]
fn a_call_through_all_layers_allocates_twice() {
    let _alone = COUNTING.lock();
    let backends = (0..3).map(|_| {
        ServiceBuilder::new()
            .layer(CooldownLayer::new(EndpointHealth::new(CooldownConfig::default()), classify))
            .layer(QuotaLayer::new(Meters::new(Limits::default()), classify))
            .layer(TimeoutLayer::new(Duration::from_secs(1)))
            .service(service_fn(answer))
    });
    let stack = ServiceBuilder::new()
        .layer(FallbackLayer::to(service_fn(answer), classify))
        .layer(ContextWindowFallbackLayer::to(service_fn(answer), classify))
        .layer(RetryLayer::new(2u32, classify))
        .layer(RateLimitBalanceLayer::new(Strategy::Adaptive, classify))
        .service(backends.collect());
    call(&stack);
    // The list of the candidates, and the record of the attempts.
    let least = (0..3).map(|_| per_call(&stack, 1_000)).min();
    assert_eq!(least, Some(2));
}
