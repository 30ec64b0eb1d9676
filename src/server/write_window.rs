//! Backpressure for responses: [`WriteWindow`] limits the bytes that wait for a client, [`BackpressureBody`] applies it.
//!
//! hyper has one buffer limit for reads and writes, and polls a body until that much is queued. Long prompts need a large
//! limit, slow readers need a small one. So the write queue is limited here: after [`PAUSE_AT`] bytes were passed to hyper,
//! the body is pending until the socket has accepted all of them. hyper queues frames without copying them
//! ([`ClientIo`](super::client_io::ClientIo) writes vectored), so a client that reads nothing holds these bytes and the rest
//! of one frame.
//!
//! The mechanism depends on three properties of hyper's HTTP/1 server, each of which has a test: it polls body and
//! connection in one task; it flushes after the body was pending; otherwise it flushes the connection only when its queue
//! is empty.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{listener::AtCapacity, waiting::HeadState};

/// The number of unflushed bytes at which the body pauses.
pub(super) const PAUSE_AT: usize = 16 * 1024;

/// The flow control of one connection, shared by its responses and its [`ClientIo`](super::client_io::ClientIo).
#[derive(Clone, Debug)]
pub(super) struct WriteWindow {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The number of bytes that were passed to hyper since the last flush.
    ///
    /// Only the task of the connection reads and writes it: it is atomic because tasks change threads.
    unflushed: AtomicUsize,
    at_capacity: AtCapacity,
    head: Arc<HeadState>,
}

impl WriteWindow {
    pub(super) fn new(at_capacity: AtCapacity, head: Arc<HeadState>) -> Self {
        Self { shared: Arc::new(Shared { unflushed: AtomicUsize::new(0), at_capacity, head }) }
    }

    /// Returns the state of the connection's request head.
    pub(super) fn head(&self) -> Arc<HeadState> {
        Arc::clone(&self.shared.head)
    }

    /// Returns a complete response of the server itself.
    pub(super) fn response<B>(self, body: Bytes) -> Response<BackpressureBody<B>> {
        Response::new(BackpressureBody { inner: None, own: body, window: self })
    }

    /// Returns the response with a body that keeps to this window. If the listener is at capacity, the response closes its
    /// connection, so that a waiting client is accepted.
    pub(super) fn wrap<B>(self, response: Response<B>) -> Response<BackpressureBody<B>> {
        let at_capacity = self.shared.at_capacity.get();
        let mut response =
            response.map(|inner| BackpressureBody { inner: Some(inner), own: Bytes::new(), window: self });
        if at_capacity {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    /// Records that the socket has accepted all bytes. Returns true if a body may be pending until now.
    pub(super) fn flushed(&self) -> bool {
        self.shared.head.flushed();
        let unflushed = self.unflushed();
        if unflushed > 0 {
            self.shared.unflushed.store(0, Relaxed);
        }
        unflushed >= PAUSE_AT
    }

    fn unflushed(&self) -> usize {
        self.shared.unflushed.load(Relaxed)
    }

    /// Counts bytes that are passed to hyper.
    fn add(&self, bytes: usize) {
        self.shared.unflushed.store(self.unflushed() + bytes, Relaxed);
    }
}

pin_project! {
    /// A response body that is pending while its client reads too slowly.
    #[derive(Debug)]
    pub(super) struct BackpressureBody<B> {
        // None in a response of the server itself, which is all in `own`.
        #[pin]
        inner: Option<B>,
        own: Bytes,
        window: WriteWindow,
    }

    impl<B> PinnedDrop for BackpressureBody<B> {
        fn drop(this: Pin<&mut Self>) {
            this.window.shared.head.end_response();
        }
    }
}

impl<B> Body for BackpressureBody<B>
where
    B: Body<Data = Bytes>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if this.window.unflushed() >= PAUSE_AT {
            // `ClientIo` wakes the task after the flush.
            return Poll::Pending;
        }
        let frame = match this.inner.as_pin_mut() {
            Some(inner) => ready!(inner.poll_frame(cx)),
            None => {
                Some(std::mem::take(this.own)).filter(|own| !own.is_empty()).map(|own| Ok(Frame::data(own)))
            }
        };
        if let Some(Ok(frame)) = &frame {
            this.window.add(frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.own.is_empty() && self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or(SizeHint::with_exact(self.own.len() as u64), Body::size_hint)
    }
}
