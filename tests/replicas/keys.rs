//! Limits and budgets of client keys, which replicas share.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::{
    scene::{Scene, Yaml, on_one},
    support::{
        answers,
        client::{Answer, ask, request},
        gateway::Gateway,
        reply::Gate,
    },
};

const KEYS: &str = "master_key: tr0ub4dor, keys: [{name: one, key: first, rpm_limit: 20}, \
                    {name: two, key: second, max_parallel_requests: 4}]";

async fn chat(gateway: &Gateway, key: &str) -> Answer {
    let headers = [("authorization", &*format!("Bearer {key}"))];
    gateway.send(request(http::Method::POST, "/v1/chat/completions", ask("m", json!({})), &headers)).await
}

/// Returns the response of a gateway that asks the others for permits, from the request that was not refused: on a busy
/// machine the permits may come later than one request waits for them.
async fn served(gateway: &Gateway, key: &str) -> Answer {
    for _ in 0..20 {
        let answer = chat(gateway, key).await;
        if answer.status != 429 {
            return answer;
        }
    }
    panic!("no permits come to {}", gateway.base_url())
}

async fn scene(program: &'static str) -> Scene {
    let scene = Scene::start_with(program, 4, Yaml { general: KEYS, ..Yaml::default() }).await;
    scene.together().await;
    scene
}

/// A gateway gets all requests of a minute, those of the others included, and then no gateway has any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_the_requests_of_a_client_key() {
    on_one(|program| async move {
        let scene = scene(program).await;
        for n in 0..20 {
            let answer = served(&scene.gateways[0], "first").await;
            assert_eq!(answer.status, 200, "{program}: request {n}: {}", answer.text());
            assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("20"));
        }
        for gateway in &scene.gateways {
            let answer = chat(gateway, "first").await;
            assert_eq!(answer.error(429)["code"], "rate_limit_exceeded", "{program}");
            assert!(answer.header("retry-after").is_some(), "{program}");
        }
        assert_eq!(scene.upstream.count(), 20, "{program}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_the_requests_in_flight_of_a_client_key() {
    on_one(|program| async move {
        let scene = scene(program).await;
        let gate = Gate::new();
        scene.upstream.becomes(answers::chat("x").held(&gate));
        let call = || served(&scene.gateways[0], "second");
        let held = async { tokio::join!(call(), call(), call(), call()) };
        let others = async {
            scene.upstream.call(3).await;
            for gateway in &scene.gateways {
                assert_eq!(chat(gateway, "second").await.status, 429, "{program}");
            }
            gate.open();
        };
        let ((a, b, c, d), ()) = tokio::join!(held, others);
        assert!([a, b, c, d].iter().all(|answer| answer.status == 200), "{program}");
        for gateway in &scene.gateways {
            assert_eq!(served(gateway, "second").await.status, 200, "{program}");
        }
    })
    .await;
}

/// Asks until a gateway refuses a request because the budget of the key is spent.
async fn spent(gateway: &Gateway) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = chat(gateway, "first").await;
        if answer.status == 429 {
            assert_eq!(answer.error(429)["code"], "insufficient_quota");
            return;
        }
        assert!(Instant::now() < end, "the budget is not spent: {}", gateway.said());
        sleep_until(Instant::now() + Duration::from_millis(50)).await;
    }
}

/// The spending of one gateway counts for the others, for one that starts later, and after the end of all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_share_the_budget_of_a_client_key() {
    on_one(|program| async move {
        let yaml = Yaml {
            // A response costs 0.9 cents.
            params: "output_cost_per_token: 0.001",
            general: "keys: [{name: one, key: first, max_budget: 0.03, budget_duration: 30d}]",
            ..Yaml::default()
        };
        let mut scene = Scene::start_with(program, 2, yaml).await;
        for n in 0..4 {
            assert_eq!(chat(&scene.gateways[0], "first").await.status, 200, "{program}: request {n}");
        }
        assert_eq!(
            chat(&scene.gateways[0], "first").await.error(429)["code"],
            "insufficient_quota",
            "{program}"
        );
        spent(&scene.gateways[1]).await;
        for mut gateway in scene.gateways.drain(..) {
            gateway.signal("TERM").await;
            assert!(gateway.end().await.success(), "{program}");
        }
        scene.join().await;
        spent(&scene.gateways[0]).await;
        let calls = scene.upstream.count();
        assert!(calls < 4 + 10_000 / 50, "{program}: {calls} calls for a budget of four");
    })
    .await;
}
