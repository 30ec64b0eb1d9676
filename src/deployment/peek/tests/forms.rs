//! Responses without output, in another form than was requested, and under another content type.

use http::{Response, header};
use tokio::time::Instant;
use tollgate_layers::Class;

use super::layer;
use crate::{
    body::{
        AttemptTimeouts, ScriptStep, UpstreamBody,
        testing::{COMPLETION, DONE, ROLE, STOP, data, head, peek, peek_for, read, request_for, says, sse},
    },
    error::{BodyError, HasOutcome},
    request::{self, Operation},
};

fn choice(message: &str, finish_reason: &str) -> String {
    format!(
        r#"{{"choices":[{{"index":0,"message":{{"role":"assistant",{message}}},"finish_reason":{finish_reason}}}]}}"#
    )
}

async fn whole(operation: Operation, json: &str) -> Result<request::Response, BodyError> {
    let upstream = head(200, "application/json", [data(json.to_owned())]);
    peek_for(layer(), request_for(operation, false), upstream).await
}

/// Returns a response without a content type.
fn nameless(steps: impl IntoIterator<Item = ScriptStep>) -> Response<UpstreamBody> {
    let mut upstream = head(200, "text/plain", steps);
    upstream.headers_mut().remove(header::CONTENT_TYPE);
    upstream
}

#[tokio::test]
async fn a_success_without_output_is_a_fault() {
    use Operation::{Chat, Completions, Embeddings};
    let empty = choice(r#""content":null"#, "null");
    let cases = [
        (Chat, "{}"),
        (Chat, r#"{"object":"chat.completion","choices":[],"usage":{"total_tokens":3}}"#),
        (Chat, r#"{"object":"chat.completion","choices":null}"#),
        (Chat, r#"{"id":"x","object":"chat.completion","model":"m"}"#),
        (Chat, r#"{"choices":[{}]}"#),
        (Chat, r#"{"choices":[{"index":0,"message":null,"finish_reason":null}]}"#),
        (Chat, &*empty),
        (Chat, r#"{"status":"ok"}"#),
        (Chat, "[]"),
        (Chat, r#"{"object":"list","data":[{"embedding":[0.5]}]}"#),
        (Completions, r#"{"object":"text_completion","choices":[{"text":"","finish_reason":null}]}"#),
        (Embeddings, "{}"),
        (Embeddings, r#"{"object":"list","data":[],"usage":{"total_tokens":3}}"#),
        (Embeddings, r#"{"object":"list","data":null}"#),
    ];
    for (operation, json) in cases {
        let fault = whole(operation, json).await.expect_err("a fault");
        assert_eq!((fault, fault.outcome().class()), (BodyError::Empty, Class::Unavailable), "{json}");
    }
}

#[tokio::test]
async fn a_success_that_states_a_failure_instead_of_output_is_an_error_response() {
    let response = whole(Operation::Chat, r#"{"detail":"Internal server error"}"#).await.expect("a response");
    assert_eq!((response.status().as_u16(), response.body().outcome().class()), (500, Class::Unavailable));
    let (body, _) = read(response.into_body()).await;
    assert!(body.starts_with(r#"{"error":{"message":"Internal server error""#), "{body}");
}

#[tokio::test]
async fn a_success_with_any_output_or_a_finish_reason_is_passed_on() {
    use Operation::{Chat, Completions, Embeddings};
    let cases = [
        (
            Chat,
            choice(
                r#""content":null,"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}}]"#,
                "null",
            ),
        ),
        (Chat, choice(r#""content":null,"function_call":{"name":"f"}"#, "null")),
        (Chat, choice(r#""content":null,"refusal":"I cannot help with that.""#, "null")),
        (Chat, choice(r#""content":"","reasoning_content":"hm""#, "null")),
        (Chat, choice(r#""content":null,"reasoning":"hm""#, "null")),
        (Chat, choice(r#""content":null"#, "\"length\"")),
        (Chat, choice(r#""content":"""#, "\"stop\"")),
        (Chat, choice(r#""content":[{"type":"text","text":"a"}]"#, "null")),
        (Chat, choice(r#""content":null,"audio":{"id":"a"}"#, "null")),
        (Completions, r#"{"choices":[{"text":"a","finish_reason":null}]}"#.to_owned()),
        (Completions, r#"{"choices":[{"text":"","finish_reason":"length"}]}"#.to_owned()),
        (Embeddings, r#"{"object":"list","data":[{"index":0,"embedding":[0.5,-1e-3]}]}"#.to_owned()),
        (Embeddings, r#"{"data":[{"embedding":"AAAA"}],"usage":{"prompt_tokens":1}}"#.to_owned()),
    ];
    for (operation, json) in cases {
        let response = whole(operation, &json).await.unwrap_or_else(|fault| panic!("{json}: {fault}"));
        assert_eq!(response.status(), 200, "{json}");
        assert_eq!(read(response.into_body()).await.0, json);
    }
}

#[tokio::test]
async fn a_complete_response_to_a_stream_request_is_a_fault() {
    let long = format!(r#"{{"choices":[{{"message":{{"content":"{}"}}}}]}}"#, "x".repeat(100_000));
    for json in [COMPLETION, &format!("\n\n{COMPLETION}"), &long] {
        for kind in ["application/json", "text/event-stream", "text/plain"] {
            let upstream = head(200, kind, [data(json.to_owned())]);
            let fault = peek(true, AttemptTimeouts::default(), upstream).await.expect_err("a fault");
            assert_eq!(fault, BodyError::NotAStream, "{kind}");
        }
        let fault = peek(true, AttemptTimeouts::default(), nameless([data(json.to_owned())])).await;
        assert_eq!(fault.expect_err("a fault"), BodyError::NotAStream);
    }
    // Embeddings have no streams: `stream` means nothing there.
    let embeddings = r#"{"data":[{"embedding":[1]}]}"#;
    let upstream = head(200, "application/json", [data(embeddings)]);
    let response = peek_for(layer(), request_for(Operation::Embeddings, true), upstream).await;
    assert_eq!(read(response.expect("a response").into_body()).await.0, embeddings);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_not_requested_is_a_fault_at_its_first_event() {
    let began = Instant::now();
    for first in [
        ROLE.to_owned(),
        says("a"),
        ": ping\n\n".to_owned(),
        format!("event: message\n{ROLE}"),
        says("a") + STOP + DONE,
    ] {
        for kind in ["text/event-stream", "application/json", "text/plain"] {
            let upstream = head(200, kind, [data(first.clone()), ScriptStep::Hang]);
            let fault = peek(false, AttemptTimeouts::default(), upstream).await.expect_err("a fault");
            assert_eq!((fault, fault.outcome().class()), (BodyError::UnrequestedStream, Class::Unavailable));
        }
    }
    assert_eq!(began.elapsed().as_secs(), 0);
}

#[tokio::test]
async fn an_error_in_a_stream_that_was_not_requested_keeps_its_kind() {
    let event = "data: {\"error\":{\"message\":\"busy\"}}\n\n";
    let response = peek(false, AttemptTimeouts::default(), sse([data(event)])).await.expect("a response");
    assert_eq!((response.status().as_u16(), response.body().outcome().class()), (503, Class::Unavailable));
}

#[tokio::test]
async fn an_event_stream_under_another_content_type_is_one() {
    let stream = says("a") + STOP + DONE;
    for first in ["", ": ping\n\n", "\n\n", "event: message\n", "id: 1\n", "retry: 3\n\n", "\u{feff}"] {
        let stream = format!("{first}{stream}");
        let pieces = || stream.as_bytes().chunks(3).map(|piece| data(piece.to_vec()));
        let kinds = [
            "text/plain",
            "application/json",
            "application/octet-stream",
            "text/html; charset=utf-8",
            "Text/Event-Stream",
        ];
        let upstreams = kinds.map(|kind| head(200, kind, pieces()));
        for upstream in upstreams.into_iter().chain([nameless(pieces())]) {
            let response = peek(true, AttemptTimeouts::default(), upstream).await.expect("a response");
            let kind = response.headers()[header::CONTENT_TYPE].to_str().expect("text").to_ascii_lowercase();
            assert_eq!(kind, "text/event-stream", "{first:?}");
            assert_eq!(read(response.into_body()).await, (stream.clone(), None), "{first:?}");
        }
    }
}

#[tokio::test]
async fn a_json_response_under_another_content_type_is_named_json() {
    let long = format!(r#"{{"choices":[{{"message":{{"content":"{}"}}}}]}}"#, "x".repeat(100_000));
    for json in [COMPLETION, &long] {
        for (kind, expected) in [
            ("text/plain", "application/json"),
            ("text/event-stream", "application/json"),
            ("application/octet-stream", "application/json"),
            ("application/json; charset=utf-8", "application/json; charset=utf-8"),
            ("application/vnd.api+json", "application/vnd.api+json"),
        ] {
            let upstream = head(200, kind, [data(json.to_owned())]);
            let response = peek(false, AttemptTimeouts::default(), upstream).await.expect("a response");
            assert_eq!(response.headers()[header::CONTENT_TYPE], expected, "{kind}");
            assert_eq!(read(response.into_body()).await.0, json);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_trickles_is_not_committed_as_a_stream() {
    for page in ["<html>\n\n", "{\"choices\":", "hello\n\n"] {
        let steps = (0..100).flat_map(|_| [data(page), ScriptStep::Wait(std::time::Duration::from_secs(1))]);
        for kind in ["text/html", "text/event-stream"] {
            let fault = peek(true, AttemptTimeouts::default(), head(200, kind, steps.clone())).await;
            assert_eq!(fault.expect_err("a fault"), BodyError::NotAStream, "{kind} {page}");
        }
    }
}
