//! Tests of the repeats of one request when endpoints of the group are cooling down.

use super::*;
use crate::{
    cooldown::{CooldownConfig, CooldownLayer, EndpointHealth},
    retry::{Backoff, RetryLayer},
};

/// The endpoint of a server, cooling down for 30 s from the start.
fn cooling(
    server: &Arc<Server>,
    meters: &Meters,
) -> (impl Endpoint<Ask, Response = Answer, Error = Failed, Future: Send> + Send + Sync + use<>, EndpointHealth)
{
    let health = EndpointHealth::new(CooldownConfig::new(secs(30)).with_allowed_fails(Some(0)));
    let quota = deployment(server, meters, EndpointWeight::default());
    (CooldownLayer::new(health.clone(), CLASSIFY).layer(quota), health)
}

/// Sends one request with this number of retries to a group in which server 0 is healthy and has just broken with this
/// class, and all others are cooling down. Returns the servers that were called, in order.
async fn calls(retries: u32, broken: Class, others: &[Option<Class>]) -> (Vec<usize>, Class) {
    let called = Arc::new(Mutex::new(Vec::new()));
    let classes = [Some(broken)].iter().chain(others).copied().collect::<Vec<_>>();
    let servers: Vec<_> = (0..classes.len()).map(|by| Server::new(by, ms(1))).collect();
    let mut endpoints = Vec::new();
    for (server, class) in servers.iter().zip(classes) {
        let (endpoint, _) = cooling(server, &Meters::new(Limits::default()));
        if server.by > 0 {
            server.set_broken(Some(Class::Unavailable));
            endpoint.clone().oneshot(Ask::default()).await.expect("an answer");
        }
        server.set_broken(class);
        endpoints.push(endpoint);
    }
    let before: Vec<_> = servers.iter().map(|server| server.called()).collect();
    let noted = Arc::clone(&called);
    let note = move |result: Result<&Answer, &Failed>| {
        if let Ok(answer) = result {
            noted.lock().unwrap().push(answer.by);
        }
        classify(result)
    };
    let balance = layer(Strategy::Adaptive).with_attempts(Ask::attempts).layer(endpoints);
    let retry = RetryLayer::new(retries, note)
        .with_attempts(Ask::attempts)
        .with_backoff(Backoff::default().with_seed(1))
        .layer(balance);
    let answer = retry.oneshot(Ask::default()).await.expect("an answer");
    let made: usize = servers.iter().zip(before).map(|(server, before)| server.called() - before).sum();
    let called = called.lock().unwrap().clone();
    assert_eq!(called.len(), made);
    (called, answer.outcome.class())
}

#[tokio::test(start_paused = true)]
async fn a_repeat_goes_to_an_untried_endpoint_that_is_cooling_down_before_a_second_call_of_a_failed_one() {
    for class in [Class::Unavailable, Class::Timeout, Class::Unauthorized, Class::RateLimited] {
        assert_eq!(calls(2, class, &[None]).await, (vec![0, 1], Class::Success), "{class:?}");
        assert_eq!(
            calls(1, class, &[None]).await,
            (vec![0, 1], Class::Success),
            "the last attempt: {class:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn repeats_go_through_all_endpoints_that_are_cooling_down_before_a_failed_one_is_called_again() {
    let down = Some(Class::Unavailable);
    let (called, class) = calls(4, Class::Unavailable, &[down, down, None]).await;
    assert_eq!((called.len(), class), (1 + called.iter().filter(|by| **by > 0).count(), Class::Success));
    assert_eq!(called.last(), Some(&3));
    let (called, class) = calls(3, Class::Unavailable, &[down]).await;
    assert_eq!((&called[..2], called.len(), class), (&[0, 1][..], 4, Class::Unavailable));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_prefers_a_healthy_untried_endpoint_to_one_that_is_cooling_down() {
    let servers: Vec<_> = (0..3).map(|by| Server::new(by, ms(1))).collect();
    let endpoints: Vec<_> =
        servers.iter().map(|server| cooling(server, &Meters::new(Limits::default())).0).collect();
    servers[0].set_broken(Some(Class::Unavailable));
    endpoints[0].clone().oneshot(Ask::default()).await.expect("an answer");
    servers[0].set_broken(None);
    servers[1].set_broken(Some(Class::Unavailable));
    servers[2].set_broken(Some(Class::Unavailable));
    let balance = layer(Strategy::Adaptive).with_attempts(Ask::attempts).layer(endpoints);
    let ask = Ask::default();
    let mut called = Vec::new();
    for directive in [Directive::Any, Directive::Untried, Directive::NotBefore(Instant::now() + secs(1))] {
        ask.attempts.direct(directive);
        called.push(call(&balance, ask.clone()).await.expect("an answer").by);
    }
    called[..2].sort_unstable();
    assert_eq!(called, [1, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_does_not_call_an_endpoint_that_its_server_has_closed() {
    let servers = [Server::new(0, ms(1)), Server::judging(1, ms(1), 1, secs(20))];
    let (closed, _) = cooling(&servers[1], &Meters::new(Limits::default()));
    for _ in 0..2 {
        closed.clone().oneshot(Ask::default()).await.expect("an answer");
    }
    assert_eq!(servers[1].refused(), 1);
    servers[0].set_broken(Some(Class::Unavailable));
    let (open, _) = cooling(&servers[0], &Meters::new(Limits::default()));
    let balance = layer(Strategy::Adaptive).with_attempts(Ask::attempts).layer(vec![open, closed]);
    let retry = RetryLayer::new(2_u32, classify as Classifier).with_attempts(Ask::attempts).layer(balance);
    retry.oneshot(Ask::default()).await.expect("an answer");
    assert_eq!((servers[0].called(), servers[1].called()), (3, 2));
}
