//! The sixteen scenarios of a public failover benchmark, written anew: what a client sees of a primary that fails in
//! each of the known ways, with two retries, a timeout and one fallback.
//!
//! Times are a tenth of theirs. Each scenario ends in one of four verdicts: *pass*, all that was to be had; *partial*,
//! an answer, but not the best; *safe*, a clear error; *fail*, anything that lies, hangs or breaks the limits.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    answers as say,
    case::{Case, World},
    client::{Over, Stream},
    reply::{Part, Reply},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Pass,
    Partial,
    Safe,
    Fail,
}

use Verdict::{Fail, Partial, Pass, Safe};

/// The whole of the answer, in sixty words.
fn canonical() -> Vec<String> {
    (1..=60).map(|n| format!("word{n} ")).collect()
}

fn words(range: std::ops::Range<usize>) -> Reply {
    let all = canonical();
    let part: Vec<&str> = all[range].iter().map(String::as_str).collect();
    say::words(&part)
}

fn whole() -> Reply {
    say::role().and(words(0..60)).and(say::finish()).and(say::usage()).and(say::done())
}

/// A fallback that knows what an assistant's last message is for; its words come under its own name.
fn goes_on(call: &crate::support::upstream::Call) -> Reply {
    let json = call.json();
    let last = json["messages"].as_array().and_then(|messages| messages.last().cloned()).unwrap();
    let said = if last["role"] == "assistant" { last["content"].as_str().unwrap_or_default() } else { "" };
    let from = said.split_whitespace().count();
    named(say::role().and(words(from..60)).and(say::finish()).and(say::usage()).and(say::done()))
}

/// Returns the reply with the name of another model.
fn named(reply: Reply) -> Reply {
    let text = String::from_utf8(reply.body()).unwrap().replace("gpt-3.5-turbo-0125", "the-fallback");
    Reply::events(text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")))
}

/// The response that one client received.
struct Seen {
    stream: Stream,
    over: Over,
    took: Duration,
}

impl Seen {
    /// All of the answer, with its end and its usage.
    fn is_whole(&self) -> bool {
        let text = self.stream.text();
        let ended = text.contains("\"finish_reason\":\"stop\"") && text.ends_with("data: [DONE]\n\n");
        self.stream.status == 200
            && self.over == Over::Cleanly
            && ended
            && self.stream.said() == canonical().concat()
    }

    fn has_usage(&self) -> bool {
        self.stream.text().contains("\"total_tokens\"")
    }

    fn is_of_the_fallback(&self) -> bool {
        self.stream.text().contains("the-fallback")
    }

    /// An error that nobody can take for an answer.
    fn is_clear(&self) -> bool {
        let text = self.stream.text();
        let told = text.contains("\"error\"") && text.contains("\"message\"");
        let status = self.stream.status.as_u16();
        told && !text.contains("[DONE]")
            && !text.contains("\"finish_reason\":\"stop\"")
            && (status == 200 || status >= 400)
    }

    /// Returns the verdict, for a client that needs only the whole response.
    fn verdict(&self) -> Verdict {
        if self.is_whole() {
            Pass
        } else if self.is_clear() {
            Safe
        } else {
            Fail
        }
    }
}

/// Returns the configuration of all scenarios.
fn case(continued: bool) -> Case {
    let settings = "num_retries: 2, request_timeout: 3, fallbacks: [{m: [f]}], \
                    context_window_fallbacks: [{m: [f]}], content_policy_fallbacks: []";
    let midstream = if continued { ", midstream_fallback: continue" } else { "" };
    let router = format!(
        "retry_policy: {{TimeoutErrorRetries: 0}}, stream_timeout: 1, stream_idle_timeout: 1.2, cooldown_time: 0.5{midstream}"
    );
    Case::of("m: p; f: q").settings(settings).router(&router)
}

async fn start(continued: bool, primary: impl IntoIterator<Item = Reply>) -> World {
    let world = case(continued).says("p", primary).start().await;
    world.upstream("q").thinks(goes_on);
    world
}

async fn ask(world: &World) -> Seen {
    let start = Instant::now();
    let mut stream = world.gateway.stream("m", json!({"stream_options": {"include_usage": true}})).await;
    let over = stream.rest().await;
    Seen { stream, over, took: start.elapsed() }
}

/// Converts seconds of failoverbench: a tenth.
const fn theirs(seconds: u64) -> Duration {
    Duration::from_millis(seconds * 100)
}

/// Returns true if the primary was called at most `most` times within the first `within`.
fn few(world: &World, most: usize, within: Duration) -> bool {
    let calls = world.upstream("p").calls();
    let Some(first) = calls.first().map(|call| call.at) else { return true };
    calls.iter().filter(|call| call.at.duration_since(first) < within).count() <= most
}

/// A whole answer of somebody's, and limits that hold; else what it is otherwise.
fn within(seen: &Seen, limits: bool) -> Verdict {
    if limits { seen.verdict() } else { Fail }
}

/// 429 with two seconds to wait: not tried again before, and served.
async fn s01(continued: bool) -> Verdict {
    let world = start(continued, [say::rate_limited("2"), whole()]).await;
    let seen = ask(&world).await;
    let calls = world.upstream("p").calls();
    // What the server asked for is not scaled.
    let early = calls.len() > 1 && calls[1].at.duration_since(calls[0].at) < Duration::from_millis(1_800);
    match within(&seen, !early) {
        Pass if seen.is_of_the_fallback() => Partial,
        other => other,
    }
}

/// Refused for good: few tries, then the fallback, under its own name and with its usage.
async fn refused(continued: bool, refusal: Reply) -> Verdict {
    let world = start(continued, [refusal]).await;
    let seen = ask(&world).await;
    let limits = few(&world, 4, Duration::from_secs(3)) && world.calls("p") <= 6;
    match within(&seen, limits) {
        Pass if !seen.is_of_the_fallback() || !seen.has_usage() => Partial,
        other => other,
    }
}

/// A fault that is over at the second try.
async fn once(continued: bool, fault: Reply) -> Verdict {
    let world = start(continued, [fault, whole()]).await;
    let seen = ask(&world).await;
    match within(&seen, world.calls("p") <= 2) {
        Pass if seen.is_of_the_fallback() => Partial,
        other => other,
    }
}

/// Silence, and it is not waited for twice for ever.
async fn s06(continued: bool) -> Verdict {
    let world = start(continued, [say::silence()]).await;
    let seen = ask(&world).await;
    within(&seen, seen.took < theirs(100))
}

/// The first word comes after twenty seconds; by then somebody else should have answered.
async fn s07(continued: bool) -> Verdict {
    let world = start(continued, [whole().after(theirs(20))]).await;
    let seen = ask(&world).await;
    match seen.verdict() {
        Pass if seen.took > theirs(15) => Partial,
        other => other,
    }
}

/// Cut after forty of sixty words.
async fn s08(continued: bool) -> Verdict {
    let world = start(continued, [say::role().and(words(0..40)).then(Part::Cut)]).await;
    ask(&world).await.verdict()
}

/// Half an answer, then nothing for thirty seconds; the gateway lives on.
async fn s09(continued: bool) -> Verdict {
    let stalled = say::role().and(words(0..30)).then(Part::Wait(theirs(30))).and(words(30..60));
    let world =
        start(continued, [stalled.and(say::finish()).and(say::usage()).and(say::done()), whole()]).await;
    let seen = ask(&world).await;
    let again = ask(&world).await;
    within(&seen, seen.took < theirs(45) && again.is_whole())
}

/// An event that is not JSON.
async fn s10(continued: bool) -> Verdict {
    let bad = Reply::events(["{\"choices\":[{\"delta\":{\"conte"]);
    let script = say::role().and(words(0..30)).and(bad).and(words(30..60));
    let world = start(continued, [script.and(say::finish()).and(say::usage()).and(say::done())]).await;
    ask(&world).await.verdict()
}

/// All of it, but no `[DONE]`.
async fn s11(continued: bool) -> Verdict {
    let script = say::role().and(words(0..60)).and(say::finish()).and(say::usage());
    let world = start(continued, [script]).await;
    let seen = ask(&world).await;
    within(&seen, seen.took < theirs(8) && seen.has_usage())
}

/// Too long for the primary: one try, then the group that is there for this.
async fn s12(continued: bool) -> Verdict {
    let world = start(continued, [say::context_window()]).await;
    let seen = ask(&world).await;
    within(&seen, world.calls("p") == 1)
}

/// The filter's refusal: one try, and the refusal as it is.
async fn s13(continued: bool) -> Verdict {
    let world = start(continued, [say::azure_content_filter()]).await;
    let seen = ask(&world).await;
    let text = seen.stream.text();
    match seen.verdict() {
        Pass => Partial,
        Safe if world.calls("p q") == 1 && seen.stream.status == 400 && text.contains("content_filter") => {
            Pass
        }
        other => other,
    }
}

/// Cut in the middle, and the fallback refuses to go on for another.
async fn s14(continued: bool) -> Verdict {
    let refusal = "This model does not support assistant message prefill.";
    let refuses = move |call: &crate::support::upstream::Call| {
        let prefilled = call.json()["messages"].as_array().unwrap().iter().any(|m| m["role"] == "assistant");
        if prefilled { say::error(400, "invalid_request_error", None, refusal) } else { named(whole()) }
    };
    let cut = say::role().and(words(0..40)).then(Part::Cut);
    let world = start(continued, [cut]).await;
    world.upstream("q").thinks(refuses);
    let seen = ask(&world).await;
    if seen.stream.text().contains("prefill") { Fail } else { seen.verdict() }
}

/// The primary is away for half of the time: everybody is served, it is found again soon, and nobody who asks costs it
/// more than the retries that the configuration allows.
async fn s15(continued: bool) -> Verdict {
    let world = start(continued, [say::unavailable()]).await;
    let (start, away) = (Instant::now(), theirs(30));
    let (mut served, mut asked_away, mut calls_away, mut again) = (0, 0, 0, None);
    for n in 0..15_u32 {
        tokio::time::sleep_until(start + theirs(4) * n).await;
        let is_back = start.elapsed() >= away;
        if is_back && calls_away == 0 {
            calls_away = world.calls("p");
            world.upstream("p").becomes(whole());
        }
        let seen = ask(&world).await;
        served += usize::from(seen.is_whole());
        asked_away += usize::from(!is_back);
        if is_back && again.is_none() && !seen.is_of_the_fallback() {
            again = Some(start.elapsed() - away);
        }
    }
    println!("S15 served {served}, back after {again:?}; while away {asked_away} asked, {calls_away} calls");
    match (served, again) {
        (15, Some(after)) if after <= theirs(30) && calls_away <= 3 * asked_away => Pass,
        (15, _) => Partial,
        _ => Fail,
    }
}

/// Refused with the wish to be left alone for a while: the fallback meanwhile.
async fn s16(continued: bool) -> Verdict {
    // A tenth, as all that is theirs; it is obeyed before each of the two retries.
    refused(continued, say::unavailable().header("retry-after", 3)).await
}

type Table = Vec<(&'static str, &'static str, Verdict)>;

/// Notes how long one takes; all run at once.
async fn timed(
    name: &'static str,
    what: &'static str,
    one: impl Future<Output = Verdict>,
) -> (&'static str, &'static str, Verdict) {
    let start = Instant::now();
    let verdict = one.await;
    println!("{name} {what:<52} {verdict:?} in {:.1} s", start.elapsed().as_secs_f32());
    (name, what, verdict)
}

async fn run(c: bool) -> Table {
    let (limited, down, reset) =
        (say::rate_limited_without_a_time(), say::unavailable(), Reply::nothing(Part::Reset));
    let (one, two, three, four) = tokio::join!(
        timed("S01", "429 with Retry-After: 2, once", s01(c)),
        timed("S02", "429 for good", refused(c, limited)),
        timed("S03", "500 once", once(c, say::server_error())),
        timed("S04", "503 for good", refused(c, down)),
    );
    let (five, six, seven, eight) = tokio::join!(
        timed("S05", "connection reset before the head, once", once(c, reset)),
        timed("S06", "silence", s06(c)),
        timed("S07", "first token after 20 s", s07(c)),
        timed("S08", "cut after 40 of 60 tokens", s08(c)),
    );
    let (nine, ten, eleven, twelve) = tokio::join!(
        timed("S09", "stall of 30 s in the middle", s09(c)),
        timed("S10", "one event that is no JSON", s10(c)),
        timed("S11", "no [DONE]", s11(c)),
        timed("S12", "prompt longer than the context window", s12(c)),
    );
    let (thirteen, fourteen, fifteen, sixteen) = tokio::join!(
        timed("S13", "content filter", s13(c)),
        timed("S14", "cut, and the fallback refuses an assistant prefix", s14(c)),
        timed("S15", "primary away for 30 of 60 s", s15(c)),
        timed("S16", "503 with Retry-After: 30, for good", s16(c)),
    );
    vec![
        one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen,
        fifteen, sixteen,
    ]
}

fn count(table: &Table, verdict: Verdict) -> usize {
    table.iter().filter(|(_, _, found)| *found == verdict).count()
}

#[tokio::test]
async fn failover_scenarios_by_default_have_no_failure_and_thirteen_passes() {
    let table = Box::pin(run(false)).await;
    assert_eq!((count(&table, Fail), count(&table, Partial)), (0, 0), "{table:#?}");
    assert!(count(&table, Pass) >= 13, "{table:#?}");
}

#[tokio::test]
async fn failover_scenarios_with_continuation_have_no_failure_and_fifteen_passes() {
    let table = Box::pin(run(true)).await;
    assert_eq!((count(&table, Fail), count(&table, Partial)), (0, 0), "{table:#?}");
    assert!(count(&table, Pass) >= 15, "{table:#?}");
}
