//! What each answer is worth.

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
        testing::{CLASSIFIER, DONE, ROLE, STOP, USAGE, data, head, peek, peek_with, read, says, sse},
    },
    error::{BodyError, TimeoutKind},
};

fn layer() -> PeekLayer<Constant<AttemptTimeouts>> {
    PeekLayer::new(Constant(AttemptTimeouts::default()), CLASSIFIER)
}

#[tokio::test(start_paused = true)]
async fn a_fault_before_content_is_an_error_that_can_be_retried() {
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
        (true, head(200, "text/plain", [data(says("a"))]), BodyError::NotAStream),
        (false, head(200, "application/json", [data(html)]), BodyError::NotJson),
        (false, head(200, "application/json", [data("\n\n")]), BodyError::Empty),
        (false, head(200, "application/json", [data("{\"choices\":["), ScriptStep::Cut]), BodyError::Cut),
    ];
    for (stream, wire, expected) in cases {
        let what = format!("{:?} {:?}", wire.headers(), wire.body());
        assert_eq!(
            peek(stream, AttemptTimeouts::default(), wire).await.expect_err("a fault"),
            expected,
            "{what}"
        );
    }
}

#[tokio::test]
async fn json_that_stops_within_itself_is_truncated_though_the_connection_ended_well() {
    let wire = head(200, "application/json", [data("{\"choices\":[")]);
    assert_eq!(
        peek(false, AttemptTimeouts::default(), wire).await.expect_err("a fault"),
        BodyError::Truncated
    );
}

#[tokio::test]
async fn an_answer_shorter_than_it_announced_is_truncated() {
    let mut wire = head(200, "application/json", [data("{}")]);
    wire.headers_mut().insert(header::CONTENT_LENGTH, 10.into());
    assert_eq!(
        peek(false, AttemptTimeouts::default(), wire).await.expect_err("a fault"),
        BodyError::Truncated
    );
}

#[tokio::test]
async fn an_error_object_in_a_200_is_an_error_answer_of_its_kind() {
    let error = "{\"error\":{\"message\":\"busy\"}}";
    let event = format!("data: {error}\n\n");
    let cases = [
        (true, sse([data(event.clone())])),
        (true, sse([data(ROLE), data(event), data(DONE)])),
        (true, sse([data(error)])),
        (true, head(200, "application/json", [data(error)])),
        (false, head(200, "application/json", [data(error)])),
    ];
    for (stream, wire) in cases {
        let answer = peek(stream, AttemptTimeouts::default(), wire).await.expect("an answer");
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
        assert!(answer.body().has_ended(), "it holds nothing");
        assert_eq!(answer.body().outcome().class(), Class::Unavailable);
        assert_eq!(read(answer.into_body()).await, (error.to_owned(), None));
    }
}

#[tokio::test]
async fn what_only_looks_like_an_error_is_an_answer() {
    let json = "{\"error\":{\"harmless\":1},\"choices\":[]}";
    let answer = peek(false, AttemptTimeouts::default(), head(200, "application/json", [data(json)]))
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(read(answer.into_body()).await.0, json);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_keeps_its_status_and_bytes_even_when_its_body_never_ends() {
    for last in [ScriptStep::Cut, ScriptStep::Hang] {
        let began = Instant::now();
        let answer =
            peek(true, AttemptTimeouts::default(), head(500, "text/plain", [data("oh no"), last])).await;
        let answer = answer.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.body().outcome().class()), (500, Class::Unavailable));
        assert_eq!(read(answer.into_body()).await.0, "oh no");
        assert!(began.elapsed() <= Duration::from_secs(6));
    }
}

#[tokio::test(start_paused = true)]
async fn the_head_comes_with_the_first_content_and_not_before() {
    let wait = || ScriptStep::Wait(Duration::from_secs(3));
    let steps =
        [data(ROLE), wait(), data(": ping\n\n"), wait(), data(says("a")), wait(), data(STOP), data(DONE)];
    let began = Instant::now();
    let answer = peek(true, AttemptTimeouts::default(), sse(steps)).await.expect("an answer");
    assert_eq!(began.elapsed().as_secs(), 6);
    assert!(!answer.body().has_ended());
    let expected = format!("{ROLE}: ping\n\n{}{STOP}{DONE}", says("a"));
    assert_eq!(read(answer.into_body()).await, (expected, None));
}

#[tokio::test(start_paused = true)]
async fn without_a_clock_a_stream_that_lives_is_held_for_thirty_seconds() {
    let mut steps: Vec<_> =
        (0..84).flat_map(|_| [data(": ping\n\n"), ScriptStep::Wait(Duration::from_secs(10))]).collect();
    steps.extend([data(says("a")), data(STOP), data(DONE)]);
    let idle = AttemptTimeouts { idle: Some(Duration::from_secs(30).into()), ..AttemptTimeouts::default() };
    let began = Instant::now();
    let answer = peek(true, idle, sse(steps)).await.expect("an answer");
    assert_eq!(began.elapsed().as_secs(), 30);
    let (seen, fault) = read(answer.into_body()).await;
    assert_eq!(began.elapsed().as_secs(), 840, "fourteen minutes of thought are not cut");
    assert!(fault.is_none() && seen.ends_with(DONE) && seen.matches(": ping").count() == 84);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_silent_is_held_until_it_lives() {
    let steps = [ScriptStep::Wait(Duration::from_secs(50)), data(": ping\n\n"), ScriptStep::Hang];
    let began = Instant::now();
    peek(true, AttemptTimeouts::default(), sse(steps)).await.expect("an answer");
    assert_eq!(began.elapsed().as_secs(), 50);
}

#[tokio::test]
async fn a_stream_of_nothing_is_held_up_to_its_bound() {
    let steps = (0..1000).map(|_| data(ROLE)).chain([ScriptStep::Hang]);
    let answer = peek(true, AttemptTimeouts::default(), sse(steps)).await.expect("an answer");
    assert!(!answer.body().has_ended());
}

#[tokio::test]
async fn whole_json_is_passed_to_one_who_asked_for_a_stream() {
    let json = "\n\n{\"choices\":[],\"usage\":{\"total_tokens\":9}}";
    for kind in ["application/json", "text/event-stream"] {
        let answer =
            peek(true, AttemptTimeouts::default(), head(200, kind, [data(json)])).await.expect("an answer");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(answer.body().outcome().used(), Some(9));
        assert_eq!(answer.body().size_hint().exact(), Some(json.len() as u64));
        assert_eq!(read(answer.into_body()).await.0, json);
    }
}

#[tokio::test]
async fn a_long_plain_answer_passes_by_and_its_usage_is_found() {
    let long = format!("{{\"data\":\"{}\",\"usage\":{{\"total_tokens\":8}}}}", "x".repeat(200_000));
    let pieces: Vec<_> = long.as_bytes().chunks(16_000).map(|piece| data(piece.to_vec())).collect();
    let mut wire = head(200, "application/json", pieces);
    wire.headers_mut().insert(header::CONTENT_LENGTH, long.len().into());
    let answer = peek(false, AttemptTimeouts::default(), wire).await.expect("an answer");
    let mut body = answer.into_body();
    assert_eq!(body.size_hint().exact(), Some(long.len() as u64));
    let mut seen = Vec::new();
    while !body.is_end_stream() {
        let frame = http_body_util::BodyExt::frame(&mut body).await.expect("more").expect("no fault");
        seen.extend_from_slice(&frame.into_data().expect("data"));
    }
    assert_eq!(seen, long.as_bytes());
    assert_eq!(body.outcome().used(), Some(8), "settled without being asked for its end");
}

#[tokio::test]
async fn a_long_plain_answer_that_stops_early_is_cut_for_the_client_too() {
    let mut wire = head(200, "application/json", [data(format!("[{}", "1,".repeat(50_000))), data("1")]);
    let answer = peek(false, AttemptTimeouts::default(), wire).await.expect("an answer");
    assert_eq!(read(answer.into_body()).await.1, Some(BodyError::Truncated));

    wire = head(200, "application/json", [data(format!("[{}", "1,".repeat(50_000))), ScriptStep::Cut]);
    let answer = peek(false, AttemptTimeouts::default(), wire).await.expect("an answer");
    assert_eq!(read(answer.into_body()).await.1, Some(BodyError::Cut));
}

#[tokio::test]
async fn a_break_after_content_is_one_error_event_and_no_done() {
    let error = "data: {\"error\":{\"message\":\"busy\",\"type\":\"overloaded_error\",\"code\":529}}\n\n";
    let cases = [
        (sse([data(says("a")), ScriptStep::Cut]), "stream_cut"),
        (sse([data(says("a"))]), "stream_unfinished"),
        (sse([data(says("a") + "data: {\"choices\":[{\"del")]), "stream_unfinished"),
        (sse([data(says("a")), data(error), data(DONE)]), "529"),
        (sse([data(says("a") + error + DONE)]), "529"),
    ];
    for (wire, code) in cases {
        let answer = peek(true, AttemptTimeouts::default(), wire).await.expect("committed");
        assert_eq!(answer.status(), 200);
        let (seen, fault) = read(answer.into_body()).await;
        let tail = seen.strip_prefix(&says("a")).expect("the content first");
        assert!(tail.starts_with("data: {\"error\":{\"message\":"), "{tail}");
        assert!(tail.ends_with(&format!("\"code\":\"{code}\"}}}}\n\n")), "{tail}");
        assert_eq!((tail.matches("data:").count(), fault), (1, None), "{tail}");
    }
}

#[tokio::test]
async fn a_finish_reason_and_a_clean_end_without_done_are_complete() {
    let stream = says("a") + STOP;
    for cut in [0, 1, 2] {
        let steps = [data(stream[..stream.len() - cut].to_owned())];
        let answer = peek(true, AttemptTimeouts::default(), sse(steps)).await.expect("an answer");
        let body = answer.into_body();
        assert!(body.outcome().is_success());
        assert_eq!(read(body).await, (stream.clone() + DONE, None), "{cut} line ends forgotten");
    }
}

#[tokio::test(start_paused = true)]
async fn after_done_nothing_is_missing_however_the_connection_ends() {
    for last in [ScriptStep::Cut, ScriptStep::Hang] {
        let stream = says("a") + STOP + DONE;
        let began = Instant::now();
        let answer = peek(true, AttemptTimeouts::default(), sse([data(stream.clone()), last]))
            .await
            .expect("an answer");
        assert_eq!(read(answer.into_body()).await, (stream, None));
        assert!(began.elapsed() <= Duration::from_secs(2));
    }
}

#[tokio::test]
async fn an_error_after_done_is_not_told() {
    let stream = says("a") + STOP + DONE;
    let error = "data: {\"error\":{\"message\":\"bad key sk-secret-1\"}}\n\n";
    let answer =
        peek(true, AttemptTimeouts::default(), sse([data(stream.clone() + error)])).await.expect("an answer");
    assert!(answer.body().outcome().is_success());
    assert_eq!(read(answer.into_body()).await, (stream, None));
}

#[tokio::test]
async fn an_event_of_broken_json_is_dropped_and_counted_or_passed_when_told() {
    let broken = "data: {\"choices\":[{\"delta\"\n\n";
    let stream = says("a") + broken + &says("b") + STOP + DONE;
    let count = Arc::new(AtomicU64::new(0));
    let dropping = layer().with_broken_count(Arc::clone(&count));
    let answer = peek_with(dropping, true, sse([data(stream.clone())])).await.expect("an answer");
    assert_eq!(read(answer.into_body()).await.0, says("a") + &says("b") + STOP + DONE);
    assert_eq!(count.load(Ordering::Relaxed), 1);

    let passing = layer().with_broken_events(true);
    let answer = peek_with(passing, true, sse([data(stream.clone())])).await.expect("an answer");
    assert_eq!(read(answer.into_body()).await.0, stream);
}

#[tokio::test]
async fn half_a_surrogate_pair_is_no_broken_json() {
    let stream = says("a") + &says("\\ud83d") + STOP + DONE;
    let answer =
        peek(true, AttemptTimeouts::default(), sse([data(stream.clone())])).await.expect("an answer");
    assert_eq!(read(answer.into_body()).await.0, stream);
    for json in ["{\"choices\":[{\"text\":\"\\ud83d\"}]}", "{\"type\":\"message\",\"role\":\"\\udc00\"}"] {
        let answer =
            peek(false, AttemptTimeouts::default(), head(200, "application/json", [data(json)])).await;
        assert_eq!(read(answer.expect("an answer").into_body()).await.0, json);
    }
}

#[tokio::test]
async fn usage_that_only_we_asked_for_is_read_and_taken_out() {
    let stream = says("a") + STOP + USAGE + DONE;
    for injected in [true, false] {
        let layer = layer().with_injected_usage(injected);
        let answer = peek_with(layer, true, sse([data(stream.clone())])).await.expect("an answer");
        let (body, expected) =
            (answer.into_body(), if injected { says("a") + STOP + DONE } else { stream.clone() });
        assert_eq!(body.outcome().used(), Some(7));
        assert_eq!(read(body).await.0, expected);
    }
}

#[tokio::test]
async fn an_event_too_large_ends_the_stream_with_an_error_event() {
    let huge = says(&"x".repeat(2000));
    let steps: Vec<_> =
        [says("a"), huge].concat().as_bytes().chunks(100).map(|piece| data(piece.to_vec())).collect();
    let answer = peek_with(layer().with_event_limit(1000), true, sse(steps)).await.expect("an answer");
    let (seen, _) = read(answer.into_body()).await;
    assert!(
        seen.starts_with(&says("a")) && seen.contains("event_too_large") && !seen.contains("xxx"),
        "{seen}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_plain_answer_to_a_stream_request_has_no_first_content() {
    let clocks =
        AttemptTimeouts { first_content: Some(Duration::from_secs(1).into()), ..AttemptTimeouts::default() };
    let steps =
        [data(format!("[{}", "1,".repeat(50_000))), ScriptStep::Wait(Duration::from_secs(2)), data("1]")];
    let answer = peek(true, clocks, head(200, "application/json", steps)).await.expect("an answer");
    assert_eq!(read(answer.into_body()).await.1, None);
}

#[tokio::test]
async fn a_compressed_answer_is_passed_on_unread() {
    for (size, kind) in [(10, "application/json"), (100_000, "application/json"), (10, "text/event-stream")] {
        let mut wire = head(200, kind, [data(vec![b'z'; size]), data("z")]);
        wire.headers_mut().insert(header::CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
        let answer = peek(true, AttemptTimeouts::default(), wire).await.expect("an answer");
        let (seen, fault) = read(answer.into_body()).await;
        assert_eq!((seen.len(), fault), (size + 1, None));
    }
}

#[tokio::test(start_paused = true)]
async fn an_encoding_of_none_is_no_encoding() {
    for encoding in ["", "none", "Identity", "identity, none"] {
        let steps = [data(says("a")), ScriptStep::Wait(Duration::from_secs(5)), data(STOP), data(DONE)];
        let mut wire = sse(steps);
        wire.headers_mut().insert(header::CONTENT_ENCODING, http::HeaderValue::from_static(encoding));
        let began = Instant::now();
        let answer = peek(true, AttemptTimeouts::default(), wire).await.expect("an answer");
        assert_eq!(began.elapsed().as_secs(), 0, "{encoding}");
        assert_eq!(read(answer.into_body()).await, (says("a") + STOP + DONE, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_compressed_stream_is_not_withheld_to_its_end() {
    let second = Some(Duration::from_secs(1).into());
    let clocks = AttemptTimeouts { first_content: second, attempt: second, ..AttemptTimeouts::default() };
    let mut wire = sse([data("zz"), ScriptStep::Wait(Duration::from_secs(5)), data("z")]);
    wire.headers_mut().append(header::CONTENT_ENCODING, http::HeaderValue::from_static("identity"));
    wire.headers_mut().append(header::CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
    let began = Instant::now();
    let answer = peek(true, clocks, wire).await.expect("an answer");
    assert_eq!(began.elapsed().as_secs(), 0);
    assert_eq!(read(answer.into_body()).await, ("zzz".to_owned(), None));
}

#[tokio::test]
async fn it_is_as_strict_about_readiness_as_what_it_wraps() {
    use tollgate_layers::testing::Strict;
    use tower::{Layer, Service, ServiceExt};

    use crate::body::testing::{Once, request};

    let wire = head(200, "application/json", [data("{}")]);
    let mut service = layer().layer(Strict::new(Once(Some(wire))));
    let answer = service.ready().await.expect("ready").call(request(false)).await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_first_content_clock_is_not_fooled_by_pings() {
    let clocks =
        AttemptTimeouts { first_content: Some(Duration::from_secs(10).into()), ..AttemptTimeouts::default() };
    let pings = (0..1000)
        .flat_map(|_| [data(": ping\n\n"), data(ROLE), ScriptStep::Wait(Duration::from_millis(200))]);
    let began = Instant::now();
    let fault = peek(true, clocks, sse(pings)).await.expect_err("a fault");
    assert!(matches!(fault, BodyError::Timeout { clock: TimeoutKind::FirstContent, .. }), "{fault}");
    assert!((10_000..10_050).contains(&began.elapsed().as_millis()));
}
