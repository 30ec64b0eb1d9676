//! All sizes of healthy replicas.

use std::time::Duration;

use tokio::time::Instant;

use super::{EIGHT, kept, print};
use crate::scene::{Scene, TEN, TENS, UNEVEN, Yaml, alone_on_one, on_one};

/// S1: 120 % of 100 in any ten seconds, for a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_limits_of_ten_seconds() {
    for parts in [&[0.8, 0.2][..], &UNEVEN, &EIGHT] {
        on_one(|program| async move {
            let scene = Scene::start(program, parts.len(), TENS, "").await;
            scene.together().await;
            let start = Instant::now();
            let report = scene.load(12.0, parts, 60.0).await;
            print(&format!("S1 {program}, {} gateways", parts.len()), &scene, (&report, TEN));
            kept(&scene, &report);
            let served = scene.received(start, 10.0, 50.0);
            println!("S1 served {served} of 500 after the first window");
            assert!(served >= 492, "{served}");
        })
        .await;
    }
}

/// S2: 120 % of ten in any second, for a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_limits_of_one_second() {
    for (parts, percent) in [(&[0.8, 0.2][..], 96), (&EIGHT, 94)] {
        on_one(|program| async move {
            let scene = Scene::start(program, parts.len(), "rpm: 600, rate_window: 1", "").await;
            scene.together().await;
            let start = Instant::now();
            let report = scene.load(12.0, parts, 60.0).await;
            let second = Duration::from_secs(1);
            print(&format!("S2 {program}, {} gateways", parts.len()), &scene, (&report, second));
            let served = scene.received(start, 2.0, 58.0);
            println!("S2 served {served} of 580");
            assert!(scene.fullest(second) <= 10, "{}", scene.fullest(second));
            assert!(served * 100 >= 580 * percent, "{served}");
        })
        .await;
    }
}

/// S3: deployments of 6, 6 and 1440 a minute, at 120 % of the limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_deployments_of_very_different_limits() {
    on_one(|program| async move {
        let yaml = Yaml {
            params: "rpm: 1440, rate_window: 60",
            settings: "queue_timeout: 5",
            models: "{model_name: m, litellm_params: {model: openai/a, api_base: 'URL/v1', api_key: k, rpm: 6, rate_window: 60}}, \
                     {model_name: m, litellm_params: {model: openai/b, api_base: 'URL/v1', api_key: k, rpm: 6, rate_window: 60}}",
            ..Yaml::default()
        };
        let scene = Scene::start_with(program, 8, yaml).await;
        scene.together().await;
        let start = Instant::now();
        let (report, each) = scene.load_each(29.0, &[0.125; 8], 120.0).await;
        print(&format!("S3 {program}"), &scene, (&report, Duration::from_secs(60)));
        let served = scene.received(start, 60.0, 60.0);
        println!("S3 served in the second minute: {served}, in both by each gateway: {each:?}");
        assert!((1_437..=1_452).contains(&served), "{served}");
        // A gateway with calls of the two others alone would have served 24.
        assert!(each.iter().all(|served| *served > 24), "{each:?}");
        for (model, limit) in [("m", 1440), ("a", 6), ("b", 6)] {
            let fullest = scene.fullest_of(Duration::from_secs(60), |call| call.json()["model"] == model);
            println!("S3 {model}: {fullest} of {limit} in the fullest minute");
            assert!(fullest <= limit, "{model}: {fullest}");
        }
    })
    .await;
}

/// S4: one permit a second over eight gateways, which want two each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_fewer_permits_than_replicas() {
    on_one(|program| async move {
        let scene = Scene::start(program, 8, "rpm: 60, rate_window: 1", "").await;
        scene.together().await;
        let (report, each) = scene.load_each(16.0, &[0.125; 8], 60.0).await;
        print(&format!("S4 {program}"), &scene, (&report, Duration::from_secs(1)));
        println!("S4 served by each gateway: {each:?}");
        assert!(scene.fullest(Duration::from_secs(1)) <= 1);
        assert!(scene.upstream.count() >= 55, "{}", scene.upstream.count());
        assert!(each.iter().all(|served| (4..=11).contains(served)), "{each:?}");
    })
    .await;
}

/// The latencies at 90 % of the limit, without replicas and with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_latencies() {
    alone_on_one(|program| async move {
        for count in [1, 4] {
            let scene = Scene::start(program, count, "rpm: 3000, rate_window: 10", "").await;
            scene.together().await;
            let parts = if count == 1 { &[1.0][..] } else { &UNEVEN };
            let report = scene.load(45.0, parts, 30.0).await;
            print(&format!("latency {program}, {count} gateways"), &scene, (&report, TEN));
        }
    })
    .await;
}
