//! HTTP/1 connections to one origin, each polled by the request that uses it: [`Pool`].
//!
//! hyper's connections are futures that must be polled for anything to happen. A client usually gives each a task, and
//! talks to it through channels: every head, and every frame of a body, then costs two turns of the scheduler, and a
//! burst comes out one frame at a time. Here whoever waits for an answer polls the connection it comes from. There is
//! no task, a burst that lies in the read buffer is seen whole, and a caller that leaves closes the socket on the spot.
//!
//! It differs from hyper-util's legacy client in more than that: it knows one origin, dials only when no connection is
//! idle, and never follows up a dial that nobody waits for any more. What it shares with it: the connection used last
//! goes first, and a request that finds its connection gone before it left goes to another.
//!
//! Hazards: while nobody polls the body, nothing is read, not even the other side's end; that is what back-pressure
//! means. A body that is dropped before its end closes its connection.

mod lent;
mod link;
mod relay;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use hyper::{
    client::conn::TrySendError,
    rt::{Read, Write},
};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    runtime::Handle,
    time::{Instant, sleep_until},
};
use tollgate_layers::BoxError;

pub(crate) use self::lent::Lent;
use self::link::Link;

/// A connection over the network, in TLS or not.
pub(crate) type Io = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Makes a connection. It is boxed because that is rare.
type Dial<T> = dyn Fn() -> BoxFuture<'static, Result<T, BoxError>> + Send + Sync;

/// Connections to one origin.
pub(crate) struct Pool<T: Read + Write, B: Body + 'static> {
    idle: Mutex<Idle<T, B>>,
    keep: Duration,
    dial: Box<Dial<T>>,
}

struct Idle<T: Read + Write, B: Body + 'static> {
    /// Since when each is idle, the longest first.
    links: Vec<(Instant, Link<T, B>)>,
    /// Whether somebody closes those that are idle for too long.
    reaped: bool,
}

impl<T: Read + Write, B: Body> fmt::Debug for Pool<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Failed {
    /// There was no connection to be had. The request has not left.
    Connect(BoxError),
    /// The connection broke before the head of an answer.
    Broken(hyper::Error),
    /// The same of one that had been idle: its server may have closed it while the request was on its way.
    Gone(hyper::Error),
}

impl<T, B> Pool<T, B>
where
    T: Read + Write + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    /// No connection yet; `dial` makes them, and each is kept idle for so long at most.
    pub(crate) fn new<F>(keep: Duration, dial: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<T, BoxError>> + Send + 'static,
    {
        let idle = Mutex::new(Idle { links: Vec::new(), reaped: false });
        Self { idle, keep, dial: Box::new(move || Box::pin(dial())) }
    }

    /// Sends a request whose target and `host` are as the server expects them, over a connection that is idle or that is
    /// dialled. An idle connection is taken at once, before the future is polled. Dropping the future, or the
    /// body of the answer before its end, closes the connection.
    ///
    /// # Errors
    /// [`Failed`].
    pub(crate) fn send(
        self: Arc<Self>,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Lent<T, B>>, Failed>> {
        // Handed over before the future is made: a future that begins with a request holds the place of two.
        let begun = match self.take() {
            Some(mut link) => Ok((link.hand_over(request), link)),
            None => Err(request),
        };
        async move {
            let unsent = match begun {
                Ok((answer, mut link)) => {
                    let mut answer = pin!(answer);
                    match poll_fn(|cx| link.drive(cx, |cx| answer.as_mut().poll(cx))).await {
                        Ok(answer) => return Ok(answer.map(|body| Lent::new(body, link, self))),
                        Err(error) => unsent(error).map_err(Failed::Gone)?,
                    }
                }
                Err(request) => request,
            };
            // In a box, because it is rare and large: every call would move what a dial needs.
            Box::pin(self.send_anyhow(unsent)).await
        }
    }

    async fn send_anyhow(self: Arc<Self>, mut request: Request<B>) -> Result<Response<Lent<T, B>>, Failed> {
        while let Some(mut link) = self.take() {
            match link.send(request).await {
                Ok(answer) => return Ok(answer.map(|body| Lent::new(body, link, self))),
                Err(error) => request = unsent(error).map_err(Failed::Gone)?,
            }
        }
        let io = (self.dial)().await.map_err(Failed::Connect)?;
        let mut link = Link::over(io).await.map_err(Failed::Broken)?;
        match link.send(request).await {
            Ok(answer) => Ok(answer.map(|body| Lent::new(body, link, self))),
            Err(error) => Err(Failed::Broken(error.into_error())),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle<T, B>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open connection that was used last.
    fn take(&self) -> Option<Link<T, B>> {
        loop {
            let taken = self.idle().links.pop();
            let (since, mut link) = taken?;
            // Whoever closes those that are too old may be late, or gone with the runtime it was spawned on.
            if since + self.keep > Instant::now() && link.is_open() {
                return Some(link);
            }
        }
    }

    fn put(self: &Arc<Self>, link: Link<T, B>) {
        let now = Instant::now();
        let mut idle = self.idle();
        idle.links.push((now, link));
        if idle.reaped {
            return;
        }
        // Without a runtime nobody reads from a socket either.
        if let Ok(runtime) = Handle::try_current() {
            idle.reaped = true;
            runtime.spawn(reap(Arc::downgrade(self), now + self.keep));
        }
    }

    /// Closes those that were idle for too long by `now`; when the next one will have been.
    fn expire(&self, now: Instant) -> Option<Instant> {
        let mut idle = self.idle();
        let old = idle.links.partition_point(|(since, _)| *since + self.keep <= now);
        let expired: Vec<_> = idle.links.drain(..old).collect();
        let next = idle.links.first().map(|(since, _)| *since + self.keep);
        idle.reaped = next.is_some();
        drop(idle); // sockets are closed without the lock
        drop(expired);
        next
    }
}

/// The request, where its connection was closed while it was idle.
fn unsent<B>(mut error: TrySendError<Request<B>>) -> hyper::Result<Request<B>> {
    error.take_message().ok_or_else(|| error.into_error())
}

/// Closes idle connections as they become too old, while there are any.
async fn reap<T, B>(pool: Weak<Pool<T, B>>, first: Instant)
where
    T: Read + Write + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let mut next = Some(first);
    while let Some(at) = next {
        sleep_until(at).await;
        next = pool.upgrade().and_then(|pool| pool.expire(Instant::now()));
    }
}
