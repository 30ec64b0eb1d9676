//! Deployments that speak Google's `generateContent`, called in OpenAI's dialect: paths, streams, errors, embeddings, and
//! fallbacks to other dialects.

use http::Method;
use serde_json::{Value, json};

use crate::{
    anthropic::{self as claude, CLAUDE},
    messages,
    responses::{self, SPEAKS},
    support::{
        answers as say,
        case::Case,
        client::request,
        reply::{Part, Reply},
    },
};

pub(super) const GEMINI: &str = "custom_llm_provider: gemini";

fn response(text: &str, reason: Option<&str>) -> Value {
    json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": reason}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 7, "totalTokenCount": 17},
        "modelVersion": "gemini-x", "responseId": "r1"})
}

pub(super) fn whole(text: &str) -> Reply {
    Reply::json(200, &response(text, Some("STOP")))
}

pub(super) fn words(words: &[&str]) -> Reply {
    Reply::events(words.iter().map(|word| response(word, None).to_string()))
}

pub(super) fn stream(said: &[&str]) -> Reply {
    words(said).and(Reply::events([response("", Some("STOP")).to_string()]))
}

pub(super) fn error(status: u16, name: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"error": {"code": status, "message": message, "status": name}}))
}

/// Returns groups of which these deployments speak Google's dialect.
fn case(groups: &str, gemini: &str) -> Case {
    Case::of(groups).params(gemini, GEMINI)
}

#[tokio::test]
async fn gemini_receives_its_own_request_and_the_client_a_chat_completion() {
    let asked =
        case("m: a", "a").always("a", whole("a")).with(json!({"seed": 7})).ask().await.answered_by("a");
    let call = asked.world.upstream("a").only();
    assert_eq!(call.target, "/v1beta/models/openai%2Fa-model:generateContent");
    assert_eq!((call.header("x-goog-api-key"), call.header("authorization")), (Some("sk-a"), None));
    let wanted = json!({"contents": [{"role": "user", "parts": [{"text": "what llm are you"}]}],
        "generationConfig": {"seed": 7}});
    assert_eq!(call.json(), wanted);
    let json = asked.answer.json();
    assert_eq!((&json["usage"]["total_tokens"], &json["id"]), (&json!(17), &json!("r1")));
}

#[tokio::test]
async fn gemini_streams_become_chunks_that_end_as_openais_do() {
    let world = case("m: a", "a").always("a", stream(&["Hel", "lo"])).start().await;
    let stream = world.whole_stream(json!({})).await;
    assert_eq!(stream.said(), "Hello");
    let call = world.upstream("a").only();
    assert_eq!(call.target, "/v1beta/models/openai%2Fa-model:streamGenerateContent?alt=sse");
    let text = stream.text();
    assert!(text.ends_with("data: [DONE]\n\n") && !text.contains("\"usage\""), "{text}");
    assert_eq!(text.matches("\"finish_reason\":\"stop\"").count(), 1);
}

#[tokio::test]
async fn gemini_models_of_a_pattern_are_called_by_their_own_names() {
    let upstream = crate::support::upstream::Upstream::with([whole("hi")]).await;
    let yaml = format!(
        "model_list:\n- {{model_name: \"g/*\", litellm_params: {{model: \"gemini/*\", api_key: k, api_base: \"{}\"}}}}\n",
        upstream.url()
    );
    let gateway = crate::support::gateway::Gateway::start(&yaml).await;
    assert_eq!(gateway.chat("g/gemini-2.5-pro", json!({})).await.said(), "hi");
    assert_eq!(upstream.only().target, "/v1beta/models/gemini-2.5-pro:generateContent");
}

#[tokio::test]
async fn gemini_errors_have_openais_form_and_their_waits_are_obeyed() {
    for (reply, status, kind) in [
        (error(400, "INVALID_ARGUMENT", "bad"), 400, "invalid_request_error"),
        (error(404, "NOT_FOUND", "no such model"), 404, "invalid_request_error"),
        (error(503, "UNAVAILABLE", "The model is overloaded."), 503, "overloaded_error"),
        (
            error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key."),
            400,
            "authentication_error",
        ),
    ] {
        let asked = case("m: a", "a").always("a", reply).settings("num_retries: 0").ask().await;
        assert_eq!(asked.answer.error(status)["type"], kind);
    }
    let limited = Reply::json(
        429,
        &json!({"error": {"code": 429, "message": "quota", "status": "RESOURCE_EXHAUSTED", "details":
            [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3400s"}]}}),
    );
    let world = case("m: a b", "a b").first("a").always("a", limited).always("b", whole("b")).start().await;
    assert_eq!(world.statuses(3).await, [200, 200, 200]);
    assert_eq!(world.each("a b"), [1, 3]);
}

#[tokio::test]
async fn gemini_failures_before_the_first_content_are_retried_elsewhere() {
    for reply in [
        error(503, "UNAVAILABLE", "overloaded"),
        Reply::events([json!({"error": {"code": 503, "message": "x", "status": "UNAVAILABLE"}}).to_string()]),
        Reply::json(200, &json!([{"error": {"code": 503, "message": "x", "status": "UNAVAILABLE"}}])),
        Reply::events::<&str>([]),
    ] {
        let world = case("m: a b", "a").first("a").always("a", reply).start().await;
        let stream = world.whole_stream(json!({})).await;
        assert_eq!((stream.said(), world.each("a b")), ("b".to_owned(), vec![1, 1]), "{}", stream.text());
    }
}

#[tokio::test]
async fn gemini_streams_without_a_reason_of_their_end_are_broken() {
    for cut in [words(&["Hel"]), words(&["Hel"]).then(Part::Cut)] {
        let world = case("m: a", "a").always("a", cut).start().await;
        let stream = world.whole_stream(json!({})).await;
        assert_eq!(stream.said(), "Hel");
        assert!(
            stream.text().contains("\"error\"") && !stream.text().contains("[DONE]"),
            "{}",
            stream.text()
        );
    }
    let world = case("m: a", "a").always("a", Reply::json(200, &response("Hel", None))).start().await;
    world.ask().await.error(502);
}

#[tokio::test]
async fn fallbacks_lead_from_anthropic_to_gemini_to_openai() {
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "x"}});
    let case = case("m: a; g: b; f: c", "b")
        .params("a", "custom_llm_provider: anthropic")
        .always("a", Reply::json(529, &overloaded))
        .always("b", error(503, "UNAVAILABLE", "overloaded"))
        .always("c", say::chat("c"))
        .settings("num_retries: 0, fallbacks: [{m: [g, f]}]");
    let asked = case.ask().await.answered_by("c").in_order("a b c");
    assert_eq!(asked.world.upstream("a").only().target, "/v1/messages");
    assert!(asked.world.upstream("b").only().target.ends_with(":generateContent"));
    assert_eq!(asked.world.upstream("c").only().target, "/v1/chat/completions");
}

#[tokio::test]
async fn signatures_in_ids_of_tool_calls_are_for_gemini_only() {
    const ID: &str = "call_1__thought__aA+/==";
    let case = case("g: a; o: b; c: d; r: e", "a").params("d", CLAUDE).info("e", SPEAKS);
    let case = case.always("a", whole("a")).always("b", say::chat("b")).always("d", claude::message("d"));
    let case = case.always("e", Reply::json(200, &responses::response("e")));
    let world = case.start().await;
    let function = json!({"name": "f", "arguments": "{}"});
    let messages = json!([{"role": "assistant", "tool_calls": [{"id": ID, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": ID, "content": ID}]);
    for (model, deployment) in [("g", "a"), ("o", "b"), ("c", "d"), ("r", "e")] {
        assert_eq!(
            world.ask_with(json!({"model": model, "messages": messages})).await.status,
            200,
            "{deployment}"
        );
    }
    let sent = |name: &str| world.upstream(name).only().json();
    assert_eq!(sent("a")["contents"][0]["parts"][0]["thoughtSignature"], "aA+/==");
    let openai = &sent("b")["messages"];
    assert_eq!(
        (&openai[0]["tool_calls"][0]["id"], &openai[1]["tool_call_id"]),
        (&json!("call_1"), &json!("call_1"))
    );
    assert_eq!(openai[1]["content"], ID, "a text is not changed");
    assert_eq!(sent("d")["messages"][0]["content"][0]["id"], "call_1");

    let input = json!([{"type": "function_call", "call_id": ID, "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": ID, "output": "x"}]);
    let body = json!({"model": "r", "input": input}).to_string();
    assert_eq!(world.gateway.post(responses::PATH, body).await.status, 200);
    for call in world.upstream("e").calls() {
        let sent = &call.json()["input"];
        assert_eq!((&sent[0]["call_id"], &sent[1]["call_id"]), (&json!("call_1"), &json!("call_1")));
    }

    let block = json!({"type": "tool_use", "id": ID, "name": "f", "input": {}});
    let body =
        json!({"model": "c", "max_tokens": 9, "messages": [{"role": "assistant", "content": [block]}]});
    assert_eq!(world.gateway.post(messages::PATH, body.to_string()).await.status, 200);
    assert_eq!(world.upstream("d").calls()[1].json()["messages"][0]["content"][0]["id"], "call_1");
}

#[tokio::test]
async fn gemini_takes_embeddings_in_openais_dialect() {
    let world = case("m: a", "a").always("a", say::embedding()).start().await;
    let body = json!({"model": "m", "input": "x"}).to_string();
    let answer = world.gateway.send(request(Method::POST, "/v1/embeddings", body, &[])).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["data"][0]["embedding"][0]), (200, &json!(0.25)));
    let call = world.upstream("a").only();
    assert_eq!(call.target, "/v1beta/openai/embeddings");
    assert_eq!((call.header("authorization"), call.header("x-goog-api-key")), (Some("Bearer sk-a"), None));
    assert_eq!(call.json(), json!({"model": "openai/a-model", "input": "x"}));
}
