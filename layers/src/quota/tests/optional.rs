//! Tests of the limits by direction and per day.

use super::*;
use crate::quota::{Cost, DailyLimits};

const HOUR: Duration = Duration::from_secs(3_600);

/// Returns meters with limits per day, the first of which ends in an hour.
fn daily(requests: Option<u64>, tokens: Option<u64>) -> Meters {
    let daily = Some(DailyLimits { requests, tokens, begins: Instant::now() + HOUR });
    Meters::new(Limits { daily, ..Limits::default() })
}

/// Makes a call of this cost that uses so much input and output.
fn call(meters: &Meters, cost: Cost, (input, output): (u64, u64)) {
    let held = meters.reserve(cost, Instant::now()).expect("there is room").spend();
    let outcome = Outcome::new(Class::Success).with_used(Some(input + output)).with_used_output(Some(output));
    held.expect("a guard").complete(&outcome);
}

#[tokio::test(start_paused = true)]
async fn the_requests_of_a_day_end_at_its_reset_and_begin_again() {
    let meters = daily(Some(3), None);
    assert_eq!(burst(&meters, 10), 3, "the whole day may be used at once");
    let start = Instant::now();
    for ends in [start + HOUR, start + 25 * HOUR, start + 49 * HOUR] {
        let full = meters.check(1, Instant::now()).expect_err("full");
        assert_eq!((full.until, full.reason), (ends, NoCapacityReason::RateLimit));
        assert_eq!(meters.slots(1, Horizon::certain(Instant::now(), ends - ms(1))), 0);
        assert_eq!(meters.slots(1, Horizon::certain(Instant::now(), ends)), 3);
        advance(ends - Instant::now() - ms(1)).await;
        assert_eq!(burst(&meters, 10), 0);
        advance(ms(1)).await;
        assert_eq!(burst(&meters, 10), 3);
    }
    advance(71 * HOUR).await;
    assert_eq!(burst(&meters, 10), 3, "after days without a call");
    assert_eq!(meters.snapshot().daily_requests, 3);
}

#[tokio::test(start_paused = true)]
async fn the_tokens_of_a_day_are_settled_on_the_day_of_their_call() {
    let meters = daily(None, Some(1_000));
    call(&meters, 600.into(), (50, 50));
    assert_eq!(meters.snapshot().daily_tokens, 100);
    let late = meters.reserve(1_000, Instant::now()).expect_err("more than is left");
    assert_eq!((late.reason, late.until), (NoCapacityReason::Cost, Instant::now() + HOUR));
    let held = begin(&meters, 500).expect("there is room");
    advance(2 * HOUR).await;
    let used = Outcome::new(Class::Success).with_used(Some(900));
    held.complete(&used);
    assert_eq!(meters.snapshot().daily_tokens, 0, "they belong to the day before");
    assert!(meters.check(5_000, Instant::now()).is_ok(), "a call above the limit goes alone");
    drop(meters.reserve(900, Instant::now()).expect("room"));
    let snapshot = meters.snapshot();
    assert_eq!((snapshot.daily_tokens, snapshot.day_ends), (0, Some(23 * HOUR)), "refunded");
}

#[tokio::test(start_paused = true)]
async fn input_and_output_have_limits_of_their_own() {
    let limits = || Limits { input_tokens: Some(1_000), output_tokens: Some(100), ..Limits::default() };
    let meters = Meters::new(limits());
    let cost = |input, output| Cost { input, output };
    call(&meters, cost(900, 50), (400, 40));
    let snapshot = meters.snapshot();
    assert_eq!((snapshot.input_tokens, snapshot.output_tokens), (400, 40));
    assert!(meters.check(cost(10, 10), Instant::now()).is_ok());
    for full in [cost(5_000, 1), cost(1, 5_000)] {
        let refused = meters.check(full, Instant::now()).expect_err("full");
        assert_eq!(refused.reason, NoCapacityReason::Cost);
        assert!(refused.until > Instant::now() + secs(59), "{refused:?}");
    }
    let held = meters.reserve(cost(1, 1), Instant::now()).expect("room").spend().expect("a guard");
    held.complete(&Outcome::new(Class::Unavailable).never_sent());
    assert_eq!(meters.snapshot().output_tokens, 40, "refunded");
    meters.set_limits(Limits { output_tokens: Some(40), ..limits() });
    assert!(meters.check(cost(1, 40), Instant::now()).is_err(), "the usage stays");
    meters.set_limits(Limits::default());
    assert!(meters.check(cost(5_000, 5_000), Instant::now()).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_new_limit_per_day_keeps_the_usage_of_the_day() {
    let meters = daily(Some(3), None);
    let begins = Instant::now() + HOUR;
    assert_eq!(burst(&meters, 2), 2);
    let daily = Some(DailyLimits { requests: Some(4), tokens: None, begins });
    meters.set_limits(Limits { daily, ..Limits::default() });
    assert_eq!(burst(&meters, 10), 2);
    advance(HOUR).await;
    assert_eq!(burst(&meters, 10), 4);
}
