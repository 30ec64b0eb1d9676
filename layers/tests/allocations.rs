//! A test of the allocations of a pick. It has its own test binary, because allocations are counted for the process.

use std::{
    alloc::System,
    future::{Ready, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tollgate_layers::{
    BoxError, Class, Outcome,
    balance::{RateLimitBalanceLayer, Strategy},
    cooldown::{CooldownConfig, CooldownLayer, EndpointHealth},
    quota::{Limits, Meters, QuotaLayer, RateWindow},
};
use tower::{Layer, Service, service_fn};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn classify(_: Result<&u32, &BoxError>) -> Outcome {
    Outcome::new(Class::Success)
}

fn answer(n: u32) -> Ready<Result<u32, BoxError>> {
    ready(Ok(n))
}

/// Returns the number of allocations per call, from the pick to the end, in a group of `endpoints` that accept `each` calls
/// each.
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
    let calls = each * endpoints.len() as u64;
    let balance = RateLimitBalanceLayer::new(strategy, track).layer(endpoints);
    let one = || {
        let result = pin!(balance.clone().call(1)).poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(result, Poll::Ready(Ok(1))), "there is room");
    };
    // The first call creates the tiers of the group.
    one();
    let region = Region::new(ALLOCATOR);
    for _ in 1..calls {
        one();
    }
    region.change().allocations.div_ceil(usize::try_from(calls - 1).unwrap_or(1))
}

#[test]
fn a_pick_allocates_once() {
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
