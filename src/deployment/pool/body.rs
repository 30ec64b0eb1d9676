//! A response body that owns its pooled connection: [`PooledBody`].

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tollgate_layers::BoxError;

use super::{Pool, PooledIo, connection::PooledConnection};

/// A response body that polls its connection and returns it to the pool at its end. Dropping the body before its end
/// closes the connection.
pub(crate) struct PooledBody<T: PooledIo, B: Body + 'static> {
    incoming: Incoming,
    /// `None` when the connection was returned or closed.
    connection: Option<PooledConnection<T, B>>,
    pool: Arc<Pool<T, B>>,
}

impl<T: PooledIo, B: Body> fmt::Debug for PooledBody<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBody").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl<T, B> PooledBody<T, B>
where
    T: PooledIo + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(incoming: Incoming, connection: PooledConnection<T, B>, pool: Arc<Pool<T, B>>) -> Self {
        let mut body = Self { incoming, connection: Some(connection), pool };
        body.return_connection_at_end();
        body
    }

    /// Returns the connection after the last frame: the reader may not poll for the end.
    fn return_connection_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.return_connection();
        }
    }

    /// Returns the connection to the pool. A connection that is not reusable now is closed: its response ended before
    /// its request was sent completely.
    fn return_connection(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && connection.is_reusable()
        {
            self.pool.put(connection);
        }
    }
}

impl<T, B> Body for PooledBody<T, B>
where
    T: PooledIo + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some(connection) = &mut this.connection else { return Poll::Ready(None) };
        let incoming = &mut this.incoming;
        let frame = ready!(connection.poll_with(cx, |cx| Pin::new(&mut *incoming).poll_frame(cx)));
        match frame {
            Some(Ok(_)) => this.return_connection_at_end(),
            Some(Err(_)) => this.connection = None,
            None => this.return_connection(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.connection.is_none() || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
