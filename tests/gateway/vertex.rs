//! Deployments at Vertex AI: paths by publisher, access tokens, streams, tools and errors.

use futures_util::future::{join, join_all};
use serde_json::json;

use crate::{
    anthropic as claude, gemini,
    support::{
        answers as say,
        gateway::{Gateway, Start, config, directory, run},
        reply::{Gate, Reply},
        soon,
        upstream::Upstream,
    },
};

const KEY: &str = include_str!("../data/google_key.pem");

/// The part of the path before the publisher.
const ROOT: &str = "/v1/projects/p-1/locations/us-central1";

fn token(name: &str) -> Reply {
    Reply::json(200, &json!({"access_token": name, "expires_in": 3599, "token_type": "Bearer"}))
}

/// Returns the JSON of a service account whose tokens are issued at this endpoint.
fn account(endpoint: &Upstream) -> String {
    let token_uri = format!("{}/token", endpoint.url());
    json!({"type": "service_account", "project_id": "p-1", "private_key_id": "kid", "private_key": KEY,
        "client_email": "me@p-1.iam.gserviceaccount.com", "token_uri": token_uri})
    .to_string()
}

/// Returns a file with one group `m`, of a deployment of each of these models.
fn yaml(models: &[&str], upstream: &Upstream, endpoint: &Upstream) -> String {
    let path = directory().join("account.json");
    std::fs::write(&path, account(endpoint)).unwrap();
    let entry = |model: &&str| {
        format!(
            "- {{model_name: m, litellm_params: {{model: {model}, api_base: \"{}\", vertex_credentials: \"{}\"}}}}\n",
            upstream.url(),
            path.display()
        )
    };
    let list: String = models.iter().map(entry).collect();
    format!("model_list:\n{list}router_settings: {{num_retries: 0}}\n")
}

async fn start(model: &str, upstream: &Upstream, endpoint: &Upstream) -> Gateway {
    Gateway::start(&yaml(&[model], upstream, endpoint)).await
}

#[tokio::test]
async fn gemini_at_vertex_is_called_in_the_project_with_a_token_of_the_service_account() {
    let (upstream, endpoint) =
        (Upstream::with([gemini::whole("hi")]).await, Upstream::with([token("ya29.a")]).await);
    let gateway = start("vertex_ai/gemini-2.5-pro", &upstream, &endpoint).await;
    let chat = json!({"seed": 7, "safety_settings": [{"category": "C", "threshold": "OFF"}]});
    assert_eq!(gateway.chat("m", chat).await.said(), "hi");
    let call = upstream.only();
    assert_eq!(call.target, format!("{ROOT}/publishers/google/models/gemini-2.5-pro:generateContent"));
    assert_eq!((call.header("authorization"), call.header("x-goog-api-key")), (Some("Bearer ya29.a"), None));
    let sent = json!({"contents": [{"role": "user", "parts": [{"text": "what llm are you"}]}],
        "generationConfig": {"seed": 7}, "safetySettings": [{"category": "C", "threshold": "OFF"}]});
    assert_eq!(call.json(), sent);
    let fetch = endpoint.only();
    assert_eq!(
        (&*fetch.target, fetch.header("content-type")),
        ("/token", Some("application/x-www-form-urlencoded"))
    );
    assert!(fetch.body.starts_with(b"grant_type=urn%3Aietf"), "{:?}", fetch.body);
}

#[tokio::test]
async fn a_stream_and_a_tool_of_gemini_at_vertex_are_those_of_gemini() {
    let call = json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"a": 1}},
        "thoughtSignature": "c2ln"}]}, "finishReason": "STOP"}]});
    let upstream =
        Upstream::with([gemini::stream(&["Hel", "lo"]), Reply::json(200, &call), gemini::whole("a")]).await;
    let endpoint = Upstream::with([token("t")]).await;
    let gateway = start("vertex_ai_beta/gemini-3-pro", &upstream, &endpoint).await;
    let mut stream = gateway.stream("m", json!({})).await;
    stream.rest().await;
    assert_eq!(stream.said(), "Hello");
    let target = upstream.only().target.clone();
    assert_eq!(target, format!("{ROOT}/publishers/google/models/gemini-3-pro:streamGenerateContent?alt=sse"));
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    let message = gateway.chat("m", json!({"tools": tools})).await.json()["choices"][0]["message"].clone();
    let id = message["tool_calls"][0]["id"].as_str().unwrap().to_owned();
    assert!(id.ends_with("__thought__c2ln"), "{id}");
    let messages = json!([{"role": "user", "content": "x"}, message, {"role": "tool", "tool_call_id": id, "content": "1"}]);
    assert_eq!(gateway.chat("m", json!({"messages": messages, "tools": tools})).await.said(), "a");
    assert_eq!(upstream.calls()[2].json()["contents"][1]["parts"][0]["thoughtSignature"], "c2ln");
    assert_eq!(endpoint.count(), 1);
}

#[tokio::test]
async fn claude_at_vertex_has_the_model_in_the_path_and_the_version_in_the_body() {
    let upstream =
        Upstream::with([claude::message("hi"), claude::stream(&["Hel", "lo"]), claude::message("ho")]).await;
    let endpoint = Upstream::with([token("t")]).await;
    let gateway = start("vertex_ai/claude-sonnet-4-5@20250929", &upstream, &endpoint).await;
    assert_eq!(gateway.chat("m", json!({"max_tokens": 9})).await.said(), "hi");
    let call = upstream.only();
    let models = format!("{ROOT}/publishers/anthropic/models/claude-sonnet-4-5@20250929");
    assert_eq!(
        (&call.target, call.header("authorization")),
        (&format!("{models}:rawPredict"), Some("Bearer t"))
    );
    let text = json!([{"type": "text", "text": "what llm are you"}]);
    let sent = json!({"anthropic_version": "vertex-2023-10-16", "max_tokens": 9, "messages": [{"role": "user", "content": text}]});
    assert_eq!(call.json(), sent);
    let mut stream = gateway.stream("m", json!({"max_tokens": 9})).await;
    stream.rest().await;
    assert_eq!(stream.said(), "Hello");
    assert_eq!(upstream.calls()[1].target, format!("{models}:streamRawPredict"));
    let messages = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
    let answer = gateway.post("/v1/messages", messages.to_string()).await.json();
    assert_eq!((&answer["type"], &answer["content"][0]["text"]), (&json!("message"), &json!("ho")));
    assert_eq!(upstream.calls()[2].json()["anthropic_version"], "vertex-2023-10-16");
}

#[tokio::test]
async fn open_models_at_vertex_are_called_in_openais_dialect() {
    let upstream = Upstream::with([say::chat("hi")]).await;
    let endpoint = Upstream::with([token("t")]).await;
    let gateway = start("vertex_ai/meta/llama-3.3-70b-instruct-maas", &upstream, &endpoint).await;
    assert_eq!(gateway.chat("m", json!({})).await.said(), "hi");
    let call = upstream.only();
    assert_eq!(
        (&call.target, call.header("authorization")),
        (&format!("{ROOT}/endpoints/openapi/chat/completions"), Some("Bearer t"))
    );
    assert_eq!(call.json()["model"], "meta/llama-3.3-70b-instruct-maas");
}

#[tokio::test]
async fn requests_at_once_wait_for_one_token() {
    let gate = Gate::new();
    let upstream = Upstream::of(|_| gemini::whole("hi")).await;
    let endpoint = Upstream::with([token("t").held(&gate)]).await;
    let gateway =
        Gateway::start(&yaml(&["vertex_ai/gemini-a", "vertex_ai/gemini-b"], &upstream, &endpoint)).await;
    let calls = (0..100).map(|_| gateway.chat("m", json!({})));
    let all = join_all(calls);
    let opened = async {
        endpoint.call(1).await;
        assert_eq!(upstream.count(), 0);
        gate.open();
    };
    let (answers, ()) = soon("all responses", join(all, opened)).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!((upstream.count(), endpoint.count()), (100, 1));
}

#[tokio::test]
async fn a_refused_token_is_dropped_and_the_next_call_has_a_new_one() {
    let unauthenticated =
        gemini::error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
    let upstream = Upstream::of(move |call| match call.header("authorization") {
        Some("Bearer old") => unauthenticated.clone(),
        _ => gemini::whole("hi"),
    })
    .await;
    let endpoint = Upstream::with([token("old"), token("new")]).await;
    let gateway = start("vertex_ai/gemini-2.5-pro", &upstream, &endpoint).await;
    assert_eq!(gateway.chat("m", json!({})).await.error(401)["type"], "authentication_error");
    assert_eq!(gateway.chat("m", json!({})).await.said(), "hi");
    assert_eq!((upstream.count(), endpoint.count()), (2, 2));
}

#[tokio::test]
async fn a_failed_fetch_moves_the_request_to_another_deployment() {
    let upstream = Upstream::start().await;
    let endpoint =
        Upstream::with([Reply::json(400, &json!({"error": "invalid_grant", "error_description": KEY}))])
            .await;
    let vertex = yaml(&["vertex_ai/gemini-a"], &upstream, &endpoint);
    let alone = Gateway::start(&vertex).await;
    let error = alone.chat("m", json!({})).await.error(502);
    let message =
        "There is no access token for the upstream: the token endpoint responded 400 (invalid_grant).";
    assert_eq!(error["message"], message);
    alone.says(&["an access token could not be fetched"]).await;
    assert!(!alone.said().contains("PRIVATE KEY"));
    let other = format!(
        "- {{model_name: m, litellm_params: {{model: openai/x, api_base: \"{}\", api_key: k, weight: 0.001}}}}\n",
        upstream.url()
    );
    let both = Gateway::start(&vertex.replace("router_settings", &format!("{other}router_settings"))).await;
    for _ in 0..3 {
        assert_eq!(both.chat("m", json!({})).await.said(), "hello");
    }
    assert_eq!(upstream.count(), 3);
}

#[tokio::test]
async fn a_token_endpoint_that_refuses_connections_is_named() {
    let (upstream, endpoint) = (Upstream::start().await, Upstream::refusing());
    let gateway = start("vertex_ai/gemini-a", &upstream, &endpoint).await;
    let message = "There is no access token for the upstream: the token endpoint cannot be reached: connection refused.";
    assert_eq!(gateway.chat("m", json!({})).await.error(502)["message"], message);
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_token_is_kept_over_a_reload() {
    let upstream = Upstream::of(|_| gemini::whole("hi")).await;
    let endpoint = Upstream::with([token("t")]).await;
    let text = yaml(&["vertex_ai/gemini-a"], &upstream, &endpoint);
    let path = config(&text);
    let gateway = Start::at(&path).go().await;
    assert_eq!(gateway.chat("m", json!({})).await.said(), "hi");
    std::fs::write(&path, text.replace("num_retries: 0", "num_retries: 1")).unwrap();
    gateway.signal("HUP").await;
    gateway.says(&["reload"]).await;
    assert_eq!(gateway.chat("m", json!({})).await.said(), "hi");
    assert_eq!((upstream.count(), endpoint.count()), (2, 1));
}

#[tokio::test]
async fn errors_in_an_array_are_classified_and_waits_are_obeyed() {
    let exhausted = json!([{"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED"}}]);
    let upstream = Upstream::with([Reply::json(429, &exhausted)]).await;
    let endpoint = Upstream::with([token("t")]).await;
    let gateway = start("vertex_ai/gemini-2.5-pro", &upstream, &endpoint).await;
    let mut stream = gateway.stream("m", json!({})).await;
    stream.rest().await;
    assert!(stream.text().contains("rate_limit"), "{}", stream.text());
}

#[tokio::test]
async fn embeddings_at_vertex_are_refused_before_a_call() {
    let (upstream, endpoint) = (Upstream::start().await, Upstream::start().await);
    let gateway = start("vertex_ai/gemini-2.5-pro", &upstream, &endpoint).await;
    let body = json!({"model": "m", "input": "x"}).to_string();
    let answer = gateway.post("/v1/embeddings", body).await;
    assert_eq!(answer.error(400)["code"], "operation_not_supported");
    assert_eq!((upstream.count(), endpoint.count()), (0, 0));
}

#[tokio::test]
async fn the_metadata_server_of_a_machine_issues_tokens_without_a_credential() {
    let upstream = Upstream::with([gemini::whole("hi")]).await;
    let machine = Upstream::with([token("t")]).await;
    let yaml = format!(
        "model_list: [{{model_name: m, litellm_params: {{model: vertex_ai/gemini-2.5-pro, api_base: \"{}\", \
         vertex_project: p-2, vertex_location: europe-west4}}}}]\n",
        upstream.url()
    );
    let host = machine.url().replace("http://", "");
    let gateway = Start::new(&yaml).env("GCE_METADATA_HOST", host).go().await;
    assert_eq!(gateway.chat("m", json!({})).await.said(), "hi");
    let fetch = machine.only();
    assert_eq!((fetch.method.as_str(), fetch.header("metadata-flavor")), ("GET", Some("Google")));
    assert_eq!(fetch.target, "/computeMetadata/v1/instance/service-accounts/default/token");
    assert!(upstream.only().target.starts_with("/v1/projects/p-2/locations/europe-west4/"));
}

#[tokio::test]
async fn nothing_of_a_service_account_or_of_its_token_is_printed_logged_or_sent_to_a_client() {
    let upstream =
        Upstream::with([gemini::error(403, "PERMISSION_DENIED", "no, ya29.canary-token may not")]).await;
    let endpoint = Upstream::with([token("ya29.canary-token")]).await;
    let json = account(&endpoint);
    let indented = format!("'{}'", json.replace('\'', "''"));
    let yaml = format!(
        "model_list: [{{model_name: m, litellm_params: {{model: vertex_ai/gemini-2.5-pro, api_base: \"{}\", \
         vertex_credentials: {indented}}}}}, {{model_name: n, litellm_params: {{model: vertex_ai/gemini-a, \
         vertex_credentials: {}}}}}]\n",
        upstream.url(),
        indented.replace("service_account", "external_account"),
    );
    let secret = &KEY.lines().nth(1).unwrap()[..24];
    let path = config(&yaml);
    let checked = run(["--config", path.to_str().unwrap(), "--check"]).await;
    let printed = format!("{}{}", checked.stdout, checked.stderr);
    assert!(printed.contains("has a `type` that is not supported"), "{printed}");
    assert!(!printed.contains(secret) && !printed.contains("client_email"), "{printed}");
    let gateway = Start::at(&path).env("RUST_LOG", "trace").go().await;
    let answer = gateway.chat("m", json!({})).await;
    let told = format!("{} {} {:?}", gateway.said(), answer.text(), answer.headers);
    assert_eq!(answer.status, 403, "{}", answer.text());
    for hidden in [secret, "ya29.canary", "eyJhbGciOi"] {
        assert!(!told.contains(hidden), "{hidden}: {told}");
    }
}
