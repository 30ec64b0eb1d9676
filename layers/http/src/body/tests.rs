//! Stories of bodies that end, break and are dropped, alone and in a stack.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full};
use proptest::prelude::*;
use tokio::time::{Instant, Sleep, sleep};
use tollgate_layers::{
    BoxError, Class, Classify, OnComplete, Outcome, TrackOutcome,
    balance::{self, RateLimitBalanceLayer},
    cooldown::{CooldownConfig, CooldownLayer, EndpointHealth, HealthState},
    quota::{Limits, Meters, QuotaLayer},
    retry::RetryLayer,
    testing::Strict,
};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

use super::*;
use crate::{GrpcClassifier, StatusClassifier};

/// A frame of a scripted body; each comes a second after the one before it.
#[derive(Clone)]
enum Step {
    Data(&'static str),
    Trailers(HeaderMap),
    Break,
}

struct Scripted {
    steps: VecDeque<Step>,
    hint: SizeHint,
    timer: Pin<Box<Sleep>>,
}

fn scripted(steps: impl IntoIterator<Item = Step>) -> Scripted {
    Scripted { steps: steps.into_iter().collect(), hint: SizeHint::default(), timer: Box::pin(a_second()) }
}

fn a_second() -> Sleep {
    sleep(Duration::from_secs(1))
}

impl Scripted {
    /// Announces the length of its data, but not its end.
    fn with_length(mut self) -> Self {
        let lengths =
            self.steps.iter().map(|step| if let Step::Data(data) = step { data.len() as u64 } else { 0 });
        self.hint = SizeHint::with_exact(lengths.sum());
        self
    }
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        std::task::ready!(self.timer.as_mut().poll(cx));
        self.timer = Box::pin(a_second());
        Poll::Ready(self.steps.pop_front().map(|step| match step {
            Step::Data(data) => {
                if let Some(left) = self.hint.exact() {
                    self.hint = SizeHint::with_exact(left - data.len() as u64);
                }
                Ok(Frame::data(Bytes::from_static(data.as_bytes())))
            }
            Step::Trailers(trailers) => Ok(Frame::trailers(trailers)),
            Step::Break => Err("broken".into()),
        }))
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

/// The classes that handles were notified of; `None` for a handle that was dropped.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Option<Class>>>>);

impl Log {
    fn handle(&self) -> Handle {
        Handle(Some(self.clone()))
    }

    fn take(&self) -> Vec<Option<Class>> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

struct Handle(Option<Log>);

impl OnComplete for Handle {
    fn complete(mut self, outcome: &Outcome) {
        let log = self.0.take().expect("notified once");
        log.0.lock().unwrap().push(Some(outcome.class()));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(log) = self.0.take() {
            log.0.lock().unwrap().push(None);
        }
    }
}

const SUCCESS: Outcome = Outcome::new(Class::Success);

/// Returns a body with a handle attached, and the handle's log.
fn tracked<B: Body>(inner: B) -> (TrackBody<B>, Log) {
    let (mut body, log) = (TrackBody::new(inner, SUCCESS), Log::default());
    body.attach(log.handle());
    (body, log)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_ends_is_a_success() {
    let (body, log) = tracked(scripted([Step::Data("a"), Step::Data("b")]));
    let mut body = std::pin::pin!(body);
    for _ in 0..2 {
        assert!(body.as_mut().frame().await.is_some_and(|frame| frame.is_ok()));
        assert_eq!(log.take(), []);
    }
    assert!(body.as_mut().frame().await.is_none());
    assert_eq!(log.take(), [Some(Class::Success)]);
    assert!(body.has_settled());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_is_a_failure_of_the_backend() {
    let (body, log) = tracked(scripted([Step::Data("a"), Step::Break]));
    assert!(body.collect().await.is_err());
    assert_eq!(log.take(), [Some(Class::Unavailable)]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_dropped_before_its_end_is_cancelled() {
    let (body, log) = tracked(scripted([Step::Data("a"), Step::Data("b")]));
    let mut body = Box::pin(body);
    assert!(body.frame().await.is_some_and(|frame| frame.is_ok()));
    drop(body);
    assert_eq!(log.take(), [None]);
}

#[tokio::test(start_paused = true)]
async fn a_body_of_known_length_that_is_dropped_after_its_last_byte_is_a_success() {
    let (body, log) = tracked(scripted([Step::Data("ab"), Step::Data("c")]).with_length());
    let mut body = Box::pin(body);
    let _ = body.frame().await;
    let _ = body.frame().await;
    assert_eq!(log.take(), [], "trailers may follow");
    drop(body);
    assert_eq!(log.take(), [Some(Class::Success)]);

    let (body, log) = tracked(scripted([Step::Data("ab"), Step::Data("c")]).with_length());
    let mut body = Box::pin(body);
    let _ = body.frame().await;
    drop(body);
    assert_eq!(log.take(), [None]);
}

#[tokio::test(start_paused = true)]
async fn a_grpc_body_that_is_dropped_before_its_trailers_is_cancelled_whatever_its_length() {
    let inner = scripted([Step::Data("message"), Step::Trailers(HeaderMap::new())]).with_length();
    let mut body = TrackBody::with_trailers(inner, SUCCESS, GrpcClassifier);
    let log = Log::default();
    body.attach(log.handle());
    let mut body = Box::pin(body);
    let _ = body.frame().await;
    drop(body);
    assert_eq!(log.take(), [None]);
}

#[tokio::test]
async fn a_body_that_knows_its_end_settles_with_its_last_frame() {
    let (body, log) = tracked(Full::new(Bytes::from("all")));
    let mut body = std::pin::pin!(body);
    let _ = body.as_mut().frame().await;
    assert_eq!(log.take(), [Some(Class::Success)]);
    assert!(body.frame().await.is_none());
    assert_eq!(log.take(), []);
}

#[tokio::test]
async fn an_empty_body_settles_at_once() {
    let (body, log) = tracked(Empty::<Bytes>::new());
    assert_eq!((log.take(), body.has_settled()), (vec![Some(Class::Success)], true));
}

#[tokio::test(start_paused = true)]
async fn a_failure_by_its_head_is_notified_at_once_and_only_once() {
    let mut body = TrackBody::new(scripted([Step::Data("no")]), Outcome::new(Class::RateLimited));
    let log = Log::default();
    body.attach(log.handle());
    assert_eq!(log.take(), [Some(Class::RateLimited)]);
    assert_eq!(body.collect().await.unwrap().to_bytes(), "no");
    assert_eq!(log.take(), []);
}

#[tokio::test(start_paused = true)]
async fn trailers_decide_the_outcome_of_a_grpc_response() {
    for (status, class) in [("0", Class::Success), ("8", Class::RateLimited), ("14", Class::Unavailable)] {
        let trailers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(status))]);
        let inner = scripted([Step::Data("message"), Step::Trailers(trailers)]);
        let mut body = TrackBody::with_trailers(inner, SUCCESS, GrpcClassifier);
        let log = Log::default();
        body.attach(log.handle());
        let mut body = std::pin::pin!(body);
        let _ = body.as_mut().frame().await;
        assert_eq!(log.take(), []);
        let _ = body.as_mut().frame().await;
        assert_eq!(log.take(), [Some(class)]);
        assert_eq!(body.outcome().class(), class);
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_response_that_ends_without_trailers_has_failed() {
    let mut body = TrackBody::with_trailers(scripted([Step::Data("message")]), SUCCESS, GrpcClassifier);
    let log = Log::default();
    body.attach(log.handle());
    assert!(body.collect().await.is_ok());
    assert_eq!(log.take(), [Some(Class::Unavailable)]);
}

#[tokio::test(start_paused = true)]
async fn all_handles_are_notified_the_innermost_first() {
    let log = Log::default();
    let response: Result<_, BoxError> =
        Ok(Response::new(TrackBody::new(scripted([Step::Data("a")]), SUCCESS)));
    let response = BodyOutcome.track(log.handle(), response);
    let response = BodyOutcome.track(log.handle(), response).unwrap();
    assert_eq!(log.take(), []);
    assert!(response.into_body().collect().await.is_ok());
    assert_eq!(log.take(), [Some(Class::Success); 2]);
}

#[test]
fn an_error_is_notified_at_once() {
    let log = Log::default();
    let result: Result<Response<TrackBody<Empty<Bytes>>>, BoxError> = Err("refused".into());
    assert!(BodyOutcome.track(log.handle(), result).is_err());
    assert_eq!(log.take(), [Some(Class::Unavailable)]);
}

#[test]
fn a_tracked_body_can_be_sent_and_shared_if_the_inner_one_can() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<TrackBody<Full<Bytes>, GrpcClassifier>>();
}

#[tokio::test(start_paused = true)]
async fn a_slot_in_flight_stays_taken_until_the_last_byte() {
    let meters = Meters::new(Limits { in_flight: Some(1), ..Limits::default() });
    let service = ServiceBuilder::new()
        .layer(
            RateLimitBalanceLayer::new(balance::Strategy::default(), BodyOutcome)
                .with_tracking(BodyOutcome)
                .with_queue(Duration::from_secs(9), 9),
        )
        .service(vec![
            ServiceBuilder::new()
                .layer(QuotaLayer::new(meters.clone(), BodyOutcome).with_tracking(BodyOutcome))
                .layer(TrackBodyLayer::new(StatusClassifier::new()))
                .service(service_fn(|_: Request<()>| async {
                    Ok::<_, BoxError>(Response::new(scripted([Step::Data("a"), Step::Data("b")])))
                })),
        ]);
    let start = Instant::now();
    let first = service.clone().oneshot(Request::new(())).await.unwrap();
    let read = tokio::spawn(first.into_body().collect());
    let second = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3), "the time of three frames");
    assert_eq!(read.await.unwrap().unwrap().to_bytes(), "ab");
    drop(second);
    assert_eq!(meters.snapshot().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_counts_against_the_health() {
    let health = EndpointHealth::new(CooldownConfig::default().with_allowed_fails(Some(0)));
    let service = ServiceBuilder::new()
        .layer(CooldownLayer::new(health.clone(), BodyOutcome).with_tracking(BodyOutcome))
        .layer(TrackBodyLayer::new(StatusClassifier::new()))
        .service(service_fn(|_: Request<()>| async {
            Ok::<_, BoxError>(Response::new(scripted([Step::Data("a"), Step::Break])))
        }));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(health.snapshot().state, HealthState::Healthy);
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(health.snapshot().state, HealthState::CoolingDown);
}

#[tokio::test(start_paused = true)]
async fn a_failed_response_counts_against_the_health_though_a_retry_drops_it() {
    let health = EndpointHealth::new(CooldownConfig::default().with_allowed_fails(Some(0)));
    let calls = Arc::new(AtomicU32::new(0));
    let endpoint = ServiceBuilder::new()
        .layer(CooldownLayer::new(health.clone(), BodyOutcome).with_tracking(BodyOutcome))
        .layer(QuotaLayer::new(Meters::new(Limits::default()), BodyOutcome).with_tracking(BodyOutcome))
        .layer(TrackBodyLayer::new(StatusClassifier::new()))
        .service(service_fn(move |_: Request<()>| {
            let status = if calls.fetch_add(1, Ordering::Relaxed) == 0 { 503 } else { 200 };
            async move { Ok::<_, BoxError>(Response::builder().status(status).body(scripted([]))?) }
        }));
    let balance = RateLimitBalanceLayer::new(balance::Strategy::default(), BodyOutcome);
    let service = ServiceBuilder::new()
        .layer(RetryLayer::new(1u32, BodyOutcome))
        .layer(balance.with_tracking(BodyOutcome))
        .service(vec![endpoint]);
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(health.snapshot().state, HealthState::CoolingDown);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_breaker_that_is_open_is_a_refusal_with_the_rest_of_its_cooldown() {
    let config = CooldownConfig::new(Duration::from_secs(5)).with_allowed_fails(Some(0));
    let service = ServiceBuilder::new()
        .layer(CooldownLayer::new(EndpointHealth::new(config), BodyOutcome).with_tracking(BodyOutcome))
        .layer(TrackBodyLayer::new(StatusClassifier::new()))
        .service(service_fn(|_: Request<()>| async {
            Ok::<_, BoxError>(Response::builder().status(500).body(Empty::<Bytes>::new())?)
        }));
    assert_eq!(service.clone().oneshot(Request::new(())).await.unwrap().status(), 500);
    tokio::time::advance(Duration::from_secs(2)).await;
    let refused = BodyOutcome.classify(service.oneshot(Request::new(())).await.as_ref());
    assert!(refused.is_refusal());
    assert_eq!((refused.class(), refused.retry_after()), (Class::Unavailable, Some(Duration::from_secs(3))));
}

/// Returns a gRPC response of trailers only.
fn trailers_only(pushback: &'static str) -> Response<Empty<Bytes>> {
    let response = Response::builder().header("grpc-status", "14").header("grpc-retry-pushback-ms", pushback);
    response.body(Empty::new()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_retry_waits_for_a_pushback_of_grpc_and_obeys_one_that_forbids_it() {
    for (pushback, wanted_calls, at_least) in [("1500", 2, 1500), ("-1", 1, 0)] {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let service = ServiceBuilder::new()
            .layer(RetryLayer::new(1u32, BodyOutcome))
            .layer(TrackBodyLayer::grpc())
            .service(service_fn(move |_: Request<()>| {
                counted.fetch_add(1, Ordering::Relaxed);
                async move { Ok::<_, BoxError>(trailers_only(pushback)) }
            }));
        let start = Instant::now();
        assert!(service.oneshot(Request::new(())).await.is_ok());
        assert_eq!(calls.load(Ordering::Relaxed), wanted_calls, "{pushback}");
        assert!(start.elapsed() >= Duration::from_millis(at_least), "{pushback}");
    }
}

#[tokio::test]
async fn the_layer_follows_the_contract_of_a_service() {
    let layered = || {
        ServiceBuilder::new().layer(TrackBodyLayer::new(StatusClassifier::new())).service(Strict::new(
            service_fn(|ok: bool| async move {
                if ok { Ok(Response::new(Empty::<Bytes>::new())) } else { Err(BoxError::from("no")) }
            }),
        ))
    };
    let mut service = layered();
    for ok in [true, false, true] {
        let result = service.ready().await.unwrap().call(ok).await;
        assert_eq!(BodyOutcome.classify(result.as_ref()).is_success(), ok);
    }
    let mut clone = service.clone();
    assert!(clone.ready().await.unwrap().call(true).await.is_ok());
}

#[tokio::test]
async fn the_layer_serves_other_calls_after_one_that_was_dropped_or_panicked() {
    let mut service = ServiceBuilder::new().layer(TrackBodyLayer::new(StatusClassifier::new())).service(
        Strict::new(service_fn(|end: Option<bool>| async move {
            assert!(end.is_none_or(|ends| ends), "in the future");
            if end.is_none() {
                std::future::pending().await
            } else {
                Ok::<_, BoxError>(Response::new(Empty::<Bytes>::new()))
            }
        })),
    );
    let mut dropped = Box::pin(service.ready().await.unwrap().call(None));
    assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(dropped);
    assert!(tokio::spawn(service.clone().oneshot(Some(false))).await.unwrap_err().is_panic());
    assert!(service.ready().await.unwrap().call(Some(true)).await.is_ok());
}

#[tokio::test]
async fn the_inner_service_is_read_changed_and_unwrapped() {
    let mut service = TrackResponseBody::new(1, StatusClassifier::new());
    *service.get_mut() += 1;
    assert_eq!((*service.get_ref(), service.into_inner()), (2, 2));
    let body: TrackBody<Full<Bytes>> = TrackBody::default();
    assert!(body.has_settled() && body.is_end_stream() && body.get_ref().is_end_stream());
    let _: Result<_, Infallible> = body.collect().await;
}

/// Returns the outcome that a body of these steps has after so many polls; `None` if it is dropped before its end.
fn expected(steps: &[Step], polls: usize, with_length: bool) -> Option<Class> {
    let mut left: usize =
        steps.iter().map(|step| if let Step::Data(data) = step { data.len() } else { 0 }).sum();
    let mut received = false;
    for step in steps.iter().map(Some).chain([None]).take(polls) {
        match step {
            Some(Step::Break) => return Some(Class::Unavailable),
            Some(Step::Trailers(_)) | None => return Some(Class::Success),
            Some(Step::Data(data)) => {
                left -= data.len();
                received = left == 0;
            }
        }
    }
    (with_length && received).then_some(Class::Success)
}

proptest! {
    #[test]
    fn every_handle_is_notified_once_whatever_happens_to_the_body(
        steps in proptest::collection::vec(0..8u8, 0..6), polls in 0..9usize, with_length: bool,
    ) {
        let step = |kind| match kind {
            0 => Step::Break,
            1 => Step::Trailers(HeaderMap::new()),
            _ => Step::Data("data"),
        };
        let steps: Vec<_> = steps.into_iter().map(step).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let inner = scripted(steps.clone());
            let (body, log) = tracked(if with_length { inner.with_length() } else { inner });
            let mut body = Box::pin(body);
            for _ in 0..polls {
                if !matches!(body.frame().await, Some(Ok(_))) {
                    break;
                }
            }
            drop(body);
            prop_assert_eq!(log.take(), [expected(&steps, polls, with_length)]);
            Ok(())
        })?;
    }
}
