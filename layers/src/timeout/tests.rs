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

/// Answers after as long as it is asked to.
async fn slow(takes: Duration) -> Result<&'static str, BoxError> {
    sleep(takes).await;
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
async fn an_answer_within_the_limit_passes() {
    let answer = service(SECOND).oneshot(Duration::from_millis(999)).await;
    assert_eq!(answer.unwrap(), "done");
}

#[tokio::test(start_paused = true)]
async fn a_call_beyond_the_limit_fails_at_the_limit() {
    let start = Instant::now();
    let error = elapsed(service(SECOND).oneshot(2 * SECOND).await.unwrap_err());
    assert!((SECOND..SECOND + Duration::from_millis(2)).contains(&start.elapsed()));
    assert_eq!((error.after(), error.is_evidence()), (SECOND, true));
    assert_eq!(error.to_string(), "no response within 1s");
}

#[tokio::test(start_paused = true)]
async fn the_limit_counts_from_the_call_even_when_the_first_poll_is_late() {
    let mut service = service(SECOND);
    let mut call = task::spawn(service.ready().await.unwrap().call(10 * SECOND));
    advance(2 * SECOND).await;
    let error = elapsed(assert_ready!(call.poll()).unwrap_err());
    assert_eq!(error.after(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_every_kind_may_stand_there_as_it_is() {
    let limit = Limit::of(SECOND).named("attempt");
    let named = |error: BoxError| elapsed(error).clock();
    let ask = 2 * SECOND;
    assert_eq!(named(service(limit).oneshot(ask).await.unwrap_err()), Some("attempt"));
    assert_eq!(named(service(Some(limit)).oneshot(ask).await.unwrap_err()), Some("attempt"));
    assert_eq!(named(service(Some(SECOND)).oneshot(ask).await.unwrap_err()), None);
    assert_eq!(named(service(move |_: &Duration| limit).oneshot(ask).await.unwrap_err()), Some("attempt"));
    assert_eq!(service(None::<Limit>).oneshot(ask).await.unwrap(), "done");
}

#[tokio::test(start_paused = true)]
async fn no_limit_waits_for_ever() {
    let answer = service(None::<Duration>).oneshot(1_000_000 * SECOND).await;
    assert_eq!(answer.unwrap(), "done");
    let answer = service(Duration::MAX).oneshot(1_000_000 * SECOND).await;
    assert_eq!(answer.unwrap(), "done");
}

#[tokio::test(start_paused = true)]
async fn the_limit_may_depend_on_the_request() {
    let half = |takes: &Duration| Some(Limit::of(*takes / 2).without_evidence());
    let error = elapsed(service(half).oneshot(8 * SECOND).await.unwrap_err());
    assert_eq!((error.after(), error.is_evidence()), (4 * SECOND, false));
}

#[tokio::test(start_paused = true)]
async fn an_answer_at_the_first_poll_needs_no_timer() {
    let mut service = TimeoutLayer::new(SECOND)
        .layer(Strict::new(service_fn(|()| std::future::ready(Ok::<_, BoxError>(())))));
    let mut call = Box::pin(service.ready().await.unwrap().call(()));
    let result = std::future::poll_fn(|cx| call.as_mut().poll(cx)).await;
    assert!(result.is_ok() && call.sleep.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_call_is_dropped_when_its_time_is_over() {
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
async fn with_no_time_left_the_call_is_not_made() {
    let past = Instant::now();
    advance(SECOND).await;
    let never = service_fn(|_: Duration| async { unreachable!("called") });
    let service = TimeoutLayer::new(Limit::until(past)).layer(Strict::new(never));
    let error = elapsed(service.oneshot(SECOND).await.map(|(): ()| ()).unwrap_err());
    assert_eq!((error.to_string().as_str(), error.is_evidence()), ("deadline already passed", false));
}

#[tokio::test(start_paused = true)]
async fn the_shorter_limit_decides_and_a_tie_is_evidence() {
    let own = Limit::of(SECOND);
    let deadline = Limit::until(Instant::now() + SECOND / 2);
    assert_eq!(own.or_shorter(Some(deadline)), deadline);
    assert_eq!(own.or_shorter(None), own);
    let tie = Limit::until(Instant::now() + SECOND);
    assert_eq!(own.or_shorter(Some(tie)), own);
    assert_eq!(tie.or_shorter(Some(own)), own);
}
