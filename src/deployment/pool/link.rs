//! A connection without a task: [`Link`].

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

use super::relay::Wakes;

/// What hyper reads ahead of an answer at most: its default of 400 KB would be held for every slow reader. A longer
/// head of an answer is refused.
const BUFFER: usize = 8 * 1024;

/// How often connection and user are polled in turn before the scheduler gets one: hyper yields now and then, and so
/// does tokio's socket when a task has had its share. Each frame needs one.
const TURNS: usize = 8;

/// An HTTP/1 connection that is polled by whoever uses it.
///
/// The connection is large, and behind a pointer; what each poll looks at first lies with its user.
pub(super) struct Link<T: Read + Write, B: Body + 'static> {
    wakes: Wakes,
    ends: Box<Ends<T, B>>,
}

struct Ends<T: Read + Write, B: Body + 'static> {
    sender: SendRequest<B>,
    /// None: it has ended.
    connection: Option<Connection<T, B>>,
}

impl<T: Read + Write, B: Body> fmt::Debug for Link<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("open", &self.ends.connection.is_some()).finish_non_exhaustive()
    }
}

impl<T, B> Link<T, B>
where
    T: Read + Write + Unpin,
    B: Body + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// A connection over `io`, which nobody has used.
    pub(super) async fn over(io: T) -> hyper::Result<Self> {
        let (sender, connection) = Builder::new().max_buf_size(BUFFER).handshake(io).await?;
        Ok(Self { wakes: Wakes::default(), ends: Box::new(Ends { sender, connection: Some(connection) }) })
    }

    /// Takes a request, to be sent as the link is driven; ready with the head of its answer. A request that never left
    /// comes back in the error.
    pub(super) fn hand_over(
        &mut self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<B>>>> + use<T, B> {
        self.ends.sender.try_send_request(request)
    }

    /// The same, driven.
    pub(super) async fn send(
        &mut self,
        request: Request<B>,
    ) -> Result<Response<Incoming>, TrySendError<Request<B>>> {
        let mut answer = pin!(self.hand_over(request));
        poll_fn(|cx| self.drive(cx, |cx| answer.as_mut().poll(cx))).await
    }

    /// Polls the connection, and then what waits for it, until neither gets any further.
    ///
    /// What waits is given nobody to wake: nothing but a turn of the connection has anything for it.
    pub(super) fn drive<R>(
        &mut self,
        cx: &mut Context<'_>,
        mut user: impl FnMut(&mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        if !self.wakes.enter(cx.waker()) {
            return Poll::Pending;
        }
        for _ in 0..TURNS {
            self.turn();
            if let Poll::Ready(ready) = user(&mut Context::from_waker(Waker::noop())) {
                self.wakes.leave();
                return Poll::Ready(ready);
            }
            if self.wakes.rest() {
                return Poll::Pending;
            }
        }
        self.wakes.leave();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether another request can be sent once its user has gone.
    pub(super) fn is_free(&mut self) -> bool {
        self.wakes.forget();
        // With what was woken until then, the other side's end perhaps.
        self.turn();
        self.is_ready()
    }

    /// Whether one that was free still is, as far as anybody can know: the other side may have closed it. hyper then
    /// waits for the socket, and what comes of that is a wake.
    pub(super) fn is_open(&mut self) -> bool {
        if self.wakes.were_heard() {
            self.turn();
        }
        self.is_ready()
    }

    fn is_ready(&self) -> bool {
        self.ends.connection.is_some() && self.ends.sender.is_ready()
    }

    fn turn(&mut self) {
        if let Some(connection) = &mut self.ends.connection
            // Whoever waits for the connection is told of its error too.
            && Pin::new(connection).poll(&mut Context::from_waker(self.wakes.waker())).is_ready()
        {
            self.ends.connection = None;
        }
    }
}
