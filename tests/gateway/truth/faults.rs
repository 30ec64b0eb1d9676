//! Whatever goes wrong before the first content, with somebody to go to or without: the right answer in each cell, and
//! the failure counted against its deployment.

use serde_json::json;

use super::failures;
use crate::support::{
    answers as say,
    case::{Case, World},
    client::Stream,
    reply::{Part, Reply},
};

/// A fault, and the status that it comes to when there is nobody else.
struct Fault {
    name: &'static str,
    reply: Reply,
    status: u16,
    code: Option<&'static str>,
}

fn fault(name: &'static str, reply: Reply, status: u16, code: Option<&'static str>) -> Fault {
    Fault { name, reply, status, code }
}

fn faults() -> Vec<Fault> {
    let events = |bytes: &'static str| Reply::bytes(200, "text/event-stream", bytes);
    let overloaded = json!({"error": {"message": "The server is overloaded", "type": "server_error",
        "param": null, "code": null}});
    let page = "<html><body>upstream is restarting</body></html>";
    vec![
        fault("cut before the head", Reply::nothing(Part::Cut), 502, Some("upstream_unreachable")),
        fault("cut after the head", events("").broken_after(0, Part::Cut), 502, Some("stream_cut")),
        fault("cut after the role", say::role().then(Part::Cut), 502, Some("stream_cut")),
        fault("an end after the role", say::role(), 502, Some("stream_unfinished")),
        fault("an error event first", say::error_event(), 500, None),
        fault("a page", Reply::bytes(200, "text/html", page), 502, Some("not_a_stream")),
        fault("a page called a stream", events(page), 502, Some("not_a_stream")),
        fault("an empty body", Reply::bytes(200, "application/json", ""), 502, Some("empty_answer")),
        fault("an empty stream", events(""), 502, Some("empty_answer")),
        fault("a JSON error in a 200", Reply::json(200, &overloaded), 500, None),
        fault("a JSON error called a stream", events("").and(Reply::json(200, &overloaded)), 500, None),
        fault("a wrong content type", Reply::bytes(200, "text/plain", "hello"), 502, Some("not_a_stream")),
        fault("a completion instead of a stream", say::chat("a"), 502, Some("not_a_stream")),
        fault("a completion called a stream", events("").and(say::chat("a")), 502, Some("not_a_stream")),
        fault("an object without output", Reply::json(200, &json!({})), 502, Some("empty_answer")),
        fault("silence", say::silence(), 408, None),
        fault("silence after the head", say::role().then(Part::Hang), 408, Some("first_content_timeout")),
    ]
}

/// Asks once. The clock of the first content is short where it is to strike, and at no other deployment: on a busy
/// machine it would strike at good answers too.
async fn ask(case: Case, status: u16) -> (World, Stream) {
    let case = if status == 408 { case.params("a", "stream_timeout: 0.3") } else { case };
    let world = case.start().await;
    let stream = world.whole_stream(json!({})).await;
    (world, stream)
}

#[tokio::test]
async fn another_deployment_answers_and_the_fault_is_counted() {
    for Fault { name, mut reply, status, .. } in faults() {
        reply.sized &= name != "a JSON error called a stream";
        let (world, stream) = ask(Case::of("m: a b").first("a").always("a", reply), status).await;
        assert_eq!(
            (stream.status.as_u16(), stream.text().as_bytes()),
            (200, &*say::stream(&["b"]).body()),
            "{name}"
        );
        assert_eq!(stream.headers["x-litellm-model-id"], "b", "{name}");
        assert_eq!((world.each("a b"), failures(&world, "m", "a").await), (vec![1, 1], 1), "{name}");
        assert_eq!(failures(&world, "m", "b").await, 0, "{name}");
    }
}

#[tokio::test]
async fn a_fallback_answers_and_the_fault_is_counted() {
    for Fault { name, mut reply, status, .. } in faults() {
        reply.sized &= name != "a JSON error called a stream";
        let case = Case::of("m: a; n: b").always("a", reply);
        let (world, stream) = ask(case.settings("num_retries: 0, fallbacks: [{m: [n]}]"), status).await;
        assert_eq!(
            (stream.status.as_u16(), stream.text().as_bytes()),
            (200, &*say::stream(&["b"]).body()),
            "{name}"
        );
        assert_eq!(stream.headers["x-litellm-attempted-fallbacks"], "1", "{name}");
        assert_eq!((world.each("a b"), failures(&world, "m", "a").await), (vec![1, 1], 1), "{name}");
    }
}

#[tokio::test]
async fn a_fault_without_a_fallback_is_a_plain_error_that_names_it() {
    for Fault { name, mut reply, status, code } in faults() {
        reply.sized &= name != "a JSON error called a stream";
        let case = Case::of("m: a").always("a", reply).settings("num_retries: 0");
        let (world, stream) = ask(case, status).await;
        let text = stream.text();
        assert_eq!(stream.status.as_u16(), status, "{name}: {text}");
        assert_eq!(stream.headers["content-type"], "application/json", "{name}");
        let error = serde_json::from_str::<serde_json::Value>(&text).unwrap()["error"].clone();
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{name}: {text}");
        match code {
            Some(code) => assert_eq!(error["code"], code, "{name}: {text}"),
            None if status == 500 => assert_eq!(error["message"], "The server is overloaded", "{name}"),
            None => {}
        }
        assert_eq!((world.calls("a"), failures(&world, "m", "a").await), (1, 1), "{name}");
    }
}
