//! `/health`: a small request to each deployment.

use std::{collections::BTreeMap, time::Duration};

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    answers as say,
    case::Case,
    client::request,
    gateway::Gateway,
    reply::{Gate, Part, Reply},
    upstream::Upstream,
};

/// The ids of the deployments in a list of a report.
fn ids(report: &Value, list: &str) -> Vec<String> {
    let list = report[list].as_array().unwrap();
    list.iter().map(|endpoint| endpoint["model_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_health_check_calls_each_deployment_once_in_the_words_of_its_mode() {
    let modes = [
        ("chat", "/v1/chat/completions"),
        ("completion", "/v1/completions"),
        ("embedding", "/v1/embeddings"),
        ("responses", "/v1/responses"),
        ("moderation", "/v1/moderations"),
        ("rerank", "/v1/rerank"),
        ("image_generation", "/v1/images/generations"),
        ("image_edit", "/v1/images/edits"),
        ("audio_transcription", "/v1/audio/transcriptions"),
        ("audio_speech", "/v1/audio/speech"),
    ];
    let names: Vec<_> = modes.iter().map(|(mode, _)| *mode).collect();
    let mut case = Case::of(&format!("m: {}", names.join(" ")));
    for (mode, _) in modes {
        case = case.info(mode, &format!("mode: {mode}"));
        // All that any of the operations looks for.
        let reply = json!({"data": [{}], "results": [], "text": "hi", "choices": [{"finish_reason": "stop"}],
            "object": "response", "status": "completed", "output": [{"type": "message"}]});
        case = case.always(mode, Reply::json(200, &reply));
    }
    let world = case.start().await;
    let report = world.gateway.get("/health").await.json();
    assert_eq!((&report["healthy_count"], &report["unhealthy_count"]), (&json!(10), &json!(0)), "{report}");
    assert_eq!(
        report["healthy_endpoints"][0],
        json!({"model": "openai/chat-model", "model_id": "chat", "mode": "chat"})
    );
    for (mode, path) in modes {
        let call = world.upstream(mode).only();
        assert_eq!(call.target, path);
        let has_model = String::from_utf8_lossy(&call.body).contains(&format!("{mode}-model"));
        assert!(has_model && call.body.len() < 5_000, "{mode}");
    }
}

#[tokio::test]
async fn a_health_check_reports_a_failed_deployment_with_its_error_and_no_secret() {
    let case = Case::of("m: good bad; other: ugly; p*: any").always("bad", say::unauthorized());
    let case = case.refuses("ugly").section("general_settings", "master_key: sk-master");
    let world = case.settings("num_retries: 3, fallbacks: [{m: [other]}]").start().await;
    let health = |query: &str| {
        let path = format!("/health{query}");
        world.gateway.send(request(Method::GET, &path, "", &[("authorization", "Bearer sk-master")]))
    };
    let answer = health("").await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, Some("no-store")));
    let report = answer.json();
    assert_eq!(ids(&report, "healthy_endpoints"), ["good"]);
    let errors: BTreeMap<_, _> = report["unhealthy_endpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|endpoint| (endpoint["model_id"].as_str().unwrap(), endpoint))
        .collect();
    assert_eq!(errors.keys().copied().collect::<Vec<_>>(), ["any", "bad", "ugly"]);
    assert_eq!(errors["bad"]["exception_status"], 401);
    assert_eq!(errors["ugly"]["exception_status"], 502);
    assert!(errors["any"]["error"].as_str().unwrap().contains("pattern"));
    let secrets = ["sk-good", "sk-bad", "sk-master", "127.0.0.1"];
    assert!(!secrets.iter().any(|secret| answer.text().contains(secret)), "{report}");
    assert_eq!(world.each("good bad any"), [1, 1, 0], "one attempt, and no fallback");
    for (query, status, healthy) in [
        ("?model=m", 200, vec!["good"]),
        ("?model_id=bad", 503, vec![]),
        ("?model_id=good&model=m", 200, vec!["good"]),
        ("?model=openai%2Fgood-model", 200, vec!["good"]),
        ("?model=unknown", 503, vec![]),
    ] {
        let answer = health(query).await;
        assert_eq!(
            (answer.status.as_u16(), ids(&answer.json(), "healthy_endpoints")),
            (status, healthy.into_iter().map(str::to_owned).collect()),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_health_check_needs_the_master_key() {
    let keys = "master_key: sk-master, keys: [{name: one, key: sk-one}]";
    let world = Case::of("m: a").section("general_settings", keys).start().await;
    let health = |key| world.gateway.send(request(Method::GET, "/health", "", &[("authorization", key)]));
    assert_eq!(world.gateway.get("/health").await.status, 401);
    assert_eq!(health("Bearer sk-one").await.error(403)["code"], "master_key_required");
    assert_eq!((health("Bearer sk-master").await.status.as_u16(), world.calls("a")), (200, 1));
}

#[tokio::test]
async fn a_health_check_ends_at_the_time_limit_of_the_deployment() {
    let hangs = Reply::nothing(Part::Hang);
    let case = Case::of("m: a b").info("a", "health_check_timeout: 0.3").always("a", hangs);
    let world = case.start().await;
    let answer = world.gateway.get("/health").await;
    let report = answer.json();
    assert_eq!(ids(&report, "healthy_endpoints"), ["b"]);
    assert_eq!(report["unhealthy_endpoints"][0]["exception_status"], 408, "{report}");
    assert!(answer.took < Duration::from_secs(10), "{:?}", answer.took);
    world.upstream("a").only().left().await;
}

#[tokio::test]
async fn health_checks_call_sixteen_deployments_at_once() {
    let gate = Gate::new();
    let upstream = Upstream::with([say::chat("hi").held(&gate)]).await;
    let entry = |n: usize| {
        format!(
            "  - {{model_name: m, litellm_params: {{model: openai/x, api_base: \"{}\", api_key: k}}, model_info: {{id: d{n}}}}}\n",
            upstream.url()
        )
    };
    let gateway = Gateway::start(&format!("model_list:\n{}", (0..40).map(entry).collect::<String>())).await;
    let (report, ()) = tokio::join!(gateway.get("/health"), async {
        upstream.call(16).await;
        assert_eq!(gateway.get("/health/liveliness").await.status, 200);
        assert_eq!(upstream.count(), 16);
        gate.open();
    });
    assert_eq!((&report.json()["healthy_count"], upstream.count()), (&json!(40), 40));
}
