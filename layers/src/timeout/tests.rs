//! Tests of the timeout layer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::time::{advance, sleep};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::{BoxError, testing::Strict};

const SECOND: Duration = Duration::from_secs(1);

/// Responds after the time that the request contains.
async fn slow(time: Duration) -> Result<&'static str, BoxError> {
    sleep(time).await;
    Ok("done")
}

fn service<L>(
    limit: L,
) -> Timeout<impl Service<Duration, Response = &'static str, Error = BoxError> + Clone, L>
where
    L: Clone,
{
    TimeoutLayer::new(limit).layer(Strict::new(service_fn(slow)))
}

fn elapsed(error: BoxError) -> Elapsed {
    *error.downcast::<Elapsed>().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_response_within_the_timeout_passes() {
    let result = service(SECOND).oneshot(Duration::from_millis(999)).await;
    assert_eq!(result.unwrap(), "done");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_exceeds_the_timeout_fails_at_the_limit() {
    let start = Instant::now();
    let error = elapsed(service(SECOND).oneshot(2 * SECOND).await.unwrap_err());
    assert!((SECOND..SECOND + Duration::from_millis(2)).contains(&start.elapsed()));
    assert_eq!((error.after(), error.is_evidence()), (SECOND, true));
    assert_eq!(error.to_string(), "no response within 1s");
}

#[tokio::test(start_paused = true)]
async fn the_timeout_starts_with_the_call_even_if_the_first_poll_is_late() {
    let mut service = service(SECOND);
    let mut call = task::spawn(service.ready().await.unwrap().call(10 * SECOND));
    advance(2 * SECOND).await;
    let error = elapsed(assert_ready!(call.poll()).unwrap_err());
    assert_eq!(error.after(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_may_be_a_limit_an_option_or_a_function() {
    let limit = Limit::of(SECOND).named("attempt");
    let named = |error: BoxError| elapsed(error).name();
    let time = 2 * SECOND;
    assert_eq!(named(service(limit).oneshot(time).await.unwrap_err()), Some("attempt"));
    assert_eq!(named(service(Some(limit)).oneshot(time).await.unwrap_err()), Some("attempt"));
    assert_eq!(named(service(Some(SECOND)).oneshot(time).await.unwrap_err()), None);
    assert_eq!(named(service(move |_: &Duration| limit).oneshot(time).await.unwrap_err()), Some("attempt"));
    assert_eq!(service(None::<Limit>).oneshot(time).await.unwrap(), "done");
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_the_timeout_waits_for_ever() {
    let result = service(None::<Duration>).oneshot(1_000_000 * SECOND).await;
    assert_eq!(result.unwrap(), "done");
    let result = service(Duration::MAX).oneshot(1_000_000 * SECOND).await;
    assert_eq!(result.unwrap(), "done");
}

#[tokio::test(start_paused = true)]
async fn the_timeout_may_depend_on_the_request() {
    let half = |time: &Duration| Some(Limit::of(*time / 2).without_evidence());
    let error = elapsed(service(half).oneshot(8 * SECOND).await.unwrap_err());
    assert_eq!((error.after(), error.is_evidence()), (4 * SECOND, false));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_creates_no_timer_for_a_response_at_the_first_poll() {
    let mut service = TimeoutLayer::new(SECOND)
        .layer(Strict::new(service_fn(|()| std::future::ready(Ok::<_, BoxError>(())))));
    let mut call = Box::pin(service.ready().await.unwrap().call(()));
    let result = std::future::poll_fn(|cx| call.as_mut().poll(cx)).await;
    assert!(result.is_ok() && call.sleep.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_timeout_drops_the_call_at_the_limit() {
    struct Alive(Arc<AtomicUsize>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let alive = Arc::new(AtomicUsize::new(0));
    let counted = service_fn(|()| {
        alive.fetch_add(1, Ordering::Relaxed);
        let guard = Alive(alive.clone());
        async move {
            std::future::pending::<()>().await;
            drop(guard);
            Ok::<(), BoxError>(())
        }
    });
    let mut service = TimeoutLayer::new(SECOND).layer(Strict::new(counted));
    let mut call = task::spawn(service.ready().await.unwrap().call(()));
    assert_pending!(call.poll());
    assert_eq!(alive.load(Ordering::Relaxed), 1);
    advance(2 * SECOND).await;
    assert!(assert_ready!(call.poll()).is_err());
    // The future itself is still held.
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn with_an_expired_timeout_the_call_is_not_made() {
    let past = Instant::now();
    advance(SECOND).await;
    let never = service_fn(|_: Duration| async { unreachable!("called") });
    let service = TimeoutLayer::new(Limit::until(past)).layer(Strict::new(never));
    let error = elapsed(service.oneshot(SECOND).await.map(|(): ()| ()).unwrap_err());
    assert_eq!((error.to_string().as_str(), error.is_evidence()), ("deadline already passed", false));
}

#[tokio::test(start_paused = true)]
async fn the_shorter_of_two_timeouts_applies_and_a_tie_is_evidence() {
    let own = Limit::of(SECOND);
    let deadline = Limit::until(Instant::now() + SECOND / 2);
    assert_eq!(own.or_shorter(Some(deadline)), deadline);
    assert_eq!(own.or_shorter(None), own);
    let tie = Limit::until(Instant::now() + SECOND);
    assert_eq!(own.or_shorter(Some(tie)), own);
    assert_eq!(tie.or_shorter(Some(own)), own);
}
