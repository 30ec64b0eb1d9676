//! Property tests of retries over random backends.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
struct Script {
    backends: Vec<(Vec<Outcome>, bool)>,
    retries: u32,
    deadline: Option<u64>,
    most: Option<u32>,
    takes: u64,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let class = prop_oneof![
        3 => prop::sample::select(vec![DOWN, NEVER_SENT, LIMITED, DENIED, Outcome::new(Class::Timeout)]),
        1 => prop::sample::select(vec![GOOD, Outcome::new(Class::Caller)]),
    ];
    (class, prop::option::of(0u64..4_000))
        .prop_map(|(outcome, after)| outcome.with_retry_after(after.map(Duration::from_millis)))
}

fn script() -> impl Strategy<Value = Script> {
    let backend = (prop::collection::vec(outcome(), 0..8), prop::bool::weighted(0.1));
    let backends = prop::collection::vec(backend, 1..6);
    let deadline = prop::option::of(0u64..8_000);
    (backends, 0u32..5, deadline, prop::option::of(1u32..6), 0u64..1_000).prop_map(
        |(backends, retries, deadline, most, takes)| Script { backends, retries, deadline, most, takes },
    )
}

async fn play(script: Script) {
    let far = Instant::now() + 1_000_000 * SECOND;
    let mut group = Group::of::<0>([]);
    group.backends = script
        .backends
        .iter()
        .map(|(outcomes, full)| Backend { full: full.then_some(far), ..Backend::of(outcomes) })
        .collect();
    group.takes = Duration::from_millis(script.takes);
    let deadline = script.deadline.map(|ms| Instant::now() + Duration::from_millis(ms));
    let budget = Budget::default();
    let layer = RetryLayer::new(script.retries, classify)
        .with_attempts(attempts)
        .with_budget(budget.clone())
        .with_deadline(Constant(deadline))
        .with_max_attempts(Constant(script.most));
    let ask = Ask::default();
    let answer = group.ask(&layer, &ask).await;

    let calls = group.calls();
    let open = script.backends.iter().filter(|(_, full)| !full).count();
    // Every call but the first is a retry, or a free repeat on an untried endpoint.
    assert!(calls.len() <= 1 + script.retries as usize + open.saturating_sub(1));
    assert!(script.most.is_none_or(|most| calls.len() <= most as usize));
    // No endpoint twice while an untried one has capacity.
    let mut distinct = calls.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < open {
        assert_eq!(distinct.len(), calls.len());
    }
    for (n, (_, when)) in lock(&group.log).iter().enumerate() {
        // Paused time is exact to a millisecond.
        let late = deadline.is_some_and(|deadline| group.start + *when > deadline + Duration::from_millis(2));
        assert!(n == 0 || !late, "a repeat after the deadline");
    }
    match calls.last() {
        Some(last) => assert_eq!(answer.0, Some(*last), "the last real answer"),
        None => assert_eq!(answer, Answer(None, REFUSED)),
    }
    let repeats = calls.len().saturating_sub(1) as u64;
    assert_eq!(budget.counts(), Counts { deposits: 1, withdrawals: repeats, refused: 0 });
    assert_eq!(ask.take_directive(), Directive::Any);
}

proptest! {
    #[test]
    fn retries_keep_to_their_limits_and_return_the_last_response_of_a_backend(script in script()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(script));
    }
}
