//! The response body of an upstream client: [`UpstreamBody`].

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
#[cfg(feature = "compression")]
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::{Sleep, sleep};

#[cfg(feature = "compression")]
use super::decompress::{Decompressed, body_error};
use super::{coalesce::Coalesce, translated::TranslatedBody};
use crate::{dialect::Translation, error::BodyError};

/// The body of an upstream's response, as received.
#[derive(Debug)]
pub struct UpstreamBody(Inner);

#[derive(Debug)]
enum Inner {
    /// The body of a connection, with its bursts coalesced.
    Connection(Coalesce<Box<dyn Connection>>),
    /// The body of a connection or a script, without its compression.
    #[cfg(feature = "compression")]
    Decompressed(Box<Decompressed>),
    /// Any of these in another dialect, translated.
    Translated(Box<TranslatedBody>),
    /// A script, for a `mock_response` or a test.
    ScriptedBody(ScriptedBody),
}

/// The error of a [`Connection`]. The original error may contain addresses, and every error means the same: the body is cut.
#[derive(Debug)]
struct Cut;

/// The body of a response that a connection delivers.
trait Connection: Body<Data = Bytes, Error = Cut> + fmt::Debug + Send + Unpin {}

impl<B> Connection for B where B: Body<Data = Bytes, Error = Cut> + fmt::Debug + Send + Unpin {}

impl UpstreamBody {
    /// Wraps the body of a connection, or any other that is polled for its frames. Its error becomes
    /// [`BodyError::Cut`]. A body that is not [`Unpin`] goes into `Box::pin` first.
    pub fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + fmt::Debug + Send + Unpin + 'static,
    {
        Self(Inner::Connection(Coalesce::new(Box::new(body.map_err(|_| Cut)))))
    }

    /// Makes a scripted body, for responses without a connection.
    #[must_use]
    pub fn scripted(steps: impl IntoIterator<Item = ScriptStep>) -> Self {
        Self(Inner::ScriptedBody(ScriptedBody { steps: steps.into_iter().collect(), pause: None }))
    }

    /// Makes a scripted body of these bytes, ready at once.
    #[must_use]
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::scripted([ScriptStep::Data(bytes.into())])
    }

    /// Returns the body translated to the client's dialect. An event or a complete response of more than `limit` bytes is an
    /// error.
    pub(crate) fn translated(self, translation: Translation, limit: usize) -> Self {
        Self(Inner::Translated(Box::new(TranslatedBody::new(self, translation, limit))))
    }

    /// Starts the coalescing of bursts, after the first content was sent.
    pub(super) fn coalesce_bursts(&mut self) {
        match &mut self.0 {
            Inner::Connection(coalesce) => coalesce.begin(),
            Inner::Translated(translated) => translated.coalesce_bursts(),
            #[cfg(feature = "compression")]
            Inner::Decompressed(_) => {}
            Inner::ScriptedBody(_) => {}
        }
    }
}

#[cfg(not(feature = "compression"))]
impl UpstreamBody {
    /// Returns the body as it is: it cannot be decompressed.
    pub(crate) fn decompressed(self, _: &mut http::HeaderMap) -> Self {
        self
    }
}

#[cfg(feature = "compression")]
impl From<Decompressed> for UpstreamBody {
    fn from(body: Decompressed) -> Self {
        Self(Inner::Decompressed(Box::new(body)))
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.get_mut().0 {
            Inner::Connection(coalesce) => Pin::new(coalesce).poll_frame(cx).map_err(|Cut| BodyError::Cut),
            #[cfg(feature = "compression")]
            Inner::Decompressed(body) => {
                let piece = ready!(Stream::poll_next(Pin::new(body.as_mut()), cx));
                Poll::Ready(piece.map(|data| data.map(Frame::data).map_err(|error| body_error(&error))))
            }
            Inner::Translated(translated) => {
                translated.poll_data(cx).map(|piece| piece.map(|data| data.map(Frame::data)))
            }
            Inner::ScriptedBody(scripted) => {
                scripted.poll_step(cx).map(|step| step.map(|data| data.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Connection(coalesce) => coalesce.is_end_stream(),
            #[cfg(feature = "compression")]
            Inner::Decompressed(_) => false,
            Inner::Translated(_) => false,
            Inner::ScriptedBody(scripted) => scripted.steps.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Connection(coalesce) => coalesce.size_hint(),
            #[cfg(feature = "compression")]
            Inner::Decompressed(_) => SizeHint::default(),
            Inner::Translated(_) | Inner::ScriptedBody(_) => SizeHint::default(),
        }
    }
}

/// A step of a scripted body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptStep {
    /// Returns these bytes.
    Data(Bytes),
    /// Waits for this time.
    Wait(Duration),
    /// Stays pending for ever.
    Hang,
    /// Returns a connection error.
    Cut,
}

/// A scripted body.
struct ScriptedBody {
    steps: VecDeque<ScriptStep>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl fmt::Debug for ScriptedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedBody").field("steps", &self.steps.len()).finish()
    }
}

impl ScriptedBody {
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(ScriptStep::Data(data)) => return Poll::Ready(Some(Ok(data))),
                Some(ScriptStep::Wait(time)) => self.pause = Some(Box::pin(sleep(time))),
                Some(ScriptStep::Hang) => {
                    self.steps.push_front(ScriptStep::Hang);
                    return Poll::Pending;
                }
                Some(ScriptStep::Cut) => {
                    self.steps.clear();
                    return Poll::Ready(Some(Err(BodyError::Cut)));
                }
            }
        }
    }
}
