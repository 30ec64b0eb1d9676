//! `early_heartbeat`: a client that waits for the first content receives comments, and behind them nothing changes.

use std::time::Duration;

use http::HeaderMap;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::time::Instant;
use tollgate::upstream::ScriptStep;

use super::world::{Act, Plan, World, error, ms, now, said, with_header};

const HEARTBEAT: &str = ": heartbeat\n\n";
const EVENTS: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// A good stream.
fn stream() -> Act {
    Act::Stream(vec![ScriptStep::Data(EVENTS.into())])
}

/// A stream as it arrived.
struct Arrived {
    status: u16,
    headers: HeaderMap,
    /// The time of the head, and of each frame with its text.
    head: Duration,
    frames: Vec<(Duration, String)>,
}

impl Arrived {
    fn text(&self) -> String {
        self.frames.iter().map(|(_, text)| text.as_str()).collect()
    }

    fn times(&self) -> Vec<u64> {
        self.frames.iter().map(|(at, _)| u64::try_from(at.as_millis()).unwrap()).collect()
    }

    /// Returns the error object of the only event that follows `heartbeats` comments.
    fn error(&self, heartbeats: usize) -> Value {
        let text = self.text();
        let event =
            text.strip_prefix(&HEARTBEAT.repeat(heartbeats)).and_then(|rest| rest.strip_prefix("data: "));
        let event = event.and_then(|rest| rest.strip_suffix("\n\n")).unwrap_or_else(|| panic!("{text:?}"));
        assert!(!event.contains('\n'), "one event, and no [DONE]: {text:?}");
        serde_json::from_str::<Value>(event).unwrap()["error"].clone()
    }
}

async fn ask(world: &World) -> Arrived {
    let start = Instant::now();
    let response = world.open(json!({"stream": true}), &[("x-litellm-call-id", "mine")]).await;
    let (head, mut body) = response.into_parts();
    let mut arrived = Arrived {
        status: head.status.as_u16(),
        headers: head.headers,
        head: start.elapsed(),
        frames: Vec::new(),
    };
    while let Some(frame) = body.frame().await {
        let text = String::from_utf8(frame.unwrap().into_data().unwrap().into()).unwrap();
        arrived.frames.push((start.elapsed(), text));
    }
    arrived
}

fn counted(world: &World, lines: &[&str]) {
    let metrics = world.metrics();
    for line in lines {
        assert!(metrics.lines().any(|other| other == *line), "{line}: {metrics}");
    }
}

#[tokio::test(start_paused = true)]
async fn heartbeats_fill_the_wait_for_a_slow_stream_and_then_it_passes_unchanged() {
    let plan = Plan::of("m: a").says("a", [(ms(35_000), stream())]).settings("early_heartbeat: 10");
    let world = plan.start();
    let arrived = ask(&world).await;
    assert_eq!((arrived.status, arrived.head), (200, ms(10_000)));
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("x-accel-buffering", "no"),
        ("x-litellm-call-id", "mine"),
    ] {
        assert_eq!(arrived.headers[name], value);
    }
    assert_eq!(arrived.headers.len(), 4, "{:?}", arrived.headers);
    assert_eq!(arrived.times(), [10_000, 20_000, 30_000, 35_000]);
    assert_eq!(arrived.text(), HEARTBEAT.repeat(3) + EVENTS);
    counted(
        &world,
        &[
            "tollgate_requests_total{operation=\"chat\",status=\"200\",class=\"success\"} 1",
            "tollgate_requests_in_flight 0",
            "tollgate_requests_duration_seconds_sum{result=\"success\"} 35",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_shows_signs_of_life_but_no_content_has_heartbeats_too() {
    let ping = || ScriptStep::Data(": ping\n\n".into());
    let role = ScriptStep::Data(
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n".into(),
    );
    let steps = vec![
        ping(),
        ScriptStep::Wait(ms(7_000)),
        role,
        ScriptStep::Wait(ms(7_000)),
        ping(),
        ScriptStep::Data(EVENTS.into()),
    ];
    let plan = Plan::of("m: a").always("a", Act::Stream(steps)).settings("early_heartbeat: 5");
    let arrived = ask(&plan.start()).await;
    assert_eq!((arrived.head, arrived.times()[..3].to_vec()), (ms(5_000), vec![5_000, 10_000, 14_000]));
    let text = arrived.text();
    assert!(text.starts_with(&(HEARTBEAT.repeat(2) + ": ping\n\n")) && text.ends_with(EVENTS), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_before_the_first_heartbeat_is_answered_as_without_it() {
    let heartbeat = "early_heartbeat: 10, num_retries: 0";
    let world = Plan::of("m: a").says("a", [(ms(9_000), stream())]).settings(heartbeat).start();
    let arrived = ask(&world).await;
    assert_eq!((arrived.head, arrived.text()), (ms(9_000), EVENTS.to_owned()));
    assert_eq!(arrived.headers["x-litellm-model-id"], "a");
    let world = Plan::of("m: a").says("a", [(ms(9_000), error(503, "busy"))]).settings(heartbeat).start();
    let answer = world.ask(json!({"stream": true})).await;
    assert_eq!((answer.status, &*answer.code()), (503, "busy"));
    // However short it is: refusals of the gateway need no time.
    let world = Plan::of("m: a").settings("early_heartbeat: 0.001").start();
    for (more, status) in [(json!({"model": "none"}), 404), (json!({"num_retries": "two"}), 400)] {
        let mut more = more;
        more["stream"] = true.into();
        assert_eq!(world.ask(more).await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_not_a_stream_has_no_heartbeats() {
    let plan = Plan::of("m: a").says("a", [(ms(60_000), said("late"))]).settings("early_heartbeat: 1");
    let answer = plan.start().ask(json!({"stream": false})).await;
    assert_eq!((answer.by(), answer.took), (Some("a"), ms(60_000)));
    assert!(answer.text().contains("late") && !answer.text().contains("heartbeat"), "{}", answer.text());
}

#[tokio::test(start_paused = true)]
async fn an_error_after_a_heartbeat_is_the_only_event_and_counts_as_what_it_is() {
    let held = with_header(error(429, "limited"), "retry-after", 3);
    let html = Act::Say(500, Vec::new(), "<html>\n<p>down</p></html>".into());
    let table = [
        ("", error(503, "busy"), "busy", "unavailable"),
        ("", held, "limited", "rate_limited"),
        ("", error(400, "bad"), "bad", "caller"),
        ("", html, "", "unavailable"),
        ("", Act::Break, "upstream_unreachable", "unavailable"),
        (", timeout: 6", Act::Hang, "attempt_timeout", "timeout"),
        (", stream_timeout: 6", Act::Hang, "first_content_timeout", "timeout"),
        (", max_request_duration: 6", Act::Hang, "deadline", "timeout"),
        ("", Act::Panic, "internal_error", "unavailable"),
        ("", Act::Stream(vec![ScriptStep::Data("data: [DONE]\n\n".into())]), "empty_answer", "unavailable"),
    ];
    for (settings, act, code, class) in table {
        let settings = format!("early_heartbeat: 5, num_retries: 0{settings}");
        let world = Plan::of("m: a").says("a", [(ms(6_000), act.clone())]).settings(&settings).start();
        let arrived = ask(&world).await;
        assert_eq!((arrived.status, arrived.head, &*arrived.times()), (200, ms(5_000), &[5_000, 6_000][..]));
        let error = arrived.error(1);
        assert_eq!(error["code"].as_str().unwrap_or_default(), code, "{act:?}: {error}");
        assert!(!error["message"].as_str().unwrap().is_empty() && error["type"].is_string(), "{error}");
        let total =
            format!("tollgate_requests_total{{operation=\"chat\",status=\"200\",class=\"{class}\"}} 1");
        counted(
            &world,
            &[&total, "tollgate_requests_in_flight 0", "tollgate_requests_first_content_seconds_count 0"],
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_capacity_after_a_heartbeat_is_an_event_too() {
    let plan = Plan::of("m: a").params("a", "max_parallel_requests: 1").always("a", Act::Hang);
    let world = plan.settings("early_heartbeat: 1, queue_timeout: 2, num_retries: 0").start();
    let first = tokio::spawn({
        let world = world.clone();
        async move { ask(&world).await.frames.len() }
    });
    while world.calls("a") == 0 {
        tokio::task::yield_now().await;
    }
    // How long the first will take is not known: the second waits in the queue.
    let arrived = ask(&world).await;
    assert_eq!(arrived.error(arrived.frames.len() - 1)["code"], "rate_limit_exceeded");
    first.abort();
}

#[tokio::test(start_paused = true)]
async fn retries_and_fallbacks_go_on_behind_the_heartbeats() {
    let plan = Plan::of("m: a b; n: c").params("a", "order: 1").always("a", Act::Hang);
    let plan = plan.says("b", [(ms(3_000), error(500, "broken"))]).says("c", [(ms(4_000), stream())]);
    let settings = "early_heartbeat: 10, timeout: 15, num_retries: 1, fallbacks: [{m: [n]}]";
    let world = plan.settings(settings).start();
    let arrived = ask(&world).await;
    assert_eq!(world.order(), "a b c");
    assert_eq!(arrived.text(), HEARTBEAT.repeat(2) + EVENTS);
    assert_eq!(arrived.times(), [10_000, 20_000, 22_000]);
    counted(
        &world,
        &[
            "tollgate_requests_total{operation=\"chat\",status=\"200\",class=\"success\"} 1",
            "tollgate_group_requests_total{group=\"m\",operation=\"chat\",status=\"500\",class=\"unavailable\"} 1",
            "tollgate_deployment_attempts_total{group=\"m\",deployment=\"a\",operation=\"chat\",status=\"none\",class=\"timeout\"} 1",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_after_heartbeats_and_content_ends_as_any_other() {
    let content = EVENTS.split_once("data: [DONE]").unwrap().0.replace("\"stop\"", "null");
    let steps = vec![ScriptStep::Data(content.clone().into()), ScriptStep::Cut];
    let plan = Plan::of("m: a").says("a", [(ms(6_000), Act::Stream(steps))]).settings("early_heartbeat: 5");
    let text = ask(&plan.start()).await.text();
    let rest = text.strip_prefix(&(HEARTBEAT.to_owned() + &content)).unwrap_or_else(|| panic!("{text}"));
    assert!(rest.starts_with("data: {\"error\"") && rest.contains("stream_cut"), "{text}");
    assert!(!rest.contains("[DONE]"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_disconnects_between_heartbeats_cancels_the_call() {
    let plan = Plan::of("m: a").params("a", "max_parallel_requests: 1");
    let plan = plan.says("a", [now(Act::Hang), now(stream())]);
    let world = plan.settings("early_heartbeat: 5, max_in_flight: 1").start();
    let mut response = world.open(json!({"stream": true}), &[]).await;
    assert_eq!(response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), HEARTBEAT);
    assert_eq!(world.open(json!({"stream": true}), &[]).await.status(), 503, "its permit is held");
    drop(response);
    counted(
        &world,
        &[
            "tollgate_requests_total{operation=\"chat\",status=\"none\",class=\"cancelled\"} 1",
            "tollgate_deployment_attempts_total{group=\"m\",deployment=\"a\",operation=\"chat\",status=\"none\",class=\"cancelled\"} 1",
            "tollgate_deployment_attempts_in_flight{group=\"m\",deployment=\"a\"} 0",
        ],
    );
    assert_eq!(ask(&world).await.text(), EVENTS, "its permit and its slot are free again");
}

#[tokio::test(start_paused = true)]
async fn an_early_stream_holds_its_permit_until_its_end() {
    let mut steps = vec![ScriptStep::Data(
        EVENTS.split_once("data: [DONE]").unwrap().0.replace("\"stop\"", "null").into(),
    )];
    steps.extend([ScriptStep::Wait(ms(5_000)), ScriptStep::Data(EVENTS.into())]);
    let plan = Plan::of("m: a").says("a", [(ms(6_000), Act::Stream(steps))]);
    let world = plan.settings("early_heartbeat: 5, max_in_flight: 1").start();
    let mut response = world.open(json!({"stream": true}), &[]).await;
    for text in [HEARTBEAT, "word"] {
        let frame = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(std::str::from_utf8(&frame).unwrap().contains(text));
    }
    assert_eq!(world.open(json!({"stream": true}), &[]).await.status(), 503);
    drop(response.into_body().collect().await.unwrap());
    assert_eq!(world.open(json!({"stream": true}), &[]).await.status(), 200);
}
