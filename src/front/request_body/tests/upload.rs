//! Tests of the upload of a request body: a client that sends too slowly is refused.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::{sync::Semaphore, time::Instant};
use tollgate_test_support::{Script, Step};
use tower::{Layer, ServiceExt, service_fn};

use crate::{
    Error,
    config::{Config, Settings},
    front::{
        admission::{AdmittedCall, ModelCall},
        request_body::ReadRequest,
    },
    group::ArcService,
    request::{Operation, Request, Response},
};

/// Uploads a body; returns the result and the time that it took.
async fn upload(script: Script) -> (Result<Response, Error>, Duration) {
    sent(http::Request::new(script.into_body()), 1 << 20).await
}

/// Sends a request with a limit on its body; returns the result and the time that it took.
async fn sent<B>(request: http::Request<B>, max_body: usize) -> (Result<Response, Error>, Duration)
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    send_to(service(Settings { max_body, ..Settings::default() }), request).await
}

/// Returns a service that answers every request.
fn service(settings: Settings) -> ReadRequest {
    let tree = ArcService::layer().layer(service_fn(|_: Request| async {
        Ok::<_, Error>(Response::new(http::Response::new(crate::body::Body::full("answer"))))
    }));
    let (config, _) = Config::from_yaml("model_list: []", "", &|_| None).unwrap();
    ReadRequest::new(tree, &Config { settings, ..config }, false, false)
}

/// Sends a request to a service; returns the result and the time that it took.
async fn send_to<B>(service: ReadRequest, request: http::Request<B>) -> (Result<Response, Error>, Duration)
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
    let start = Instant::now();
    let call =
        ModelCall { operation: Operation::Chat, model: None, client: None, arrival: Instant::now(), request };
    (service.oneshot(AdmittedCall { call, permit }).await, start.elapsed())
}

fn pieces(of: usize) -> Vec<Bytes> {
    let body = format!(r#"{{"model":"m","messages":[],"user":"{}"}}"#, "x".repeat(4_000));
    body.as_bytes().chunks(of).map(Bytes::copy_from_slice).collect()
}

fn stalled(result: &(Result<Response, Error>, Duration)) {
    match result {
        (Err(Error::InvalidRequest(rejected)), after) => {
            assert_eq!((rejected.status().as_u16(), after.as_secs()), (408, 30));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_of_a_byte_now_and_then_is_refused() {
    stalled(&upload(Script::paced(Duration::from_secs(1), pieces(1))).await);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_stops_after_its_first_bytes_is_refused() {
    stalled(&upload(Script::paced(Duration::from_millis(1), pieces(1).drain(..20)).then(Step::Hang)).await);
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_stops_after_a_slow_start_is_refused() {
    let slow = Script::paced(Duration::from_secs(1), pieces(100)).then(Step::Hang);
    match upload(slow).await {
        // At 33 s it had sent its third kilobyte, and never sent a fourth.
        (Err(Error::InvalidRequest(rejected)), after) => {
            assert_eq!((rejected.status().as_u16(), after.as_secs()), (408, 63));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_upload_with_steady_progress_is_read_to_its_end() {
    let (result, took) = upload(Script::paced(Duration::from_secs(1), pieces(100))).await;
    assert!(result.is_ok() && took > Duration::from_secs(40), "{result:?} {took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_upload_takes_no_memory_for_its_content_length_alone() {
    let mut request = http::Request::new(Script::paced(Duration::from_millis(1), pieces(1000)).into_body());
    request.headers_mut().insert("content-length", usize::MAX.into());
    let (result, _) = sent(request, usize::MAX).await;
    assert!(result.is_ok(), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn an_upload_with_steady_progress_is_refused_after_five_minutes() {
    let slow = Script::paced(Duration::from_secs(10), vec![Bytes::from(vec![b' '; 2_000]); 100]);
    match upload(slow).await {
        (Err(Error::InvalidRequest(rejected)), after) => {
            assert_eq!((rejected.status().as_u16(), after.as_secs()), (408, 300));
        }
        other => panic!("{other:?}"),
    }
}

/// Returns the frames of a valid body of about this length.
fn body_of(length: usize) -> Vec<Bytes> {
    let body = format!(r#"{{"model":"m","messages":[],"user":"{}"}}"#, "x".repeat(length));
    body.as_bytes().chunks(10_000).map(Bytes::copy_from_slice).collect()
}

#[tokio::test(start_paused = true)]
async fn uploads_that_trickle_give_their_memory_to_one_that_does_not() {
    let memory = service(Settings { max_buffered_bytes: 1_000_000, ..Settings::default() });
    let mut tricklers = tokio::task::JoinSet::new();
    for _ in 0..9 {
        // A tenth of the memory at once, and then a byte now and then.
        let script = Script::paced(Duration::from_millis(1), body_of(100_000).into_iter().take(10));
        let byte = |script: Script| {
            script.then(Step::Data(Bytes::from_static(b" "))).then(Step::Wait(Duration::from_millis(20)))
        };
        let trickle = (0..10_000).fold(script, |script, _| byte(script));
        tricklers.spawn(send_to(memory.clone(), http::Request::new(trickle.into_body())));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for _ in 0..3 {
        let honest = Script::paced(Duration::from_millis(1), body_of(150_000));
        let (result, took) = send_to(memory.clone(), http::Request::new(honest.into_body())).await;
        assert!(result.is_ok() && took < Duration::from_millis(50), "{result:?} {took:?}");
    }
    let gave_way = tricklers.try_join_next().expect("one gave way").unwrap().0;
    assert!(matches!(gave_way, Err(Error::InvalidRequest(rejected)) if rejected.status() == 408));
    assert_eq!(tricklers.len(), 8, "and no other");
}

#[tokio::test(start_paused = true)]
async fn uploads_that_make_progress_do_not_give_way() {
    let memory = service(Settings { max_buffered_bytes: 1_000_000, ..Settings::default() });
    let steady = Script::paced(Duration::from_millis(100), body_of(950_000));
    let steady = tokio::spawn(send_to(memory.clone(), http::Request::new(steady.into_body())));
    tokio::time::sleep(Duration::from_secs(9)).await;
    let other = Script::paced(Duration::from_millis(1), body_of(150_000));
    let (result, _) = send_to(memory, http::Request::new(other.into_body())).await;
    assert!(matches!(result, Err(Error::Busy)), "{result:?}");
    assert!(steady.await.unwrap().0.is_ok());
}

/// A body of this length with a trailing comma.
fn with_comma(length: usize) -> http::Request<impl Body<Data = Bytes, Error = Infallible>> {
    let body = format!(r#"{{"model":"m","messages":[],"user":"{}",}}"#, "x".repeat(length));
    http::Request::new(Script::paced(Duration::ZERO, [Bytes::from(body)]).into_body())
}

#[tokio::test]
async fn a_large_body_with_a_trailing_comma_is_read_off_the_workers() {
    let service = service(Settings::default());
    let large = tokio::spawn(send_to(service, with_comma(8_000_000)));
    let mut turns = 0_u64;
    while !large.is_finished() {
        tokio::task::yield_now().await;
        turns += 1;
    }
    assert!(large.await.unwrap().0.is_ok());
    assert!(turns > 100, "the only worker did something else {turns} times");
}

#[tokio::test]
async fn the_copy_of_a_large_body_takes_memory() {
    let service = service(Settings { max_buffered_bytes: 1_000_000, ..Settings::default() });
    assert!(send_to(service.clone(), with_comma(480_000)).await.0.is_ok());
    assert!(matches!(send_to(service, with_comma(520_000)).await.0, Err(Error::Busy)));
}

#[tokio::test]
async fn the_parameters_of_fallbacks_take_memory() {
    let service = service(Settings { max_buffered_bytes: 1_000_000, ..Settings::default() });
    for (length, served) in [(480_000, true), (520_000, false)] {
        let body = format!(
            r#"{{"model":"m","messages":[],"fallbacks":[{{"model":"n","user":"{}"}}]}}"#,
            "x".repeat(length)
        );
        let request = http::Request::new(Script::paced(Duration::ZERO, [Bytes::from(body)]).into_body());
        assert_eq!(send_to(service.clone(), request).await.0.is_ok(), served, "{length}");
    }
}

/// A body that reports its end with its last frame, and panics when it is polled again.
struct Declared(Option<Bytes>);

impl Body for Declared {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(self.0.take().expect("polled once")))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

#[tokio::test]
async fn an_upload_is_not_polled_after_its_end() {
    let body = Declared(Some(Bytes::from_static(br#"{"model":"m","messages":[]}"#)));
    assert!(sent(http::Request::new(body), 1000).await.0.is_ok());
}

/// A body with this size hint, which panics when it is polled.
struct Announced(u64);

impl Body for Announced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("it was read")
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

#[tokio::test]
async fn an_upload_with_a_length_beyond_the_limit_is_refused_before_a_byte_is_read() {
    match sent(http::Request::new(Announced(1001)), 1000).await.0 {
        Err(Error::InvalidRequest(rejected)) => assert_eq!(rejected.status().as_u16(), 413),
        other => panic!("{other:?}"),
    }
}

#[cfg(not(feature = "compression"))]
#[tokio::test]
async fn an_upload_in_a_content_coding_is_refused_by_a_build_without_compression() {
    for coding in ["gzip", "br", "unknown"] {
        let mut request = http::Request::new(Script::paced(Duration::ZERO, pieces(1000)).into_body());
        request.headers_mut().insert("content-encoding", coding.parse().unwrap());
        let Err(error) = sent(request, 1 << 20).await.0 else { panic!("{coding} was read") };
        assert!(error.to_string().contains("built without `compression`"), "{error}");
        let response =
            crate::front::handle_error::error_response(&error, crate::dialect::ClientDialect::Chat);
        assert_eq!(response.status().as_u16(), 415, "{coding}");
        assert_eq!(response.headers()["accept-encoding"], "identity", "{coding}");
    }
}
