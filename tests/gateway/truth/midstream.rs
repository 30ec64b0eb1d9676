//! A stream that breaks after its first content and goes on, where that was asked for.

use http::Method;
use serde_json::{Value, json};

use super::failures;
use crate::support::{
    answers as say,
    case::{Case, World},
    client::{Stream, ask, request},
    reply::{Part, Reply},
};

/// Says these words and breaks off.
fn half(words: &[&str]) -> Reply {
    say::role().and(say::words(words)).then(Part::Cut)
}

fn rest(words: &[&str]) -> Reply {
    say::role().and(say::words(words)).and(say::finish()).and(say::usage()).and(say::done())
}

fn on(case: Case) -> Case {
    case.router("midstream_fallback: continue")
}

/// Asserts one finish reason, one `[DONE]`, one role and no error.
fn is_whole(text: &str) {
    assert_eq!(text.matches("[DONE]").count(), 1, "{text}");
    assert_eq!(text.matches("\"finish_reason\":\"stop\"").count(), 1, "{text}");
    assert_eq!(text.matches("\"role\"").count(), 1, "{text}");
    assert!(!text.contains("\"error\""), "{text}");
}

async fn with_header(world: &World, value: &str) -> Stream {
    let body = ask("m", json!({"stream": true}));
    let headers = [("x-tollgate-midstream", value)];
    let mut stream = world.gateway.open(request(Method::POST, "/chat/completions", body, &headers)).await;
    stream.rest().await;
    stream
}

#[tokio::test]
async fn midstream_another_deployment_continues_a_broken_stream() {
    let case = Case::of("m: a b").first("a").always("a", half(&["one ", "\"two\" "]));
    let world = on(case.always("b", rest(&["three", " four"]))).start().await;
    let stream = world.whole_stream(json!({})).await;
    assert_eq!(stream.said(), "one \"two\" three four");
    is_whole(&stream.text());
    assert!(stream.text().contains("\"total_tokens\""), "the usage is that of the last");
    let sent = world.upstream("b").only().json();
    let theirs = json!([{"role": "user", "content": "what llm are you"},
                        {"role": "assistant", "content": "one \"two\" "}]);
    assert_eq!((&sent["messages"], &sent["model"]), (&theirs, &json!("b-model")));
    assert_eq!((world.each("a b"), failures(&world, "m", "a").await), (vec![1, 1], 1));
    assert_eq!(failures(&world, "m", "b").await, 0);
}

#[tokio::test]
async fn midstream_a_fallback_group_continues_after_all_deployments_were_called() {
    let case = Case::of("m: a; n: b").always("a", half(&["one "])).always("b", rest(&["two"]));
    let world = on(case.settings("fallbacks: [{m: [n]}]")).start().await;
    let stream = world.whole_stream(json!({})).await;
    assert_eq!(stream.said(), "one two");
    is_whole(&stream.text());
    assert_eq!(world.upstream("b").only().json()["messages"][1]["content"], "one ");
}

#[tokio::test]
async fn midstream_a_second_break_is_continued_with_all_content_so_far() {
    let case = Case::of("m: a; n: b; o: c").always("a", half(&["one "])).always("b", half(&["two "]));
    let world = on(case.always("c", rest(&["three"])).settings("fallbacks: [{m: [n, o]}]")).start().await;
    let stream = world.whole_stream(json!({})).await;
    assert_eq!(stream.said(), "one two three");
    is_whole(&stream.text());
    assert_eq!(world.upstream("c").only().json()["messages"][1]["content"], "one two ");
}

#[tokio::test]
async fn midstream_a_stall_and_an_error_event_are_continued() {
    let opening = say::role().and(say::words(&["one "]));
    for fault in [opening.clone().then(Part::Hang), opening.clone().and(say::error_event()), opening.clone()]
    {
        let case = Case::of("m: a b").first("a").always("a", fault).params("a", "stream_idle_timeout: 0.3");
        let world = on(case.always("b", rest(&["two"]))).start().await;
        let stream = world.whole_stream(json!({})).await;
        assert_eq!(stream.said(), "one two");
        is_whole(&stream.text());
    }
}

#[tokio::test]
async fn midstream_an_error_of_the_caller_is_not_continued() {
    let filtered = Reply::events([r#"{"error":{"code":"content_filter","message":"filtered"}}"#.to_owned()]);
    let case =
        Case::of("m: a b").first("a").always("a", say::role().and(say::words(&["one "])).and(filtered));
    let world = on(case).start().await;
    let stream = world.whole_stream(json!({})).await;
    assert!(stream.text().contains("content_filter"), "{}", stream.text());
    assert_eq!(world.each("a b"), vec![1, 0]);
}

#[tokio::test]
async fn midstream_another_deployment_continues_in_a_wildcard_group() {
    let case = Case::of("m/*: a b").first("a").always("a", half(&["one "]));
    let world = on(case.always("b", rest(&["two"]))).start().await;
    let mut stream = world.gateway.client.stream("m/x", json!({})).await;
    stream.rest().await;
    assert_eq!(stream.said(), "one two");
}

#[tokio::test]
async fn midstream_another_deployment_continues_in_a_fallback_group() {
    let case = Case::of("m: a; n: b c").first("b").always("a", say::unavailable());
    let case = case.always("b", half(&["one "])).always("c", rest(&["two"]));
    let world = on(case.settings("num_retries: 0, fallbacks: [{m: [n]}]")).start().await;
    let stream = world.whole_stream(json!({})).await;
    assert_eq!(stream.said(), "one two");
    is_whole(&stream.text());
}

#[tokio::test]
async fn midstream_fallback_may_be_set_by_the_request_and_is_not_sent_upstream() {
    let case = || Case::of("m: a b").first("a").always("a", half(&["one "])).always("b", rest(&["two"]));
    let world = case().start().await;
    let stream = world.whole_stream(json!({"midstream_fallback": "continue"})).await;
    assert_eq!(stream.said(), "one two");
    for call in world.upstream("a").calls().iter().chain(&world.upstream("b").calls()) {
        assert_eq!(call.json().get("midstream_fallback"), None);
    }
    for refusal in [json!({"midstream_fallback": "off"}), json!({"disable_fallbacks": true})] {
        let world = on(case()).start().await;
        let stream = world.whole_stream(refusal).await;
        assert!(stream.is_honest(), "{}", stream.text());
        assert_eq!(world.calls("b"), 0);
    }
    let wrong = world.gateway.chat("m", json!({"midstream_fallback": "perhaps"})).await;
    assert_eq!(wrong.error(400)["param"], "midstream_fallback");
}

#[tokio::test]
async fn midstream_a_fallback_that_cannot_continue_is_not_shown() {
    let honest = |stream: &Stream| {
        let text = stream.text();
        assert!(stream.is_honest(), "{text}");
        assert!(text.contains("stream_cut") && text.contains("one "), "the first fault: {text}");
    };
    let refuses = say::error(400, "invalid_request_error", None, "prefill is not supported");
    for other in [refuses, Reply::nothing(Part::Cut), say::chat("not a stream"), say::unavailable()] {
        let case = Case::of("m: a; n: b").always("a", half(&["one "])).always("b", other);
        let world = on(case.settings("num_retries: 0, fallbacks: [{m: [n]}]")).start().await;
        let stream = world.whole_stream(json!({})).await;
        honest(&stream);
        assert_eq!(world.calls("b"), 1);
    }
    let world = on(Case::of("m: a").always("a", half(&["one "]))).start().await;
    honest(&world.whole_stream(json!({})).await);
    assert_eq!(world.calls("a"), 1, "there is nobody else");
}

#[tokio::test]
async fn midstream_tool_calls_and_reasoning_are_not_continued() {
    let call = |delta: Value| say::role().and(Reply::events([say::chunk(&delta, None)])).then(Part::Cut);
    let tools =
        call(json!({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{"}}]}));
    let thoughts = call(json!({"reasoning_content": "let me see"}));
    for fault in [tools, thoughts] {
        let world = on(Case::of("m: a b").first("a").always("a", fault)).start().await;
        let stream = world.whole_stream(json!({})).await;
        assert!(stream.is_honest(), "{}", stream.text());
        assert_eq!(world.calls("b"), 0);
    }
}

#[tokio::test]
async fn midstream_a_stream_with_a_finish_reason_is_not_continued() {
    let script = say::role().and(say::words(&["one"])).and(say::finish()).then(Part::Cut);
    let world = on(Case::of("m: a b").first("a").always("a", script)).start().await;
    assert!(world.whole_stream(json!({})).await.is_honest());
    assert_eq!(world.calls("b"), 0);
}

#[tokio::test]
async fn midstream_restart_repeats_the_whole_stream_after_its_mark() {
    let tools = json!({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "f", "arguments": "{"}}]});
    let half = say::role().and(Reply::events([say::chunk(&tools, None)])).then(Part::Cut);
    let world = Case::of("m: a b").first("a").always("a", half).always("b", rest(&["all"])).start().await;
    let stream = with_header(&world, "restart").await;
    let text = stream.text();
    let (before, after) =
        text.split_once(": tollgate restart\n\n").unwrap_or_else(|| panic!("no mark: {text}"));
    assert!(before.contains("tool_calls") && !before.contains("error"), "{before}");
    assert_eq!(after.as_bytes(), rest(&["all"]).body());
    let sent = world.upstream("b").only().json();
    assert_eq!(sent["messages"].as_array().unwrap().len(), 1, "as it was asked: {sent}");
}

#[tokio::test]
async fn midstream_restart_needs_the_header_of_the_client() {
    let case = Case::of("m: a b").first("a").always("a", half(&["one "])).always("b", rest(&["all"]));
    let world = case.router("midstream_fallback: restart").start().await;
    assert!(world.whole_stream(json!({})).await.is_honest());
    assert!(with_header(&world, "restart").await.text().contains(": tollgate restart"));
    assert!(world.gateway.said().contains("x-tollgate-midstream"), "{}", world.gateway.said());
}

#[tokio::test]
async fn midstream_a_whole_stream_is_passed_on_unchanged() {
    let world = on(Case::of("m: a").always("a", rest(&["x", "y"]))).start().await;
    let stream = world.whole_stream(json!({})).await;
    assert_eq!(stream.seen, rest(&["x", "y"]).body());
    assert_eq!(stream.events().len(), 6);
}

#[tokio::test]
async fn midstream_a_client_that_leaves_ends_the_continuing_call() {
    let case = Case::of("m: a b").first("a").always("a", half(&["one "])).always("b", say::silence());
    let world = on(case).start().await;
    let client = world.gateway.client.clone();
    let call = tokio::spawn(async move { client.stream("m", json!({})).await.rest().await });
    let asked = world.upstream("b").call(1).await;
    call.abort();
    asked.left().await;
}
