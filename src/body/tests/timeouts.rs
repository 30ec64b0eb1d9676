//! Each timeout fires for the failure that only it detects, and is named in the error.

use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::Instant;
use tollgate_layers::{Class, setting::Constant, timeout::Limit};

use crate::{
    body::{
        AttemptTimeouts, ScriptStep,
        testing::{CLASSIFIER, DONE, STOP, USAGE, data, head, peek, peek_for, read, request, says, sse},
    },
    deployment::peek::PeekLayer,
    error::{BodyError, HasOutcome, TimeoutKind},
};

const SECOND: Duration = Duration::from_secs(1);

fn all_but(edit: impl FnOnce(&mut AttemptTimeouts)) -> AttemptTimeouts {
    // Long enough that only the edited limit can fire.
    let long = Some(Limit::from(Duration::from_secs(1000)));
    let whole = Some(Instant::now() + Duration::from_secs(1000));
    let mut timeouts =
        AttemptTimeouts { first_content: long, idle: long, attempt: long, whole, ignore_pings: false };
    edit(&mut timeouts);
    timeouts
}

fn assert_second(began: Instant, at: Duration) {
    let late = began.elapsed().checked_sub(at).expect("not early");
    assert!(late <= Duration::from_millis(50), "{late:?} late");
}

fn code(received: &str) -> &str {
    received.rsplit("\"code\":\"").next().and_then(|rest| rest.split('"').next()).expect("a code")
}

#[tokio::test(start_paused = true)]
async fn first_content_timeout_fires_before_content_and_never_after() {
    let timeouts = all_but(|timeouts| timeouts.first_content = Some(SECOND.into()));
    let began = Instant::now();
    let error = peek(true, timeouts, sse([ScriptStep::Hang])).await.expect_err("a fault");
    assert_second(began, SECOND);
    assert!(matches!(error, BodyError::Timeout { kind: TimeoutKind::FirstContent, .. }), "{error:?}");
    assert_eq!(error.to_string(), "the first content took longer than 1s");

    let steps = [data(says("a")), ScriptStep::Wait(5 * SECOND), data(says("b") + "data: [DONE]\n\n")];
    let response = peek(true, timeouts, sse(steps)).await.expect("an answer");
    assert!(read(response.into_body()).await.0.ends_with("[DONE]\n\n"));
}

#[tokio::test(start_paused = true)]
async fn idle_timeout_fires_between_events_and_is_restarted_by_pings() {
    let timeouts = all_but(|timeouts| timeouts.idle = Some(SECOND.into()));
    let ping = || [ScriptStep::Wait(SECOND * 9 / 10), data(": ping\n\n")];
    let steps = [data(says("a"))].into_iter().chain((0..3).flat_map(|_| ping())).chain([ScriptStep::Hang]);
    let began = Instant::now();
    let response = peek(true, timeouts, sse(steps)).await.expect("an answer");
    let (received, _) = read(response.into_body()).await;
    assert_second(began, SECOND * 27 / 10 + SECOND);
    assert_eq!(code(&received), "idle_timeout");
}

#[tokio::test(start_paused = true)]
async fn idle_timeout_fires_after_the_timer_was_armed_for_a_hold_that_ended() {
    let timeouts =
        all_but(|timeouts| (timeouts.first_content, timeouts.idle) = (None, Some((60 * SECOND).into())));
    let steps = [ScriptStep::Wait(SECOND), data(says("a")), ScriptStep::Hang];
    let began = Instant::now();
    let response = peek(true, timeouts, sse(steps)).await.expect("an answer");
    let (received, _) = read(response.into_body()).await;
    assert_second(began, 61 * SECOND);
    assert_eq!(code(&received), "idle_timeout");
}

#[tokio::test(start_paused = true)]
async fn attempt_timeout_fires_within_a_plain_body_after_its_head() {
    let timeouts = all_but(|timeouts| timeouts.attempt = Some(SECOND.into()));
    let began = Instant::now();
    let held = peek(false, timeouts, head(200, "application/json", [data("{"), ScriptStep::Hang])).await;
    assert_second(began, SECOND);
    assert!(matches!(held.expect_err("a fault"), BodyError::Timeout { kind: TimeoutKind::Attempt, .. }));

    let began = Instant::now();
    let long = [data(format!("[{}", "1,".repeat(50_000))), ScriptStep::Hang];
    let response = peek(false, timeouts, head(200, "application/json", long)).await.expect("committed");
    let (_, error) = read(response.into_body()).await;
    assert_second(began, SECOND);
    assert!(matches!(error, Some(BodyError::Timeout { kind: TimeoutKind::Attempt, .. })));
}

#[tokio::test(start_paused = true)]
async fn attempt_timeout_does_not_limit_a_stream_after_first_content() {
    let timeouts = all_but(|timeouts| timeouts.attempt = Some(SECOND.into()));
    let steps = [data(says("a")), ScriptStep::Wait(5 * SECOND), data("data: [DONE]\n\n")];
    let response = peek(true, timeouts, sse(steps)).await.expect("an answer");
    assert!(read(response.into_body()).await.0.ends_with("[DONE]\n\n"));
}

#[tokio::test(start_paused = true)]
async fn deadline_fires_on_an_endless_stream() {
    let began = Instant::now();
    let timeouts = all_but(|timeouts| timeouts.whole = Some(began + 2 * SECOND));
    let steps = (0..1000).flat_map(|_| [data(says("a")), ScriptStep::Wait(SECOND / 7)]);
    let response = peek(true, timeouts, sse(steps)).await.expect("an answer");
    let (received, _) = read(response.into_body()).await;
    assert_second(began, 2 * SECOND);
    assert_eq!(code(&received), "deadline");

    let late = peek(true, timeouts, sse([ScriptStep::Hang])).await.expect_err("a fault");
    assert_eq!(late, BodyError::Deadline);
    assert!(!late.outcome().is_evidence(), "earlier attempts may have used up the time");
}

#[tokio::test(start_paused = true)]
async fn deadline_fires_for_a_slow_client() {
    let began = Instant::now();
    let timeouts = all_but(|timeouts| timeouts.whole = Some(began + 2 * SECOND));
    let steps = (0..100).map(|_| data(says("a")));
    let mut body = peek(true, timeouts, sse(steps)).await.expect("an answer").into_body();
    let mut last = String::new();
    while let Some(frame) = body.frame().await {
        last = String::from_utf8(frame.expect("no fault").into_data().expect("data").into()).expect("utf-8");
        tokio::time::advance(SECOND / 10).await;
    }
    assert_eq!(code(&last), "deadline");
    assert_second(began, 2 * SECOND + SECOND / 10);
}

#[tokio::test(start_paused = true)]
async fn timeout_set_by_the_request_is_not_evidence() {
    let impatient = Limit::of(SECOND).without_evidence();
    let timeouts = all_but(|timeouts| timeouts.first_content = Some(impatient));
    let outcome = peek(true, timeouts, sse([ScriptStep::Hang])).await.expect_err("a fault").outcome();
    assert_eq!((outcome.class(), outcome.is_evidence()), (Class::Timeout, false));
}

#[tokio::test(start_paused = true)]
async fn attempt_timeout_of_a_committed_plain_response_is_not_evidence() {
    let timeouts = all_but(|timeouts| timeouts.attempt = Some(SECOND.into()));
    let long = [data(format!("[{}", "1,".repeat(50_000))), ScriptStep::Hang];
    let response = peek(false, timeouts, head(200, "application/json", long)).await.expect("committed");
    let error = read(response.into_body()).await.1.expect("a fault");
    assert_eq!((error.outcome().class(), error.outcome().is_evidence()), (Class::Timeout, false));
}

#[tokio::test(start_paused = true)]
async fn linger_timeout_starts_at_the_terminal_event() {
    let timeouts = all_but(|timeouts| timeouts.ignore_pings = true);
    let steps = [
        data(says("a")),
        ScriptStep::Wait(5 * SECOND),
        data(DONE),
        ScriptStep::Wait(SECOND / 2),
        data(": bye\n\n"),
    ];
    let response = peek(true, timeouts, sse(steps)).await.expect("an answer");
    assert_eq!(read(response.into_body()).await.0, says("a") + DONE + ": bye\n\n");
}

#[tokio::test(start_paused = true)]
async fn first_content_timeout_is_ended_by_a_delta_of_any_name() {
    let timeouts = all_but(|timeouts| timeouts.first_content = Some(SECOND.into()));
    for delta in [
        r#""thinking":"hm""#,
        r#""annotations":[{"x":1}]"#,
        r#""provider_specific_fields":{"a":1}"#,
        r#""new":[7]"#,
    ] {
        let delta = format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",{delta}}}}}]}}\n\n"
        );
        let thought = || [ScriptStep::Wait(SECOND / 2), data(delta.clone())];
        let steps = (0..6).flat_map(|_| thought()).chain([data(says("a") + STOP + DONE)]);
        let response = peek(true, timeouts, sse(steps)).await.expect("committed at the first delta");
        assert!(read(response.into_body()).await.0.ends_with(DONE));
    }
}

/// Returns an event that ends this choice.
fn finish(index: usize, reason: &str) -> String {
    STOP.replace("\"index\":0", &format!("\"index\":{index}")).replace("stop", reason)
}

/// Reads a stream that sends `events` and leaves its connection open, with pings. `choices` is the number of choices
/// that the request asks for. Returns the bytes and the seconds that the stream took.
async fn left_open(choices: Option<u32>, events: &[String]) -> (String, u64, Class) {
    let timeouts = all_but(|timeouts| timeouts.idle = Some((30 * SECOND).into()));
    let mut request = request(true);
    let info = std::sync::Arc::make_mut(&mut request.change().info);
    info.choices = choices;
    let pings = (0..60).flat_map(|_| [ScriptStep::Wait(SECOND / 2), data(": ping\n\n")]);
    let steps = events.iter().cloned().map(data).chain(pings).chain([ScriptStep::Hang]);
    let (began, layer) = (Instant::now(), PeekLayer::new(Constant(timeouts), CLASSIFIER));
    let mut body = peek_for(layer, request, sse(steps)).await.expect("a response").into_body();
    let mut received = String::new();
    while let Some(frame) = body.frame().await {
        let bytes = frame.expect("no fault").into_data().expect("data");
        received.push_str(std::str::from_utf8(&bytes).expect("utf-8"));
    }
    let class = body.outcome().class();
    (received.replace(": ping\n\n", ""), began.elapsed().as_secs(), class)
}

#[tokio::test(start_paused = true)]
async fn finished_stream_whose_connection_stays_open_is_ended_with_done() {
    let text = "data: {\"choices\":[{\"index\":0,\"text\":\"a\",\"finish_reason\":\"stop\"}]}\n\n".to_owned();
    let cases = [
        vec![says("a"), finish(0, "stop")],
        vec![says("a"), finish(0, "length")],
        vec![says("a"), finish(0, "tool_calls"), USAGE.to_owned()],
        vec![finish(0, "content_filter")],
        vec![says("a").replace("}}]}", "},\"finish_reason\":\"stop\"}]}")],
        vec![text],
    ];
    for events in cases {
        let (received, seconds, class) = left_open(Some(1), &events).await;
        assert_eq!((received, class), (events.concat() + DONE, Class::Success));
        assert!(seconds <= 2, "{seconds} s");
    }
    let two = [says("a"), finish(0, "stop"), finish(1, "stop")];
    assert_eq!(left_open(Some(2), &two).await.0, two.concat() + DONE);
}

#[tokio::test(start_paused = true)]
async fn stream_with_choices_to_come_is_not_ended_after_a_finish_reason() {
    let second = says("b").replace("\"index\":0", "\"index\":1");
    for (choices, events) in [
        (Some(1), vec![says("a"), second, finish(0, "stop")]),
        (Some(2), vec![says("a"), finish(0, "stop")]),
        (None, vec![says("a"), finish(0, "stop")]),
        (Some(1), vec![says("a")]),
    ] {
        let (received, seconds, class) = left_open(choices, &events).await;
        assert!(!received.contains(DONE) && received.contains("idle_timeout"), "{received}");
        assert!(seconds >= 30 && class == Class::Timeout, "{seconds} s, {class:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn usage_within_two_seconds_of_the_finish_reason_is_passed_on() {
    let timeouts = all_but(|timeouts| timeouts.idle = Some((30 * SECOND).into()));
    let wait = || ScriptStep::Wait(SECOND * 19 / 10);
    let steps = [data(says("a")), data(STOP), wait(), data(USAGE), wait(), data(DONE), ScriptStep::Hang];
    let response = peek(true, timeouts, sse(steps)).await.expect("a response");
    assert_eq!(read(response.into_body()).await.0, says("a") + STOP + USAGE + DONE);
}

#[tokio::test(start_paused = true)]
async fn deadline_after_the_finish_reason_ends_the_stream_with_done() {
    let timeouts = all_but(|timeouts| timeouts.whole = Some(Instant::now() + SECOND));
    let steps = [data(says("a")), data(STOP), ScriptStep::Hang];
    let response = peek(true, timeouts, sse(steps)).await.expect("a response");
    assert_eq!(read(response.into_body()).await.0, says("a") + STOP + DONE);
}

#[tokio::test(start_paused = true)]
async fn pings_after_done_do_not_keep_a_stream_open() {
    let (received, seconds, _) = left_open(Some(1), &[says("a"), STOP.to_owned(), DONE.to_owned()]).await;
    assert_eq!((received, seconds), (says("a") + STOP + DONE, 1));
}

#[tokio::test(start_paused = true)]
async fn timeout_beyond_the_clock_range_never_fires() {
    let forever = Some(Limit::from(Duration::MAX));
    let timeouts = AttemptTimeouts {
        first_content: forever,
        idle: forever,
        attempt: forever,
        ..AttemptTimeouts::default()
    };
    let steps = [ScriptStep::Wait(Duration::from_secs(100_000)), data(says("a")), data("data: [DONE]\n\n")];
    peek(true, timeouts, sse(steps)).await.expect("an answer");
}
