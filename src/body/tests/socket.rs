//! Handles over real connections: upstream -> client connection -> Peek -> Body -> server connection -> client.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{iter, pending},
};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::{Instant, sleep, timeout},
};
use tollgate_layers::{Class, setting::Constant};

use crate::{
    body::{
        AttemptTimeouts, Body, OutcomeCallback, UpstreamBody,
        testing::{CLASSIFIER, RecordedOutcomes, peek_with, says},
    },
    deployment::peek::PeekLayer,
};

type Sent = Response<BoxBody<Bytes, Infallible>>;

/// Serves every request with this response.
async fn serve<A, B>(response: A) -> SocketAddr
where
    A: Fn() -> B + Clone + Send + 'static,
    B: Future<Output = Sent> + Send,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let response = response.clone();
            let serve = service_fn(move |_| {
                let response = response();
                async move { Ok::<_, Infallible>(response.await) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), serve),
            );
        }
    });
    address
}

async fn get(address: SocketAddr) -> Response<Incoming> {
    let socket = TcpStream::connect(address).await.expect("connected");
    let (mut client, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await.expect("shaken");
    tokio::spawn(connection);
    client.send_request(Request::new(Empty::<Bytes>::new())).await.expect("an answer")
}

/// Serves the responses of that upstream through Peek, with a permit and a callback attached to each.
async fn gateway(upstream: SocketAddr, stream: bool) -> (SocketAddr, RecordedOutcomes, Arc<Semaphore>) {
    let (outcomes, permits) = (RecordedOutcomes::default(), Arc::new(Semaphore::new(1)));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (recorded, taken) = (outcomes.clone(), Arc::clone(&permits));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (recorded, taken) = (recorded.clone(), Arc::clone(&taken));
            let serve = service_fn(move |_| {
                let (recorded, taken) = (recorded.clone(), Arc::clone(&taken));
                async move { Ok::<_, Infallible>(response(upstream, stream, &recorded, taken).await) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), serve),
            );
        }
    });
    (address, outcomes, permits)
}

async fn response(
    upstream: SocketAddr,
    stream: bool,
    outcomes: &RecordedOutcomes,
    permits: Arc<Semaphore>,
) -> Response<Body> {
    let layer = PeekLayer::new(Constant(AttemptTimeouts::default()), CLASSIFIER);
    let mut response =
        peek_with(layer, stream, get(upstream).await.map(UpstreamBody::new)).await.expect("an answer");
    response.body_mut().attach(permits.try_acquire_owned().expect("a free permit"));
    response.body_mut().attach(OutcomeCallback::new(outcomes.callback()));
    *response
}

/// Waits until this many outcomes are recorded, for at most 100 ms.
async fn outcomes(outcomes: &RecordedOutcomes, permits: &Semaphore, count: usize) -> Vec<Option<Class>> {
    let began = Instant::now();
    while outcomes.all().len() < count && began.elapsed() < Duration::from_millis(100) {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(permits.available_permits(), 1, "its permit is free");
    outcomes.all()
}

#[tokio::test]
async fn handles_are_notified_of_each_plain_response_of_known_length() {
    let json: Bytes = format!("[{}0]", "1,".repeat(100_000)).into();
    let length = json.len();
    let upstream = serve(move || {
        let body = http_body_util::Full::new(json.clone()).boxed();
        async { Response::new(body) }
    })
    .await;
    let (address, recorded, permits) = gateway(upstream, false).await;
    for round in 1..=3 {
        let response = get(address).await;
        assert_eq!(response.headers()["content-length"], length.to_string().as_str(), "its length is kept");
        assert_eq!(response.into_body().collect().await.expect("whole").to_bytes().len(), length);
        assert_eq!(outcomes(&recorded, &permits, round).await, vec![Some(Class::Success); round]);
    }
}

#[tokio::test]
async fn client_disconnect_drops_the_upstream_body_and_releases_all_handles() {
    let (held, mut dropped) = mpsc::channel::<()>(1);
    let held = Arc::new(Mutex::new(Some(held)));
    let upstream = serve(move || {
        let held = held.lock().unwrap_or_else(PoisonError::into_inner).take().expect("called once");
        let frames = iter([Ok(Frame::data(says("a").into()))]).chain(pending());
        // A drop closes the channel.
        let body = BoxBody::new(StreamBody::new(frames.inspect(move |_| _ = &held)));
        async { Response::builder().header("content-type", "text/event-stream").body(body).expect("valid") }
    })
    .await;
    let (address, recorded, permits) = gateway(upstream, true).await;
    let mut response = get(address).await;
    assert!(response.frame().await.is_some());
    assert!(recorded.all().is_empty() && permits.available_permits() == 0, "under way");
    drop(response);
    assert_eq!(outcomes(&recorded, &permits, 1).await, [None], "cancelled");
    let gone = timeout(Duration::from_millis(100), dropped.recv()).await;
    assert_eq!(gone.expect("the upstream's body is gone"), None);
}
