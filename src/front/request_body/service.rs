//! The service that reads a request's body and calls the tree with a [`ParsedRequest`]: [`ReadRequest`].
//!
//! Its request is a stream of bytes with the client's headers; the tree's request is a value that is cheap to clone and
//! has no headers. On the way back the service writes the response headers that describe the request's course.

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

use super::{read::CallTarget, reading::Reading, upload::upload};
use crate::{
    Error,
    config::{Midstream, Settings},
    front::{
        admission::{AdmittedCall, BUFFER_UNIT, ModelCall},
        handle_error, headers,
    },
    group::ArcService,
    request::{BodyFrames, ParsedRequest, Request, RequestContext, RequestInfo, Response},
};

/// Reads bodies and calls the tree with the parsed requests.
#[derive(Clone, Debug)]
pub(crate) struct ReadRequest {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tree: ArcService,
    buffered: Arc<Semaphore>,
    /// The largest body that is accepted, in bytes.
    max_body: usize,
    /// `max_request_duration`.
    max_duration: Option<Duration>,
    /// `num_retries`, for the response headers.
    retries: u32,
    /// `midstream_fallback`, for requests that do not set it.
    midstream: Midstream,
    /// True if responses contain `x-litellm-model-api-base`.
    expose_upstreams: bool,
}

impl ReadRequest {
    /// Returns a service that calls `tree`. With `expose_upstreams`, responses contain `x-litellm-model-api-base`.
    pub(crate) fn new(tree: ArcService, settings: &Settings, expose_upstreams: bool) -> Self {
        let inner = Inner {
            tree,
            buffered: Arc::new(Semaphore::new(settings.max_buffered_bytes / BUFFER_UNIT)),
            max_body: settings.max_body,
            max_duration: settings.max_request_duration,
            retries: settings.num_retries,
            // Only a request may enable `restart`: the client has to know its marker.
            midstream: match settings.midstream {
                Midstream::Off | Midstream::Restart => Midstream::Off,
                Midstream::Continue => Midstream::Continue,
            },
            expose_upstreams,
        };
        Self { inner: Arc::new(inner) }
    }
}

impl<B> Service<AdmittedCall<B>> for ReadRequest
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

    fn call(&mut self, admitted: AdmittedCall<B>) -> Self::Future {
        let (inner, arrival) = (Arc::clone(&self.inner), Instant::now());
        Box::pin(async move {
            let AdmittedCall { call: ModelCall { operation, model, request }, permit } = admitted;
            let (parts, body) = request.into_parts();
            let limits = (inner.max_body, &inner.buffered);
            let mut reading = Reading::new();
            let buffered = upload(&parts.headers, body, limits, &mut reading).await?;
            let read = reading.end(&CallTarget { operation, model }, &parts.headers)?;
            drop(parts);
            let request = inner.request(read, arrival, buffered);
            let context = Arc::clone(&request.context);
            let result = inner.tree.call(request).await;
            let mut response = result.unwrap_or_else(|error| handle_error::error_response(&error));
            headers::write(&mut response, &context, inner.expose_upstreams);
            response.body_mut().attach(permit);
            Ok(response)
        })
    }
}

impl Inner {
    /// Returns the request for the tree.
    fn request(
        &self,
        (info, bytes): (Arc<RequestInfo>, BodyFrames),
        arrival: Instant,
        buffered: Option<OwnedSemaphorePermit>,
    ) -> Request {
        let overrides = &info.overrides;
        let midstream = overrides.midstream.unwrap_or(self.midstream);
        let retries = overrides.num_retries.unwrap_or(self.retries);
        let mut context = RequestContext::new(arrival, self.max_duration);
        (context.retries, context.buffered) = (retries, buffered);
        Request::from(ParsedRequest { midstream, ..ParsedRequest::new(bytes, info, Arc::new(context)) })
    }
}
