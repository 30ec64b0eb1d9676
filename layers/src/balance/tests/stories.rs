//! Tests of the choice of an endpoint, its order, and the state after a call.

use std::task::Poll;

use tokio_test::{assert_pending, assert_ready, task::spawn};

use super::*;
use crate::{
    NoCapacity,
    endpoint::{Health, Score},
    setting::Constant,
};

/// An endpoint with an adjustable health.
#[derive(Clone, Debug)]
pub(super) struct WithHealth<S> {
    inner: S,
    health: Arc<Mutex<Health>>,
}

impl<S: Service<Ask>> Service<Ask> for WithHealth<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, ask: Ask) -> S::Future {
        self.inner.call(ask)
    }
}

impl<S: Endpoint<Ask>> Endpoint<Ask> for WithHealth<S> {
    fn score(&self, ask: &Ask, now: Instant) -> Result<Score, NoCapacity> {
        let score = self.inner.score(ask, now)?;
        Ok(Score { health: *self.health.lock().unwrap(), ..score })
    }

    fn reserve(&mut self, ask: &Ask, seen: &Score, now: Instant) -> Result<(), NoCapacity> {
        self.inner.reserve(ask, seen, now)
    }

    fn weight(&self) -> EndpointWeight {
        self.inner.weight()
    }
}

pub(super) fn with_health<S>(inner: S) -> (WithHealth<S>, Arc<Mutex<Health>>) {
    let health = Arc::new(Mutex::new(Health::Healthy(1.0)));
    (WithHealth { inner, health: Arc::clone(&health) }, health)
}

#[tokio::test(start_paused = true)]
async fn an_empty_group_refuses_every_call() {
    let (server, meters) = (Server::new(0, ms(1)), meters(1));
    let mut endpoints = vec![deployment(&server, &meters, EndpointWeight::default())];
    endpoints.clear();
    let balance = layer(Strategy::Adaptive).layer(endpoints);
    let refused = call(&balance, Ask::default()).await.expect_err("there is no endpoint");
    assert_eq!(refused, Failed::Exhausted(Exhausted::NO_ENDPOINT));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_calls_at_one_instant_and_no_queue_admit_exactly_the_limit() {
    for limit in [99_usize, 100, 101, 1_000] {
        let (server, meters) = (Server::new(0, ms(100)), bursting(limit as u64));
        let balance = layer(Strategy::Adaptive).with_queue(Duration::ZERO, 0);
        let balance = balance.layer(vec![deployment(&server, &meters, rpm(limit as u64))]);
        let mut calls: Vec<_> = (0..1_000).map(|_| spawn(call(&balance, Ask::default()))).collect();
        let refused = calls.iter_mut().filter_map(|call| match call.poll() {
            Poll::Ready(result) => Some(result.expect_err("refused").retry_after()),
            Poll::Pending => None,
        });
        let refused: Vec<_> = refused.collect();
        assert_eq!((server.called(), refused.len()), (limit, 1_000 - limit));
        assert!(refused.iter().all(|after| *after == ms(60_141)), "{:?}", refused.first());
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_repeated_after_its_retry_after_is_admitted() {
    let (server, meters) = (Server::new(0, ms(1)), meters(600));
    let balance = layer(Strategy::Adaptive).with_queue(Duration::ZERO, 0);
    let balance = balance.layer(vec![deployment(&server, &meters, rpm(600))]);
    for _ in 0..500 {
        if let Err(refused) = call(&balance, Ask::default()).await {
            sleep(refused.retry_after()).await;
            call(&balance, Ask::default()).await.expect("admitted");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_lowest_order_with_capacity_is_used() {
    let servers: Vec<_> = (0..3).map(|by| Server::new(by, ms(1))).collect();
    let endpoints = servers.iter().zip([None, Some(2), Some(1)]).map(|(server, order)| {
        deployment(server, &bursting(5), EndpointWeight { order, ..EndpointWeight::default() })
    });
    let balance = layer(Strategy::Adaptive).layer(endpoints.collect());
    let mut order = Vec::new();
    for _ in 0..15 {
        order.push(call(&balance, Ask::default()).await.expect("room").by);
    }
    assert_eq!(order, [2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn an_untried_endpoint_comes_before_a_tried_one_and_that_not_before_its_time() {
    let servers: Vec<_> = (0..2).map(|by| Server::new(by, ms(1))).collect();
    let endpoints = servers.iter().map(|server| deployment(server, &meters(600), EndpointWeight::default()));
    let balance = layer(Strategy::Adaptive).with_attempts(Ask::attempts).layer(endpoints.collect());
    let ask = Ask::default();
    let first = call(&balance, ask.clone()).await.expect("room").by;
    let began = Instant::now();
    let not_before = Directive::NotBefore(began + secs(1));
    ask.attempts.direct(not_before);
    let second = call(&balance, ask.clone()).await.expect("room").by;
    assert_ne!(first, second);
    assert_eq!(began.elapsed(), ms(1), "the untried one at once");
    ask.attempts.direct(not_before);
    call(&balance, ask.clone()).await.expect("room");
    assert_eq!(began.elapsed(), ms(1_001), "a tried one no earlier than it may");

    ask.attempts.direct(Directive::Untried);
    let refused = call(&balance, ask.clone()).await;
    assert!(matches!(refused, Err(Failed::Exhausted(_))));
    assert_eq!(ask.attempts.made(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_cools_down_is_called_only_when_no_other_is_healthy_and_then_at_once() {
    let servers: Vec<_> = (0..2).map(|by| Server::new(by, ms(1))).collect();
    let limits = [bursting(3), bursting(100)];
    let made = servers
        .iter()
        .zip(&limits)
        .map(|(one, meters)| with_health(deployment(one, meters, EndpointWeight::default())));
    let (endpoints, health): (Vec<_>, Vec<_>) = made.unzip();
    let balance = layer(Strategy::Adaptive).layer(endpoints);
    *health[1].lock().unwrap() = Health::CoolingDown(Instant::now() + secs(30));
    for by in [0, 0, 0, 1] {
        let began = Instant::now();
        assert_eq!(call(&balance, Ask::default()).await.expect("room").by, by);
        assert_eq!(began.elapsed(), ms(1), "health closes no group");
    }
    sleep(secs(61)).await;
    *health[0].lock().unwrap() = Health::CoolingDown(Instant::now() + secs(5));
    *health[1].lock().unwrap() = Health::CoolingDown(Instant::now() + secs(4));
    assert_eq!(call(&balance, Ask::default()).await.expect("room").by, 1, "the cooldown that ends first");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_inner_service_leaves_nothing_in_flight() {
    let meters = Meters::new(Limits { in_flight: Some(1), ..Limits::default() });
    let bad = service_fn(|ask: Ask| {
        assert_ne!(ask.cost, 13, "a panic on purpose");
        async { Ok::<_, Failed>(Answer { by: 0, outcome: Outcome::new(Class::Success) }) }
    });
    let endpoint = QuotaLayer::new(meters.clone(), CLASSIFY).layer(bad);
    let balance = layer(Strategy::Adaptive).with_deadline(Constant(None)).layer(vec![endpoint]);
    for _ in 0..3 {
        let one = balance.clone();
        let panicked = tokio::spawn(async move { call(&one, Ask { cost: 13, ..Ask::default() }).await });
        assert!(panicked.await.expect_err("a panic").is_panic());
        assert_eq!(meters.snapshot().in_flight, 0);
        call(&balance, Ask::default()).await.expect("room again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_stays_in_flight_until_it_ends() {
    /// Keeps the handles, as a body would.
    type Kept = (Option<QuotaGuard>, Option<InFlight>);
    #[derive(Clone, Default)]
    struct Open(Arc<Mutex<Vec<Kept>>>);
    impl TrackOutcome<QuotaGuard, Answer, Failed> for Open {
        fn track(&self, held: QuotaGuard, result: Result<Answer, Failed>) -> Result<Answer, Failed> {
            self.0.lock().unwrap().push((Some(held), None));
            result
        }
    }
    impl TrackOutcome<InFlight, Answer, Failed> for Open {
        fn track(&self, flight: InFlight, result: Result<Answer, Failed>) -> Result<Answer, Failed> {
            self.0.lock().unwrap().push((None, Some(flight)));
            result
        }
    }
    let (open, meters) = (Open::default(), Meters::new(Limits { in_flight: Some(1), ..Limits::default() }));
    let inner = service_fn(|_: Ask| async {
        Ok::<_, Failed>(Answer { by: 0, outcome: Outcome::new(Class::Success) })
    });
    let endpoint = QuotaLayer::new(meters.clone(), CLASSIFY).with_tracking(open.clone()).layer(inner);
    let balance = RateLimitBalanceLayer::new(Strategy::LeastBusy, CLASSIFY)
        .with_tracking(open.clone())
        .layer(vec![endpoint]);
    call(&balance, Ask::default()).await.expect("room");
    let mut next = spawn(call(&balance, Ask::default()));
    assert_pending!(next.poll());
    for (held, flight) in std::mem::take(&mut *open.0.lock().unwrap()) {
        if let Some(held) = held {
            held.complete(&Outcome::new(Class::Success));
        }
        drop(flight);
    }
    assert!(next.is_woken(), "freed capacity wakes waiting requests");
    assert!(assert_ready!(next.poll()).is_ok());
}
