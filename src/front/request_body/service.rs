//! Body in, [`ParsedRequest`] on: [`ReadRequest`].
//!
//! Above it a request is a stream of bytes with the client's headers; below it, it is a value that is cheap to clone
//! and carries none of them. On the way out it writes what the operator wants to know into the answer's headers.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::Body as HttpBody;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tower::Service;

use super::{reading::Reading, upload::upload};
use crate::{
    Error,
    config::{Midstream, Settings},
    front::{
        admission::{Admitted, BUFFER_UNIT, Call},
        handle_error, headers,
    },
    group::ArcService,
    request::{BodyFrames, ParsedRequest, Request, RequestContext, RequestInfo, Response},
};

/// Takes in bodies, and hands prompts to the tree.
#[derive(Clone, Debug)]
pub(crate) struct ReadRequest {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tree: ArcService,
    buffered: Arc<Semaphore>,
    rules: Rules,
}

/// What Intake is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The largest body that is taken, in bytes.
    pub max_body: usize,
    /// How much the bodies may take that are held at one time, in bytes.
    pub max_buffered: usize,
    /// `max_request_duration`.
    pub longest: Option<Duration>,
    /// `num_retries`, for the answer's headers.
    pub retries: u32,
    /// `midstream_fallback`, for requests that say nothing of it.
    pub midstream: Midstream,
    /// Whether `x-litellm-model-api-base` is shown.
    pub expose_upstreams: bool,
}

impl Rules {
    /// What these settings say.
    pub(crate) const fn new(settings: &Settings, expose_upstreams: bool) -> Self {
        Self {
            max_body: settings.max_body,
            max_buffered: settings.max_buffered_bytes,
            longest: settings.max_request_duration,
            retries: settings.num_retries,
            // A client must ask for it: it has to know the mark.
            midstream: match settings.midstream {
                Midstream::Restart => Midstream::Off,
                other @ (Midstream::Off | Midstream::Continue) => other,
            },
            expose_upstreams,
        }
    }
}

impl ReadRequest {
    /// Hands to `tree`.
    pub(crate) fn new(tree: ArcService, rules: Rules) -> Self {
        let buffered = Arc::new(Semaphore::new(rules.max_buffered / BUFFER_UNIT));
        Self { inner: Arc::new(Inner { tree, buffered, rules }) }
    }
}

impl<B> Service<Admitted<B>> for ReadRequest
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: std::fmt::Display,
{
    type Response = Response;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, admitted: Admitted<B>) -> Self::Future {
        let (inner, arrival) = (Arc::clone(&self.inner), Instant::now());
        Box::pin(async move {
            let Admitted { call: Call { operation, request }, permit } = admitted;
            let (parts, body) = request.into_parts();
            let room = (inner.rules.max_body, &inner.buffered);
            let mut reading = Reading::new();
            let buffered = upload(&parts.headers, body, room, &mut reading).await?;
            let read = reading.end(operation, &parts.headers)?;
            drop(parts);
            let request = inner.request(read, arrival, buffered);
            let context = Arc::clone(&request.context);
            let result = inner.tree.call(request).await;
            let mut response = result.unwrap_or_else(|error| handle_error::answer(&error));
            headers::write(&mut response, &context, inner.rules.expose_upstreams);
            response.body_mut().attach(permit);
            Ok(response)
        })
    }
}

impl Inner {
    fn request(
        &self,
        (head, bytes): (Arc<RequestInfo>, BodyFrames),
        arrival: Instant,
        buffered: Option<OwnedSemaphorePermit>,
    ) -> Request {
        let overrides = &head.overrides;
        let midstream = overrides.midstream.unwrap_or(self.rules.midstream);
        let retries = overrides.num_retries.unwrap_or(self.rules.retries);
        let context =
            RequestContext::new(arrival, self.rules.longest).with_buffered(buffered).with_retries(retries);
        Request::from(ParsedRequest { midstream, ..ParsedRequest::new(bytes, head, Arc::new(context)) })
    }
}
