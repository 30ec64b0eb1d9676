//! Each timeout fires for the failure that only it detects, and is named in the error.

use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::Instant;
use tollgate_layers::{Class, timeout::Limit};

use crate::{
    body::{
        AttemptTimeouts, ScriptStep,
        testing::{DONE, data, head, peek, read, says, sse},
    },
    error::{BodyError, TimeoutKind},
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
    assert!(matches!(error, BodyError::Timeout { clock: TimeoutKind::FirstContent, .. }), "{error:?}");
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
    assert!(matches!(held.expect_err("a fault"), BodyError::Timeout { clock: TimeoutKind::Attempt, .. }));

    let began = Instant::now();
    let long = [data(format!("[{}", "1,".repeat(50_000))), ScriptStep::Hang];
    let response = peek(false, timeouts, head(200, "application/json", long)).await.expect("committed");
    let (_, error) = read(response.into_body()).await;
    assert_second(began, SECOND);
    assert!(matches!(error, Some(BodyError::Timeout { clock: TimeoutKind::Attempt, .. })));
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
