//! Bursts are coalesced, a single frame is returned at once, and a slow reader does not count as a silent upstream.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::stream::poll_fn;
use http::Response;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use hyper::service::service_fn;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tollgate_test_support::{self as support, Script, Scripted};

use crate::{
    body::{
        AttemptTimeouts, ScriptStep, UpstreamBody,
        coalesce::{Coalesce, SHORT},
        testing::{data, peek, poll_once, says, sse},
    },
    deployment::pool::Pool,
    request::SplicedBody,
};

/// Returns a body of these frames; `None` is a poll that finds no frame.
fn script(frames: impl IntoIterator<Item = Option<Bytes>>) -> Scripted {
    let step = |frame: Option<Bytes>| frame.map_or(support::Step::Pending, support::Step::Data);
    frames.into_iter().map(step).collect::<Script>().into_body()
}

fn coalesce(frames: impl IntoIterator<Item = Option<Bytes>>) -> Coalesce<Scripted> {
    let mut coalesce = Coalesce::new(script(frames));
    coalesce.begin();
    coalesce
}

fn poll(body: &mut Coalesce<Scripted>) -> Poll<Option<Bytes>> {
    let frame = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
    frame.map(|frame| {
        frame.map(|frame| frame.unwrap_or_else(|never| match never {}).into_data().expect("data"))
    })
}

fn letter(letter: &'static str) -> Option<Bytes> {
    Some(Bytes::from_static(letter.as_bytes()))
}

#[test]
fn coalesce_returns_a_single_frame_at_once_and_copies_no_long_one() {
    for length in [1, SHORT, SHORT + 1] {
        let lone = Bytes::from(vec![b'x'; length]);
        let mut body = coalesce([Some(lone.clone()), None, None]);
        let Poll::Ready(Some(data)) = poll(&mut body) else { panic!("no wait") };
        assert_eq!(data, lone);
        assert_eq!(data.as_ptr() == lone.as_ptr(), length > SHORT);
        assert!(poll(&mut body).is_pending());
    }
}

#[test]
fn coalesce_releases_the_read_buffer_of_a_short_frame() {
    const FULL: usize = 8 * 1024;
    // The frames are slices of one buffer, like hyper's. `free` records for each poll whether the buffer could be
    // reused.
    let (mut buffer, mut free) = (BytesMut::with_capacity(FULL), Vec::new());
    let events = StreamBody::new(poll_fn(|_| {
        free.push(buffer.try_reclaim(FULL));
        if free.len().is_multiple_of(2) {
            return Poll::Pending;
        }
        buffer.extend_from_slice(b"event");
        Poll::Ready(Some(Ok::<_, Infallible>(Frame::data(buffer.split().freeze()))))
    }));
    let mut body = Coalesce::new(events);
    body.begin();
    let mut kept = Vec::new();
    for _ in 0..10 {
        kept.push(Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop())));
    }
    drop(body);
    assert_eq!(free, [true; 20]);
}

#[test]
fn coalesce_joins_frames_that_are_ready_together() {
    let mut body = coalesce([letter("a"), letter("b"), letter("c"), None, letter("d"), None]);
    assert_eq!(poll(&mut body), Poll::Ready(Some(Bytes::from("abc"))));
    assert_eq!(poll(&mut body), Poll::Ready(Some(Bytes::from("d"))));
}

#[test]
fn coalesce_joins_no_frames_before_it_has_begun() {
    let mut body = Coalesce::new(script([letter("a"), letter("b"), letter("c"), letter("d"), None]));
    for expected in ["a", "b"] {
        assert_eq!(poll(&mut body), Poll::Ready(Some(Bytes::from(expected))));
    }
    body.begin();
    assert_eq!(poll(&mut body), Poll::Ready(Some(Bytes::from("cd"))));
}

#[test]
fn coalesce_bounds_a_batch_and_reports_the_end_with_the_last_one() {
    let piece = Bytes::from(vec![0; 2_500]);
    let mut body = coalesce([Some(piece.clone()), Some(piece.clone()), Some(piece)]);
    assert_eq!(poll(&mut body).map(|data| data.map(|data| data.len())), Poll::Ready(Some(5_000)));
    assert_eq!(poll(&mut body).map(|data| data.map(|data| data.len())), Poll::Ready(Some(2_500)));
    assert!(body.is_end_stream());
    assert_eq!(poll(&mut body), Poll::Ready(None));
}

/// Serves one response whose frames are all ready at once, and fetches it over a socket.
async fn burst(events: usize) -> UpstreamBody {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.expect("a client");
        let serve = service_fn(move |_| async move {
            let frames =
                (0..events).map(|i| Ok::<_, Infallible>(Frame::data(Bytes::from(says(&i.to_string())))));
            Ok::<_, Infallible>(Response::new(StreamBody::new(futures_util::stream::iter(frames))))
        });
        // The client disconnects at the end of the test.
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), serve).await;
    });
    let dial =
        move || async move { Ok(MaybeHttpsStream::Http(TokioIo::new(TcpStream::connect(address).await?))) };
    let pool = Arc::new(Pool::new(Duration::from_secs(50), dial));
    let request = http::Request::new(SplicedBody::new(Vec::new()));
    let mut upstream = UpstreamBody::new(pool.send(request, false).await.expect("an answer").into_body());
    upstream.coalesce_bursts();
    upstream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coalesce_joins_a_burst_over_a_socket() {
    const EVENTS: usize = 64;
    let mut counts = Vec::new();
    // The kernel decides the packets of a single burst: the median must be good.
    for _ in 0..20 {
        // In a separate task, like a server's connection.
        let (pieces, bytes) = tokio::spawn(async {
            let (mut upstream, mut pieces, mut bytes) = (burst(EVENTS).await, 0, 0);
            while let Some(frame) = upstream.frame().await {
                pieces += 1;
                bytes += frame.expect("no fault").into_data().expect("data").len();
            }
            (pieces, bytes)
        })
        .await
        .expect("no panic");
        assert_eq!(bytes, (0..EVENTS).map(|i| says(&i.to_string()).len()).sum::<usize>(), "nothing is lost");
        counts.push(pieces);
    }
    counts.sort_unstable();
    assert!(counts[10] <= EVENTS / 8, "pieces of {EVENTS} events: {counts:?}: coalescing does not work");
}

#[tokio::test]
async fn the_first_content_does_not_wait_for_an_upstream_that_never_pauses() {
    let events = ["a", "b", "c"].map(|word| data(says(word)));
    let response =
        peek(true, AttemptTimeouts::default(), sse(events.into_iter().chain([ScriptStep::Hang]))).await;
    let mut body = response.expect("an answer").into_body();
    let Poll::Ready(Some(Ok(first))) = poll_once(&mut body) else { panic!("the head came with it") };
    assert_eq!(first, says("a"));
    assert!(poll_once(&mut body).is_pending(), "now a server writes what it has");
    for word in ["b", "c"] {
        assert!(matches!(poll_once(&mut body), Poll::Ready(Some(Ok(next))) if next == says(word)));
    }
}

#[tokio::test(start_paused = true)]
async fn idle_timeout_does_not_fire_for_a_slow_reader() {
    use tollgate_layers::timeout::Limit;

    use crate::body::{
        source::{Source, SourceEvent},
        timeouts::RunningTimeouts,
    };

    tokio::time::resume(); // a socket is crossed
    let upstream = burst(3).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    tokio::time::pause();
    let idle =
        AttemptTimeouts { idle: Some(Limit::from(Duration::from_secs(1))), ..AttemptTimeouts::default() };
    let mut source = Box::pin(Source::new(upstream, RunningTimeouts::start(&idle, false)));
    source.as_mut().timeouts().record_frame(false).expect("in time");
    // The reader takes nothing for an hour, and then everything.
    tokio::time::advance(Duration::from_secs(3600)).await;
    let event = std::future::poll_fn(|cx| source.as_mut().poll_event(cx)).await;
    assert!(matches!(event, SourceEvent::Data(..)), "{event:?}");
}
