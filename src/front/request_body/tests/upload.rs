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
    config::Settings,
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
    let tree = ArcService::layer().layer(service_fn(|_: Request| async {
        Ok::<_, Error>(Response::new(http::Response::new(crate::body::Body::full("answer"))))
    }));
    let settings = Settings { max_body, ..Settings::default() };
    let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
    let start = Instant::now();
    let service = ReadRequest::new(tree, &settings, false);
    let call = ModelCall { operation: Operation::Chat, model: None, request };
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
