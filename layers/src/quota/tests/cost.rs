//! Tests of the token limit when estimated and actual costs differ.

use proptest::prelude::*;
use tokio::time::advance;

use super::*;
use crate::quota::state::{Charge, MeterState};

/// Makes one call with this estimate and this usage.
fn call(meters: &Meters, estimate: u64, used: u64) {
    let held = meters.take(estimate).spend().expect("a reservation");
    held.complete(&Outcome::new(Class::Success).with_used(Some(used)));
}

/// Returns the number of calls with this estimate that can begin together.
fn together(meters: &Meters, estimate: u64) -> usize {
    let held: Vec<_> = std::iter::from_fn(|| begin(meters, estimate)).take(1_000).collect();
    held.len()
}

#[tokio::test(start_paused = true)]
async fn a_wrong_estimate_of_one_call_does_not_make_the_token_limit_lenient() {
    for estimate in [1_000, 128_000, u64::MAX] {
        let meters = Meters::new(tokens(1_000));
        call(&meters, estimate, 3);
        let admitted = together(&meters, 100);
        assert!((9..=10).contains(&admitted), "{admitted} after an estimate of {estimate}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_absurd_usage_of_one_call_closes_the_token_limit_for_a_minute_and_not_for_longer() {
    for used in [1_000_000, u64::from(u32::MAX), u64::MAX] {
        let meters = Meters::new(tokens(1_000));
        call(&meters, 100, used);
        assert_eq!(together(&meters, 1), 0, "{used}");
        advance(secs(61)).await;
        let admitted = together(&meters, 100);
        assert!((8..=10).contains(&admitted), "{admitted} after a usage of {used}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reservation_is_at_most_the_token_limit() {
    let meters = Meters::new(tokens(1_000));
    for _ in 0..100 {
        call(&meters, 100, 2_000);
    }
    advance(secs(61)).await;
    let _held = begin(&meters, 500).expect("an empty minute");
    assert_eq!(meters.snapshot().reserved, 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_learned_cost_is_forgotten_after_two_minutes() {
    for (estimate, used) in [(1_000, 10), (10, 1_000)] {
        let meters = Meters::new(tokens(100_000));
        for _ in 0..100 {
            call(&meters, estimate, used);
        }
        advance(secs(120)).await;
        let _held = begin(&meters, 100).expect("an empty minute");
        assert!((90..=110).contains(&meters.snapshot().reserved), "{:?}", meters.snapshot());
    }
}

const LIMIT: u64 = 1_000;

/// A call of the property test. Times are in milliseconds.
#[derive(Clone, Debug)]
struct Planned {
    wait: u64,
    estimate: u64,
    used: u64,
    takes: u64,
    /// The class of the outcome; `None`: the client goes away.
    class: Option<Class>,
}

struct Admitted {
    at: u64,
    reserved: u64,
    used: u64,
}

fn planned() -> impl Strategy<Value = Planned> {
    let amount = || prop_oneof![0u64..300, 0u64..3_000, Just(128_000), Just(u64::MAX)];
    let class = prop_oneof![
        8 => Just(Some(Class::Success)),
        1 => Just(Some(Class::RateLimited)),
        1 => Just(None)
    ];
    let wait = prop_oneof![Just(0u64), 0u64..2_000, 0u64..70_000];
    (wait, amount(), amount(), 0u64..90_000, class).prop_map(|(wait, estimate, used, takes, class)| Planned {
        wait,
        estimate,
        used,
        takes,
        class,
    })
}

/// Runs the calls that are admitted, and returns them.
fn admitted(calls: &[Planned]) -> Vec<Admitted> {
    let mut state = MeterState::new(tokens(LIMIT));
    let (mut now, mut admitted) = (0, Vec::new());
    let mut pending: Vec<(u64, Charge, &Planned)> = Vec::new();
    for call in calls {
        now += call.wait;
        pending.sort_by_key(|(ends, ..)| std::cmp::Reverse(*ends));
        while let Some((ends, charge, call)) = pending.pop_if(|(ends, ..)| *ends <= now) {
            match call.class {
                Some(class) => {
                    state.completed(&charge, &Outcome::new(class).with_used(Some(call.used)), ends);
                }
                None => state.finished(&charge),
            }
        }
        if state.check(call.estimate.into(), now).is_ok() {
            let before = state.snapshot(now).reserved;
            let charge = state.take(call.estimate.into(), now);
            let reserved = state.snapshot(now).reserved - before;
            assert!(reserved <= LIMIT, "{reserved} reserved");
            admitted.push(Admitted { at: now, reserved, used: call.used });
            pending.push((now + call.takes, charge, call));
        }
    }
    admitted
}

proptest! {
    #[test]
    fn the_tokens_of_any_minute_exceed_the_limit_only_by_what_was_not_known(
        calls in prop::collection::vec(planned(), 1..200),
    ) {
        let admitted = admitted(&calls);
        for (first, call) in admitted.iter().enumerate() {
            let minute = admitted[first..].iter().take_while(|other| other.at - call.at < 60_000);
            let (used, unknown) = minute.fold((0u128, 0u128), |(used, unknown), other| {
                (used + u128::from(other.used), unknown + u128::from(other.used.saturating_sub(other.reserved)))
            });
            prop_assert!(used <= u128::from(LIMIT) + unknown, "{used} used from {} ms on", call.at);
        }
    }
}
