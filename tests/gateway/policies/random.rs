//! Whatever goes wrong, in whatever order: what holds for every request.

use std::{collections::BTreeSet, time::Duration};

use fastrand::Rng;

use crate::support::{
    answers as say,
    case::{Case, World, hangs_up},
    client::Answer,
    reply::{Part, Reply},
};

const GROUPS: [(&str, [&str; 3]); 3] =
    [("m", ["a", "b", "c"]), ("n", ["d", "e", "f"]), ("o", ["g", "h", "i"])];

/// The random parameters of one run.
struct Throw {
    seed: u64,
    /// The number of deployments of each group.
    sizes: [usize; 3],
    retries: usize,
    max_attempts: Option<usize>,
}

impl Throw {
    fn new(seed: u64) -> (Self, Case) {
        let mut dice = Rng::with_seed(seed);
        let sizes = [dice.usize(1..=3), dice.usize(1..=3), dice.usize(1..=3)];
        let retries = dice.usize(0..=3);
        let max_attempts = dice.bool().then(|| dice.usize(1..=4));
        let named = |((group, names), size): (&(&str, [&str; 3]), &usize)| {
            format!("{group}: {}", names[..*size].join(" "))
        };
        let groups: Vec<_> = GROUPS.iter().zip(&sizes).map(named).collect();
        let bound = max_attempts.map_or_else(String::new, |n| format!(", max_attempts: {n}"));
        let mut case = Case::of(&groups.join("; ")).router(&format!(
            "num_retries: {retries}, timeout: 0.4, max_request_duration: 4, queue_timeout: 0.5, \
             fallbacks: [{{m: [n]}}, {{n: [o, m]}}, {{o: [m]}}]{bound}"
        ));
        for name in GROUPS.iter().zip(&sizes).flat_map(|((_, names), size)| &names[..*size]) {
            let script: Vec<_> = (0..dice.usize(1..=3)).map(|_| fault(&mut dice, name)).collect();
            case = case.says(name, script);
        }
        (Self { seed, sizes, retries, max_attempts }, case)
    }
}

fn fault(dice: &mut Rng, name: &str) -> Reply {
    match dice.u8(0..14) {
        0 => say::bad_request(),
        1 => say::context_window(),
        2 => say::unauthorized(),
        3 => say::rate_limited("30"),
        4 => say::azure_rate_limited(200),
        5 => hangs_up(),
        6 => Reply::nothing(Part::Reset),
        7 => say::silence(),
        8 => say::bad_gateway(),
        9 => say::tgi_too_long(),
        10 => say::chat(name),
        11 => say::unavailable(),
        _ => say::server_error(),
    }
}

/// Deployments are tried once each before one is tried again, and no more often than was asked for.
fn attempts_are_bounded(throw: &Throw, world: &World) {
    let order = world.order();
    let order: Vec<_> = order.split_whitespace().collect();
    for ((group, names), size) in GROUPS.iter().zip(&throw.sizes) {
        let here: Vec<_> = order.iter().filter(|name| names.contains(name)).collect();
        let first: BTreeSet<_> = here.iter().take(*size).collect();
        assert_eq!(
            first.len(),
            here.len().min(*size),
            "seed {}: {group} repeats itself: {order:?}",
            throw.seed
        );
        // An attempt that was refused for its rate, or that never arrived, moves on for free, once per deployment.
        assert!(here.len() <= 1 + throw.retries + size, "seed {}: {group} in {order:?}", throw.seed);
    }
    let bound = throw.max_attempts.unwrap_or(usize::MAX);
    assert!(order.len() <= bound, "seed {}: more than {bound}: {order:?}", throw.seed);
}

/// The client sees what an upstream said, or one of our own errors, in time.
fn the_answer_is_honest(throw: &Throw, answer: &Answer) {
    let text = answer.text();
    let status = answer.status.as_u16();
    let known = [
        say::bad_request(),
        say::context_window(),
        say::unauthorized(),
        say::rate_limited("30"),
        say::azure_rate_limited(200),
        say::bad_gateway(),
        say::tgi_too_long(),
        say::unavailable(),
        say::server_error(),
    ];
    let theirs = known.iter().any(|reply| reply.body() == answer.body);
    if status == 200 {
        assert_eq!(answer.header("x-litellm-model-id"), Some(answer.said().as_str()), "seed {}", throw.seed);
    } else if !theirs {
        assert!(matches!(status, 408 | 429 | 500 | 502 | 503 | 504), "seed {}: {status} {text}", throw.seed);
        answer.error(status);
    }
    assert!(!text.contains("127.0.0.1") && !text.contains("sk-a"), "seed {}: {text}", throw.seed);
    assert!(answer.took < Duration::from_millis(4600), "seed {}: {:?}", throw.seed, answer.took);
}

#[tokio::test]
async fn every_request_over_random_faults_is_bounded_and_answered_honestly() {
    let mut broken = Vec::new();
    // Four at a time: the machine that runs this has other tests to run.
    for batch in 0..8 {
        let mut running = tokio::task::JoinSet::new();
        for seed in batch * 4..batch * 4 + 4 {
            running.spawn(async move {
                let (throw, case) = Throw::new(seed);
                let asked = case.ask().await;
                attempts_are_bounded(&throw, &asked.world);
                the_answer_is_honest(&throw, &asked.answer);
            });
        }
        while let Some(ended) = running.join_next().await {
            let panic = ended.err().map(tokio::task::JoinError::into_panic);
            broken.extend(panic.map(|told| told.downcast_ref::<String>().cloned().unwrap_or_default()));
        }
    }
    assert!(broken.is_empty(), "{} of 32:\n{}", broken.len(), broken.join("\n"));
}
