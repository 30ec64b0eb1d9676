//! Retries without a record of attempts: every repeat is assumed to reach the same endpoint.

use std::task::{Context, Poll};

use tokio_test::{assert_pending, task};

use super::*;

/// A backend with these outcomes, and the times of its calls.
fn backend(script: &[Outcome]) -> (Strict<BoxService>, Arc<Mutex<Vec<Duration>>>) {
    let script: Arc<Mutex<VecDeque<_>>> = Arc::new(Mutex::new(script.iter().copied().collect()));
    let log: Arc<Mutex<Vec<_>>> = Arc::default();
    let (seen, start) = (Arc::clone(&log), Instant::now());
    let service = service_fn(move |_: Ask| {
        lock(&seen).push(start.elapsed());
        std::future::ready(Ok(Answer(Some(0), lock(&script).pop_front().unwrap_or(GOOD))))
    });
    (Strict::new(BoxService::new(service)), log)
}

async fn times(script: &[Outcome], backoff: Backoff) -> Vec<f64> {
    let (service, log) = backend(script);
    let layer = RetryLayer::new(5u32, classify).with_backoff(backoff);
    layer.layer(service).oneshot(Ask::default()).await.unwrap();
    lock(&log).iter().map(Duration::as_secs_f64).collect()
}

#[tokio::test(start_paused = true)]
async fn a_retry_without_a_record_sleeps_longer_each_time() {
    let times = times(&[DOWN; 5], Backoff::default().with_seed(3)).await;
    assert_eq!(times.len(), 6);
    for (pair, bound) in times.windows(2).zip([0.5, 1.0, 2.0, 4.0, 8.0]) {
        assert!((0.0..=bound + 0.002).contains(&(pair[1] - pair[0])), "{times:?}");
    }
    // Each wait is drawn separately.
    assert!((times[1] - (times[2] - times[1])).abs() > 0.002, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn two_retry_sessions_have_different_backoffs() {
    let backoff = Backoff::default().with_seed(3);
    let first = times(&[DOWN; 3], backoff.clone()).await;
    assert_ne!(first, times(&[DOWN; 3], backoff).await);
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_without_a_record_is_retried_after_its_retry_after() {
    let times = times(&[limited_for(SECOND)], Backoff::default()).await;
    assert!(times.len() == 2 && (1.0..1.002).contains(&times[1]), "{times:?}");

    let (service, log) = backend(&[LIMITED]);
    let answer = RetryLayer::new(0u32, classify).layer(service).oneshot(Ask::default()).await;
    assert_eq!((answer, lock(&log).len()), (Ok(Answer(Some(0), LIMITED)), 1));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_asks_for_no_repeat_is_obeyed() {
    for outcome in [DOWN, LIMITED, NEVER_SENT] {
        assert_eq!(times(&[outcome.without_retry()], Backoff::default()).await.len(), 1, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_longer_than_the_max_wait_ends_the_retries() {
    let start = Instant::now();
    assert_eq!(times(&[limited_for(3 * SECOND)], Backoff::default()).await.len(), 1);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn unauthorized_is_not_retried_without_a_record() {
    assert_eq!(times(&[DENIED], Backoff::default()).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn max_attempts_counts_the_calls_of_a_retry_without_a_record() {
    let (service, log) = backend(&[DOWN; 9]);
    let layer = RetryLayer::new(5u32, classify).with_max_attempts(Some(2u32));
    layer.layer(service).oneshot(Ask::default()).await.unwrap();
    assert_eq!(lock(&log).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_retry_drops_the_call_and_the_kept_response() {
    let (service, log) = backend(&[DOWN; 9]);
    let layer = RetryLayer::new(5u32, classify).with_backoff(Backoff::default().with_floor(SECOND));
    let ask = Ask::default();
    let mut call = task::spawn(layer.layer(service).oneshot(Arc::clone(&ask)));
    assert_pending!(call.poll());
    assert!(Arc::strong_count(&ask) > 1);
    drop(call);
    sleep(100 * SECOND).await;
    assert_eq!((lock(&log).len(), Arc::strong_count(&ask)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failed_poll_ready_of_a_retry_returns_the_last_response() {
    #[derive(Clone)]
    struct Once(u32);
    impl Service<Ask> for Once {
        type Response = Answer;
        type Error = &'static str;
        type Future = std::future::Ready<Result<Answer, &'static str>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(if self.0 == 0 { Ok(()) } else { Err("broken") })
        }
        fn call(&mut self, _: Ask) -> Self::Future {
            self.0 += 1;
            std::future::ready(Ok(Answer(Some(0), DOWN)))
        }
    }
    let classify = |result: Result<&Answer, &&'static str>| result.map_or(DOWN, |answer| answer.1);
    let service = RetryLayer::new(5u32, classify).layer(Strict::new(Once(0)));
    assert_eq!(service.oneshot(Ask::default()).await, Ok(Answer(Some(0), DOWN)));
    let broken = RetryLayer::new(5u32, classify).layer(Strict::new(Once(1)));
    assert_eq!(broken.oneshot(Ask::default()).await, Err("broken"));
}

#[tokio::test(start_paused = true)]
async fn a_retry_service_can_be_called_again_during_a_retry() {
    let (service, log) = backend(&[DOWN, DOWN]);
    let mut service = RetryLayer::new(1u32, classify).layer(service);
    let first = service.ready().await.unwrap().call(Ask::default());
    let second = service.ready().await.unwrap().call(Ask::default());
    assert_eq!((first.await.unwrap().1, second.await.unwrap().1), (GOOD, GOOD));
    assert_eq!(lock(&log).len(), 4);
}
