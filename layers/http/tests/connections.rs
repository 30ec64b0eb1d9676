//! Bodies that report their end, over connections of hyper: HTTP/1.1 with and without a length, HTTP/2 with trailers, and a
//! server that passes a tracked body on.
#![cfg(test)]

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::{
    BodyExt, Empty,
    channel::{Channel, Sender},
};
use hyper::{body::Incoming, client, server, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
    time::timeout,
};
use tollgate_http::{BodyOutcome, ClassifyTrailers, StatusClassifier, TrackBody, TrackBodyLayer};
use tollgate_layers::{BoxError, Class, Classify, OnComplete, Outcome, TrackOutcome};
use tower::{Layer, ServiceExt};

/// The outcomes that a handle was notified of; `None` for a handle that was dropped.
struct Outcomes(mpsc::UnboundedReceiver<Option<Outcome>>);

struct Handle(Option<mpsc::UnboundedSender<Option<Outcome>>>);

impl Handle {
    fn new() -> (Self, Outcomes) {
        let (log, outcomes) = mpsc::unbounded_channel();
        (Self(Some(log)), Outcomes(outcomes))
    }

    fn log(&mut self, outcome: Option<Outcome>) {
        if let Some(log) = self.0.take() {
            let _ = log.send(outcome);
        }
    }
}

impl OnComplete for Handle {
    fn complete(mut self, outcome: &Outcome) {
        self.log(Some(*outcome));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.log(None);
    }
}

impl Outcomes {
    fn is_pending(&mut self) -> bool {
        self.0.try_recv().is_err()
    }

    /// Waits for the outcome, of which there is one.
    async fn only(mut self) -> Option<Class> {
        let first =
            timeout(Duration::from_secs(20), self.0.recv()).await.expect("in time").expect("an outcome");
        assert_eq!(self.0.recv().await, None, "notified once");
        first.map(|outcome| outcome.class())
    }
}

/// A body of frames that a test sends.
type Sent = Channel<Bytes, io::Error>;

fn sent() -> (Sender<Bytes, io::Error>, Sent) {
    Channel::new(8)
}

/// Serves one connection with this response.
fn serve_http1<B>(connection: DuplexStream, response: Response<B>)
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let response = Arc::new(Mutex::new(Some(response)));
    let service = service_fn(move |_: Request<Incoming>| {
        let response = response.lock().unwrap().take();
        async move { response.ok_or("called twice") }
    });
    tokio::spawn(server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service));
}

fn serve_http2(connection: DuplexStream, response: Response<Sent>) {
    let response = Arc::new(Mutex::new(Some(response)));
    let service = service_fn(move |_: Request<Incoming>| {
        let response = response.lock().unwrap().take();
        async move { response.ok_or("called twice") }
    });
    let builder = server::conn::http2::Builder::new(TokioExecutor::new());
    tokio::spawn(builder.serve_connection(TokioIo::new(connection), service));
}

async fn get_http1(connection: DuplexStream) -> Result<Response<Incoming>, BoxError> {
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(connection)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(Request::new(Empty::<Bytes>::new())).await?)
}

async fn get_http2(connection: DuplexStream) -> Result<Response<Incoming>, BoxError> {
    let io = TokioIo::new(connection);
    let (mut sender, connection) = client::conn::http2::handshake(TokioExecutor::new(), io).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(Request::get("http://server/").body(Empty::<Bytes>::new())?).await?)
}

/// Calls through the layer, and attaches a handle to the response.
async fn tracked<C, T, F>(
    layer: TrackBodyLayer<C, T>,
    call: F,
) -> (Response<TrackBody<Incoming, T>>, Outcomes)
where
    C: Classify<Response<Incoming>, BoxError> + Clone,
    T: ClassifyTrailers + Clone,
    F: Future<Output = Result<Response<Incoming>, BoxError>>,
{
    let call = Mutex::new(Some(call));
    let client = tower::service_fn(|()| call.lock().unwrap().take().expect("called once"));
    let result = layer.layer(client).oneshot(()).await;
    let (handle, outcomes) = Handle::new();
    (BodyOutcome.track(handle, result).expect("a response"), outcomes)
}

async fn tracked_http1(connection: DuplexStream) -> (Response<TrackBody<Incoming>>, Outcomes) {
    tracked(TrackBodyLayer::new(StatusClassifier::new()), get_http1(connection)).await
}

#[tokio::test]
async fn a_body_of_known_length_settles_with_its_last_frame() {
    let ((near, far), (mut origin, body)) = (duplex(1024), sent());
    serve_http1(far, Response::builder().header("content-length", 10).body(body).unwrap());
    let (mut response, mut outcomes) = tracked_http1(near).await;
    for (text, settles) in [("hello", false), ("world", true)] {
        origin.send_data(Bytes::from(text)).await.unwrap();
        assert!(outcomes.is_pending());
        let frame = response.body_mut().frame().await.unwrap().unwrap();
        assert_eq!((frame.into_data().unwrap(), response.body().has_settled()), (Bytes::from(text), settles));
    }
    assert_eq!(outcomes.only().await, Some(Class::Success));
}

#[tokio::test]
async fn a_chunked_body_settles_with_its_last_chunk() {
    let ((near, far), (mut origin, body)) = (duplex(1024), sent());
    serve_http1(far, Response::new(body));
    let (response, outcomes) = tracked_http1(near).await;
    origin.send_data(Bytes::from("hello")).await.unwrap();
    drop(origin);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    assert_eq!(outcomes.only().await, Some(Class::Success));
}

#[tokio::test]
async fn a_connection_that_breaks_within_a_body_is_a_failure() {
    for length in [None, Some("content-length")] {
        let ((near, far), (mut origin, body)) = (duplex(1024), sent());
        let mut response = Response::new(body);
        response
            .headers_mut()
            .extend(length.map(|name| (HeaderName::from_static(name), HeaderValue::from(10))));
        serve_http1(far, response);
        let (mut response, outcomes) = tracked_http1(near).await;
        origin.send_data(Bytes::from("hello")).await.unwrap();
        assert!(response.body_mut().frame().await.unwrap().is_ok());
        origin.abort(io::Error::other("broken"));
        assert!(response.into_body().collect().await.is_err());
        assert_eq!(outcomes.only().await, Some(Class::Unavailable), "{length:?}");
    }
}

/// Serves a tracked body of ten bytes to a client.
fn passed_on(client: DuplexStream) -> (Sender<Bytes, io::Error>, Outcomes) {
    let (origin, body) = sent();
    let mut body = TrackBody::new(body, Outcome::new(Class::Success));
    let (handle, outcomes) = Handle::new();
    body.attach(handle);
    serve_http1(client, Response::new(body));
    (origin, outcomes)
}

#[tokio::test]
async fn a_body_that_a_server_passes_on_settles_when_its_client_has_all() {
    let (near, far) = duplex(1024);
    let (mut origin, outcomes) = passed_on(far);
    let response = get_http1(near).await.unwrap();
    origin.send_data(Bytes::from("hello")).await.unwrap();
    drop(origin);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    assert_eq!(outcomes.only().await, Some(Class::Success));
}

#[tokio::test]
async fn a_body_whose_client_disconnects_is_cancelled() {
    let (near, far) = duplex(1024);
    let (mut origin, outcomes) = passed_on(far);
    let response = get_http1(near).await.unwrap();
    origin.send_data(Bytes::from("hello")).await.unwrap();
    drop(response);
    assert_eq!(outcomes.only().await, None);
}

fn grpc_status(code: &'static str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static("grpc-status"), HeaderValue::from_static(code))
}

#[tokio::test]
async fn a_grpc_stream_settles_with_the_status_in_its_trailers() {
    for (code, class) in [("0", Class::Success), ("4", Class::Timeout), ("14", Class::Unavailable)] {
        let ((near, far), (mut origin, body)) = (duplex(1024), sent());
        serve_http2(far, Response::new(body));
        let (mut response, mut outcomes) = tracked(TrackBodyLayer::grpc(), get_http2(near)).await;
        origin.send_data(Bytes::from("message")).await.unwrap();
        assert!(response.body_mut().frame().await.unwrap().is_ok());
        assert!(outcomes.is_pending());
        origin.send_trailers(HeaderMap::from_iter([grpc_status(code)])).await.unwrap();
        assert!(response.into_body().collect().await.unwrap().trailers().is_some());
        assert_eq!(outcomes.only().await, Some(class), "{code}");
    }
}

#[tokio::test]
async fn a_grpc_response_of_trailers_only_settles_at_its_head() {
    for (code, class) in [("0", Class::Success), ("8", Class::RateLimited), ("16", Class::Unauthorized)] {
        let ((near, far), (origin, body)) = (duplex(1024), sent());
        drop(origin);
        let mut response = Response::new(body);
        response.headers_mut().extend([grpc_status(code)]);
        serve_http2(far, response);
        let (response, outcomes) = tracked(TrackBodyLayer::grpc(), get_http2(near)).await;
        assert_eq!(response.body().outcome().class(), class);
        assert!(response.into_body().collect().await.is_ok());
        assert_eq!(outcomes.only().await, Some(class), "{code}");
    }
}

#[tokio::test]
async fn a_grpc_stream_that_is_reset_is_a_failure() {
    let ((near, far), (mut origin, body)) = (duplex(1024), sent());
    serve_http2(far, Response::new(body));
    let (mut response, outcomes) = tracked(TrackBodyLayer::grpc(), get_http2(near)).await;
    origin.send_data(Bytes::from("message")).await.unwrap();
    assert!(response.body_mut().frame().await.unwrap().is_ok());
    origin.abort(io::Error::other("broken"));
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(outcomes.only().await, Some(Class::Unavailable));
}
