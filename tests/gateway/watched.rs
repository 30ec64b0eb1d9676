//! What an operator looks at: the counters, and the list of models.

use serde_json::json;

use crate::support::{
    answers as say,
    case::Case,
    gateway::Start,
    reply::{Gate, Part},
    upstream::Upstream,
};

#[tokio::test]
async fn metrics_and_models_are_served_at_max_in_flight() {
    let gate = Gate::new();
    let case = Case::of("m: a").always("a", say::chat("a").held(&gate)).router("max_in_flight: 1");
    let world = case.start().await;
    let client = world.gateway.client.clone();
    let inside = tokio::spawn(async move { client.chat("m", json!({})).await });
    world.upstream("a").call(1).await;
    world.ask().await.error(503);
    for path in ["/metrics", "/v1/models", "/v1/models/m"] {
        assert_eq!(world.gateway.get(path).await.status, 200, "{path}");
    }
    gate.open();
    assert_eq!(inside.await.unwrap().said(), "a");
}

/// The number in the line of the counters that begins so.
fn counted(text: &str, line: &str) -> u64 {
    let value = text.lines().find_map(|known| known.strip_prefix(line)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {line:?} in:\n{text}"))
}

#[tokio::test]
async fn metrics_count_only_calls_of_models_as_requests() {
    let world = Case::of("m: a").start().await;
    for path in ["/health/liveness", "/health/readiness", "/metrics", "/v1/models", "/nowhere"] {
        world.gateway.get(path).await;
    }
    assert_eq!(world.ask().await.status, 200);
    world.ask_with(json!({"model": "nobody"})).await.error(404);
    let text = world.gateway.get("/metrics").await.text();
    assert_eq!(
        counted(&text, "tollgate_requests_total{operation=\"chat\",status=\"200\",class=\"success\"}"),
        1
    );
    assert_eq!(
        counted(&text, "tollgate_requests_total{operation=\"chat\",status=\"404\",class=\"caller\"}"),
        1
    );
}

#[tokio::test]
async fn metrics_count_no_first_content_for_an_error() {
    let case = Case::of("m: a").says("a", [say::server_error(), say::chat("a")]).settings("num_retries: 0");
    let world = case.start().await;
    world.ask().await.error(500);
    assert_eq!(world.ask().await.said(), "a");
    let text = world.gateway.get("/metrics").await.text();
    for (scope, labels) in [
        ("requests", ""),
        ("group_requests", "group=\"m\""),
        ("deployment_attempts", "group=\"m\",deployment=\"a\""),
    ] {
        let count = |what: &str, labels: &[&str]| {
            let labels =
                labels.iter().filter(|labels| !labels.is_empty()).copied().collect::<Vec<_>>().join(",");
            let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
            counted(&text, &format!("tollgate_{scope}_{what}_seconds_count{labels}"))
        };
        let duration = |result| count("duration", &[labels, &format!("result=\"{result}\"")]);
        let counts = (count("first_content", &[labels]), duration("success"), duration("failure"));
        assert_eq!(counts, (1, 1, 1), "{scope}");
    }
}

#[tokio::test]
async fn the_log_names_the_failed_deployment_and_no_content() {
    let broken = say::role().and(say::words(&["secret"])).then(Part::Cut);
    let upstream = Upstream::with([say::unavailable(), broken]).await;
    let yaml = format!(
        "model_list: [{{model_name: m, litellm_params: {{model: openai/x, api_base: '{}/v1', api_key: k}}, \
         model_info: {{id: the-one}}}}]\nrouter_settings: {{num_retries: 1}}\n",
        upstream.url()
    );
    let gateway = Start::new(&yaml).env("RUST_LOG", "tollgate=info").go().await;
    gateway.stream("m", json!({})).await.rest().await;
    let said = gateway.says(&["attempt failed after its response head"]).await;
    let lines: Vec<_> = said.lines().filter(|line| line.contains("attempt failed")).collect();
    let [before, after] = lines[..] else { panic!("two have failed:\n{said}") };
    assert!(before.contains("\"the-one\"") && before.contains("status=503"), "{before}");
    assert!(after.contains("\"the-one\"") && after.contains("kind=StreamBroken"), "{after}");
    assert!(!said.contains("secret"), "{said}");
}
