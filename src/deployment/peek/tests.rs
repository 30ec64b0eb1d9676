//! Tests of `PeekLayer`: the responses that it commits, refuses and passes on.

#[cfg(feature = "compression")]
mod compressed;
mod forms;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::header;
use http_body::Body as _;
use tokio::time::Instant;
use tollgate_layers::{Class, setting::Constant};

use super::PeekLayer;
use crate::{
    body::{
        AttemptTimeouts, ScriptStep,
        testing::{
            CLASSIFIER, COMPLETION, DONE, ROLE, STOP, USAGE, data, head, peek, peek_with, read, says, sse,
        },
    },
    error::{BodyError, TimeoutKind},
};

fn layer() -> PeekLayer<Constant<AttemptTimeouts>> {
    PeekLayer::new(Constant(AttemptTimeouts::default()), CLASSIFIER)
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_before_its_first_content_is_an_error() {
    let html = "<html><body>busy</body></html>";
    let cases: [(bool, _, _); 14] = [
        (true, sse([ScriptStep::Cut]), BodyError::Cut),
        (true, sse([data(ROLE), ScriptStep::Cut]), BodyError::Cut),
        (true, sse([]), BodyError::Empty),
        (true, sse([data(": ping\n\n")]), BodyError::Empty),
        (true, sse([data(ROLE)]), BodyError::Unfinished),
        (true, sse([data(says("a").trim_end().to_owned() + "\n")]), BodyError::Unfinished),
        (true, sse([data(ROLE), data(DONE)]), BodyError::Empty),
        (true, sse([data(DONE), ScriptStep::Hang]), BodyError::Empty),
        (true, sse([data(html)]), BodyError::NotAStream),
        (true, head(200, "text/html", [data(html)]), BodyError::NotAStream),
        (true, head(200, "text/plain", [data("hello")]), BodyError::NotAStream),
        (false, head(200, "application/json", [data(html)]), BodyError::NotJson),
        (false, head(200, "application/json", [data("\n\n")]), BodyError::Empty),
        (false, head(200, "application/json", [data("{\"choices\":["), ScriptStep::Cut]), BodyError::Cut),
    ];
    for (stream, upstream, expected) in cases {
        let what = format!("{:?} {:?}", upstream.headers(), upstream.body());
        assert_eq!(
            peek(stream, AttemptTimeouts::default(), upstream).await.expect_err("an error"),
            expected,
            "{what}"
        );
    }
}

#[tokio::test]
async fn incomplete_json_is_truncated_even_if_the_body_ends_cleanly() {
    let upstream = head(200, "application/json", [data("{\"choices\":[")]);
    assert_eq!(
        peek(false, AttemptTimeouts::default(), upstream).await.expect_err("an error"),
        BodyError::Truncated
    );
}

#[tokio::test]
async fn a_body_shorter_than_its_content_length_is_truncated() {
    let mut upstream = head(200, "application/json", [data("{}")]);
    upstream.headers_mut().insert(header::CONTENT_LENGTH, 10.into());
    assert_eq!(
        peek(false, AttemptTimeouts::default(), upstream).await.expect_err("an error"),
        BodyError::Truncated
    );
}

#[tokio::test]
async fn an_error_object_in_a_200_becomes_an_error_response_with_its_status() {
    let error = "{\"error\":{\"message\":\"busy\"}}";
    let event = format!("data: {error}\n\n");
    let cases = [
        (true, sse([data(event.clone())])),
        (true, sse([data(ROLE), data(event), data(DONE)])),
        (true, sse([data(error)])),
        (true, head(200, "application/json", [data(error)])),
        (false, head(200, "application/json", [data(error)])),
    ];
    for (stream, upstream) in cases {
        let response = peek(stream, AttemptTimeouts::default(), upstream).await.expect("a response");
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert!(response.body().has_ended(), "the body is complete");
        assert_eq!(response.body().outcome().class(), Class::Unavailable);
        assert_eq!(read(response.into_body()).await, (error.to_owned(), None));
    }
}

#[tokio::test]
async fn a_success_with_an_unrelated_error_member_is_a_success() {
    let json = "{\"error\":{\"harmless\":1},\"choices\":[{\"message\":{\"content\":\"a\"}}]}";
    let response = peek(false, AttemptTimeouts::default(), head(200, "application/json", [data(json)]))
        .await
        .expect("a response");
    assert_eq!(response.status(), 200);
    assert_eq!(read(response.into_body()).await.0, json);
}

#[tokio::test(start_paused = true)]
async fn an_error_response_keeps_its_status_and_bytes_even_if_its_body_never_ends() {
    for last in [ScriptStep::Cut, ScriptStep::Hang] {
        let began = Instant::now();
        let response =
            peek(true, AttemptTimeouts::default(), head(500, "text/plain", [data("oh no"), last])).await;
        let response = response.expect("a response");
        assert_eq!(
            (response.status().as_u16(), response.body().outcome().class()),
            (500, Class::Unavailable)
        );
        assert_eq!(read(response.into_body()).await.0, "oh no");
        assert!(began.elapsed() <= Duration::from_secs(6));
    }
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_stream_is_held_until_the_first_content() {
    let wait = || ScriptStep::Wait(Duration::from_secs(3));
    let steps =
        [data(ROLE), wait(), data(": ping\n\n"), wait(), data(says("a")), wait(), data(STOP), data(DONE)];
    let began = Instant::now();
    let response = peek(true, AttemptTimeouts::default(), sse(steps)).await.expect("a response");
    assert_eq!(began.elapsed().as_secs(), 6);
    assert!(!response.body().has_ended());
    let expected = format!("{ROLE}: ping\n\n{}{STOP}{DONE}", says("a"));
    assert_eq!(read(response.into_body()).await, (expected, None));
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_first_content_timeout_is_held_for_30_seconds() {
    let mut steps: Vec<_> =
        (0..84).flat_map(|_| [data(": ping\n\n"), ScriptStep::Wait(Duration::from_secs(10))]).collect();
    steps.extend([data(says("a")), data(STOP), data(DONE)]);
    let idle = AttemptTimeouts { idle: Some(Duration::from_secs(30).into()), ..AttemptTimeouts::default() };
    let began = Instant::now();
    let response = peek(true, idle, sse(steps)).await.expect("a response");
    assert_eq!(began.elapsed().as_secs(), 30);
    let (seen, error) = read(response.into_body()).await;
    assert_eq!(began.elapsed().as_secs(), 840, "a stream of 14 minutes is not cut");
    assert!(error.is_none() && seen.ends_with(DONE) && seen.matches(": ping").count() == 84);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_held_until_its_first_bytes() {
    let steps = [ScriptStep::Wait(Duration::from_secs(50)), data(": ping\n\n"), ScriptStep::Hang];
    let began = Instant::now();
    peek(true, AttemptTimeouts::default(), sse(steps)).await.expect("a response");
    assert_eq!(began.elapsed().as_secs(), 50);
}

#[tokio::test]
async fn a_stream_without_content_is_held_up_to_the_hold_limit() {
    let steps = (0..1000).map(|_| data(ROLE)).chain([ScriptStep::Hang]);
    let response = peek(true, AttemptTimeouts::default(), sse(steps)).await.expect("a response");
    assert!(!response.body().has_ended());
}

#[tokio::test]
async fn the_usage_of_a_long_plain_response_is_read_while_it_is_passed_on() {
    let long = format!("{{\"data\":\"{}\",\"usage\":{{\"total_tokens\":8}}}}", "x".repeat(200_000));
    let pieces: Vec<_> = long.as_bytes().chunks(16_000).map(|piece| data(piece.to_vec())).collect();
    let mut upstream = head(200, "application/json", pieces);
    upstream.headers_mut().insert(header::CONTENT_LENGTH, long.len().into());
    let response = peek(false, AttemptTimeouts::default(), upstream).await.expect("a response");
    let mut body = response.into_body();
    assert_eq!(body.size_hint().exact(), Some(long.len() as u64));
    let mut seen = Vec::new();
    while !body.is_end_stream() {
        let frame = http_body_util::BodyExt::frame(&mut body).await.expect("more").expect("no error");
        seen.extend_from_slice(&frame.into_data().expect("data"));
    }
    assert_eq!(seen, long.as_bytes());
    assert_eq!(body.outcome().used(), Some(8), "known without a poll for the end");
}

#[tokio::test]
async fn a_long_plain_response_that_breaks_off_is_an_error_for_the_client() {
    let mut upstream = head(200, "application/json", [data(format!("[{}", "1,".repeat(50_000))), data("1")]);
    let response = peek(false, AttemptTimeouts::default(), upstream).await.expect("a response");
    assert_eq!(read(response.into_body()).await.1, Some(BodyError::Truncated));

    upstream = head(200, "application/json", [data(format!("[{}", "1,".repeat(50_000))), ScriptStep::Cut]);
    let response = peek(false, AttemptTimeouts::default(), upstream).await.expect("a response");
    assert_eq!(read(response.into_body()).await.1, Some(BodyError::Cut));
}

#[tokio::test]
async fn a_stream_that_breaks_after_content_ends_with_one_error_event_and_no_done() {
    let error = "data: {\"error\":{\"message\":\"busy\",\"type\":\"overloaded_error\",\"code\":529}}\n\n";
    let cases = [
        (sse([data(says("a")), ScriptStep::Cut]), "stream_cut"),
        (sse([data(says("a"))]), "stream_unfinished"),
        (sse([data(says("a") + "data: {\"choices\":[{\"del")]), "stream_unfinished"),
        (sse([data(says("a")), data(error), data(DONE)]), "529"),
        (sse([data(says("a") + error + DONE)]), "529"),
    ];
    for (upstream, code) in cases {
        let response = peek(true, AttemptTimeouts::default(), upstream).await.expect("committed");
        assert_eq!(response.status(), 200);
        let (seen, error) = read(response.into_body()).await;
        let tail = seen.strip_prefix(&says("a")).expect("the content first");
        assert!(tail.starts_with("data: {\"error\":{\"message\":"), "{tail}");
        assert!(tail.ends_with(&format!("\"code\":\"{code}\"}}}}\n\n")), "{tail}");
        assert_eq!((tail.matches("data:").count(), error), (1, None), "{tail}");
    }
}

#[tokio::test]
async fn a_stream_with_a_finish_reason_and_a_clean_end_gets_its_missing_done() {
    let stream = says("a") + STOP;
    for cut in [0, 1, 2] {
        let steps = [data(stream[..stream.len() - cut].to_owned())];
        let response = peek(true, AttemptTimeouts::default(), sse(steps)).await.expect("a response");
        let body = response.into_body();
        assert!(body.outcome().is_success());
        assert_eq!(read(body).await, (stream.clone() + DONE, None), "{cut} line ends cut off");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_complete_after_done_even_if_the_connection_breaks() {
    for last in [ScriptStep::Cut, ScriptStep::Hang] {
        let stream = says("a") + STOP + DONE;
        let began = Instant::now();
        let response = peek(true, AttemptTimeouts::default(), sse([data(stream.clone()), last]))
            .await
            .expect("a response");
        assert_eq!(read(response.into_body()).await, (stream, None));
        assert!(began.elapsed() <= Duration::from_secs(2));
    }
}

#[tokio::test]
async fn an_error_event_after_done_is_not_passed_on() {
    let stream = says("a") + STOP + DONE;
    let error = "data: {\"error\":{\"message\":\"bad key sk-secret-1\"}}\n\n";
    let response = peek(true, AttemptTimeouts::default(), sse([data(stream.clone() + error)]))
        .await
        .expect("a response");
    assert!(response.body().outcome().is_success());
    assert_eq!(read(response.into_body()).await, (stream, None));
}

#[tokio::test]
async fn an_event_with_invalid_json_is_dropped_and_counted_or_passed_if_configured() {
    let broken = "data: {\"choices\":[{\"delta\"\n\n";
    let stream = says("a") + broken + &says("b") + STOP + DONE;
    let count = Arc::new(AtomicU64::new(0));
    let dropping = layer().with_broken_count(Arc::clone(&count));
    let response = peek_with(dropping, true, sse([data(stream.clone())])).await.expect("a response");
    assert_eq!(read(response.into_body()).await.0, says("a") + &says("b") + STOP + DONE);
    assert_eq!(count.load(Ordering::Relaxed), 1);

    let passing = layer().with_broken_events(true);
    let response = peek_with(passing, true, sse([data(stream.clone())])).await.expect("a response");
    assert_eq!(read(response.into_body()).await.0, stream);
}

#[tokio::test]
async fn an_unpaired_surrogate_is_not_invalid_json() {
    let stream = says("a") + &says("\\ud83d") + STOP + DONE;
    let response =
        peek(true, AttemptTimeouts::default(), sse([data(stream.clone())])).await.expect("a response");
    assert_eq!(read(response.into_body()).await.0, stream);
    for json in [
        "{\"choices\":[{\"text\":\"\\ud83d\"}]}",
        "{\"choices\":[{\"message\":{\"role\":\"\\udc00\",\"content\":\"a\"}}]}",
    ] {
        let response =
            peek(false, AttemptTimeouts::default(), head(200, "application/json", [data(json)])).await;
        assert_eq!(read(response.expect("a response").into_body()).await.0, json);
    }
}

#[tokio::test]
async fn usage_that_only_the_gateway_requested_is_read_and_removed() {
    let stream = says("a") + STOP + USAGE + DONE;
    for injected in [true, false] {
        let layer = layer().with_injected_usage(injected);
        let response = peek_with(layer, true, sse([data(stream.clone())])).await.expect("a response");
        let (body, expected) =
            (response.into_body(), if injected { says("a") + STOP + DONE } else { stream.clone() });
        assert_eq!(body.outcome().used(), Some(7));
        assert_eq!(read(body).await.0, expected);
    }
}

#[tokio::test]
async fn an_event_over_the_limit_ends_the_stream_with_an_error_event() {
    let huge = says(&"x".repeat(2000));
    let steps: Vec<_> =
        [says("a"), huge].concat().as_bytes().chunks(100).map(|piece| data(piece.to_vec())).collect();
    let response = peek_with(layer().with_event_limit(1000), true, sse(steps)).await.expect("a response");
    let (seen, _) = read(response.into_body()).await;
    assert!(
        seen.starts_with(&says("a")) && seen.contains("event_too_large") && !seen.contains("xxx"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_success_with_an_unknown_compression_is_passed_on_unread() {
    for (size, kind) in [(10, "application/json"), (100_000, "application/json"), (10, "text/event-stream")] {
        let mut upstream = head(200, kind, [data(vec![b'z'; size]), data("z")]);
        upstream.headers_mut().insert(header::CONTENT_ENCODING, http::HeaderValue::from_static("compress"));
        let response = peek(true, AttemptTimeouts::default(), upstream).await.expect("a response");
        let (seen, error) = read(response.into_body()).await;
        assert_eq!((seen.len(), error), (size + 1, None));
    }
}

#[tokio::test(start_paused = true)]
async fn an_identity_content_encoding_is_not_compression() {
    for encoding in ["", "none", "Identity", "identity, none"] {
        let steps = [data(says("a")), ScriptStep::Wait(Duration::from_secs(5)), data(STOP), data(DONE)];
        let mut upstream = sse(steps);
        upstream.headers_mut().insert(header::CONTENT_ENCODING, http::HeaderValue::from_static(encoding));
        let began = Instant::now();
        let response = peek(true, AttemptTimeouts::default(), upstream).await.expect("a response");
        assert_eq!(began.elapsed().as_secs(), 0, "{encoding}");
        assert_eq!(read(response.into_body()).await, (says("a") + STOP + DONE, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_an_unknown_compression_is_held_until_its_first_bytes_only() {
    let second = Some(Duration::from_secs(1).into());
    let timeouts = AttemptTimeouts { first_content: second, attempt: second, ..AttemptTimeouts::default() };
    let mut upstream = sse([data("zz"), ScriptStep::Wait(Duration::from_secs(5)), data("z")]);
    upstream.headers_mut().append(header::CONTENT_ENCODING, http::HeaderValue::from_static("identity"));
    upstream.headers_mut().append(header::CONTENT_ENCODING, http::HeaderValue::from_static("compress"));
    let began = Instant::now();
    let response = peek(true, timeouts, upstream).await.expect("a response");
    assert_eq!(began.elapsed().as_secs(), 0);
    assert_eq!(read(response.into_body()).await, ("zzz".to_owned(), None));
}

#[tokio::test]
async fn peek_calls_the_inner_service_only_after_its_poll_ready() {
    use tollgate_layers::testing::Strict;
    use tower::{Layer, Service, ServiceExt};

    use crate::body::testing::{Once, request};

    let upstream = head(200, "application/json", [data(COMPLETION)]);
    let mut service = layer().layer(Strict::new(Once(Some(upstream))));
    let response = service.ready().await.expect("ready").call(request(false)).await.expect("a response");
    assert_eq!(response.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn pings_do_not_extend_the_first_content_timeout() {
    let timeouts =
        AttemptTimeouts { first_content: Some(Duration::from_secs(10).into()), ..AttemptTimeouts::default() };
    let pings = (0..1000)
        .flat_map(|_| [data(": ping\n\n"), data(ROLE), ScriptStep::Wait(Duration::from_millis(200))]);
    let began = Instant::now();
    let error = peek(true, timeouts, sse(pings)).await.expect_err("an error");
    assert!(matches!(error, BodyError::Timeout { kind: TimeoutKind::FirstContent, .. }), "{error}");
    assert!((10_000..10_050).contains(&began.elapsed().as_millis()));
}
