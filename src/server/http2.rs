//! HTTP/2 towards clients that choose it in the TLS handshake.
//!
//! h2 has flow control of its own: it polls the body of a response only while the client accepts bytes, so the
//! [`WriteWindow`](super::write_window) of HTTP/1 is not needed. hyper closes no idle connection and waits for a slow client
//! for ever; both are done here, by the [`Streams`] of a connection.

use std::{
    collections::HashMap,
    convert::Infallible,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::TryFutureExt;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, server::conn::http2::Builder};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::{Instant, interval, timeout},
};
use tower::{Service, ServiceExt, service_fn};

use super::{ConnectionContext, HttpService, client_io::SEND_TIMEOUT};

/// The maximum number of concurrent requests of one connection.
const MAX_STREAMS: u32 = 256;

/// The flow-control windows of a request body and of a connection, in bytes: a client that is not known yet can make the
/// server buffer as much.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;

/// The maximum number of bytes of a response that wait for its client.
const SEND_BUFFER: usize = 64 * 1024;

/// The interval of pings, and the time within which one must be answered.
const PING: Duration = Duration::from_secs(20);

/// The interval at which slow clients are looked for.
const CHECK: Duration = Duration::from_secs(5);

impl ConnectionContext {
    /// Serves a connection until its end, until it has been idle, or until the server closes and its requests have ended.
    pub(super) async fn serve_http2<T, S>(
        self,
        stream: T,
        service: S,
        mut closing: watch::Receiver<bool>,
    ) -> Result<(), hyper::Error>
    where
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        S: HttpService,
    {
        let streams = Arc::<Streams>::default();
        let service = counted(service.into_service(), Arc::clone(&streams));
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING)
            .max_concurrent_streams(MAX_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(u32::try_from(self.max_head_size).unwrap_or(u32::MAX));
        let mut connection =
            pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
        let mut close = pin!(async { _ = closing.wait_for(|closing| *closing).await.map(drop) });
        let mut idle = pin!(streams.idle(self.keepalive_timeout));
        let mut checks = interval(CHECK);
        let mut closes = false;
        loop {
            let must_close = tokio::select! {
                result = connection.as_mut() => return result,
                () = close.as_mut(), if !closes => true,
                () = idle.as_mut(), if !closes => true,
                now = checks.tick() => {
                    if streams.is_stalled(now) {
                        tracing::debug!("a client accepted no bytes for {} s", SEND_TIMEOUT.as_secs());
                        return Ok(());
                    }
                    // A new client waits for this one, as with HTTP/1.
                    !closes && self.at_capacity.get()
                }
            };
            if must_close {
                closes = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Returns the service with its requests counted in `streams`, each to the end of its response.
fn counted<S, B>(
    service: S,
    streams: Arc<Streams>,
) -> impl Service<Request<Incoming>, Response = Response<StreamBody<B>>, Error = Infallible, Future: Send> + Clone
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send,
{
    service_fn(move |request| {
        let stream = Streams::begin(&streams);
        let response = service.clone().oneshot(request);
        response.map_ok(move |response| response.map(|inner| StreamBody { inner, stream }))
    })
}

/// The requests in progress on one connection.
#[derive(Debug)]
struct Streams {
    open: Mutex<OpenStreams>,
    count: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct OpenStreams {
    next: u64,
    /// The time since which each client accepts nothing, if its response waits for it.
    waits: HashMap<u64, Option<Instant>>,
}

impl Default for Streams {
    fn default() -> Self {
        Self { open: Mutex::default(), count: watch::Sender::new(0) }
    }
}

impl Streams {
    fn begin(this: &Arc<Self>) -> Stream {
        let mut open = this.open();
        let id = open.next;
        open.next += 1;
        open.waits.insert(id, None);
        drop(open);
        this.count.send_modify(|count| *count += 1);
        Stream { all: Arc::clone(this), id }
    }

    /// Waits until there was no request for this time.
    async fn idle(&self, time: Duration) {
        let mut count = self.count.subscribe();
        loop {
            // The sender lives as long as this future.
            _ = count.wait_for(|count| *count == 0).await.map(drop);
            // A request may begin and end between two polls.
            if timeout(time, count.changed()).await.is_err() {
                return;
            }
        }
    }

    /// Returns true if a client has accepted no byte of a response for [`SEND_TIMEOUT`].
    fn is_stalled(&self, now: Instant) -> bool {
        let open = self.open();
        let mut waits = open.waits.values().flatten();
        waits.any(|since| now.saturating_duration_since(*since) >= SEND_TIMEOUT)
    }

    fn open(&self) -> MutexGuard<'_, OpenStreams> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in progress. It ends when this is dropped.
#[derive(Debug)]
struct Stream {
    all: Arc<Streams>,
    id: u64,
}

impl Stream {
    /// Records that the response waits for its client since a time, or does not.
    fn waits(&self, since: Option<Instant>) {
        self.all.open().waits.insert(self.id, since);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.all.open().waits.remove(&self.id);
        self.all.count.send_modify(|count| *count -= 1);
    }
}

pin_project! {
    /// A response body. h2 polls it again when the client accepts more bytes.
    #[derive(Debug)]
    struct StreamBody<B> {
        #[pin]
        inner: B,
        stream: Stream,
    }
}

impl<B: Body<Data = Bytes>> Body for StreamBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        this.stream.waits(None);
        let frame = ready!(this.inner.poll_frame(cx));
        this.stream.waits(Some(Instant::now()));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
