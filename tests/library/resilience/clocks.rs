//! Each clock fires when it should and says which it was.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tollgate::upstream::ScriptStep;

use super::world::{Act, Answer, Plan, error, ms, said};

const CONTENT: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word\"},\"finish_reason\":null}]}\n\n";

/// Within 50 ms or 2 % of its time, whichever is more; never early.
fn fires_after(answer: &Answer, after: Duration) {
    let late = answer.took.checked_sub(after).unwrap_or_else(|| panic!("early: {:?}", answer.took));
    assert!(late <= ms(50).max(after / 50), "{:?} late of {after:?}", late);
}

#[tokio::test(start_paused = true)]
async fn each_timeout_is_on_time_and_named() {
    let hang = || Plan::of("m: a").always("a", Act::Hang);
    let table = [
        (hang().settings("num_retries: 0, timeout: 0.3"), json!({}), 300, "attempt_timeout"),
        (hang().params("a", "timeout: 40").settings("num_retries: 0"), json!({}), 40_000, "attempt_timeout"),
        (hang().settings("num_retries: 0"), json!({"timeout": 7}), 7_000, "attempt_timeout"),
        (hang().settings("num_retries: 0"), json!({"request_timeout": 7}), 7_000, "attempt_timeout"),
        (
            hang().settings("num_retries: 0, stream_timeout: 2"),
            json!({"stream": true}),
            2_000,
            "first_content_timeout",
        ),
        (
            hang().params("a", "stream_timeout: 1").settings("num_retries: 0, stream_timeout: 2"),
            json!({"stream": true}),
            1_000,
            "first_content_timeout",
        ),
        (
            hang().settings("num_retries: 0, stream_timeout: 2"),
            json!({"stream": true, "stream_timeout": 0.5}),
            500,
            "first_content_timeout",
        ),
        (hang().settings("max_request_duration: 3, timeout: 2"), json!({}), 3_000, "deadline"),
        (hang().settings("max_request_duration: 3"), json!({"stream": true}), 3_000, "deadline"),
        (hang().settings("num_retries: 0"), json!({}), 6_000_000, "attempt_timeout"),
    ];
    for (plan, more, after, clock) in table {
        let world = plan.start();
        let answer = world.ask(more).await;
        assert_eq!((answer.status, answer.code().as_str()), (408, clock), "{}", answer.text());
        assert!(answer.text().contains("timeout_error"), "{}", answer.text());
        fires_after(&answer, ms(after));
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_body_that_does_not_end_is_cut_by_the_attempt_timeout() {
    let steps = vec![ScriptStep::Data(Bytes::from_static(b"{\"choices\":")), ScriptStep::Hang];
    let never = Act::Stream(steps);
    let plan = Plan::of("m: a").always("a", never).settings("num_retries: 0, timeout: 0.5");
    let (_, answer) = plan.ask().await;
    assert_eq!(answer.status, 408, "{}", answer.text());
    fires_after(&answer, ms(500));
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_ends_by_the_idle_timeout_with_an_event_that_names_it() {
    let steps = vec![ScriptStep::Data(Bytes::from_static(CONTENT.as_bytes())), ScriptStep::Hang];
    let plan =
        Plan::of("m: a").always("a", Act::Stream(steps)).settings("stream_idle_timeout: 5, timeout: 1");
    let world = plan.start();
    let answer = world.ask(json!({"stream": true})).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("word") && answer.text().contains("idle_timeout"), "{}", answer.text());
    assert!(!answer.text().contains("[DONE]"), "{}", answer.text());
    fires_after(&answer, ms(5_000));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_cuts_a_stream_that_has_begun_and_the_attempt_timeout_does_not() {
    let word = || ScriptStep::Data(Bytes::from_static(CONTENT.as_bytes()));
    let mut steps = vec![word()];
    for _ in 0..20 {
        steps.extend([ScriptStep::Wait(ms(500)), word()]);
    }
    steps.push(ScriptStep::Data(Bytes::from_static(b"data: [DONE]\n\n")));
    let plan = || Plan::of("m: a").always("a", Act::Stream(steps.clone()));
    let world = plan().settings("timeout: 1").start();
    let whole = world.ask(json!({"stream": true})).await;
    assert_eq!(whole.text().matches("word").count(), 21, "{}", whole.text());
    let world = plan().settings("max_request_duration: 4").start();
    let cut = world.ask(json!({"stream": true})).await;
    assert!(cut.text().contains("deadline") && !cut.text().contains("[DONE]"), "{}", cut.text());
    fires_after(&cut, ms(4_000));
}

#[tokio::test(start_paused = true)]
async fn the_attempt_timeout_bounds_each_attempt_and_never_the_walk_over_retries() {
    let plan = Plan::of("m: a b c; n: d").always("a b c", Act::Hang);
    let plan = plan.settings("timeout: 2, num_retries: 2, fallbacks: [{m: [n]}]");
    let (world, answer) = plan.ask().await;
    assert_eq!((answer.by(), answer.took), (Some("d"), ms(6_000)));
    assert_eq!(world.gaps(), [ms(2_000); 3]);
}

#[tokio::test(start_paused = true)]
async fn no_wait_and_no_attempt_begins_that_would_pass_the_deadline() {
    let plan =
        Plan::of("m: a").always("a", error(503, "busy")).settings("num_retries: 20, max_request_duration: 5");
    let (world, answer) = plan.ask().await;
    assert!(answer.took <= ms(5_000), "{:?}", answer.took);
    assert_eq!(answer.status, 503, "the upstream's answer, not our clock: {}", answer.text());
    assert!(world.calls("a") > 2);
}

#[tokio::test(start_paused = true)]
async fn the_timeout_of_a_request_may_be_longer_than_that_of_the_deployment() {
    let plan = Plan::of("m: a").says("a", [(ms(900), said("a"))]).params("a", "timeout: 0.5");
    let world = plan.settings("num_retries: 0").start();
    assert_eq!(world.ask(json!({})).await.status, 408);
    assert_eq!(world.ask(json!({"timeout": 2})).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_connect_timeout_is_retried_elsewhere_and_named_when_there_is_no_other() {
    let plan = Plan::of("m: a b").params("a", "order: 1").says("a", [(ms(5_000), Act::NoConnection)]);
    let (_, answer) = plan.settings("num_retries: 0").ask().await;
    assert_eq!((answer.by(), answer.took), (Some("b"), ms(5_000)));
    let plan = Plan::of("m: a").says("a", [(ms(5_000), Act::NoConnection)]).settings("num_retries: 0");
    let (_, answer) = plan.ask().await;
    assert_eq!((answer.status, answer.code().as_str()), (408, "connect_timeout"));
}
