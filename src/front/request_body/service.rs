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
use http::{HeaderMap, Uri, request::Parts};
use http_body::Body as HttpBody;
use tokio::{sync::OwnedSemaphorePermit, task::spawn_blocking, time::Instant};
use tower::Service;

use super::{
    early,
    form::FormReading,
    memory::{BodyMemory, BodyShare},
    read::CallTarget,
    reading::{Ended, ReadBody, Reading, read_again},
    stored,
    stream_default::StreamDefaults,
    upload::upload,
};
use crate::{
    Error,
    config::{Config, IdKey, Midstream},
    dialect::ClientDialect,
    front::{
        admission::{AdmittedCall, ModelCall},
        handle_error, headers, timing,
    },
    group::ArcService,
    record::{Draft, current},
    request::{BodyFrames, Client, Operation, ParsedRequest, Request, RequestContext, Response},
    spend::Spending,
};

/// The size of a body, in bytes, from which it is not read a second time on the runtime's workers: 60 MB take 0.3 s and
/// more.
const LARGE: usize = 256 * 1024;

/// Reads bodies and calls the tree with the parsed requests.
#[derive(Clone, Debug)]
pub(crate) struct ReadRequest {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tree: ArcService,
    memory: BodyMemory,
    /// The largest body that is accepted, in bytes.
    max_body: usize,
    /// `max_request_duration`.
    max_duration: Option<Duration>,
    /// `num_retries`, for the response headers.
    retries: u32,
    /// `early_heartbeat`, for streams.
    early_heartbeat: Option<Duration>,
    /// `midstream_fallback`, for requests that do not set it.
    midstream: Midstream,
    /// True if responses contain `x-litellm-model-api-base`.
    expose_upstreams: bool,
    /// True if the records of requests are read, or responses state where their time went.
    needs_draft: bool,
    /// `response_cost`.
    response_cost: bool,
    /// `server_timing`.
    server_timing: bool,
    /// True if the gateway has a budget.
    has_budget: bool,
    stream_defaults: Option<StreamDefaults>,
    /// The key of the ids of responses.
    id_key: IdKey,
}

impl ReadRequest {
    /// Returns a service that calls `tree`. With `expose_upstreams`, responses contain `x-litellm-model-api-base`. With
    /// `records`, the records of requests are read.
    pub(crate) fn new(tree: ArcService, config: &Config, expose_upstreams: bool, records: bool) -> Self {
        let settings = &config.settings;
        let inner = Inner {
            tree,
            memory: BodyMemory::new(settings.max_buffered_bytes),
            max_body: settings.max_body,
            max_duration: settings.max_request_duration,
            retries: settings.num_retries,
            early_heartbeat: settings.early_heartbeat,
            // Only a request may enable `restart`: the client has to know its marker.
            midstream: match settings.midstream {
                Midstream::Off | Midstream::Restart => Midstream::Off,
                Midstream::Continue => Midstream::Continue,
            },
            expose_upstreams,
            needs_draft: records || settings.server_timing,
            response_cost: settings.response_cost,
            server_timing: settings.server_timing,
            has_budget: settings.budget.is_some(),
            stream_defaults: StreamDefaults::new(config),
            id_key: settings.id_key.clone(),
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
        let inner = Arc::clone(&self.inner);
        // Taken apart here: the future would hold what it captures and the parts.
        let AdmittedCall { call: ModelCall { operation, model, client, arrival, request }, permit } =
            admitted;
        let draft = if inner.needs_draft { inner.draft(arrival, client.as_deref()) } else { None };
        let ((Parts { headers, uri, .. }, body), dialect) = (request.into_parts(), operation.dialect());
        let about_stored = inner.about_stored((operation, model.as_deref()), &uri, &headers);
        // Written in place, as `Box::pin` would copy the future once more.
        let future = Box::write(Box::new_uninit(), async move {
            let (mut share, target) = (inner.memory.share(), CallTarget { operation, model });
            let body = if let Some(read) = about_stored {
                (*read)?
            } else if let Some(form) = FormReading::of(operation, &headers)? {
                let form = read_form(form, (&target, &headers), body, (inner.max_body, &mut share));
                Box::pin(form).await? // boxed, because it is rare
            } else {
                // Boxed, because it is large: with it the future is too large for the caches of allocators.
                let mut reading = Box::new(Reading::new());
                upload(&headers, body, (inner.max_body, &mut share), &mut *reading).await?;
                match reading.end(&target, &headers)? {
                    Ended::Accepted(body) => body,
                    Ended::Rejected(frames) => {
                        Box::pin(reread(frames, (target, headers), &mut share)).await?
                    }
                }
            };
            if !share.try_grow(body.0.overrides.fallback_bytes()) {
                share.wait().await?;
            }
            let context = inner.context((client, draft), (arrival, share.finish()));
            let request = inner.request(body, context);
            let context = Arc::clone(&request.context);
            let heartbeat = inner.early_heartbeat.filter(|_| request.info.stream);
            let call = inner.tree.call(request);
            let result = match heartbeat {
                None => call.await,
                Some(period) => match Box::pin(early::wait(call, arrival + period)).await {
                    Ok(result) => result,
                    Err(call) => return Ok(early::response(call, (period, dialect), permit)),
                },
            };
            let mut response = inner.respond(result, dialect, &context);
            response.body_mut().attach(permit);
            Ok(response)
        });
        Box::into_pin(future)
    }
}

impl Inner {
    /// Returns the draft of the record of a request of `client`, which arrived at `arrival`.
    fn draft(&self, arrival: Instant, client: Option<&Client>) -> Option<Arc<Draft>> {
        let own = || self.server_timing.then(|| Arc::new(Draft::new(arrival, None)));
        let draft = current::draft().or_else(own);
        if let (Some(draft), Some(client)) = (&draft, client) {
            draft.set_key(&client.name);
        }
        draft
    }

    /// Returns the result of reading a request about a stored response. Returns none for any other operation. Boxed, because it
    /// is rare.
    fn about_stored(
        &self,
        (operation, id): (Operation, Option<&str>),
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Option<Box<Result<ReadBody, Error>>> {
        operation.on_stored()?;
        let id = (&self.id_key, id.unwrap_or_default());
        Some(Box::new(stored::read(operation, id, uri, headers)))
    }

    /// Returns the context of a request that arrived at `arrival`, with the permit of its body's memory.
    fn context(
        &self,
        (client, draft): (Option<Arc<Client>>, Option<Arc<Draft>>),
        (arrival, buffered): (Instant, Option<OwnedSemaphorePermit>),
    ) -> RequestContext {
        let mut context = RequestContext::new(arrival, self.max_duration);
        context.spending = self.spending(draft.as_deref(), client.is_some());
        (context.client, context.draft, context.buffered) = (client, draft, buffered);
        context
    }

    /// Returns the response to a client, with its headers.
    fn respond(
        &self,
        result: Result<Response, Error>,
        dialect: ClientDialect,
        context: &RequestContext,
    ) -> Response {
        let mut response = result.unwrap_or_else(|error| handle_error::error_response(&error, dialect));
        headers::write(&mut response, context, (self.expose_upstreams, self.response_cost));
        if self.server_timing {
            timing::write(response.headers_mut(), context);
        }
        response
    }

    /// Returns the tokens and the cost of all attempts, where they are read.
    fn spending(&self, draft: Option<&Draft>, has_key: bool) -> Option<Arc<Spending>> {
        match draft {
            Some(draft) => Some(draft.spending()),
            None => (self.response_cost || self.has_budget || has_key).then(Arc::default),
        }
    }

    /// Returns the request for the tree.
    fn request(&self, (mut info, bytes): ReadBody, mut context: RequestContext) -> Request {
        if let Some(draft) = &context.draft {
            draft.called(info.operation.as_str(), &info.model, bytes.len());
        }
        if let Some(defaults) = &self.stream_defaults {
            defaults.apply(Arc::make_mut(&mut info));
        }
        if info.operation == Operation::Responses {
            stored::add_previous(Arc::make_mut(&mut info), &bytes, &self.id_key);
        }
        let overrides = &info.overrides;
        let midstream = overrides.midstream.unwrap_or(self.midstream);
        context.retries = overrides.num_retries.unwrap_or(self.retries);
        Request::from(ParsedRequest { midstream, ..ParsedRequest::new(bytes, info, Arc::new(context)) })
    }
}

/// Reads a form of at most `max_body` bytes.
async fn read_form<B>(
    mut form: Box<FormReading>,
    (target, headers): (&CallTarget, &HeaderMap),
    body: B,
    (max_body, share): (usize, &mut BodyShare<'_>),
) -> Result<ReadBody, Error>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
{
    upload(headers, body, (max_body, share), &mut *form).await?;
    Ok(form.end(target, headers)?)
}

/// Reads a body again as a whole; a large one on a thread of its own, and only if there is memory for the copy.
async fn reread(
    frames: BodyFrames,
    (target, headers): (CallTarget, HeaderMap),
    share: &mut BodyShare<'_>,
) -> Result<ReadBody, Error> {
    if frames.len() < LARGE {
        return Ok(read_again(frames, &target, &headers)?);
    }
    if !share.try_grow(frames.len()) {
        share.wait().await?;
    }
    match spawn_blocking(move || read_again(frames, &target, &headers)).await {
        Ok(body) => Ok(body?),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down.
        Err(_) => Err(Error::Busy),
    }
}
