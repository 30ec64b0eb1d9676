//! Text completions at deployments that have chats only: what is sent, what the client receives, and fallbacks to and from
//! deployments that have text completions.

use http::Method;
use serde_json::{Value, json};

use crate::{
    anthropic::{self as claude, CLAUDE},
    gemini::{self, GEMINI},
    responses::{self, SPEAKS},
    support::{
        answers as say,
        case::{Case, World},
        client::{Answer, Over, Stream, request},
        reply::{Part, Reply},
    },
};

pub(super) const PATH: &str = "/v1/completions";

/// A vendor of OpenAI's dialect without text completions.
const GROQ: &str = "custom_llm_provider: groq";

/// Returns the body of a request to the group `m`, with these members.
fn body(more: &Value) -> String {
    let mut body = json!({"model": "m", "prompt": "Say a"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string()
}

async fn complete(world: &World, more: Value) -> Answer {
    world.gateway.post(PATH, body(&more)).await
}

async fn open(world: &World, more: &Value) -> Stream {
    world.gateway.open(request(Method::POST, PATH, body(more), &[])).await
}

async fn stream(world: &World, mut more: Value) -> Stream {
    more["stream"] = true.into();
    let mut stream = open(world, &more).await;
    stream.rest().await;
    stream
}

/// Returns the text of a complete response.
pub(super) fn text(answer: &Answer) -> String {
    let json = answer.json();
    assert_eq!(
        (answer.status.as_u16(), &json["object"]),
        (200, &json!("text_completion")),
        "{}",
        answer.text()
    );
    json["choices"][0]["text"].as_str().unwrap().to_owned()
}

/// Returns the text of the chunks so far.
fn said(stream: &Stream) -> String {
    let chunks = stream.events().into_iter().filter_map(|data| serde_json::from_str::<Value>(&data).ok());
    chunks.map(|chunk| chunk["choices"][0]["text"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Returns the text of a stream, after asserting that it is complete.
pub(super) fn whole(stream: &Stream) -> String {
    let text = stream.text();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    assert_eq!(text.matches("\"finish_reason\":\"stop\"").count(), 1, "{text}");
    said(stream)
}

#[tokio::test]
async fn text_completions_are_chats_at_deployments_that_have_chats_only() {
    let user = |parts: Value| json!([{"role": "user", "content": parts}]);
    let given = Reply::json(200, &responses::response("Hello"));
    for (params, info, reply, path, wanted) in [
        (
            CLAUDE,
            "",
            claude::message("Hello"),
            "/v1/messages",
            json!({"model": "openai/a-model", "max_tokens": 9, "messages": user(json!([{"type": "text", "text": "Say a"}]))}),
        ),
        (
            GEMINI,
            "",
            gemini::whole("Hello"),
            "/v1beta/models/openai%2Fa-model:generateContent",
            json!({"contents": [{"role": "user", "parts": [{"text": "Say a"}]}], "generationConfig": {"maxOutputTokens": 9}}),
        ),
        (
            GROQ,
            "",
            say::chat("Hello"),
            "/v1/chat/completions",
            json!({"model": "openai/a-model", "max_tokens": 9, "messages": user(json!("Say a"))}),
        ),
        (
            "",
            SPEAKS,
            given,
            "/v1/responses",
            json!({"model": "a-model", "max_output_tokens": 9, "store": false,
                "input": user(json!([{"type": "input_text", "text": "Say a"}]))}),
        ),
    ] {
        let case = Case::of("m: a").params("a", params).info("a", info).always("a", reply);
        let world = case.start().await;
        let answer = complete(&world, json!({"max_tokens": 9})).await;
        assert_eq!(text(&answer), "Hello", "{path}");
        assert_eq!(answer.header("x-litellm-model-id"), Some("a"));
        let json = answer.json();
        assert_eq!(json["choices"][0]["finish_reason"], "stop");
        assert!(json["usage"]["total_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{json}");
        let call = world.upstream("a").only();
        assert_eq!((call.target.as_str(), call.json()), (path, wanted));
    }
}

#[tokio::test]
async fn streams_of_text_completions_have_usage_only_when_it_is_requested() {
    for (params, info, reply) in [
        (CLAUDE, "", claude::stream(&["Hel", "lo"])),
        (GEMINI, "", gemini::stream(&["Hel", "lo"])),
        (
            GROQ,
            "",
            say::role().and(say::words(&["Hel", "lo"])).and(say::finish()).and(say::usage()).and(say::done()),
        ),
        ("", SPEAKS, responses::pieces("Hello")),
    ] {
        let world = Case::of("m: a").params("a", params).info("a", info).always("a", reply).start().await;
        let plain = stream(&world, json!({})).await;
        assert_eq!(whole(&plain), "Hello", "{params} {info}");
        assert!(!plain.text().contains("\"usage\""), "{}", plain.text());
        assert!(plain.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
        let with_usage = stream(&world, json!({"stream_options": {"include_usage": true}})).await;
        assert_eq!(
            (whole(&with_usage).as_str(), with_usage.text().matches("\"usage\"").count()),
            ("Hello", 1)
        );
        assert!(!with_usage.text().contains("chat.completion"), "{}", with_usage.text());
    }
}

#[tokio::test]
async fn text_completions_pass_where_the_model_is_one_of_text_completions() {
    let case = Case::of("m: a").params("a", GROQ).info("a", "mode: completion");
    let world = case.always("a", say::completion("Hello")).start().await;
    let passed = String::from_utf8(say::completion("Hello").body()).unwrap();
    let answer = complete(&world, json!({"echo": true, "logprobs": 2})).await;
    assert_eq!((text(&answer).as_str(), answer.text()), ("Hello", passed));
    let call = world.upstream("a").only();
    assert_eq!(call.target, PATH);
    let sent = json!({"model": "openai/a-model", "prompt": "Say a", "echo": true, "logprobs": 2});
    assert_eq!(call.json(), sent);
}

#[tokio::test]
async fn parameters_that_chats_lack_are_refused_or_dropped_from_text_completions() {
    let groups = "m: a; lax: b";
    let case =
        Case::of(groups).params("a", CLAUDE).params("b", "custom_llm_provider: anthropic, drop_params: true");
    let world = case.always("a b", claude::message("Hello")).start().await;
    for (name, value, may_be_dropped) in [
        ("prompt", json!(["a", "b"]), false),
        ("prompt", json!([1, 2]), false),
        ("suffix", json!("z"), false),
        ("echo", json!(true), false),
        ("best_of", json!(2), true),
        ("n", json!(2), true),
        ("logprobs", json!(0), true),
        ("seed", json!(1), true),
        ("temperature", json!(1.5), true),
    ] {
        let error = complete(&world, json!({ name: value })).await.error(400);
        assert_eq!((&error["param"], &error["code"]), (&json!(name), &json!("unsupported_parameter")));
        let lax = complete(&world, json!({"model": "lax", name: value})).await;
        match may_be_dropped {
            true => assert_eq!(text(&lax), "Hello", "{name}"),
            false => assert_eq!(lax.error(400)["param"], name),
        }
    }
    assert_eq!(world.each("a b"), [0, 5]);
}

#[tokio::test]
async fn the_rules_of_a_vendor_hold_for_the_chat_of_a_text_completion() {
    let case = Case::of("m: a").params("a", "custom_llm_provider: mistral").always("a", say::chat("Hello"));
    let world = case.start().await;
    assert_eq!(text(&complete(&world, json!({"seed": 5, "max_tokens": 9})).await), "Hello");
    let sent = world.upstream("a").only().json();
    assert_eq!((&sent["random_seed"], sent.get("seed"), &sent["max_tokens"]), (&json!(5), None, &json!(9)));
}

#[tokio::test]
async fn fallbacks_of_text_completions_lead_from_one_dialect_to_another() {
    let case = Case::of("m: a; n: b; o: c").params("a", CLAUDE).params("c", GEMINI);
    let case = case.settings("fallbacks: [{m: [n]}, {n: [o]}], num_retries: 0");
    let case = case.always("a", claude::error(529, "overloaded_error", "Overloaded"));
    let world = case.always("b", say::unavailable()).always("c", gemini::whole("c")).start().await;
    let answer = complete(&world, json!({})).await;
    assert_eq!((text(&answer).as_str(), world.order().as_str()), ("c", "a b c"));
    assert_eq!(world.upstream("b").only().json(), json!({"model": "b-model", "prompt": "Say a"}));
}

#[tokio::test]
async fn a_broken_stream_of_a_text_completion_ends_with_an_error() {
    for (params, script) in [
        (CLAUDE, claude::start().and(claude::words(&["Hel"])).then(Part::Cut)),
        (CLAUDE, claude::start().and(claude::words(&["Hel"])).and(claude::error_event("overloaded_error"))),
        (GEMINI, gemini::words(&["Hel"])),
        (GROQ, say::role().and(say::words(&["Hel"])).then(Part::Cut)),
    ] {
        let world = Case::of("m: a").params("a", params).always("a", script).start().await;
        let mut stream = open(&world, &json!({"stream": true})).await;
        assert_eq!(stream.rest().await, Over::Cleanly);
        assert!(stream.is_honest() && said(&stream) == "Hel", "{}", stream.text());
        let error: Value = serde_json::from_str(stream.events().last().unwrap()).unwrap();
        assert!(error["error"]["message"].is_string(), "{error}");
    }
}

/// Returns a chunk of a stream of text completions.
fn chunk(text: &str, reason: Option<&str>) -> String {
    json!({"id": "c", "object": "text_completion", "model": "m", "choices": [{"text": text, "index": 0, "finish_reason": reason}]})
        .to_string()
}

#[tokio::test]
async fn a_broken_stream_of_a_text_completion_is_continued_in_each_dialect() {
    let half = |reply: Reply| reply.then(Part::Cut);
    let case = Case::of("m: a; n: b; o: c; p: d").params("b", CLAUDE).params("c", GROQ);
    let case = case.settings("fallbacks: [{m: [n]}, {n: [o]}, {o: [p]}], num_retries: 0");
    let case = case.router("midstream_fallback: continue");
    let case = case.always("a", half(Reply::events([chunk("On\"e", None)])));
    let case = case.always("b", half(claude::start().and(claude::words(&[" two"]))));
    let case = case.always("c", half(say::role().and(say::words(&[" three"]))));
    let end = Reply::events([chunk(" four", None), chunk("", Some("stop"))]).and(say::done());
    let world = case.always("d", end).start().await;
    let stream = stream(&world, json!({})).await;
    assert_eq!(whole(&stream), "On\"e two three four");
    let sent = |name| world.upstream(name).only().json();
    let messages = sent("b")["messages"].clone();
    let turn = |role: &str, text: &str| json!({"role": role, "content": [{"type": "text", "text": text}]});
    assert_eq!(messages, json!([turn("user", "Say a"), turn("assistant", "On\"e")]));
    let wanted = json!([{"role": "user", "content": "Say a"}, {"role": "assistant", "content": "On\"e two"}]);
    assert_eq!(sent("c")["messages"], wanted);
    assert_eq!(sent("d"), json!({"model": "d-model", "prompt": "Say aOn\"e two three", "stream": true}));
}

#[tokio::test]
async fn a_broken_stream_of_more_than_the_text_behind_a_prompt_is_not_continued() {
    for more in
        [json!({"echo": true}), json!({"suffix": "z"}), json!({"prompt": ["a"]}), json!({"prompt": [1, 2]})]
    {
        let case = Case::of("m: a b").first("a").router("midstream_fallback: continue");
        let world = case.always("a", Reply::events([chunk("half", None)]).then(Part::Cut)).start().await;
        let stream = stream(&world, more).await;
        assert!(stream.is_honest() && said(&stream) == "half", "{}", stream.text());
        assert_eq!(world.each("a b"), [1, 0]);
    }
}

#[tokio::test]
async fn a_setting_of_the_gateway_is_no_text_of_a_completion() {
    let world = Case::of("m: a").params("a", GROQ).always("a", say::chat("Hello")).start().await;
    let answer = complete(&world, json!({"midstream_fallback": "continue"})).await;
    assert_eq!(text(&answer), "Hello");
    assert_eq!(world.upstream("a").only().json()["messages"], json!([{"role": "user", "content": "Say a"}]));
}

#[tokio::test]
async fn a_broken_stream_of_a_text_completion_is_restarted_on_request() {
    let case = Case::of("m: a b").first("a").params("a", CLAUDE).params("b", GEMINI);
    let case = case.always("a", claude::start().and(claude::words(&["Hel"])).then(Part::Cut));
    let world = case.always("b", gemini::stream(&["Hel", "lo"])).start().await;
    let headers = [("x-tollgate-midstream", "restart")];
    let mut stream =
        world.gateway.open(request(Method::POST, PATH, body(&json!({"stream": true})), &headers)).await;
    stream.rest().await;
    let text = stream.text();
    let (_, again) = text.split_once(": tollgate restart\n\n").unwrap();
    assert!(again.contains("\"text\":\"lo\"") && again.ends_with("data: [DONE]\n\n"), "{again}");
}
