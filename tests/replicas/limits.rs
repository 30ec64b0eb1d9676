//! Limits of requests and of calls in flight, over replicas that are well.

use std::time::Duration;

use crate::{
    scene::{Scene, TEN, TENS, UNEVEN, on_one, until},
    support::{answers, upstream::End},
};

/// At 120 % of the limit all of it is used, and no window has more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_use_all_of_a_limit_of_ten_seconds_and_no_more() {
    on_one(|program| async move {
        let scene = Scene::start(program, 4, TENS, "").await;
        scene.together().await;
        let start = tokio::time::Instant::now();
        let report = scene.load(12.0, &UNEVEN, 20.0).await;
        assert!(scene.fullest(TEN) <= 100, "{program}: {}", scene.fullest(TEN));
        assert_eq!(report.failed(), 0, "{program}: {report:?}");
        // The first ten seconds fill the window; the last calls wait for up to two seconds.
        let served = scene.received(start, 10.0, 10.0);
        assert!(served >= 99, "{program}: {served} of 100");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_use_all_of_a_limit_of_one_second_and_no_more() {
    on_one(|program| async move {
        let scene = Scene::start(program, 4, "rpm: 600, rate_window: 1", "").await;
        scene.together().await;
        let start = tokio::time::Instant::now();
        let report = scene.load(12.0, &UNEVEN, 15.0).await;
        let fullest = scene.fullest(Duration::from_secs(1));
        assert!(fullest <= 10, "{program}: {fullest}");
        assert_eq!(report.failed(), 0, "{program}: {report:?}");
        let served = scene.received(start, 2.0, 13.0);
        assert!(served * 100 >= 130 * 95, "{program}: {served} of 130");
    })
    .await;
}

/// Two gateways with different limits for one deployment: the smaller is in force, and each says so once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_with_different_limits_keep_the_smaller_until_both_have_the_larger() {
    on_one(|program| async move {
        let mut scene = Scene::start(program, 1, "rpm: 360, rate_window: 10", "").await;
        scene.join_with("rpm: 720, rate_window: 10").await;
        scene.together().await;
        scene.load(20.0, &[0.5, 0.5], 12.0).await;
        assert!(scene.fullest(TEN) <= 60, "{program}: {}", scene.fullest(TEN));
        let said = scene.gateways[1].says(&["is in force until all have the same"]).await;
        assert_eq!(said.matches("is in force until all have the same").count(), 1, "{program}: {said}");
        assert!(!scene.gateways[0].said().contains("is in force"), "{program}");
        // The one with the smaller limit ends.
        let mut first = scene.gateways.remove(0);
        first.signal("INT").await;
        assert!(first.end().await.success());
        until(&scene.gateways[0], "tollgate_ledger_replicas", |live| live == 1.0).await;
        scene.load(20.0, &[1.0], 12.0).await;
        assert!(scene.fullest(TEN) > 100, "{program}: {}", scene.fullest(TEN));
    })
    .await;
}

/// Four calls of 200 ms at one time over four gateways: never five, and the permits are not left idle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_keep_a_limit_of_calls_in_flight() {
    on_one(|program| async move {
        let scene = Scene::start(program, 4, "max_parallel_requests: 4", "").await;
        scene.upstream.becomes(answers::chat("x").after(Duration::from_millis(200)));
        scene.together().await;
        // At most 20 a second are possible.
        let report = scene.load(24.0, &[0.25; 4], 8.0).await;
        assert_eq!(report.failed(), 0, "{program}: {report:?}");
        assert!(report.served >= 144, "{program}: {} of 160", report.served);
        let mut changes = Vec::new();
        for call in scene.upstream.calls() {
            let End::Answered(end) = call.end().await else { panic!("{program}: a call without a response") };
            // At one time ends come before beginnings.
            changes.extend([(call.at, 1), (end, -1)]);
        }
        changes.sort();
        let in_flight = changes.iter().scan(0, |sum, (_, change)| {
            *sum += change;
            Some(*sum)
        });
        assert_eq!(in_flight.max(), Some(4), "{program}");
    })
    .await;
}
