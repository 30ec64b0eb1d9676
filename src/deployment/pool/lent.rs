//! The body of an answer, and the connection it comes from: [`Lent`].

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    rt::{Read, Write},
};
use tollgate_layers::BoxError;

use super::{Pool, link::Link};

/// The body of an answer. It polls its connection, and gives it back at its end; dropped before, it closes it.
pub(crate) struct Lent<T: Read + Write, B: Body + 'static> {
    incoming: Incoming,
    /// None: given back, or closed.
    link: Option<Link<T, B>>,
    home: Arc<Pool<T, B>>,
}

impl<T: Read + Write, B: Body> fmt::Debug for Lent<T, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent").field("link", &self.link).finish_non_exhaustive()
    }
}

impl<T, B> Lent<T, B>
where
    T: Read + Write + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    pub(super) fn new(incoming: Incoming, link: Link<T, B>, home: Arc<Pool<T, B>>) -> Self {
        let mut lent = Self { incoming, link: Some(link), home };
        lent.give_back_at_end();
        lent
    }

    /// Whoever sees that this was the last frame may not ask for another.
    fn give_back_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.give_back();
        }
    }

    /// A connection that is not free now never will be: the answer came before the whole request had left.
    fn give_back(&mut self) {
        if let Some(mut link) = self.link.take()
            && link.is_free()
        {
            self.home.put(link);
        }
    }
}

impl<T, B> Body for Lent<T, B>
where
    T: Read + Write + Unpin + Send + 'static,
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
        let Some(link) = &mut this.link else { return Poll::Ready(None) };
        let incoming = &mut this.incoming;
        let frame = ready!(link.drive(cx, |cx| Pin::new(&mut *incoming).poll_frame(cx)));
        match frame {
            Some(Ok(_)) => this.give_back_at_end(),
            Some(Err(_)) => this.link = None,
            None => this.give_back(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.link.is_none() || self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
