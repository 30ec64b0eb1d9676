//! Tests of groups so large that only a sample is queried first.

use tokio_test::{assert_pending, assert_ready, task::spawn};

use super::*;
use crate::cooldown::{CooldownConfig, CooldownLayer, EndpointHealth};

const MANY: usize = 100;

/// Returns an endpoint that cools down for this time after its first failure.
fn cooling_after_one_failure(
    server: &Arc<Server>,
    cooldown: Duration,
) -> impl Endpoint<Ask, Response = Answer, Error = Failed, Future: Send> + Send + Sync + use<> {
    let policy = CooldownConfig::new(cooldown).with_allowed_fails(Some(0));
    let quota = deployment(server, &Meters::new(Limits::default()), EndpointWeight::default());
    CooldownLayer::new(EndpointHealth::new(policy), CLASSIFY).layer(quota)
}

fn servers(takes: Duration) -> Vec<Arc<Server>> {
    (0..MANY).map(|by| Server::new(by, takes)).collect()
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_whose_cooldown_ends_early_is_called_at_once() {
    let servers = servers(ms(1));
    servers.iter().for_each(|server| server.set_broken(Some(Class::Unavailable)));
    let endpoints: Vec<_> =
        servers.iter().map(|server| cooling_after_one_failure(server, secs(60))).collect();
    let (last, balance) = (endpoints[MANY - 1].clone(), layer(Strategy::Adaptive).layer(endpoints));
    for _ in 0..MANY {
        call(&balance, Ask::default()).await.expect("an answer");
    }
    assert!(servers.iter().all(|server| server.called() == 1), "each cools down after its first call");
    // Two calls, so that the endpoint whose cooldown ends early is not the best one anyway.
    call(&balance, Ask::default()).await.expect("the least bad one");
    servers.iter().for_each(|server| server.set_broken(None));
    let (mut last, ask) = (last, Ask::default());
    let score = last.score(&ask, Instant::now()).expect("room");
    last.reserve(&ask, &score, Instant::now()).expect("room");
    last.ready().await.expect("ready").call(ask).await.expect("it is healthy again");
    for _ in 0..3 {
        let by = call(&balance, Ask::default()).await.expect("an answer").by;
        assert_eq!(by, MANY - 1);
    }
}

#[tokio::test(start_paused = true)]
async fn among_endpoints_that_cool_down_untried_ones_come_first_though_a_tried_one_returns_sooner() {
    let servers = servers(ms(1));
    servers.iter().for_each(|server| server.set_broken(Some(Class::Unavailable)));
    let cooldown = |by: usize| secs(if by == 7 { 1 } else { 60 });
    let endpoints = servers.iter().map(|server| cooling_after_one_failure(server, cooldown(server.by)));
    let balance = layer(Strategy::Adaptive).with_attempts(Ask::attempts).layer(endpoints.collect());
    for _ in 0..MANY {
        call(&balance, Ask::default()).await.expect("an answer");
    }
    let ask = Ask::default();
    let mut tried = Vec::new();
    for _ in 0..4 {
        tried.push(call(&balance, ask.clone()).await.expect("an answer").by);
    }
    assert_eq!(tried[0], 7, "it returns first");
    tried.sort_unstable();
    tried.dedup();
    assert_eq!(tried.len(), 4, "{tried:?}");
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_full_for_an_expensive_call_is_found_for_a_cheap_one() {
    let servers = servers(ms(1));
    let meters = || Meters::new(Limits { tokens: Some(100), ..Limits::default() });
    let endpoints = servers.iter().map(|server| deployment(server, &meters(), EndpointWeight::default()));
    let balance = layer(Strategy::Adaptive).with_queue(Duration::ZERO, 0).layer(endpoints.collect());
    let costs = |cost| Ask { cost, ..Ask::default() };
    for cost in [60, 30, 10] {
        for _ in 0..MANY {
            call(&balance, costs(cost)).await.expect("each has room for one");
        }
        call(&balance, costs(cost + 1))
            .await
            .expect_err("no endpoint has capacity for a more expensive call");
    }
    let after = call(&balance, costs(1)).await.expect_err("all is spent").retry_after();
    sleep(after).await;
    call(&balance, costs(1)).await.expect("as retry_after stated");
}

#[tokio::test(start_paused = true)]
async fn a_request_refused_while_others_wait_gets_a_retry_after_at_which_it_is_served_at_once() {
    let servers = servers(Duration::ZERO);
    let endpoints: Vec<_> = servers.iter().map(|server| deployment(server, &bursting(1), rpm(1))).collect();
    let balance = layer(Strategy::Adaptive).with_queue(secs(70), 10).layer(endpoints);
    for _ in 0..MANY {
        call(&balance, Ask::default()).await.expect("room");
        sleep(ms(100)).await;
    }
    let mut waiting: Vec<_> = (0..10).map(|_| spawn(call(&balance, Ask::default()))).collect();
    waiting.iter_mut().for_each(|one| assert_pending!(one.poll()));
    let began = Instant::now();
    let after = call(&balance, Ask::default()).await.expect_err("the queue is full").retry_after();
    // The first slot frees 60.141 s after the first call, and ten more a tenth of a second apart; retry_after is a
    // little late.
    let truth = ms(60_141 - 10_000 + 1_000);
    assert!((truth..truth + ms(70) + truth / 256).contains(&after), "{after:?}");
    for one in &mut waiting {
        (&mut *one).await.expect("it is served before");
    }
    sleep((began + after).saturating_duration_since(Instant::now())).await;
    let mut back = spawn(call(&balance, Ask::default()));
    assert!(assert_ready!(back.poll()).is_ok(), "at once");
}

/// A group of which the first is closed for an hour, and the others have one slot in each second.
async fn one_closed()
-> impl Service<Ask, Response = Answer, Error = Failed, Future: Send> + Clone + Send + use<> {
    let mut servers = servers(Duration::ZERO);
    servers[0] = Server::judging(0, Duration::ZERO, 1, secs(3_600));
    let limits = || Limits { requests: Some(60), window: Some(RateWindow::S1), ..Limits::default() };
    let endpoints: Vec<_> =
        servers.iter().map(|server| deployment(server, &Meters::new(limits()), rpm(60))).collect();
    for _ in 0..2 {
        endpoints[0].clone().oneshot(Ask::default()).await.expect("an answer");
        sleep(secs(2)).await;
    }
    layer(Strategy::Adaptive).with_queue(secs(5), 1_000).layer(endpoints)
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_closed_for_long_does_not_keep_requests_from_waiting_for_the_others() {
    let balance = one_closed().await;
    let mut calls: Vec<_> = (0..4 * MANY).map(|_| spawn(call(&balance, Ask::default()))).collect();
    for (n, one) in calls.iter_mut().enumerate() {
        if let std::task::Poll::Ready(result) = one.poll() {
            result.unwrap_or_else(|refused| panic!("{n} of 99 in each second: {refused:?}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_request_waits_for_more_than_many_endpoints_can_serve_in_time() {
    let balance = one_closed().await;
    let mut calls: Vec<_> = (0..10 * MANY).map(|_| spawn(call(&balance, Ask::default()))).collect();
    let refused = calls.iter_mut().filter_map(|one| match one.poll() {
        std::task::Poll::Ready(result) => result.err(),
        std::task::Poll::Pending => None,
    });
    let refused: Vec<_> = refused.map(|refused| refused.retry_after()).collect();
    // One slot of each at once, and one more in each of the next four seconds and a bit.
    assert_eq!(refused.len(), 10 * MANY - 5 * (MANY - 1));
    assert!(refused.iter().all(|after| (secs(5)..secs(6)).contains(after)), "{:?}", refused.first());
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_closed_for_long_is_called_after_a_minute_only_where_there_is_no_other() {
    let closed = Server::judging(0, Duration::ZERO, 1, secs(3_600));
    let other = Server::new(1, Duration::ZERO);
    let endpoint = |server: &Arc<Server>| deployment(server, &Meters::new(Limits::default()), rpm(60));
    let (held, healthy) = (endpoint(&closed), endpoint(&other));
    for _ in 0..2 {
        held.clone().oneshot(Ask::default()).await.expect("an answer");
    }
    let alone = layer(Strategy::Adaptive).layer(vec![held.clone()]);
    let both = layer(Strategy::Adaptive).layer(vec![held, healthy]);
    let refused = call(&alone, Ask::default()).await.expect_err("held");
    assert!((secs(59)..=secs(60)).contains(&refused.retry_after()), "{refused:?}");
    for minute in 1..=3 {
        sleep(secs(60)).await;
        for _ in 0..10 {
            assert_eq!(call(&both, Ask::default()).await.expect("the other").by, 1, "minute {minute}");
        }
        let before = closed.called();
        call(&alone, Ask::default()).await.expect("an answer, although a refusal");
        assert_eq!(closed.called(), before + 1);
        assert!(call(&alone, Ask::default()).await.is_err(), "held again");
    }
}
