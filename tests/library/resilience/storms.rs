//! Everything is down: no fuel. Then it is well again: full traffic.

use std::time::Duration;

use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep},
};

use super::world::{Plan, World, error, ms, now, said};

/// Sends requests at this rate; returns the statuses in the order of the requests.
async fn rush(world: &World, per_second: u64, seconds: u64) -> Vec<u16> {
    let (mut asked, mut clock) = (JoinSet::new(), interval(Duration::from_secs(1) / per_second as u32));
    for n in 0..per_second * seconds {
        clock.tick().await;
        let world = world.clone();
        asked.spawn(async move { (n, world.ask(json!({})).await.status) });
    }
    let mut statuses = asked.join_all().await;
    statuses.sort_unstable();
    statuses.into_iter().map(|(_, status)| status).collect()
}

#[tokio::test(start_paused = true)]
async fn retries_stay_within_the_budget_when_all_deployments_are_down_and_recovery_is_quick() {
    let world =
        Plan::of("m: a b c").says("a b c", [(ms(5), error(503, "down"))]).settings("num_retries: 2").start();
    let statuses = rush(&world, 200, 30).await;
    assert!(statuses.iter().all(|status| *status == 503));
    let repeats = world.calls("a b c") - 6_000;
    assert!(repeats <= 6_000 / 5 + 300 + 100, "{repeats} repeats of 6,000: 20 % and ten a second");
    assert_eq!(world.counter("retry_budget_repeats"), repeats as u64);
    assert!(world.counter("retry_budget_refused") > 0);

    for id in ["a", "b", "c"] {
        world.becomes(id, said(id));
    }
    let statuses = rush(&world, 200, 5).await;
    let lost = statuses.iter().filter(|status| **status != 200).count();
    assert_eq!(lost, 0, "the least bad is asked, and it is well");
}

#[tokio::test(start_paused = true)]
async fn all_deployments_have_their_share_again_soon_after_an_outage() {
    let settings = "num_retries: 0, allowed_fails: 2, cooldown_time: 2";
    let world = Plan::of("m: a b c").always("a b c", error(500, "down")).settings(settings).start();
    rush(&world, 100, 1).await;
    for id in ["a", "b", "c"] {
        world.becomes(id, said(id));
    }
    rush(&world, 100, 30).await;
    let before = ["a", "b", "c"].map(|id| world.calls(id));
    assert!(rush(&world, 100, 10).await.iter().all(|status| *status == 200));
    let shares = [0, 1, 2].map(|n| world.calls(["a", "b", "c"][n]) - before[n]);
    assert!(shares.iter().all(|share| (250..=420).contains(share)), "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cooled_down_deployment_is_probed_by_one_call_at_a_time() {
    // Slow to fail, so that probes that overlap would be seen.
    let settings = "num_retries: 1, allowed_fails: 0, cooldown_time: 1";
    let plan = Plan::of("m: a b").does("a", |_| (ms(700), error(500, "down"))).settings(settings);
    let world = plan.start();
    world.ask(json!({})).await;
    world.ask(json!({})).await;
    let known = world.calls("a");
    assert!(known >= 1);
    assert!(rush(&world, 100, 20).await.iter().all(|status| *status == 200));
    let calls: Vec<_> =
        world.seen().into_iter().filter(|seen| &*seen.id == "a").map(|seen| seen.at).collect();
    let probes = &calls[known..];
    assert!((2..=6).contains(&probes.len()), "1 s, 2 s, 4 s, 8 s: {}", probes.len());
    assert!(probes.windows(2).all(|two| two[1] - two[0] > ms(700)), "two at a time");
    assert!(probes.windows(3).all(|three| three[2] - three[1] > three[1] - three[0]), "longer each time");
}

#[tokio::test(start_paused = true)]
async fn with_all_deployments_in_cooldown_the_least_bad_takes_the_traffic_at_once() {
    let settings = "num_retries: 0, allowed_fails: 0, cooldown_time: 60";
    let world = Plan::of("m: a b").always("a b", error(500, "down")).settings(settings).start();
    for _ in 0..2 {
        world.ask(json!({})).await;
    }
    world.becomes("a", said("a"));
    world.becomes("b", said("b"));
    sleep(ms(10)).await;
    let start = Instant::now();
    for _ in 0..20 {
        assert_eq!(world.ask(json!({})).await.status, 200);
    }
    assert_eq!(start.elapsed(), Duration::ZERO, "health never makes anybody wait");
}

#[tokio::test(start_paused = true)]
async fn the_retry_budget_can_be_set_and_ends_retries_when_it_is_spent() {
    let settings = "num_retries: 3, retry_budget: {percent: 0, reserve: 5}, allowed_fails: 1000";
    let world = Plan::of("m: a b c d").always("a b c d", error(500, "down")).settings(settings).start();
    for _ in 0..10 {
        assert_eq!(world.ask(json!({})).await.status, 500);
    }
    assert_eq!(world.calls("a b c d"), 10 + 5);
    assert_eq!(world.counter("retry_budget_repeats"), 5);
    sleep(Duration::from_secs(11)).await;
    world.ask(json!({})).await;
    assert_eq!(world.calls("a b c d"), 15 + 1 + 3, "in the next ten seconds there are five more");
}

#[tokio::test(start_paused = true)]
async fn the_first_attempt_of_a_fallback_is_free_of_the_retry_budget() {
    let settings = "num_retries: 0, retry_budget: {percent: 0, reserve: 0}, fallbacks: [{m: [n]}]";
    let world = Plan::of("m: a; n: b").always("a", error(500, "down")).settings(settings).start();
    for _ in 0..20 {
        assert_eq!(world.ask(json!({})).await.by(), Some("b"));
    }
    assert_eq!(world.counter("retry_budget_repeats"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_429_without_retry_after_is_not_fed() {
    let world = Plan::of("m: a b").says("a b", [now(error(429, "rate_limit_exceeded"))]).start();
    let statuses = rush(&world, 100, 10).await;
    assert!(statuses.iter().all(|status| *status == 429));
    // Closed for 1 s, 2 s, 4 s, 5 s by each refusal: a handful of calls each, not a thousand.
    assert!(world.calls("a b") < 60, "{}", world.calls("a b"));
}
