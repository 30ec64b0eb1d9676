//! Random failure scripts: what holds for every request, whatever goes wrong in whatever order.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use fastrand::Rng;
use serde_json::json;
use tokio::task::JoinSet;

use super::world::{Act, Answer, Plan, Reply, Seen, World, error, ms, said, with_header};

/// The number of scripts that each test runs, with a few sequential requests and some with a few concurrent ones.
const SCRIPTS: u64 = 500;
const DEADLINE: Duration = Duration::from_secs(20);

const GROUPS: [(&str, [&str; 3]); 3] =
    [("m", ["a", "b", "c"]), ("n", ["d", "e", "f"]), ("o", ["g", "h", "i"])];

/// The random parameters of one run.
struct Throw {
    seed: u64,
    sizes: [usize; 3],
    retries: usize,
    cap: usize,
}

impl Throw {
    fn new(seed: u64) -> (Self, Plan) {
        let mut dice = Rng::with_seed(seed);
        let sizes = [0; 3].map(|_| dice.usize(1..=3));
        let retries = dice.usize(0..=3);
        let max_attempts = dice.bool().then(|| dice.usize(1..=4));
        let groups = GROUPS.iter().zip(sizes);
        let named = groups.clone().map(|((group, ids), size)| format!("{group}: {}", ids[..size].join(" ")));
        let bound = max_attempts.map_or_else(String::new, |most| format!(", max_attempts: {most}"));
        let mut plan = Plan::of(&named.collect::<Vec<_>>().join("; ")).settings(&format!(
            "num_retries: {retries}, timeout: 2, max_request_duration: {}, allowed_fails: {}, \
             fallbacks: [{{m: [n]}}, {{n: [o, m]}}, {{o: [m]}}]{bound}",
            DEADLINE.as_secs(),
            dice.usize(0..4),
        ));
        for id in groups.flat_map(|((_, ids), size)| &ids[..size]) {
            let script: Vec<_> = (0..dice.usize(1..=4)).map(|_| reply(&mut dice, id)).collect();
            plan = plan.says(id, script);
            if dice.u8(0..4) == 0 {
                plan = plan.params(id, &format!("order: {}", dice.u8(1..3)));
            }
        }
        let all = (1 + retries) * 6;
        (Self { seed, sizes, retries, cap: max_attempts.map_or(all, |most| most.min(all)) }, plan)
    }
}

fn reply(dice: &mut Rng, id: &str) -> Reply {
    let limited = || error(429, "rate_limit_exceeded");
    let act = match dice.u8(0..16) {
        0 => error(400, "bad"),
        1 => error(400, "context_length_exceeded"),
        2 => error(401, "invalid_api_key"),
        3 => with_header(limited(), "retry-after", 30),
        4 => with_header(limited(), "retry-after-ms", 200),
        5 => limited(),
        6 => Act::Break,
        7 => Act::Refuse,
        8 => Act::Hang,
        9 => Act::Say(502, Vec::new(), "<html>bad gateway</html>".into()),
        10 => error(400, "content_policy_violation"),
        11 => error(429, "insufficient_quota"),
        12 | 13 => said(id),
        14 => error(503, "busy"),
        _ => error(500, "down"),
    };
    (ms([0, 0, 20, 700][dice.usize(0..4)]), act)
}

/// Attempts are bounded, and none is made twice at one deployment while another of its group is untried.
fn attempts_are_bounded(throw: &Throw, seen: &[Seen]) {
    let Throw { seed, sizes, retries, cap } = throw;
    let order: Vec<_> = seen.iter().map(|seen| &*seen.id).collect();
    assert!(order.len() <= *cap, "seed {seed}: more than {cap}: {order:?}");
    for ((group, ids), size) in GROUPS.iter().zip(sizes) {
        let here: Vec<_> = order.iter().filter(|id| ids.contains(id)).collect();
        // Moving on from one that refused, or that was never reached, is free: once per deployment.
        assert!(here.len() <= 1 + retries + size, "seed {seed}: {group} in {order:?}");
    }
}

/// The first request finds all of them open: nobody is asked twice while another is untried.
fn nobody_is_asked_twice_before_all_were_asked_once(throw: &Throw, seen: &[Seen]) {
    let order: Vec<_> = seen.iter().map(|seen| &*seen.id).collect();
    for ((_, ids), size) in GROUPS.iter().zip(throw.sizes) {
        let here: Vec<_> = order.iter().filter(|id| ids.contains(id)).collect();
        let first: BTreeSet<_> = here.iter().take(size).collect();
        assert_eq!(first.len(), here.len().min(size), "seed {}: {order:?}", throw.seed);
    }
}

/// The client sees what an upstream said, or one of our documented errors, in time.
fn the_answer_is_honest(throw: &Throw, answer: &Answer) {
    let (seed, text, code) = (throw.seed, answer.text(), answer.code());
    let theirs = match answer.status {
        200 => text.contains("chat.completion"),
        400 => ["bad", "context_length_exceeded", "content_policy_violation"].contains(&&*code),
        401 => code == "upstream_unauthorized" && text.contains("invalid_api_key"),
        429 => ["rate_limit_exceeded", "insufficient_quota"].contains(&&*code),
        500 => code == "down",
        502 => text == "<html>bad gateway</html>",
        503 => code == "busy",
        _ => false,
    };
    let ours = match answer.status {
        408 => ["attempt_timeout", "deadline"].contains(&&*code),
        429 => code == "rate_limit_exceeded" && answer.header("retry-after").is_some(),
        502 => code == "upstream_unreachable",
        _ => false,
    };
    assert!(theirs || ours, "seed {seed}: {} {text}", answer.status);
    assert!(answer.took <= DEADLINE + ms(50), "seed {seed}: {:?}", answer.took);
    assert!(!text.contains(".test") && !text.contains("sk-"), "seed {seed}: {text}");
    let good = answer.status == 200;
    assert!(
        good || answer.header("retry-after").is_some() || answer.header("x-should-retry") == Some("false")
    );
}

async fn every_request_keeps_the_promises(first: u64) {
    let mut ends = HashMap::<u16, usize>::new();
    for seed in first..first + SCRIPTS {
        let (throw, plan) = Throw::new(seed);
        let world = plan.start();
        for n in 0..3 {
            let before = world.seen().len();
            let answer = world.ask(json!({})).await;
            let seen = &world.seen()[before..];
            attempts_are_bounded(&throw, seen);
            if n == 0 {
                nobody_is_asked_twice_before_all_were_asked_once(&throw, seen);
            }
            the_answer_is_honest(&throw, &answer);
            *ends.entry(answer.status).or_default() += 1;
        }
        if seed.is_multiple_of(4) {
            together(&throw, &world).await;
        }
    }
    // The dice must have thrown all of it.
    for status in [200, 400, 401, 408, 429, 500, 502, 503] {
        assert!(ends.contains_key(&status), "never {status}: {ends:?}");
    }
}

async fn together(throw: &Throw, world: &World) {
    let (mut asked, before) = (JoinSet::new(), world.seen().len());
    for _ in 0..5 {
        let world = world.clone();
        asked.spawn(async move { world.ask(json!({})).await });
    }
    asked.join_all().await.iter().for_each(|answer| the_answer_is_honest(throw, answer));
    assert!(world.seen().len() - before <= 5 * throw.cap, "seed {}", throw.seed);
}

// Four tests, so that they run side by side.

#[tokio::test(start_paused = true)]
async fn random_scripts_keep_every_promise_1_of_4() {
    every_request_keeps_the_promises(0).await;
}

#[tokio::test(start_paused = true)]
async fn random_scripts_keep_every_promise_2_of_4() {
    every_request_keeps_the_promises(SCRIPTS).await;
}

#[tokio::test(start_paused = true)]
async fn random_scripts_keep_every_promise_3_of_4() {
    every_request_keeps_the_promises(2 * SCRIPTS).await;
}

#[tokio::test(start_paused = true)]
async fn random_scripts_keep_every_promise_4_of_4() {
    every_request_keeps_the_promises(3 * SCRIPTS).await;
}
