//! An HTTP/1 connection without a task of its own: [`PooledConnection`].

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use http::{Request, Response};
use http_body::Body;
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, Connection, SendRequest},
    },
    rt::{Read, Write},
};
use tollgate_layers::BoxError;

use super::waker::Wakeups;

/// The read buffer of hyper, in bytes. Its default of 400 KB would be held for every slow reader. A response head that
/// is longer is an error.
const BUFFER_LIMIT: usize = 8 * 1024;

/// The number of rounds, of the connection and its user, in one poll of the task. hyper yields at intervals, and so does
/// tokio's socket when the task's budget is used up. Each frame needs one round.
const MAX_ROUNDS: usize = 8;

/// An HTTP/1 connection that is polled by the task of its current request.
///
/// hyper's connection is large and therefore boxed; the fields that each poll reads first are stored inline.
pub(super) struct PooledConnection<T: Read + Write, B: Body + 'static> {
    wakeups: Wakeups,
    halves: Box<Halves<T, B>>,
}

struct Halves<T: Read + Write, B: Body + 'static> {
    sender: SendRequest<B>,
    /// `None` when the connection has ended.
    connection: Option<Connection<T, B>>,
}

impl<T: Read + Write, B: Body> fmt::Debug for PooledConnection<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection")
            .field("open", &self.halves.connection.is_some())
            .finish_non_exhaustive()
    }
}

impl<T, B> PooledConnection<T, B>
where
    T: Read + Write + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// Creates a connection over `io`.
    pub(super) async fn handshake(io: T) -> hyper::Result<Self> {
        let (sender, connection) = Builder::new().max_buf_size(BUFFER_LIMIT).handshake(io).await?;
        Ok(Self {
            wakeups: Wakeups::default(),
            halves: Box::new(Halves { sender, connection: Some(connection) }),
        })
    }

    /// Starts a request, which is sent as the connection is polled, and returns a future of the response head. If the
    /// request was not sent, the error contains it.
    pub(super) fn start_request(
        &mut self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<B>>>> + use<T, B> {
        self.halves.sender.try_send_request(request)
    }

    /// Sends a request and polls the connection until the response head is there.
    pub(super) async fn send(
        &mut self,
        request: Request<B>,
    ) -> Result<Response<Incoming>, TrySendError<Request<B>>> {
        let mut response = pin!(self.start_request(request));
        poll_fn(|cx| self.poll_with(cx, |cx| response.as_mut().poll(cx))).await
    }

    /// Polls the connection, and then `user`, until neither makes progress.
    ///
    /// `user` gets a waker that does nothing, because only a poll of the connection can make it ready.
    pub(super) fn poll_with<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut user: impl FnMut(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        if !self.wakeups.begin_poll(cx.waker()) {
            return Poll::Pending;
        }
        for _ in 0..MAX_ROUNDS {
            self.poll_connection();
            if let Poll::Ready(ready) = user(&mut Context::from_waker(Waker::noop())) {
                self.wakeups.end_poll();
                return Poll::Ready(ready);
            }
            if self.wakeups.try_end_poll() {
                return Poll::Pending;
            }
        }
        self.wakeups.end_poll();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ends the current use; returns true if another request can be sent.
    pub(super) fn is_reusable(&mut self) -> bool {
        self.wakeups.clear_task();
        // The server may have closed the connection in the meantime.
        self.poll_connection();
        self.is_ready()
    }

    /// Returns true if an idle connection is still usable, as far as is known: the server may have closed it. hyper waits
    /// for the socket of an idle connection, so a close wakes its waker.
    pub(super) fn is_open(&mut self) -> bool {
        if self.wakeups.was_woken() {
            self.poll_connection();
        }
        self.is_ready()
    }

    fn is_ready(&self) -> bool {
        self.halves.connection.is_some() && self.halves.sender.is_ready()
    }

    fn poll_connection(&mut self) {
        if let Some(connection) = &mut self.halves.connection
            // The response future or body receives the error as well.
            && Pin::new(connection).poll(&mut Context::from_waker(self.wakeups.waker())).is_ready()
        {
            self.halves.connection = None;
        }
    }
}
