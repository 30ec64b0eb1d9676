//! Streams: passed on as they come, recoverable until the first content, honest after it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    answers as say,
    case::{Case, World},
    client::{Over, Stream},
    reply::{Gate, Part, Reply},
    upstream::{End, pause},
};

async fn open(world: &World) -> Stream {
    world.gateway.stream("m", json!({})).await
}

/// Asks for a stream and reads it to its end.
async fn all(world: &World) -> Stream {
    let mut stream = open(world).await;
    stream.rest().await;
    stream
}

/// The stream is one that broke: one error event, the last thing there is, and never `[DONE]`.
fn is_honest(stream: &Stream) {
    let text = stream.text();
    let events: Vec<_> = text.split("\n\n").filter(|event| !event.is_empty()).collect();
    let errors: Vec<Value> = events
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event.strip_prefix("data: ")?).ok())
        .filter(|event| event.get("error").is_some_and(|error| !error.is_null()))
        .collect();
    assert_eq!(errors.len(), 1, "one error event: {text}");
    assert!(events.last().unwrap().contains("\"error\""), "at the end: {text}");
    assert!(errors[0]["error"]["message"].is_string() && errors[0]["error"]["type"].is_string(), "{text}");
    assert!(!text.contains("[DONE]"), "a broken stream was made to look complete: {text}");
}

#[tokio::test]
async fn a_stream_is_passed_on_byte_for_byte() {
    let asked = Case::of("m: a").start().await;
    let stream = all(&asked).await;
    assert_eq!(stream.status, 200);
    assert!(stream.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    assert_eq!(stream.seen, say::stream(&["a"]).body());
}

#[tokio::test]
async fn odd_events_of_a_stream_are_passed_on_as_they_are() {
    let odd = Reply::bytes(200, "text/event-stream", ": a comment\r\n\r\n")
        .and(Reply::bytes(
            200,
            "",
            "id: 7\r\nevent: message\r\ndata:{\"choices\":[{\"delta\":{\"content\":\"\u{e9}\"}}]}\r\n\r\n",
        ))
        .and(Reply::bytes(
            200,
            "",
            "data: {\"choices\":[{\"delta\":{},\ndata: \"finish_reason\":\"stop\"}]}\n\n",
        ))
        .and(say::done());
    let world = Case::of("m: a").always("a", odd.clone()).start().await;
    assert_eq!(all(&world).await.seen, odd.body());
}

#[tokio::test]
async fn each_event_of_a_stream_is_passed_on_at_once() {
    let gates = [Gate::new(), Gate::new()];
    let script = say::role()
        .and(say::words(&["one"]))
        .then(Part::Until(gates[0].clone()))
        .and(say::words(&["two"]))
        .then(Part::Until(gates[1].clone()))
        .and(say::finish())
        .and(say::done());
    let world = Case::of("m: a").always("a", script.clone()).start().await;
    let mut stream = open(&world).await;
    stream.until("one").await;
    gates[0].open();
    stream.until("two").await;
    assert!(!stream.text().contains("[DONE]"));
    gates[1].open();
    assert_eq!(stream.rest().await, Over::Cleanly);
    assert_eq!(stream.seen, script.body());
}

#[tokio::test]
async fn a_stream_is_asked_for_upstream_without_gateway_settings() {
    let case = Case::of("m: a").with(json!({"stream": true, "num_retries": 1, "stream_timeout": 9}));
    let asked = case.ask().await.status(200);
    let sent = asked.world.upstream("a").only().json();
    assert_eq!(
        (&sent["stream"], sent.get("num_retries"), sent.get("stream_timeout")),
        (&json!(true), None, None)
    );
}

#[tokio::test]
async fn usage_of_a_stream_is_passed_on_when_it_was_asked_for() {
    let script = say::role().and(say::words(&["x"])).and(say::finish()).and(say::usage()).and(say::done());
    let world = Case::of("m: a").always("a", script.clone()).start().await;
    let mut stream = world.gateway.stream("m", json!({"stream_options": {"include_usage": true}})).await;
    stream.rest().await;
    assert_eq!(stream.seen, script.body());
    assert_eq!(world.upstream("a").only().json()["stream_options"], json!({"include_usage": true}));
}

#[tokio::test]
async fn the_first_chunk_of_an_azure_stream_without_choices_is_passed_on() {
    let script = say::azure_stream(&["hello"]);
    let world = Case::of("m: a").always("a", script.clone()).start().await;
    assert_eq!(all(&world).await.seen, script.body());
}

#[tokio::test]
async fn a_stream_that_breaks_before_the_first_content_is_retried_at_another_deployment() {
    let html = Reply::bytes(200, "text/html", "<html><body>upstream is restarting</body></html>");
    let json_error = Reply::json(200, &json!({"error": {"message": "overloaded", "type": "server_error"}}));
    let nothing = Reply::bytes(200, "text/event-stream", "");
    let faults = [
        ("a refusal", say::unavailable()),
        ("cut before the head", Reply::nothing(Part::Cut)),
        ("reset before the head", Reply::nothing(Part::Reset)),
        ("cut after the head", nothing.clone().broken_after(0, Part::Cut)),
        ("cut after the role", say::role().then(Part::Cut)),
        ("reset after the role", say::role().then(Part::Reset)),
        ("an end after the role", say::role()),
        ("an error event", say::error_event()),
        ("an error event after the role", say::role().and(say::error_event())),
        ("a page", html),
        ("an error in a 200", json_error),
        ("nothing", nothing),
        ("only the end", say::done()),
    ];
    for (name, fault) in faults {
        let world = Case::of("m: a b").first("a").always("a", fault).start().await;
        let stream = all(&world).await;
        let text = stream.text();
        assert_eq!(
            (stream.status.as_u16(), text.as_bytes()),
            (200, &*say::stream(&["b"]).body()),
            "{name}: {text}"
        );
        assert_eq!(stream.headers["x-litellm-attempted-retries"], "1", "{name}");
        assert_eq!(world.each("a b"), [1, 1], "{name}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_before_the_first_content_falls_back() {
    for fault in [say::role().then(Part::Cut), say::error_event(), Reply::nothing(Part::Reset)] {
        let case =
            Case::of("m: a; n: b").always("a", fault).settings("num_retries: 0, fallbacks: [{m: [n]}]");
        let world = case.start().await;
        let stream = all(&world).await;
        assert_eq!(stream.seen, say::stream(&["b"]).body());
        assert_eq!(stream.headers["x-litellm-attempted-fallbacks"], "1");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_before_the_first_content_without_a_sibling_is_a_plain_error() {
    for fault in [say::role().then(Part::Cut), say::error_event(), Reply::bytes(200, "text/event-stream", "")]
    {
        let world = Case::of("m: a").always("a", fault).settings("num_retries: 0").start().await;
        let stream = all(&world).await;
        let status = stream.status.as_u16();
        assert!((500..=504).contains(&status), "{status} {}", stream.text());
        let body: Value = serde_json::from_slice(&stream.seen).unwrap();
        assert!(body["error"]["message"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn a_failure_before_the_first_content_counts_against_its_deployment() {
    let case =
        Case::of("m: a b").first("a").always("a", say::role().then(Part::Cut)).settings("allowed_fails: 0");
    let world = case.router("cooldown_time: 60").start().await;
    for _ in 0..5 {
        assert_eq!(all(&world).await.seen, say::stream(&["b"]).body());
    }
    assert_eq!(world.calls("a"), 1);
}

#[tokio::test]
async fn a_stream_that_breaks_after_the_first_content_ends_with_one_error_event() {
    let said = || say::role().and(say::words(&["half an ans"]));
    let faults = [
        ("a cut", said().then(Part::Cut)),
        ("a reset", said().then(Part::Reset)),
        ("an end without a reason", said()),
        ("an error event", said().and(say::error_event())),
        ("an error event and DONE", said().and(say::error_event()).and(say::done())),
        ("half an event", said().and(Reply::bytes(200, "", "data: {\"choices\":[{\"del")).then(Part::Cut)),
    ];
    for (name, fault) in faults {
        let world = Case::of("m: a b").first("a").always("a", fault).start().await;
        let stream = all(&world).await;
        assert!(stream.text().contains("half an ans"), "{name}: {}", stream.text());
        is_honest(&stream);
        assert_eq!(world.each("a b"), [1, 0], "{name}: nothing is repeated that was half said");
    }
}

#[tokio::test]
async fn a_stream_that_stalls_after_content_ends_with_an_error_event() {
    let script = say::role().and(say::words(&["half"])).then(Part::Hang);
    let world = Case::of("m: a").always("a", script).params("a", "stream_idle_timeout: 0.3").start().await;
    let start = tokio::time::Instant::now();
    let stream = all(&world).await;
    is_honest(&stream);
    assert!(start.elapsed() >= Duration::from_millis(280), "{:?}", start.elapsed());
    world.upstream("a").only().left().await;
}

#[tokio::test]
async fn a_finished_stream_without_done_gets_it() {
    let script = say::role().and(say::words(&["x"])).and(say::finish());
    let world = Case::of("m: a").always("a", script.clone()).start().await;
    assert_eq!(all(&world).await.seen, script.and(say::done()).body());
}

#[tokio::test]
async fn a_stream_silent_before_the_first_content_times_out_and_another_deployment_answers() {
    for silent in [say::silence(), say::role().then(Part::Hang)] {
        let case = Case::of("m: a b").first("a").always("a", silent).patient("b");
        let case = case.settings("request_timeout: 60");
        let world = case.router("stream_timeout: 0.3").start().await;
        assert_eq!(all(&world).await.seen, say::stream(&["b"]).body());
        world.upstream("a").only().left().await;
    }
}

#[tokio::test]
async fn a_request_may_set_stream_timeout() {
    let world = Case::of("m: a").always("a", say::silence()).settings("num_retries: 0").start().await;
    let mut stream = world.gateway.stream("m", json!({"stream_timeout": 0.2})).await;
    stream.rest().await;
    assert_eq!(stream.status, 408, "{}", stream.text());
}

#[tokio::test]
async fn pings_of_a_stream_are_no_first_content() {
    let ping = Reply::bytes(200, "text/event-stream", ": OPENROUTER PROCESSING\n\n");
    let pings = (0..100).fold(ping.clone(), |all, _| all.then(pause(50)).and(ping.clone()));
    let case = Case::of("m: a b").first("a").always("a", pings.then(Part::Hang)).patient("b");
    let world = case.router("stream_timeout: 0.3").start().await;
    assert_eq!(all(&world).await.seen, say::stream(&["b"]).body());
}

#[tokio::test]
async fn a_stream_that_has_begun_is_not_cut_by_the_attempt_timeout() {
    let words = say::words(&["1", "2", "3", "4", "5", "6"]).between(&pause(300));
    let script = say::role().and(words).and(say::finish()).and(say::done());
    let world = Case::of("m: a").always("a", script.clone()).settings("request_timeout: 1").start().await;
    assert_eq!(all(&world).await.seen, script.body());
}

#[tokio::test]
async fn the_deadline_cuts_even_a_stream_that_has_begun() {
    let words = vec!["x"; 100];
    let script = say::role().and(say::words(&words).between(&pause(50)));
    let case = Case::of("m: a").always("a", script).router("max_request_duration: 1.5");
    let stream = all(&case.start().await).await;
    is_honest(&stream);
}

/// The client leaves when `there` is true of the stream; gives how long the upstream's call went on after that.
async fn leave(world: &World, streamed: bool, after: Option<&str>) -> Duration {
    let (client, upstream) = (world.gateway.client.clone(), world.upstream("a"));
    let (left, gone) = tokio::sync::oneshot::channel();
    let word = after.map(str::to_owned);
    let call = tokio::spawn(async move {
        let mut stream = client.stream("m", json!({"stream": streamed})).await;
        if let Some(word) = word {
            stream.until(&word).await;
            left.send(()).unwrap();
        }
        stream.rest().await
    });
    let seen = upstream.call(1).await;
    if after.is_some() {
        gone.await.unwrap();
    }
    let left_at = tokio::time::Instant::now();
    call.abort();
    seen.left().await.duration_since(left_at)
}

#[tokio::test]
async fn when_the_client_leaves_a_stream_the_upstream_is_left_too() {
    let world =
        Case::of("m: a").always("a", say::role().and(say::words(&["x"])).then(Part::Hang)).start().await;
    let took = leave(&world, true, Some("x")).await;
    assert!(took < Duration::from_millis(100), "{took:?}");
}

#[tokio::test]
async fn when_the_client_leaves_before_the_first_word_the_upstream_is_left_too() {
    let world = Case::of("m: a").always("a", say::role().then(Part::Hang)).start().await;
    let took = leave(&world, true, None).await;
    assert!(took < Duration::from_millis(100), "{took:?}");
}

#[tokio::test]
async fn when_the_client_leaves_a_plain_request_the_upstream_is_left_too() {
    let world = Case::of("m: a").always("a", say::silence()).start().await;
    let client = world.gateway.client.clone();
    let call = tokio::spawn(async move { client.chat("m", json!({})).await });
    let seen = world.upstream("a").call(1).await;
    let left_at = tokio::time::Instant::now();
    call.abort();
    let took = seen.left().await.duration_since(left_at);
    assert!(took < Duration::from_millis(100), "{took:?}");
}

#[tokio::test]
async fn a_client_who_leaves_is_not_retried_for() {
    let case = Case::of("m: a b").first("a").always("a", say::silence()).patient("b");
    let world = case.settings("request_timeout: 0.2").start().await;
    let client = world.gateway.client.clone();
    let call = tokio::spawn(async move { client.chat("m", json!({})).await });
    let seen = world.upstream("a").call(1).await;
    call.abort();
    seen.left().await;
    // The next request hangs at `a` as well: when it is answered, the first one's clock would have run out long ago.
    assert_eq!(world.ask().await.said(), "b");
    assert_eq!(world.each("a b"), [2, 1]);
}

#[tokio::test]
async fn clients_who_leave_are_no_failures() {
    let case = Case::of("m: a b").says("a b", vec![say::silence(); 3].into_iter().chain([say::chat("x")]));
    let world = case.settings("allowed_fails: 0, num_retries: 0").router("cooldown_time: 60").start().await;
    for n in 1..=6 {
        let client = world.gateway.client.clone();
        let call = tokio::spawn(async move { client.chat("m", json!({})).await });
        let seen = loop {
            let calls: Vec<_> = world.upstreams.values().flat_map(|upstream| upstream.calls()).collect();
            if let Some(last) =
                calls.into_iter().max_by_key(|call| call.at).filter(|_| world.calls("a b") == n)
            {
                break last;
            }
            tokio::task::yield_now().await;
        };
        call.abort();
        assert!(matches!(seen.end().await, End::Left(_)));
    }
    for _ in 0..10 {
        assert_eq!(world.ask().await.status, 200);
    }
    assert!(world.each("a b").iter().all(|calls| *calls > 4), "{:?}", world.each("a b"));
}

#[tokio::test]
async fn a_plain_body_of_known_length_that_is_cut_is_not_made_to_look_whole() {
    let whole = say::chat("a long answer that breaks off");
    let length = whole.body().len();
    let cut = whole.header("content-length", length).broken_after(length / 2, Part::Cut);
    let world = Case::of("m: a").always("a", cut).settings("num_retries: 0").start().await;
    let body = crate::support::client::ask("m", json!({}));
    let mut answer = world
        .gateway
        .open(crate::support::client::request(http::Method::POST, "/chat/completions", body, &[]))
        .await;
    let over = answer.rest().await;
    assert!(answer.status.is_server_error() || over == Over::Broken, "{} {over:?}", answer.status);
}

#[tokio::test]
async fn old_completions_are_streamed_by_the_same_rules() {
    let event = |text: &str, finish: Value| {
        json!({"object": "text_completion", "choices": [{"text": text, "index": 0, "finish_reason": finish}]})
            .to_string()
    };
    let cut = Reply::events([event("half", Value::Null)]).then(Part::Cut);
    let whole = Reply::events([event("all", Value::Null), event("", json!("stop"))]).and(say::done());
    let world = Case::of("m: a").says("a", [whole.clone(), cut]).start().await;
    let body = json!({"model": "m", "prompt": "x", "stream": true}).to_string();
    let ask = || crate::support::client::request(http::Method::POST, "/v1/completions", body.clone(), &[]);
    let mut first = world.gateway.open(ask()).await;
    first.rest().await;
    assert_eq!(first.seen, whole.body());
    let mut second = world.gateway.open(ask()).await;
    second.rest().await;
    is_honest(&second);
}

#[tokio::test]
async fn a_stream_tells_proxies_to_pass_it_on_at_once() {
    let plain = say::stream(&["hello"]);
    for reply in [
        plain.clone(),
        plain.clone().header("cache-control", "public, max-age=60"),
        plain.clone().header("x-accel-buffering", "yes"),
        Reply::bytes(200, "application/octet-stream", plain.body()),
    ] {
        let asked = Case::of("m: a").always("a", reply).with(json!({"stream": true})).ask().await;
        asked.status(200).header("cache-control", "no-cache").header("x-accel-buffering", "no");
    }
    let complete = Case::of("m: a").ask().await;
    complete.status(200).no_header("cache-control").no_header("x-accel-buffering");
}
