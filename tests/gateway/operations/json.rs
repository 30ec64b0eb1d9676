//! Operations in JSON: their paths, bodies and deployments.

use http::Method;
use serde_json::{Value, json};

use super::{in_json, picture, ranking};
use crate::support::{
    answers as say,
    case::{Case, World},
    client::{Answer, request},
    gateway::Gateway,
    reply::Reply,
    upstream::Upstream,
};

fn named(model: &str, mut body: Value) -> String {
    body["model"] = model.into();
    body.to_string()
}

async fn post(world: &World, path: &str, body: Value) -> Answer {
    world.gateway.post(path, named("m", body)).await
}

#[tokio::test]
async fn operations_in_json_are_passed_on_at_every_path_with_the_upstreams_model() {
    for (path, body, reply) in in_json() {
        let world = Case::of("m: a").always("a", reply.clone()).start().await;
        let azures = format!("/openai/deployments/m{path}?api-version=2025-04-01-preview");
        for at in [path.to_owned(), format!("/v1{path}"), format!("/openai/v1{path}"), azures] {
            let answer = post(&world, &at, body.clone()).await;
            assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &reply.body()[..]), "{at}");
            assert_eq!(answer.header("content-type"), Some(&*reply.content_type()), "{at}");
            assert_eq!(answer.header("x-litellm-model-id"), Some("a"), "{at}");
        }
        for call in world.upstream("a").calls() {
            assert_eq!(call.target, format!("/v1{path}"));
            let mut expected = body.clone();
            expected["model"] = "a-model".into();
            assert_eq!(call.json(), expected);
        }
    }
}

#[tokio::test]
async fn operations_in_json_are_retried_limited_and_repeated_by_fallbacks() {
    for (path, body, reply) in in_json() {
        let case = Case::of("m: a b; f: c").first("a").always("a", say::server_error());
        let world = case.always("b c", reply.clone()).params("b", "rpm: 1").start().await;
        let answer = post(&world, path, body.clone()).await;
        assert_eq!((answer.status.as_u16(), world.each("a b")), (200, vec![1, 1]), "{path}");
        assert_eq!(answer.header("x-litellm-attempted-retries"), Some("1"), "{path}");
        let mut body = body.clone();
        body["fallbacks"] = json!(["f"]);
        let answer = post(&world, path, body).await;
        assert_eq!(answer.header("x-litellm-model-group"), Some("f"), "{path}");
        let sent = world.upstream("c").only().json();
        assert_eq!((&sent["model"], sent.get("fallbacks")), (&json!("c-model"), None), "{path}");
    }
}

#[tokio::test]
async fn operations_in_json_without_their_parameter_are_refused_by_its_name() {
    let world = Case::of("m: a").start().await;
    for (path, missing) in [
        ("/moderations", "input"),
        ("/rerank", "query"),
        ("/images/generations", "prompt"),
        ("/audio/speech", "input"),
        ("/audio/transcriptions", "file"),
    ] {
        assert_eq!(post(&world, path, json!({})).await.error(400)["param"], missing);
    }
    let error = world.gateway.post("/v1/moderations", json!({"input": "a"}).to_string()).await.error(400);
    assert_eq!((&error["param"], world.calls("a")), (&json!("model"), 0));
}

#[tokio::test]
async fn reranking_has_the_paths_of_cohere_and_jina() {
    let world = Case::of("m: a").always("a", ranking()).start().await;
    for path in ["/rerank", "/v1/rerank", "/v2/rerank"] {
        let answer = post(&world, path, json!({"query": "q", "documents": ["a"]})).await;
        assert_eq!(answer.json()["results"][0]["index"], 1);
    }
}

#[tokio::test]
async fn an_operation_goes_to_the_deployments_of_a_group_that_have_it() {
    let case = Case::of("m: claude gemini ollama a").always("a", picture()).first("claude");
    let case = case.params("claude", "custom_llm_provider: anthropic");
    let case = case.params("gemini", "custom_llm_provider: gemini");
    let world = case.params("ollama", "custom_llm_provider: ollama").start().await;
    for _ in 0..6 {
        let answer = post(&world, "/images/generations", json!({"prompt": "a cat"})).await;
        assert_eq!(answer.header("x-litellm-model-id"), Some("a"));
        assert_eq!(answer.header("x-litellm-attempted-retries"), Some("0"));
    }
    assert_eq!(world.each("claude gemini ollama a"), [0, 0, 0, 6]);
}

#[tokio::test]
async fn an_operation_that_no_deployment_of_a_group_has_is_refused_by_name() {
    let case = Case::of("m: a b").params("a b", "custom_llm_provider: anthropic");
    let world = case.settings("num_retries: 3").start().await;
    // By the name of the group, and by the id of a deployment.
    for model in ["m", "a"] {
        for (path, body, _) in in_json() {
            let error = world.gateway.post(path, named(model, body)).await.error(400);
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("The provider of this model has no"), "{message}");
            assert_eq!(
                (&error["code"], &error["param"]),
                (&json!("operation_not_supported"), &json!("model"))
            );
        }
    }
    let body = named("m", json!({"input": "a"}));
    let error = world.gateway.post("/embeddings", body).await.error(400);
    assert!(error["message"].as_str().unwrap().contains("no embeddings"));
    assert_eq!(world.calls("a b"), 0);
}

#[tokio::test]
async fn operations_at_azure_have_the_deployment_in_their_path() {
    let upstream = Upstream::with([picture()]).await;
    let gateway = Gateway::start(&format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: azure/dall-e, api_base: \"{}\", api_key: k, \
         api_version: 2025-04-01-preview}}\n",
        upstream.url()
    ))
    .await;
    let answer = gateway.post("/v1/images/generations", named("m", json!({"prompt": "a"}))).await;
    assert_eq!(answer.status, 200);
    let call = upstream.only();
    assert_eq!(call.target, "/openai/deployments/dall-e/images/generations?api-version=2025-04-01-preview");
    assert_eq!(call.header("api-key"), Some("k"));
    let error = gateway.post("/v1/moderations", named("m", json!({"input": "a"}))).await.error(400);
    assert!(error["message"].as_str().unwrap().contains("no moderations"));
}

#[tokio::test]
async fn a_200_without_content_is_retried_for_every_operation() {
    let error = json!({"error": {"message": "overloaded", "type": "overloaded_error"}});
    for (path, body, reply) in in_json() {
        let page = Reply::bytes(200, "text/html; charset=utf-8", "<html></html>");
        for bad in [Reply::bytes(200, "application/json", ""), Reply::json(200, &error), page] {
            let case = Case::of("m: a b").first("a").always("a", bad).always("b", reply.clone());
            let world = case.start().await;
            let answer = post(&world, path, body.clone()).await;
            assert_eq!((&answer.body[..], world.each("a b")), (&reply.body()[..], vec![1, 1]), "{path}");
        }
    }
}

#[tokio::test]
async fn operations_count_tokens_and_requests_by_what_they_use() {
    let case = Case::of("m: a").params("a", "tpm: 1000, rpm: 100");
    let reply = Reply::json(200, &json!({"data": [{"url": "https://example.com/cat.png"}]}));
    let world = case.always("a", reply).start().await;
    // A picture has an estimate of none; that of a long text uses the limit up.
    let long = "word ".repeat(2_000);
    for (path, body, statuses) in [
        ("/images/edits", json!({"prompt": long}), [200, 200]),
        ("/audio/speech", json!({"input": long, "voice": "alloy"}), [200, 429]),
    ] {
        for status in statuses {
            assert_eq!(post(&world, path, body.clone()).await.status, status, "{path}");
        }
    }
}

#[tokio::test]
async fn operations_have_their_own_names_in_the_metrics() {
    let world = Case::of("m: a").always("a", ranking()).start().await;
    let body = json!({"query": "q", "documents": ["a"]});
    assert_eq!(post(&world, "/v1/rerank", body).await.header("content-type"), Some("application/json"));
    let metrics = world.gateway.get("/metrics").await.text();
    assert!(metrics.contains(r#"operation="rerank""#), "{metrics}");
    let unknown = world.gateway.send(request(Method::POST, "/v1/audio/unknown", "", &[])).await;
    assert!(unknown.error(404)["message"].as_str().unwrap().contains("POST /v1/audio/speech"));
}
