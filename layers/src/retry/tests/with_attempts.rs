//! Retries with a record of attempts, over a balancer that reads it.

use super::*;

type Recorded = RetryLayer<u32, fn(Result<&Answer, &Infallible>) -> Outcome, fn(&Ask) -> Option<&Attempts>>;

fn retry(retries: u32) -> Recorded {
    RetryLayer::new(retries, classify as fn(Result<&Answer, &Infallible>) -> Outcome)
        .with_attempts(attempts as fn(&Ask) -> Option<&Attempts>)
        .with_backoff(Backoff::default().with_seed(1))
}

#[tokio::test(start_paused = true)]
async fn a_success_is_not_retried() {
    let group = Group::of([&[]]);
    assert_eq!(group.once(&retry(9)).await, Answer(Some(0), GOOD));
    assert_eq!(group.calls(), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_client_error_is_not_retried() {
    for class in [Class::Caller, Class::ContextWindow, Class::ContentPolicy] {
        let group = Group::always(&[Outcome::new(class), GOOD]);
        assert_eq!(group.once(&retry(9)).await, Answer(Some(0), Outcome::new(class)));
        assert_eq!(group.calls(), [0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_error_is_retried_as_often_as_a_function_says_that_decides_about_client_errors() {
    for class in [Class::Caller, Class::ContextWindow, Class::ContentPolicy] {
        for (retries, calls) in [(0, vec![0]), (1, vec![0, 1]), (2, vec![0, 1, 2])] {
            let group = Group::always(&[Outcome::new(class), Outcome::new(class), Outcome::new(class)]);
            let retries = move |_: (&Ask, &Outcome)| retries;
            let retry = RetryLayer::new(retries, classify as fn(Result<&Answer, &Infallible>) -> Outcome)
                .with_attempts(attempts as fn(&Ask) -> Option<&Attempts>)
                .with_client_errors();
            assert_eq!(group.once(&retry).await.1, Outcome::new(class));
            assert_eq!(group.calls(), calls);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_local_refusal_is_not_retried() {
    let group = Group::of([]);
    assert_eq!(group.once(&retry(9)).await, Answer(None, REFUSED));
    assert_eq!(group.start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_retry_calls_an_untried_endpoint_at_once() {
    let group = Group::of([&[DOWN], &[Outcome::new(Class::Timeout)], &[]]);
    assert_eq!(group.once(&retry(2)).await, Answer(Some(2), GOOD));
    assert_eq!((group.calls(), group.times()), (vec![0, 1, 2], vec![0.0; 3]));
}

#[tokio::test(start_paused = true)]
async fn a_retry_calls_a_tried_endpoint_after_backoff_up_to_the_number_of_retries() {
    let group = Group::always(&[DOWN]);
    assert_eq!(group.once(&retry(2)).await, Answer(Some(0), DOWN));
    let times = group.times();
    assert_eq!(times.len(), 3);
    assert!(times[1] > 0.0 && times[1] <= 0.502, "{times:?}");
    assert!(times[2] - times[1] > 0.0 && times[2] - times[1] <= 1.002, "{times:?}");
    // No wait after the last.
    assert!((group.start.elapsed().as_secs_f64() - times[2]).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn a_retry_does_not_call_a_tried_endpoint_before_its_retry_after() {
    let group = Group::of([&[limited_for(SECOND * 3 / 2)]]);
    assert_eq!(group.once(&retry(1)).await, Answer(Some(0), GOOD));
    assert!((1.5..1.502).contains(&group.times()[1]), "{:?}", group.times());
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_or_an_unsent_call_moves_on_without_using_a_retry() {
    let group = Group::of([&[LIMITED], &[NEVER_SENT], &[]]);
    assert_eq!(group.once(&retry(0)).await, Answer(Some(2), GOOD));
    assert_eq!((group.calls(), group.times()), (vec![0, 1, 2], vec![0.0; 3]));
}

#[tokio::test(start_paused = true)]
async fn a_free_repeat_happens_once_per_endpoint_and_the_last_response_is_returned() {
    let group = Group::always(&[LIMITED, LIMITED, NEVER_SENT]);
    assert_eq!(group.once(&retry(0)).await, Answer(Some(2), NEVER_SENT));
    assert_eq!(group.calls(), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_free_repeat_without_another_endpoint_becomes_a_retry() {
    let group = Group::of([&[limited_for(SECOND)], &[limited_for(SECOND)]]);
    assert_eq!(group.once(&retry(1)).await, Answer(Some(0), GOOD));
    assert_eq!(group.calls(), [0, 1, 0]);
    assert!((1.0..1.002).contains(&group.times()[2]));
}

#[tokio::test(start_paused = true)]
async fn a_retry_moves_on_to_an_endpoint_that_has_capacity_by_then() {
    let mut group = Group::of([&[limited_for(SECOND), LIMITED], &[]]);
    let backends = Arc::get_mut(&mut group.backends).unwrap();
    backends[1].full = Some(group.start + SECOND);
    assert_eq!(group.once(&retry(1)).await, Answer(Some(1), GOOD));
    assert_eq!(group.calls(), [0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn unauthorized_is_retried_only_on_an_untried_endpoint() {
    let group = Group::always(&[DENIED]);
    assert_eq!(group.once(&retry(5)).await, Answer(Some(0), DENIED));
    assert_eq!(group.calls(), [0]);

    let group = Group::always(&[DENIED, GOOD]);
    assert_eq!(group.once(&retry(1)).await, Answer(Some(1), GOOD));

    // Counted as a retry.
    let group = Group::always(&[DENIED, GOOD]);
    assert_eq!(group.once(&retry(0)).await, Answer(Some(0), DENIED));
}

#[tokio::test(start_paused = true)]
async fn a_refused_retry_returns_the_last_response_of_a_backend() {
    let mut group = Group::of([&[DOWN]]);
    group.takes = SECOND;
    // The Retry-After is longer than the balancer waits, but not longer than this layer waits.
    let layer =
        retry(3).with_max_wait(10 * SECOND).with_backoff(Backoff::new(SECOND, SECOND).with_floor(9 * SECOND));
    assert_eq!(group.once(&layer).await, Answer(Some(0), DOWN));
    assert_eq!((group.calls(), group.start.elapsed()), (vec![0], SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_longer_than_the_max_wait_is_not_waited_for() {
    let group = Group::always(&[limited_for(3 * SECOND)]);
    assert_eq!(group.once(&retry(5)).await, Answer(Some(0), limited_for(3 * SECOND)));
    assert_eq!((group.calls(), group.start.elapsed()), (vec![0], Duration::ZERO));

    // Another endpoint is called at once; the repeat is a retry unless it is free.
    let overloaded = DOWN.with_retry_after(Some(3 * SECOND));
    let group = Group::always(&[overloaded, overloaded, GOOD]);
    assert_eq!(group.once(&retry(1)).await, Answer(Some(1), overloaded));
    assert_eq!((group.calls(), group.start.elapsed()), (vec![0, 1], Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_would_wait_past_the_deadline_calls_another_endpoint() {
    let deadline = |_: &Ask| Some(Instant::now() + SECOND);
    let group = Group::always(&[limited_for(SECOND)]);
    assert_eq!(group.once(&retry(5).with_deadline(deadline)).await.0, Some(0));
    assert_eq!((group.calls(), group.start.elapsed()), (vec![0], Duration::ZERO));

    let overloaded = DOWN.with_retry_after(Some(SECOND));
    let group = Group::always(&[overloaded, GOOD]);
    assert_eq!(group.once(&retry(5).with_deadline(deadline)).await, Answer(Some(1), GOOD));
}

#[tokio::test(start_paused = true)]
async fn there_is_no_retry_after_the_deadline() {
    let mut group = Group::always(&[DOWN, LIMITED, GOOD]);
    group.takes = SECOND;
    let deadline = Constant(Some(Instant::now() + SECOND));
    assert_eq!(group.once(&retry(5).with_deadline(deadline)).await, Answer(Some(0), DOWN));
}

#[tokio::test(start_paused = true)]
async fn max_attempts_limits_the_retries_over_all_groups() {
    let ask = Ask::default();
    let layer = retry(9).with_max_attempts(Constant(Some(3)));
    let first = Group::always(&[LIMITED, DOWN]);
    first.ask(&retry(0), &ask).await;
    assert_eq!(first.calls(), [0, 1]);
    let second = Group::always(&[LIMITED, DOWN, GOOD]);
    assert_eq!(second.ask(&layer, &ask).await, Answer(Some(0), LIMITED));
    assert_eq!(ask.made(), 3);
}

#[tokio::test(start_paused = true)]
async fn every_repeat_is_withdrawn_from_the_retry_budget() {
    let budget = Budget::new(0, 2);
    let group = Group::always(&[LIMITED, DOWN, DOWN, GOOD]);
    assert_eq!(group.once(&retry(9).with_budget(budget.clone())).await, Answer(Some(2), DOWN));
    assert_eq!(group.calls(), [0, 1, 2]);
    assert_eq!(budget.counts(), Counts { deposits: 1, withdrawals: 2, refused: 1 });
}

#[tokio::test(start_paused = true)]
async fn a_refused_repeat_is_put_back_into_the_retry_budget() {
    let budget = Budget::new(0, 2);
    let group = Group::always(&[LIMITED]);
    group.once(&retry(0).with_budget(budget.clone())).await;
    assert_eq!(budget.counts(), Counts { deposits: 1, withdrawals: 0, refused: 0 });
}

#[tokio::test(start_paused = true)]
async fn the_first_attempt_of_a_fallback_does_not_change_the_retry_budget() {
    let budget = Budget::new(100, 0);
    let ask = Ask::default();
    let layer = retry(0).with_budget(budget.clone());
    for _ in 0..3 {
        Group::always(&[DOWN]).ask(&layer, &ask).await;
    }
    assert_eq!(budget.counts(), Counts { deposits: 1, withdrawals: 0, refused: 0 });
}

#[tokio::test(start_paused = true)]
async fn a_request_refused_by_full_groups_is_one_deposit_into_the_retry_budget() {
    let (budget, ask) = (Budget::new(100, 0), Ask::default());
    let layer = retry(0).with_budget(budget.clone());
    for _ in 0..3 {
        assert_eq!(Group::of([]).ask(&layer, &ask).await, Answer(None, REFUSED));
    }
    assert_eq!(ask.made(), 0);
    assert_eq!(budget.counts().deposits, 1);
}

#[tokio::test(start_paused = true)]
async fn the_directive_of_a_retry_is_cleared_afterwards() {
    let ask = Ask::default();
    Group::always(&[limited_for(SECOND), limited_for(SECOND)]).ask(&retry(1), &ask).await;
    assert_eq!(ask.take_directive(), Directive::Any);

    // So is the directive of a session that was dropped during a repeat.
    ask.direct(Directive::Untried);
    let group = Group::of([&[]]);
    ask.picked(group.backends[0].key);
    assert_eq!(group.ask(&retry(0), &ask).await, Answer(Some(0), GOOD));
}

#[tokio::test(start_paused = true)]
async fn a_retry_sleeps_a_backoff_longer_than_the_balancer_waits() {
    let group = Group::of([&[DOWN], &[DOWN]]);
    let layer = retry(2).with_backoff(Backoff::default().with_floor(5 * SECOND));
    assert_eq!(group.once(&layer).await, Answer(Some(0), GOOD));
    // The untried endpoint was called without a wait.
    assert_eq!(group.calls(), [0, 1, 0]);
    assert!(group.times()[1] < 0.001 && (5.0..5.002).contains(&group.times()[2]), "{:?}", group.times());
}

#[tokio::test(start_paused = true)]
async fn a_balancer_that_ignores_the_directive_cannot_cause_endless_retries() {
    let calls = Arc::new(Mutex::new(0));
    let unaware = service_fn(|ask: Ask| {
        *lock(&calls) += 1;
        ask.picked(EndpointKey::unique());
        std::future::ready(Ok(Answer(Some(0), LIMITED)))
    });
    let answer = retry(1).layer(Strict::new(unaware)).oneshot(Ask::default()).await;
    assert_eq!(answer, Ok(Answer(Some(0), LIMITED)));
    // The call, the repeat with the ignored directive, the retry.
    assert_eq!(*lock(&calls), 3);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_retries_may_depend_on_the_outcome() {
    let retries = |(_, outcome): (&Ask, &Outcome)| if outcome.kind() == 1 { 3 } else { 0 };
    let layer = RetryLayer::new(retries, classify).with_attempts(attempts);
    let group = Group::always(&[DOWN.with_kind(1)]);
    group.once(&layer).await;
    assert_eq!(group.calls().len(), 4);
    let group = Group::always(&[DOWN.with_kind(2)]);
    group.once(&layer).await;
    assert_eq!(group.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_round_that_begins_untried_calls_only_untried_endpoints_and_uses_no_retry() {
    let budget = Budget::new(0, 1);
    let layer = retry(0).with_budget(budget.clone());
    let (group, ask) = (Group::always(&[DOWN, DOWN]), Ask::default());
    for answer in [Answer(Some(0), DOWN), Answer(Some(1), DOWN), Answer(None, REFUSED)] {
        assert_eq!(group.ask(&layer, &ask).await, answer);
        ask.begin_untried();
    }
    assert_eq!(group.calls(), [0, 1]);
    assert_eq!(budget.counts(), Counts { deposits: 1, withdrawals: 0, refused: 0 });
    assert_eq!(ask.take_directive(), Directive::Any, "the directive is reset");
    ask.take_begin_untried();
    assert_eq!(group.ask(&layer, &ask).await, Answer(Some(0), DOWN), "begin_untried applies to one round");
}

#[tokio::test(start_paused = true)]
async fn a_round_that_begins_untried_retries_on_untried_endpoints_only() {
    let (group, ask) = (Group::always(&[DOWN, DOWN, DOWN]), Ask::default());
    assert_eq!(group.ask(&retry(0), &ask).await, Answer(Some(0), DOWN));
    ask.begin_untried();
    assert_eq!(group.ask(&retry(9), &ask).await, Answer(Some(2), DOWN));
    assert_eq!((group.calls(), group.times()), (vec![0, 1, 2], vec![0.0; 3]));
}
