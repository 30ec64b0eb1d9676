//! A stream whose head is sent before its response is there: [`EarlyStream`].
//!
//! The call goes on in the body: retries, other deployments and fallbacks stay possible until a response arrives. Until
//! then the client receives comments. An error can then only be an event, because the status has been sent.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{Body, Response, codings::codings, events::is_events, handle::Handles};
use crate::{
    dialect::ClientDialect,
    error::{BodyError, ErrorObject, StreamBreak},
};

/// The comment that shows the client that the gateway works on its request.
pub(super) const HEARTBEAT: Bytes = Bytes::from_static(b": heartbeat\n\n");

/// A boxed future that returns a response in any case.
pub(crate) type PendingResponse = Pin<Box<dyn Future<Output = Response> + Send>>;

/// A stream that waits for its response.
pub(super) struct EarlyStream {
    call: PendingResponse,
    heartbeats: Interval,
    handles: Handles,
    /// The dialect of an error event.
    dialect: ClientDialect,
}

/// The next output for the client.
pub(super) enum EarlyOutput {
    /// A heartbeat is due.
    Heartbeat,
    /// The rest of the stream.
    Rest(Body),
}

impl EarlyStream {
    /// Returns a stream with a heartbeat now, and one every `period` until `call` returns.
    pub(super) fn new(call: PendingResponse, period: Duration, dialect: ClientDialect) -> Self {
        let mut heartbeats = interval(period);
        heartbeats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { call, heartbeats, handles: Handles::default(), dialect }
    }

    /// Returns the handles that are notified of the outcome of the response.
    pub(super) const fn handles(&mut self) -> &mut Handles {
        &mut self.handles
    }

    /// Polls the next output.
    pub(super) fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<EarlyOutput> {
        if let Poll::Ready(response) = self.call.as_mut().poll(cx) {
            return Poll::Ready(EarlyOutput::Rest(rest(response, self.dialect)));
        }
        ready!(self.heartbeats.poll_tick(cx));
        Poll::Ready(EarlyOutput::Heartbeat)
    }
}

/// Returns the part of a response that can follow the head of a stream: its body if that is a stream of events, else an error
/// event.
fn rest(response: Response, dialect: ClientDialect) -> Body {
    let (parts, body) = response.into_parts();
    let broken = match parts.status.is_success() {
        true if is_readable(&parts.headers) => return body,
        true => BodyError::Undecodable.into(),
        false => {
            let outcome = Box::new(*body.outcome());
            StreamBreak::Upstream(body.into_bytes(), outcome)
        }
    };
    Body::ended(ErrorObject::event_of(&broken, dialect), broken.outcome())
}

/// Returns true for a stream of events in no content coding. The head of the stream, which is sent already, names none.
fn is_readable(headers: &HeaderMap) -> bool {
    is_events(headers) && codings(headers).is_some_and(|codings| codings.is_empty())
}
