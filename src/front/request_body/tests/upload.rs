//! A body on its way in: who hardly sends any more is not waited for.

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
    config::Midstream,
    front::{
        admission::{Admitted, Call},
        request_body::{ReadRequest, Rules},
    },
    group::ArcService,
    request::{Operation, Request, Response},
};

/// What comes of the upload, and when.
async fn upload(script: Script) -> (Result<Response, Error>, Duration) {
    sent(http::Request::new(script.into_body()), 1 << 20).await
}

/// The same, of a whole request and with a limit.
async fn sent<B>(request: http::Request<B>, max_body: usize) -> (Result<Response, Error>, Duration)
where
    B: Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let tree = ArcService::layer().layer(service_fn(|_: Request| async {
        Ok::<_, Error>(Response::new(http::Response::new(crate::body::Body::full("answer"))))
    }));
    let rules = Rules {
        max_body,
        max_buffered: 1 << 30,
        longest: None,
        retries: 0,
        midstream: Midstream::Off,
        expose_upstreams: false,
    };
    let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
    let start = Instant::now();
    let intake = ReadRequest::new(tree, rules);
    let call = Call { operation: Operation::Chat, request };
    (intake.oneshot(Admitted { call, permit }).await, start.elapsed())
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
async fn a_byte_now_and_then_is_no_progress() {
    stalled(&upload(Script::paced(Duration::from_secs(1), pieces(1))).await);
}

#[tokio::test(start_paused = true)]
async fn silence_after_the_first_bytes_is_not_waited_for() {
    stalled(&upload(Script::paced(Duration::from_millis(1), pieces(1).drain(..20)).then(Step::Hang)).await);
}

#[tokio::test(start_paused = true)]
async fn silence_after_a_slow_line_is_not_waited_for_either() {
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
async fn a_slow_line_is_waited_for_however_long_it_takes() {
    let (result, took) = upload(Script::paced(Duration::from_secs(1), pieces(100))).await;
    assert!(result.is_ok() && took > Duration::from_secs(40), "{result:?} {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_length_that_is_only_announced_takes_no_memory() {
    let mut request = http::Request::new(Script::paced(Duration::from_millis(1), pieces(1000)).into_body());
    request.headers_mut().insert("content-length", usize::MAX.into());
    let (result, _) = sent(request, usize::MAX).await;
    assert!(result.is_ok(), "{result:?}");
}

/// A body that tells its end with its last frame, and must not be asked for more.
struct Declared(Option<Bytes>);

impl Body for Declared {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(self.0.take().expect("asked once")))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

#[tokio::test]
async fn a_body_that_has_told_its_end_is_not_asked_for_it() {
    let body = Declared(Some(Bytes::from_static(br#"{"model":"m","messages":[]}"#)));
    assert!(sent(http::Request::new(body), 1000).await.0.is_ok());
}

/// A body that announces so many bytes, and must not be asked for any.
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
async fn a_length_beyond_the_limit_is_refused_before_a_byte_is_read() {
    match sent(http::Request::new(Announced(1001)), 1000).await.0 {
        Err(Error::InvalidRequest(rejected)) => assert_eq!(rejected.status().as_u16(), 413),
        other => panic!("{other:?}"),
    }
}
