//! Tests of endpoints that fail to become ready for a call.

use std::{
    future::{Ready, ready},
    task::{Context, Poll},
};

use super::*;
use crate::{
    AtResponse,
    cooldown::{CooldownConfig, CooldownLayer, EndpointHealth, HealthState},
    quota::Quota,
};

/// A backend that fails to become ready if it has failed.
#[derive(Clone, Debug)]
struct Backend {
    by: usize,
    failed: bool,
}

#[derive(Debug)]
struct Lost;

impl From<CoolingDown> for Lost {
    fn from(error: CoolingDown) -> Self {
        unreachable!("each call is reserved: {error}")
    }
}

impl From<Exhausted> for Lost {
    fn from(exhausted: Exhausted) -> Self {
        unreachable!("there is always room: {exhausted}")
    }
}

impl Service<Ask> for Backend {
    type Response = usize;
    type Error = Lost;
    type Future = Ready<Result<usize, Lost>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Lost>> {
        Poll::Ready(if self.failed { Err(Lost) } else { Ok(()) })
    }

    fn call(&mut self, _: Ask) -> Self::Future {
        ready(Ok(self.by))
    }
}

type Results = fn(Result<&usize, &Lost>) -> Outcome;
const RESULTS: Results =
    |result| Outcome::new(if result.is_ok() { Class::Success } else { Class::Unavailable });

/// Returns two backends, of which the first has failed.
fn backends(meters: &Meters) -> [Quota<Backend, AtResponse<Results>>; 2] {
    [0, 1].map(|by| QuotaLayer::new(meters.clone(), RESULTS).layer(Backend { by, failed: by == 0 }))
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_before_the_call_counts_as_tried_and_releases_its_reservation() {
    let meters = meters(60);
    let balance = RateLimitBalanceLayer::new(Strategy::LeastBusy, RESULTS).with_attempts(Ask::attempts);
    let balance = balance.layer(Vec::from(backends(&meters)));
    let ask = Ask::default();
    balance.clone().oneshot(ask.clone()).await.expect_err("the first of equals");
    assert_eq!((ask.attempts.made(), meters.snapshot().requests), (1, 0));
    assert_eq!(balance.oneshot(ask).await.expect("the other one"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_before_the_call_cools_down() {
    let health = EndpointHealth::new(CooldownConfig::default().with_allowed_fails(Some(0)));
    let healths = [health.clone(), EndpointHealth::new(CooldownConfig::default())];
    let endpoints = backends(&meters(60)).into_iter().zip(healths);
    let endpoints = endpoints.map(|(quota, health)| CooldownLayer::new(health, RESULTS).layer(quota));
    let balance = RateLimitBalanceLayer::new(Strategy::LeastBusy, RESULTS).layer(endpoints.collect());
    balance.clone().oneshot(Ask::default()).await.expect_err("the first of equals");
    assert_eq!(health.snapshot().state, HealthState::CoolingDown);
    for _ in 0..3 {
        assert_eq!(balance.clone().oneshot(Ask::default()).await.expect("the other one"), 1);
    }
    sleep(secs(5)).await;
    balance.oneshot(Ask::default()).await.expect_err("the probe");
    assert_eq!((health.snapshot().state, health.snapshot().cooldowns), (HealthState::CoolingDown, 2));
}
