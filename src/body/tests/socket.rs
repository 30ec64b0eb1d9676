//! The same over real connections: upstream -> client connection -> Peek -> Body -> server connection -> client.

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

/// Serves every request with this answer.
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

/// Serves what that upstream answers, peeked at, with a permit and a listener fastened to each answer.
async fn gateway(upstream: SocketAddr, stream: bool) -> (SocketAddr, RecordedOutcomes, Arc<Semaphore>) {
    let (heard, places) = (RecordedOutcomes::default(), Arc::new(Semaphore::new(1)));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let (hearing, taken) = (heard.clone(), Arc::clone(&places));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (hearing, taken) = (hearing.clone(), Arc::clone(&taken));
            let serve = service_fn(move |_| {
                let (hearing, taken) = (hearing.clone(), Arc::clone(&taken));
                async move { Ok::<_, Infallible>(response(upstream, stream, &hearing, taken).await) }
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), serve),
            );
        }
    });
    (address, heard, places)
}

async fn response(
    upstream: SocketAddr,
    stream: bool,
    heard: &RecordedOutcomes,
    places: Arc<Semaphore>,
) -> Response<Body> {
    let layer = PeekLayer::new(Constant(AttemptTimeouts::default()), CLASSIFIER);
    let mut response =
        peek_with(layer, stream, get(upstream).await.map(UpstreamBody::from)).await.expect("an answer");
    response.body_mut().attach(places.try_acquire_owned().expect("one is free"));
    response.body_mut().attach(OutcomeCallback::new(heard.listening()));
    *response
}

/// Waits until this many have heard, for at most 100 ms.
async fn heard(heard: &RecordedOutcomes, places: &Semaphore, count: usize) -> Vec<Option<Class>> {
    let began = Instant::now();
    while heard.all().len() < count && began.elapsed() < Duration::from_millis(100) {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(places.available_permits(), 1, "its place is free");
    heard.all()
}

#[tokio::test]
async fn a_plain_answer_of_known_length_is_heard_each_time() {
    let json: Bytes = format!("[{}0]", "1,".repeat(100_000)).into();
    let length = json.len();
    let upstream = serve(move || {
        let body = http_body_util::Full::new(json.clone()).boxed();
        async { Response::new(body) }
    })
    .await;
    let (address, hearing, places) = gateway(upstream, false).await;
    for round in 1..=3 {
        let response = get(address).await;
        assert_eq!(response.headers()["content-length"], length.to_string().as_str(), "its length is kept");
        assert_eq!(response.into_body().collect().await.expect("whole").to_bytes().len(), length);
        assert_eq!(heard(&hearing, &places, round).await, vec![Some(Class::Success); round]);
    }
}

#[tokio::test]
async fn when_the_client_leaves_the_upstream_sees_it_and_all_is_given_back() {
    let (held, mut dropped) = mpsc::channel::<()>(1);
    let held = Arc::new(Mutex::new(Some(held)));
    let upstream = serve(move || {
        let held = held.lock().unwrap_or_else(PoisonError::into_inner).take().expect("called once");
        let frames = iter([Ok(Frame::data(says("a").into()))]).chain(pending());
        // Dropped, it closes the channel.
        let body = BoxBody::new(StreamBody::new(frames.inspect(move |_| _ = &held)));
        async { Response::builder().header("content-type", "text/event-stream").body(body).expect("valid") }
    })
    .await;
    let (address, hearing, places) = gateway(upstream, true).await;
    let mut response = get(address).await;
    assert!(response.frame().await.is_some());
    assert!(hearing.all().is_empty() && places.available_permits() == 0, "under way");
    drop(response);
    assert_eq!(heard(&hearing, &places, 1).await, [None], "cancelled");
    let gone = timeout(Duration::from_millis(100), dropped.recv()).await;
    assert_eq!(gone.expect("the upstream's body is gone"), None);
}
