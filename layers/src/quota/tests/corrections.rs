//! Tests of refunds and corrections when a call completes.

use super::*;
use crate::endpoint::Horizon;

/// An answer that says how many tokens are left, and how many were billed.
fn left(tokens: u64, used: u64) -> Outcome {
    let seen = ReportedLimit { limit: None, remaining: Some(tokens), reset: Some(secs(30)) };
    Outcome::new(Class::Success).with_used(Some(used)).with_reported(ReportedLimit::default(), seen)
}

#[tokio::test(start_paused = true)]
async fn charges_of_other_calls_lower_the_reported_remaining_quota_whatever_the_call_cost() {
    for used in [200, 4_000, 9_000] {
        let meters = Meters::new(tokens(100_000));
        let mine = begin(&meters, 4_000).expect("room");
        let _others = begin(&meters, 5_000).expect("room");
        mine.complete(&left(20_000, used));
        // 5,000 of those 20,000 may have gone since. The call has corrected the costs of later calls.
        let factor = 1.0 + (used as f64 / 4_000.0 - 1.0) / 20.0;
        let check = |tokens: f64| meters.check((tokens / factor) as u64, Instant::now()).is_ok();
        assert_eq!((check(14_900.0), check(15_100.0)), (true, false), "{used}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_began_before_there_was_a_limit_take_nothing_back_from_others() {
    let meters = Meters::new(Limits::default());
    let before: Vec<_> = (0..10).map(|_| begin(&meters, 4_000).expect("no limit")).collect();
    let told = ReportedLimit { limit: Some(100_000), ..ReportedLimit::default() };
    begin(&meters, 1).expect("room").complete(&Outcome::new(Class::Success).with_reported(told, told));
    advance(ms(10)).await;
    let _filed = begin(&meters, 60_000).expect("room");
    let (requests, tokens) = (meters.snapshot().requests, meters.snapshot().tokens);
    for (held, sent) in before.into_iter().zip([true, false].into_iter().cycle()) {
        let outcome = Outcome::new(Class::Success).with_used(Some(4_000));
        held.complete(&if sent { outcome } else { Outcome::new(Class::Unavailable).never_sent() });
    }
    assert_eq!((meters.snapshot().requests, meters.snapshot().tokens), (requests, tokens));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_call_that_began_before_the_refusal_does_not_shorten_the_next_guess() {
    let meters = Meters::new(requests(1_000_000));
    for guess in [1, 2, 4] {
        let old = begin(&meters, 1).expect("room");
        advance(ms(1)).await;
        refuse(&meters, None);
        assert_eq!(meters.snapshot().closed_for, Some(secs(guess)));
        old.complete(&Outcome::new(Class::Success));
        advance(secs(guess)).await;
    }
    begin(&meters, 1).expect("room").complete(&Outcome::new(Class::Success));
    refuse(&meters, None);
    assert_eq!(meters.snapshot().closed_for, Some(secs(1)));
}

#[tokio::test(start_paused = true)]
async fn unsent_calls_do_not_make_the_sliding_window_inexact() {
    let meters = Meters::new(Limits { window: Some(RateWindow::S60), ..requests(60) });
    for _ in 0..300 {
        begin(&meters, 1).expect("room").complete(&Outcome::new(Class::Unavailable).never_sent());
        advance(ms(60)).await;
    }
    for _ in 0..30 {
        assert_eq!(burst(&meters, 1), 1);
        advance(secs(1)).await;
    }
    assert_eq!(burst(&meters, 100), 30);
    // The first of them leaves a minute after it came, and not with the last.
    advance(secs(30) + ms(200)).await;
    assert_eq!(burst(&meters, 100), 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_of_many_in_flight_is_thought_to_end_the_sooner_the_more_they_are() {
    let meters = Meters::new(Limits { in_flight: Some(20), ..Limits::default() });
    let full = || {
        let until = meters.check(1, Instant::now()).expect_err("full");
        assert_eq!(until.reason, NoCapacityReason::InFlight);
        until.until.duration_since(Instant::now())
    };
    let twenty = || (0..20).filter_map(|_| begin(&meters, 1)).collect::<Vec<_>>();
    let held = twenty();
    assert_eq!(full(), ms(50), "one takes a second, before any has ended");
    advance(secs(10)).await;
    held.into_iter().for_each(|held| held.complete(&Outcome::new(Class::Success)));
    let _held = twenty();
    assert_eq!(full(), ms(500));
    // In two seconds four will have ended as likely as not, and none surely.
    let now = Instant::now();
    let by = now + secs(2);
    assert_eq!(
        (meters.slots(1, Horizon::likely(now, by)), meters.slots(1, Horizon::certain(now, by))),
        (4, 0)
    );
    assert_eq!(meters.slots(1, Horizon::certain(now, now + secs(10))), 20);
}

#[tokio::test(start_paused = true)]
async fn a_call_with_an_estimate_of_zero_is_charged_although_others_were_not_sent() {
    let meters = Meters::new(tokens(1_000));
    let free = begin(&meters, 0).expect("room");
    advance(secs(1)).await;
    begin(&meters, 100).expect("room").complete(&Outcome::new(Class::Unavailable).never_sent());
    free.complete(&Outcome::new(Class::Success).with_used(Some(50)));
    assert_eq!(meters.snapshot().tokens, 50);
}

#[tokio::test(start_paused = true)]
async fn replaced_limits_hold_for_the_usage_recorded_before() {
    let given = Limits { requests: Some(4), tokens: Some(1_000), in_flight: Some(9), ..Limits::default() };
    let meters = Meters::new(given.clone());
    let held: Vec<_> = (0..4).map(|_| begin(&meters, 100).expect("room")).collect();
    assert!(begin(&meters, 100).is_none(), "four are used");
    let check = |more: Limits, cost: u64| {
        meters.set_limits(more);
        meters.check(cost, Instant::now()).map_err(|until| until.reason).err()
    };
    let twelve = Limits { requests: Some(12), ..given };
    assert_eq!(check(Limits { longest_guess: secs(9), ..twelve.clone() }, 100), None);
    assert_eq!((meters.snapshot().requests, meters.snapshot().tokens), (4, 400));
    assert_eq!(check(Limits { tokens: Some(450), ..twelve.clone() }, 100), Some(NoCapacityReason::Cost));
    assert_eq!(check(Limits { in_flight: Some(4), ..twelve.clone() }, 100), Some(NoCapacityReason::InFlight));
    assert_eq!(check(Limits { requests: Some(3), ..twelve.clone() }, 100), Some(NoCapacityReason::RateLimit));
    assert_eq!(
        check(Limits { window: Some(RateWindow::S1), ..twelve.clone() }, 100),
        Some(NoCapacityReason::RateLimit)
    );
    assert_eq!(check(Limits { window: Some(RateWindow::S60), ..twelve }, 100), None);
    drop(held);
    assert_eq!(check(Limits::default(), 1_000_000), None, "no limit, nothing to keep");
}

#[tokio::test(start_paused = true)]
async fn a_server_hold_stays_when_limits_are_replaced() {
    let meters = Meters::new(requests(60));
    refuse(&meters, Some(secs(30)));
    let taught = meters.snapshot().window;
    meters.set_limits(Limits { longest_guess: secs(1), ..requests(60) });
    assert_eq!((meters.snapshot().closed_for, meters.snapshot().window), (Some(secs(30)), taught));
}
