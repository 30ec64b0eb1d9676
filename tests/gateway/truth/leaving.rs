//! Clients who leave at any moment: in a stream, before it, in the queue, in a retry's backoff. Nothing stays behind.

use std::{collections::HashMap, time::Duration};

use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use super::counter;
use crate::support::{
    answers as say,
    case::{Case, World},
    client::Client,
    reply::Part,
    soon,
};

const CLIENTS: usize = 200;
/// So many at once.
const TOGETHER: usize = 20;
/// What the upstreams may see it later than it happened. The worst one has to share two cores with all other tests.
const USUAL: Duration = Duration::from_millis(100);
const WORST: Duration = Duration::from_secs(2);

/// Which model is asked: one that is silent, one that speaks and stops, one with a single place, one that refuses.
const MODELS: [&str; 5] = ["silent", "silent", "speaking", "narrow", "refusing"];

async fn world() -> World {
    let speaks = say::role().and(say::words(&["x"])).then(Part::Hang);
    let case = Case::of("silent: a; speaking: b; narrow: c; refusing: d").always("a", say::silence());
    let case = case.always("b", speaks).always("c", say::silence()).params("c", "max_parallel_requests: 1");
    let case = case.always("d", say::unavailable().header("connection", "close"));
    let case = case.settings("num_retries: 50, retry_after: 1, allowed_fails: 1000000");
    case.router("queue_timeout: 60, cooldown_time: 0, max_attempts: 100").start().await
}

/// The number `n` comes, and leaves a little later; gives when it left.
async fn comes_and_leaves(base: String, n: usize) -> (String, Instant) {
    let name = format!("client {n}");
    let (model, user) = (MODELS[n % MODELS.len()], name.clone());
    // A connection of its own, so that none is kept for others.
    let client = Client::new(base);
    let call = tokio::spawn(async move {
        let more = json!({"user": user, "stream": n.is_multiple_of(2)});
        let body = crate::support::client::ask(model, more);
        let request = crate::support::client::request(http::Method::POST, "/chat/completions", body, &[]);
        client.open(request).await.rest().await
    });
    // Any moment will do, and each must be another: up to 60 ms, never in the same order.
    tokio::time::sleep(Duration::from_micros((n as u64 * 7_919) % 60_000)).await;
    call.abort();
    let left = Instant::now();
    assert!(call.await.is_err_and(|error| error.is_cancelled()), "{name} was answered");
    (name, left)
}

fn descriptors(world: &World) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", world.gateway.pid())).unwrap().count()
}

/// Asks until it is so.
async fn becomes(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    soon(what, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn who_leaves_at_any_moment_leaves_nothing_behind() {
    let world = world().await;
    counter(&world, "tollgate_requests_in_flight").await;
    let before = descriptors(&world);
    let mut left = HashMap::new();
    let mut coming = JoinSet::new();
    for n in 0..CLIENTS {
        if coming.len() == TOGETHER {
            left.extend(coming.join_next().await.unwrap());
        }
        coming.spawn(comes_and_leaves(world.gateway.base_url(), n));
    }
    left.extend(coming.join_all().await);

    let mut late = Vec::new();
    for name in ["a", "b", "c"] {
        for call in world.upstream(name).calls() {
            let user = call.json()["user"].as_str().unwrap().to_owned();
            late.push(call.left().await.saturating_duration_since(left[&user]));
        }
    }
    late.sort();
    assert!(late.len() > CLIENTS / 4, "too few came so far: {}", late.len());
    assert!(late[late.len() * 9 / 10] < USUAL && *late.last().unwrap() < WORST, "{late:?}");

    for (group, deployment) in [("silent", "a"), ("speaking", "b"), ("narrow", "c"), ("refusing", "d")] {
        let of_group = format!("tollgate_group_requests_in_flight{{group=\"{group}\"}}");
        let of_one = format!(
            "tollgate_deployment_attempts_in_flight{{group=\"{group}\",deployment=\"{deployment}\"}}"
        );
        becomes(&of_group, async || counter(&world, &of_group).await == 0).await;
        becomes(&of_one, async || counter(&world, &of_one).await == 0).await;
    }
    // The one who asks is itself one of them.
    becomes("an empty gateway", async || counter(&world, "tollgate_requests_in_flight").await == 1).await;
    becomes("the descriptors of before", async || descriptors(&world) <= before).await;

    // The one place is free: whoever comes now is served there at once, and nobody is retried for any more.
    let calls = world.calls("d");
    world.upstream("c").becomes(say::chat("free"));
    assert_eq!(world.ask_with(json!({"model": "narrow"})).await.said(), "free");
    assert_eq!(world.calls("d"), calls);
}
