//! Tests of the meters.

mod corrections;
mod cost;
mod optional;

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::{Instant, advance};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::{Accounting, Limits, Meters, QuotaGuard, QuotaLayer, RateWindow};
use crate::{
    BoxError, Class, Endpoint, OnComplete, Outcome,
    endpoint::{Horizon, NoCapacityReason},
    outcome::ReportedLimit,
    testing::Strict,
};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn requests(limit: u64) -> Limits {
    Limits { requests: Some(limit), ..Limits::default() }
}

fn tokens(limit: u64) -> Limits {
    Limits { tokens: Some(limit), ..Limits::default() }
}

/// Makes a call that has begun, if there is room.
fn begin(meters: &Meters, cost: u64) -> Option<QuotaGuard> {
    meters.reserve(cost, Instant::now()).ok().and_then(super::reservation::Reservation::spend)
}

/// Returns the number of calls, of at most `most`, that are admitted at this instant. Each succeeds at once.
fn burst(meters: &Meters, most: usize) -> usize {
    (0..most)
        .filter(|_| begin(meters, 1).map(|held| held.complete(&Outcome::new(Class::Success))).is_some())
        .count()
}

fn refuse(meters: &Meters, after: Option<Duration>) {
    let held = begin(meters, 1).expect("there is room");
    held.complete(&Outcome::new(Class::RateLimited).with_retry_after(after));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_calls_at_one_instant_get_exactly_the_limit() {
    for limit in [1, 2, 6, 100, 127, 128, 255, 256, 257, 600, 999] {
        let meters = Meters::new(Limits { window: Some(RateWindow::S60), ..requests(limit) });
        assert_eq!(burst(&meters, 1_000) as u64, limit);
        advance(secs(60)).await;
        assert_eq!(burst(&meters, 1_000), 0, "the minute is lengthened for jitter on the way");
        advance(ms(200)).await;
        assert_eq!(burst(&meters, 1_000) as u64, limit);
    }
}

#[tokio::test(start_paused = true)]
async fn six_a_minute_admits_six_together_and_then_each_as_its_slot_frees() {
    let meters = Meters::new(requests(6));
    assert_eq!(burst(&meters, 3), 3);
    advance(secs(10)).await;
    assert_eq!(burst(&meters, 10), 3);
    let until = meters.check(1, Instant::now()).expect_err("full");
    assert_eq!(until.reason, NoCapacityReason::RateLimit);
    tokio::time::sleep_until(until.until).await;
    assert_eq!(burst(&meters, 10), 3);
    advance(secs(10)).await;
    assert_eq!(burst(&meters, 10), 3);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_no_capacity_is_when_there_is_capacity_and_not_before() {
    for limits in
        [requests(6), requests(600), Limits { window: Some(RateWindow::S1), ..requests(600) }, tokens(60)]
    {
        let meters = Meters::new(limits);
        for _ in 0..300 {
            let Err(until) = meters.check(1, Instant::now()).map(|_| burst(&meters, 1)) else { continue };
            advance(until.until.duration_since(Instant::now()) - ms(1)).await;
            assert!(meters.check(1, Instant::now()).is_err(), "too late: {until:?}");
            advance(ms(1)).await;
            assert!(meters.check(1, Instant::now()).is_ok(), "too early: {until:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_holds_ten_seconds_and_refills_evenly() {
    let meters = Meters::new(requests(600));
    assert_eq!(burst(&meters, 1_000), 100);
    advance(secs(1)).await;
    assert_eq!(burst(&meters, 1_000), 10);
    let mut sum = 110;
    for _ in 0..590 {
        advance(ms(100)).await;
        sum += burst(&meters, 1_000);
    }
    assert!((595..=600).contains(&sum), "{sum}");
}

#[tokio::test(start_paused = true)]
async fn a_spent_burst_is_not_followed_by_a_blackout_every_minute() {
    let meters = Meters::new(requests(600));
    let mut most = 0;
    for tick in 0..3_000 {
        let admitted = burst(&meters, 1_000);
        // After the first minute no tenth of a second admits more than a slot of the ring holds.
        if tick > 610 {
            most = most.max(admitted);
        }
        advance(ms(100)).await;
    }
    assert!(most <= 10, "{most}");
}

#[tokio::test(start_paused = true)]
async fn the_first_refusal_teaches_the_window_and_clean_minutes_unteach_it() {
    let meters = Meters::new(requests(600));
    advance(secs(60)).await;
    assert_eq!(burst(&meters, 20), 20);
    refuse(&meters, Some(secs(1)));
    assert_eq!(meters.snapshot().window, Some(RateWindow::S1));
    advance(secs(5)).await;
    assert_eq!(burst(&meters, 100), 10);
    advance(ms(1_023)).await;
    assert_eq!(burst(&meters, 100), 10);

    advance(secs(600)).await;
    assert_eq!(meters.snapshot().window, Some(RateWindow::S10));
    advance(secs(600)).await;
    assert_eq!(meters.snapshot().window, None);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_ten_busy_seconds_teaches_ten_and_a_second_one_teaches_one() {
    let meters = Meters::new(requests(600));
    assert_eq!(burst(&meters, 100), 100);
    advance(ms(300)).await;
    let late = begin(&meters, 1).expect("refilled");
    refuse(&meters, Some(ms(100)));
    assert_eq!(meters.snapshot().window, Some(RateWindow::S10));
    // It was under way when the lesson was learned.
    late.complete(&Outcome::new(Class::RateLimited).with_retry_after(Some(ms(100))));
    assert_eq!(meters.snapshot().window, Some(RateWindow::S10));
    advance(secs(11)).await;
    refuse(&meters, Some(ms(100)));
    assert_eq!(meters.snapshot().window, Some(RateWindow::S1));
}

#[tokio::test(start_paused = true)]
async fn a_pinned_window_learns_nothing() {
    let meters = Meters::new(Limits { window: Some(RateWindow::S60), ..requests(600) });
    refuse(&meters, Some(secs(1)));
    assert_eq!(meters.snapshot().window, Some(RateWindow::S60));
}

#[tokio::test(start_paused = true)]
async fn a_server_hold_closes_for_exactly_the_time_of_retry_after() {
    let meters = Meters::new(requests(600));
    refuse(&meters, Some(ms(2_500)));
    let until = meters.check(1, Instant::now()).expect_err("closed");
    assert_eq!(
        (until.reason, until.until.duration_since(Instant::now())),
        (NoCapacityReason::ServerHold, ms(2_500))
    );
    advance(ms(2_499)).await;
    assert!(meters.check(1, Instant::now()).is_err());
    advance(ms(1)).await;
    assert!(meters.check(1, Instant::now()).is_ok());
    refuse(&meters, Some(secs(100_000)));
    assert_eq!(meters.snapshot().closed_for, Some(secs(3_600)), "a hold lasts an hour at most");
}

#[tokio::test(start_paused = true)]
async fn a_server_hold_of_more_than_a_minute_is_only_avoided_after_the_minute() {
    for named in [secs(61), secs(600), secs(100_000), Duration::MAX] {
        let meters = Meters::new(requests(600));
        refuse(&meters, Some(named));
        let (until, end) = (Instant::now() + secs(60), Instant::now() + named.min(secs(3_600)));
        let full = meters.check(1, Instant::now()).expect_err("closed");
        assert_eq!((full.reason, full.until), (NoCapacityReason::ServerHold, until));
        assert_eq!(meters.slots(1, Horizon::likely(Instant::now(), until - ms(1))), 0);
        advance(secs(60)).await;
        assert_eq!(meters.check(1, Instant::now()).expect("open").held_until, Some(end), "{named:?}");
        assert!(meters.reserve(1, Instant::now()).is_ok());
        advance(end - Instant::now()).await;
        assert_eq!(meters.check(1, Instant::now()).expect("open").held_until, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_without_a_time_closes_longer_each_time_until_a_success() {
    let meters = Meters::new(requests(60_000));
    for closed in [1, 2, 4, 5, 5] {
        refuse(&meters, None);
        assert_eq!(meters.snapshot().closed_for, Some(secs(closed)));
        advance(secs(closed)).await;
    }
    assert_eq!(burst(&meters, 1), 1);
    let together = [begin(&meters, 1), begin(&meters, 1)];
    advance(ms(10)).await;
    for held in together.into_iter().flatten() {
        held.complete(&Outcome::new(Class::RateLimited));
        assert_eq!(meters.snapshot().closed_for, Some(secs(1)), "calls that are refused together count once");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_settled_to_the_reported_usage_or_stay_as_estimated() {
    for (settle, left) in [(Accounting::Actual, 40), (Accounting::Estimated, 1_000)] {
        let meters = Meters::new(Limits { settle, ..tokens(10_000) });
        let held = begin(&meters, 1_000).expect("room");
        assert_eq!((meters.snapshot().tokens, meters.snapshot().reserved), (1_000, 1_000));
        held.complete(&Outcome::new(Class::Success).with_used(Some(40)));
        assert_eq!((meters.snapshot().tokens, meters.snapshot().reserved), (left, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_charge_that_is_settled_after_its_minute_does_not_change_other_charges() {
    let meters = Meters::new(Limits { tokens: Some(100), window: Some(RateWindow::S60), ..requests(2) });
    let (long, lost) = (begin(&meters, 40).expect("room"), begin(&meters, 40).expect("room"));
    advance(secs(61)).await;
    drop(begin(&meters, 100).expect("room"));
    long.complete(&Outcome::new(Class::Success).with_used(Some(1)));
    lost.complete(&Outcome::new(Class::Unavailable).never_sent());
    assert_eq!((meters.snapshot().requests, meters.snapshot().tokens), (1, 100));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_teaches_that_tokens_are_counted_when_the_answer_is_done() {
    for (taught, kept) in [(false, 0), (true, 300)] {
        let meters = Meters::new(tokens(1_000));
        begin(&meters, 600).expect("room").complete(&Outcome::new(Class::Success).with_used(Some(600)));
        if taught {
            refuse(&meters, Some(secs(1)));
            advance(secs(1)).await;
        }
        let held = begin(&meters, 300).expect("room");
        advance(secs(20)).await;
        held.complete(&Outcome::new(Class::Success).with_used(Some(300)));
        advance(secs(42)).await;
        assert_eq!(meters.snapshot().tokens, kept, "a minute after it was sent, not after it was done");
        advance(secs(20)).await;
        assert_eq!(meters.snapshot().tokens, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_charge_of_an_unsent_call_is_refunded_and_of_a_refused_or_cancelled_one_is_not() {
    let meters = Meters::new(Limits { in_flight: Some(1), tokens: Some(1_000), ..requests(100) });
    let spent = || (meters.snapshot().requests, meters.snapshot().tokens, meters.snapshot().in_flight);
    drop(meters.reserve(7, Instant::now()));
    assert_eq!(spent(), (0, 0, 0));
    begin(&meters, 7).expect("room").complete(&Outcome::new(Class::Unavailable).never_sent());
    assert_eq!(spent(), (0, 0, 0));
    begin(&meters, 7)
        .expect("room")
        .complete(&Outcome::new(Class::RateLimited).with_retry_after(Some(ms(1))));
    assert_eq!(spent(), (1, 7, 0));
    advance(secs(10)).await;
    drop(begin(&meters, 7).expect("room"));
    assert_eq!(spent(), (2, 14, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_costlier_than_the_limit_goes_alone_when_the_minute_is_empty() {
    let meters = Meters::new(tokens(1_000));
    drop(begin(&meters, 1));
    let until = meters.check(5_000, Instant::now()).expect_err("not alone");
    tokio::time::sleep_until(until.until).await;
    drop(begin(&meters, 5_000).expect("alone"));
    assert!(meters.check(1, Instant::now()).is_err());
}

#[tokio::test(start_paused = true)]
async fn estimates_are_corrected_by_what_was_billed() {
    let meters = Meters::new(tokens(1_000_000));
    for _ in 0..200 {
        begin(&meters, 100).expect("room").complete(&Outcome::new(Class::Success).with_used(Some(250)));
    }
    let _held = begin(&meters, 1_000).expect("room");
    assert_eq!(meters.snapshot().reserved, 2_500);
}

#[tokio::test(start_paused = true)]
async fn answers_lower_a_limit_and_never_raise_it_above_the_given() {
    let told = |limit| ReportedLimit { limit: Some(limit), ..ReportedLimit::default() };
    let meters = Meters::new(requests(100));
    for (seen, holds) in [(60, 60), (500, 100), (80, 80)] {
        let outcome = Outcome::new(Class::Success).with_reported(told(seen), ReportedLimit::default());
        begin(&meters, 1).expect("room").complete(&outcome);
        assert_eq!(meters.snapshot().request_limit, Some(holds));
    }
    let unlimited = Meters::new(Limits::default());
    begin(&unlimited, 1)
        .expect("room")
        .complete(&Outcome::new(Class::Success).with_reported(told(30), told(9_000)));
    assert_eq!(
        (unlimited.snapshot().request_limit, unlimited.snapshot().token_limit),
        (Some(30), Some(9_000))
    );
}

#[tokio::test(start_paused = true)]
async fn the_reported_remaining_quota_is_a_cap_until_its_reset() {
    let meters = Meters::new(Limits { window: Some(RateWindow::S60), ..requests(60) });
    let seen = ReportedLimit { limit: None, remaining: Some(2), reset: Some(secs(10)) };
    begin(&meters, 1)
        .expect("room")
        .complete(&Outcome::new(Class::Success).with_reported(seen, ReportedLimit::default()));
    assert_eq!(burst(&meters, 100), 2, "another client uses the same key");
    advance(secs(1)).await;
    assert_eq!(burst(&meters, 100), 1);
    advance(secs(10)).await;
    assert_eq!(burst(&meters, 100), 56);
}

#[tokio::test(start_paused = true)]
async fn passes_the_contract_and_a_clone_holds_nothing() {
    let meters = Meters::new(Limits { in_flight: Some(1), ..Limits::default() });
    let classify = |_: Result<&u8, &BoxError>| Outcome::new(Class::Success);
    let inner = Strict::new(service_fn(|n: u8| async move { Ok::<_, BoxError>(n) }));
    let mut quota = QuotaLayer::new(meters.clone(), classify).layer(inner);
    for n in 0..3 {
        let score = quota.score(&n, Instant::now()).expect("room");
        quota.reserve(&n, &score, Instant::now()).expect("room");
        let copy = quota.clone();
        assert_eq!(meters.snapshot().in_flight, 1);
        drop(copy);
        assert_eq!(meters.snapshot().in_flight, 1);
        assert_eq!(quota.ready().await.expect("ready").call(n).await.expect("answered"), n);
        assert_eq!(meters.snapshot().in_flight, 0);
    }
}

/// Returns true if the admitted calls, given by time and cost, exceed the limit in some window: the reference for the meter.
fn exceeds(admitted: &[(u64, u64)], limit: u64, window: u64) -> bool {
    admitted.iter().enumerate().any(|(i, (end, _))| {
        let within = admitted[..=i].iter().rev().take_while(|(at, _)| at + window > *end);
        within.map(|(_, cost)| cost).sum::<u64>() > limit
    })
}

fn run(limits: Limits, gaps: &[(u64, u64)]) -> (Vec<(u64, u64)>, Meters) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let (meters, began, mut admitted) = (Meters::new(limits), Instant::now(), Vec::new());
        for (gap, cost) in gaps {
            advance(Duration::from_micros(*gap)).await;
            if let Some(held) = begin(&meters, *cost) {
                admitted.push((u64::try_from(began.elapsed().as_micros()).expect("small"), *cost));
                drop(held);
            }
        }
        (admitted, meters)
    })
}

const MINUTE: u64 = 60_000_000;

proptest! {
    // Each case is minutes of traffic.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn never_more_requests_than_the_limit_in_any_minute(
        limit in 1_u64..400,
        pin in prop::sample::select(vec![None, Some(RateWindow::S1), Some(RateWindow::S10), Some(RateWindow::S60)]),
        gaps in prop::collection::vec((0_u64..400_000, 1_u64..2), 1..1_500),
    ) {
        let (admitted, meters) = run(Limits { window: pin, ..requests(limit) }, &gaps);
        prop_assert!(!exceeds(&admitted, limit, MINUTE));
        if let Some(window) = pin {
            let share = (limit * window.millis() / 60_000).max(1);
            prop_assert!(!exceeds(&admitted, share, window.millis() * 1_000));
        }
        prop_assert!(meters.snapshot().requests <= limit);
    }

    #[test]
    fn never_more_tokens_than_the_limit_in_any_minute(
        gaps in prop::collection::vec((0_u64..400_000, 1_u64..200), 1..1_500),
    ) {
        let (admitted, meters) = run(tokens(2_000), &gaps);
        prop_assert!(!exceeds(&admitted, 2_000, MINUTE));
        prop_assert_eq!((meters.snapshot().reserved, meters.snapshot().in_flight), (0, 0));
    }

    #[test]
    fn at_most_one_part_in_a_hundred_of_a_busy_minute_is_lost(limit in 1_u64..2_000) {
        let gaps = vec![(10_000, 1); 30_000];
        let (admitted, _) = run(Limits { window: Some(RateWindow::S60), ..requests(limit) }, &gaps);
        // Five minutes: five times the limit, but for the lengthening and one slot of the ring in each.
        prop_assert!(admitted.len() as f64 >= 4.95 * limit as f64, "{} of {}", admitted.len(), 5 * limit);
    }
}

#[tokio::test(start_paused = true)]
async fn numbers_without_bounds_are_counted_without_overflow() {
    for window in [None, Some(RateWindow::S1), Some(RateWindow::S10), Some(RateWindow::S60)] {
        let limits = Limits { requests: Some(u64::MAX), tokens: Some(u64::MAX), window, ..Limits::default() };
        let meters = Meters::new(limits);
        let one = begin(&meters, u64::MAX).expect("the minute is empty");
        let two = meters.take(u64::MAX);
        let now = Instant::now();
        assert!(meters.slots(1, crate::endpoint::Horizon::likely(now, now + secs(600))) > 1);
        one.complete(&Outcome::new(Class::Success).with_used(Some(u64::MAX)));
        drop(two);
        assert_eq!(meters.snapshot().in_flight, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_limits_reported_by_one_of_many_backends_do_not_hold_for_the_others() {
    let meters = Meters::new(Limits { learns: false, window: Some(RateWindow::S60), ..requests(10) });
    let gone = ReportedLimit { limit: Some(1), remaining: Some(0), reset: Some(secs(30)) };
    let refused = Outcome::new(Class::RateLimited).with_reported(gone, gone);
    for after in [Some(secs(30)), None] {
        begin(&meters, 1).expect("room").complete(&refused.with_retry_after(after));
        assert_eq!(meters.snapshot().closed_for, None);
    }
    assert_eq!(burst(&meters, 20), 8, "what was given is kept");
}
