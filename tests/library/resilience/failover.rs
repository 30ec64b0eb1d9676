//! Deployments go and come back, and no client hears of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{Instant, interval, sleep},
};

use super::world::{Act, Plan, ms, now, said};

/// Which of three is down at `at`: one after the other, each for a second; and when that second ends.
fn down(at: Duration) -> (usize, Duration) {
    let second = at.as_secs();
    ((second % 3) as usize, Duration::from_secs(second + 1))
}

/// 500 requests a second, while one of three deployments is killed and another restarted in every second. Those that
/// are under way at one that is killed are broken; after that it refuses connections.
#[tokio::test(start_paused = true)]
async fn failover_loses_none_of_500_requests_a_second_while_deployments_are_killed_in_turn() {
    const SECONDS: u64 = 5;
    let start = Instant::now();
    let worst = Arc::new(AtomicUsize::new(0));
    let mut plan = Plan::of("m: a b c").settings("num_retries: 2");
    for (which, id) in ["a", "b", "c"].into_iter().enumerate() {
        plan = plan.does(id, move |n| {
            let takes = ms(10 + n as u64 % 40);
            let at = start.elapsed();
            match (down(at), down(at + takes)) {
                ((down, _), _) if down == which => now(Act::Refuse),
                ((_, killed), (down, _)) if down == which => (killed - at, Act::Break),
                _ => (takes, said(id)),
            }
        });
    }
    let world = plan.start();
    let (mut asked, mut clock) = (JoinSet::new(), interval(ms(2)));
    for _ in 0..SECONDS * 500 {
        clock.tick().await;
        let (world, worst) = (world.clone(), worst.clone());
        asked.spawn(async move {
            let answer = world.ask(json!({})).await;
            worst.fetch_max(answer.took.as_millis() as usize, Ordering::Relaxed);
            answer.status
        });
    }
    let statuses = asked.join_all().await;
    let failed = statuses.iter().filter(|status| **status != 200).count();
    assert_eq!((statuses.len(), failed), (2_500, 0));
    let repeats = world.counter("retry_budget_repeats");
    assert_eq!(world.calls("a b c") as u64, 2_500 + repeats);
    assert!(repeats <= 2_500 / 5 + 100, "{repeats} repeats");
    assert!(repeats > 10, "somebody was killed: {repeats} repeats");
    assert_eq!(world.counter("retry_budget_refused"), 0);
    // Nobody waited for more than a broken call, a pause before the only one left, and another call.
    assert!(worst.load(Ordering::Relaxed) <= 650, "{worst:?} ms");
}

/// A deployment that refuses every connection, one of two: LiteLLM lost 22 of 927 calls.
#[tokio::test(start_paused = true)]
async fn failover_from_a_dead_deployment_costs_no_call_in_75_seconds_without_retries() {
    let world = Plan::of("m: a b").always("a", Act::Refuse).settings("num_retries: 0").start();
    let mut failed = 0;
    for _ in 0..75 * 12 {
        failed += u32::from(world.ask(json!({})).await.status != 200);
        sleep(Duration::from_secs(1) / 12).await;
    }
    assert_eq!(failed, 0, "at most 2 are allowed");
    assert!(world.calls("a") <= 12, "five to start a cooldown, and a probe after each: {}", world.calls("a"));
}

/// A deployment that accepts the call and breaks the connection may have processed it, so without retries the call is
/// lost.
#[tokio::test(start_paused = true)]
async fn failover_from_a_breaking_deployment_costs_few_calls_without_retries_and_none_with_one() {
    for (retries, allowed) in [(0, 12), (1, 0)] {
        let world =
            Plan::of("m: a b").always("a", Act::Break).settings(&format!("num_retries: {retries}")).start();
        let mut failed = 0;
        for _ in 0..75 * 12 {
            failed += u32::from(world.ask(json!({})).await.status != 200);
            sleep(Duration::from_secs(1) / 12).await;
        }
        assert!(failed <= allowed, "{failed} with {retries} retries");
    }
}

#[tokio::test(start_paused = true)]
async fn failover_after_a_refused_connection_is_at_once() {
    let plan =
        Plan::of("m: a b c").params("a", "order: 1").params("b", "order: 2").always("a b", Act::Refuse);
    let (world, answer) = plan.settings("num_retries: 0").ask().await;
    assert_eq!((answer.status, answer.by()), (200, Some("c")));
    assert_eq!(world.gaps(), [Duration::ZERO; 2]);
}
