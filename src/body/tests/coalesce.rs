//! Bursts are merged, lone frames go at once, and a slow reader is not taken for a silent upstream.

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

/// `None` is a poll in vain.
/// A body of these frames; a poll finds nothing where there is none.
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
fn a_lone_frame_goes_at_once_and_a_long_one_is_not_copied() {
    for length in [1, SHORT, SHORT + 1] {
        let lone = Bytes::from(vec![b'x'; length]);
        let mut body = coalesce([Some(lone.clone()), None, None]);
        let Poll::Ready(Some(data)) = poll(&mut body) else { panic!("nothing is waited for") };
        assert_eq!(data, lone);
        assert_eq!(data.as_ptr() == lone.as_ptr(), length > SHORT);
        assert!(poll(&mut body).is_pending());
    }
}

#[test]
fn a_short_frame_leaves_the_buffer_that_it_came_in_free_for_the_next() {
    const FULL: usize = 8 * 1024;
    // Frames that are slices of one buffer, as hyper's are, and whether that was free each time when one was asked for.
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
fn what_is_there_together_goes_out_as_one() {
    let mut body = coalesce([letter("a"), letter("b"), letter("c"), None, letter("d"), None]);
    assert_eq!(poll(&mut body), Poll::Ready(Some(Bytes::from("abc"))));
    assert_eq!(poll(&mut body), Poll::Ready(Some(Bytes::from("d"))));
}

#[test]
fn before_the_head_has_gone_nothing_is_kept_for_company() {
    let mut body = Coalesce::new(script([letter("a"), letter("b"), letter("c"), letter("d"), None]));
    for expected in ["a", "b"] {
        assert_eq!(poll(&mut body), Poll::Ready(Some(Bytes::from(expected))));
    }
    body.begin();
    assert_eq!(poll(&mut body), Poll::Ready(Some(Bytes::from("cd"))));
}

#[test]
fn a_batch_is_bounded_and_the_end_is_declared_with_the_last() {
    let piece = Bytes::from(vec![0; 2_500]);
    let mut body = coalesce([Some(piece.clone()), Some(piece.clone()), Some(piece)]);
    assert_eq!(poll(&mut body).map(|data| data.map(|data| data.len())), Poll::Ready(Some(5_000)));
    assert_eq!(poll(&mut body).map(|data| data.map(|data| data.len())), Poll::Ready(Some(2_500)));
    assert!(body.is_end_stream());
    assert_eq!(poll(&mut body), Poll::Ready(None));
}

/// Serves one answer whose frames are all there at once, and fetches it over a socket.
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
        // The client hangs up when the test is done.
        let _ =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), serve).await;
    });
    let dial =
        move || async move { Ok(MaybeHttpsStream::Http(TokioIo::new(TcpStream::connect(address).await?))) };
    let pool = Arc::new(Pool::new(Duration::from_secs(50), dial));
    let request = http::Request::new(SplicedBody::new(Vec::new()));
    let mut upstream = UpstreamBody::from(pool.send(request).await.expect("an answer").into_body());
    upstream.coalesce_bursts();
    upstream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_over_a_socket_is_merged() {
    const EVENTS: usize = 64;
    let mut counts = Vec::new();
    // How a single one is cut into packets is not ours to say: most must be good.
    for _ in 0..20 {
        // In a task of its own, as a server's connection polls it.
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
    assert!(counts[10] <= EVENTS / 8, "pieces of {EVENTS} events: {counts:?}: merging has rotted");
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
async fn a_slow_reader_is_not_the_upstreams_silence() {
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
    source.as_mut().timeouts().life().expect("in time");
    // The reader takes nothing for an hour, and then all.
    tokio::time::advance(Duration::from_secs(3600)).await;
    let event = std::future::poll_fn(|cx| source.as_mut().poll_event(cx)).await;
    assert!(matches!(event, SourceEvent::Data(..)), "{event:?}");
}
