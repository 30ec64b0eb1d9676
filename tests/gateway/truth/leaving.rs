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

const CLIENTS: usize = 1000;
/// They come at any moment of this time, and each leaves at any moment of its stay.
const COMING: Duration = Duration::from_secs(4);
const STAY: Duration = Duration::from_millis(600);
/// Upstreams that are told later were never told. How soon they really are is measured: `cargo bench --bench gateway -- --case leaving`.
const LATEST: Duration = Duration::from_secs(10);
const SEED: u64 = 7919;

/// Which model is asked: one that is silent, one that speaks and stops, one with a single place, one that refuses.
const MODELS: [&str; 5] = ["silent", "silent", "speaking", "narrow", "refusing"];

async fn world() -> World {
    let speaks = say::role().and(say::words(&["x"])).then(Part::Hang);
    let case = Case::of("silent: a; speaking: b; narrow: c; refusing: d").always("a", say::silence());
    let case = case.always("b", speaks).always("c", say::silence()).params("c", "max_parallel_requests: 1");
    let case = case.always("d", say::unavailable().header("connection", "close"));
    let case = case.settings("num_retries: 50, retry_after: 1, allowed_fails: 1000000");
    // 300 of the 1,000 fail once before they leave: all that the default budget of 20 % and 100 allows, and one too many.
    case.router("queue_timeout: 60, cooldown_time: 0, max_attempts: 100, retry_budget: {reserve: 200}")
        .start()
        .await
}

/// The number `n` comes and leaves when it is to; gives when it left.
async fn comes_and_leaves(base: String, n: usize, (comes, leaves): (Instant, Instant)) -> (String, Instant) {
    let name = format!("client {n}");
    let (model, user) = (MODELS[n % MODELS.len()], name.clone());
    tokio::time::sleep_until(comes).await;
    // A connection of its own, so that none is kept for others.
    let client = Client::new(base);
    let call = tokio::spawn(async move {
        let more = json!({"user": user, "stream": n.is_multiple_of(2)});
        let body = crate::support::client::ask(model, more);
        let request = crate::support::client::request(http::Method::POST, "/chat/completions", body, &[]);
        client.open(request).await.rest().await
    });
    tokio::time::sleep_until(leaves).await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_leave_at_any_moment_leave_nothing_behind() {
    let world = world().await;
    counter(&world, "tollgate_requests_in_flight").await;
    let before = descriptors(&world);
    let (mut random, start) = (fastrand::Rng::with_seed(SEED), Instant::now());
    let mut coming = JoinSet::new();
    for n in 0..CLIENTS {
        let comes = start + COMING.mul_f64(random.f64());
        let leaves = comes + STAY.mul_f64(random.f64());
        coming.spawn(comes_and_leaves(world.gateway.base_url(), n, (comes, leaves)));
    }
    let left: HashMap<_, _> = coming.join_all().await.into_iter().collect();

    let mut late = Vec::new();
    for name in ["a", "b", "c"] {
        for call in world.upstream(name).calls() {
            let user = call.json()["user"].as_str().unwrap().to_owned();
            late.push(call.left().await.saturating_duration_since(left[&user]));
        }
    }
    late.sort();
    assert!(late.len() > CLIENTS / 4, "too few came so far: {}", late.len());
    assert!(*late.last().unwrap() < LATEST, "{late:?}");

    for (group, deployment) in [("silent", "a"), ("speaking", "b"), ("narrow", "c"), ("refusing", "d")] {
        let of_group = format!("tollgate_group_requests_in_flight{{group=\"{group}\"}}");
        let of_one = format!(
            "tollgate_deployment_attempts_in_flight{{group=\"{group}\",deployment=\"{deployment}\"}}"
        );
        becomes(&of_group, async || counter(&world, &of_group).await == 0).await;
        becomes(&of_one, async || counter(&world, &of_one).await == 0).await;
    }
    becomes("an empty gateway", async || counter(&world, "tollgate_requests_in_flight").await == 0).await;
    becomes("the descriptors of before", async || descriptors(&world) <= before).await;

    // The one place is free: whoever comes now is served there at once, and nobody is retried for any more.
    let calls = world.calls("d");
    world.upstream("c").becomes(say::chat("free"));
    assert_eq!(world.ask_with(json!({"model": "narrow"})).await.said(), "free");
    assert_eq!(world.calls("d"), calls);
}
