//! Events at one replica on which the others act at once.

use std::time::Duration;

use serde_json::json;

use crate::{
    scene::{Scene, Yaml, on_one, until},
    support::answers,
};

/// After a 429 with `Retry-After` at one of four gateways no other calls the deployment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_obey_a_retry_after_that_one_of_them_received() {
    on_one(|program| async move {
        let scene = Scene::start(program, 4, "rpm: 6000", "queue_timeout: 0").await;
        scene.together().await;
        scene.upstream.becomes(answers::rate_limited("10"));
        assert_eq!(scene.gateways[0].chat("m", json!({})).await.status, 429, "{program}");
        for gateway in &scene.gateways {
            until(gateway, "tollgate_deployment_closed_seconds", |seconds| seconds > 0.0).await;
        }
        let before = scene.upstream.count();
        let report = scene.load(40.0, &[0.25; 4], 1.0).await;
        assert_eq!(scene.upstream.count(), before, "{program}: {report:?}");
        assert_eq!(report.refused, report.asked, "{program}: {report:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_cool_down_a_deployment_that_failed_at_one_of_them() {
    on_one(|program| async move {
        let scene = Scene::start(program, 4, "rpm: 6000", "cooldown_time: 20").await;
        scene.together().await;
        scene.upstream.becomes(answers::unauthorized());
        scene.gateways[0].chat("m", json!({})).await;
        for gateway in &scene.gateways {
            until(gateway, "tollgate_deployment_cooling_down", |cools| cools == 1.0).await;
        }
    })
    .await;
}

/// A deployment that fails, beside another one, is probed by one of the gateways at the end of each cooldown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_the_replicas_probes_a_deployment_after_its_cooldown() {
    on_one(|program| async move {
        let yaml = Yaml {
            params: "rpm: 6000",
            settings: "cooldown_time: 2",
            models: "{model_name: m, litellm_params: {model: openai/mock, mock_response: hello}}",
            ..Yaml::default()
        };
        let scene = Scene::start_with(program, 4, yaml).await;
        scene.together().await;
        scene.upstream.becomes(answers::unauthorized().after(Duration::from_millis(300)));
        while scene.upstream.count() == 0 {
            scene.gateways[0].chat("m", json!({})).await;
        }
        for gateway in &scene.gateways {
            until(gateway, "tollgate_deployment_cooling_down", |cools| cools == 1.0).await;
        }
        // The cooldowns last two, four and eight seconds.
        scene.load(40.0, &[0.25; 4], 8.0).await;
        let probes = scene.upstream.count() - 1;
        assert!((1..=2).contains(&probes), "{program}: {probes}");
    })
    .await;
}
