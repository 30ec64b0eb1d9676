//! Body in, [`Prompt`] on: [`Intake`].
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

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body as HttpBody;
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};
use tower::Service;

use super::{Rejected, read};
use crate::{
    Error,
    config::{Midstream, Settings},
    front::{BUFFER_UNIT, Call},
    headers,
    request::{Head, Prompt, Request, Response, Trail},
    respond,
    router::Stack,
};

/// Takes in bodies, and hands prompts to the tree.
#[derive(Clone, Debug)]
pub struct Intake {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    tree: Stack,
    buffered: Arc<Semaphore>,
    rules: Rules,
}

/// What Intake is told.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
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
    #[must_use]
    pub const fn new(settings: &Settings, expose_upstreams: bool) -> Self {
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

impl Intake {
    /// Hands to `tree`.
    #[must_use]
    pub fn new(tree: Stack, rules: Rules) -> Self {
        let buffered = Arc::new(Semaphore::new(rules.max_buffered / BUFFER_UNIT));
        Self { inner: Arc::new(Inner { tree, buffered, rules }) }
    }
}

impl<B> Service<Call<B>> for Intake
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

    fn call(&mut self, call: Call<B>) -> Self::Future {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            let arrival = Instant::now();
            let Call { route, request, permit } = call;
            let (parts, body) = request.into_parts();
            let (bytes, buffered) = inner.collect(&parts.headers, body).await?;
            let head = read(route, &parts.headers, &bytes)?;
            drop(parts);
            let trail = Trail::new(arrival, inner.rules.longest).with_buffered(buffered);
            let request = inner.request(head, bytes, trail);
            let trail = Arc::clone(&request.body().trail);
            let outcome = inner.tree.ask(request).await;
            let mut response = outcome.unwrap_or_else(|error| respond::answer(&error));
            headers::write(&mut response, &trail, inner.rules.expose_upstreams);
            response.body_mut().fasten(permit);
            Ok(response)
        })
    }
}

impl Inner {
    fn request(&self, mut head: Head, bytes: Bytes, trail: Trail) -> Request {
        head.overrides.midstream.get_or_insert(self.rules.midstream);
        let retries = head.overrides.num_retries.unwrap_or(self.rules.retries);
        let trail = Arc::new(trail.with_retries(retries));
        let group = Arc::clone(&head.model);
        Request::new(Prompt {
            bytes,
            head: Arc::new(head),
            trail,
            group,
            replaced: Arc::default(),
            prefix: None,
        })
    }

    /// The whole body, and the room it takes at the front door.
    async fn collect<B>(
        &self,
        headers: &HeaderMap,
        body: B,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Error>
    where
        B: HttpBody<Data = Bytes>,
        B::Error: std::fmt::Display,
    {
        let mut body = std::pin::pin!(body);
        let mut held = Held { room: &self.buffered, permit: None, most: self.rules.max_body, total: 0 };
        held.announced(headers)?;
        if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(Rejected::encoded().into());
        }
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        let mut pace = Pace::new();
        while let Some(frame) = pace.next(held.total, body.frame()).await? {
            let frame = frame.map_err(|_| Rejected::broken_off())?;
            let Ok(data) = frame.into_data() else { continue };
            held.grow(data.len())?;
            // The whole of a small body comes as one frame, which is passed on as it is.
            if first.is_empty() && rest.is_empty() {
                first = data;
                continue;
            }
            if rest.is_empty() {
                rest.reserve(held.expected(headers));
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
        let bytes = if rest.is_empty() { first } else { rest.freeze() };
        Ok((bytes, held.permit))
    }
}

/// The upload's clock. Whoever sends a byte now and then holds a place at the front door and no more.
struct Pace {
    mark: usize,
    until: Instant,
}

impl Pace {
    /// A body has so long for each [`LEAST`](Self::LEAST) bytes.
    const WITHIN: Duration = Duration::from_secs(30);
    const LEAST: usize = 1024;

    fn new() -> Self {
        Self { mark: 0, until: Instant::now() + Self::WITHIN }
    }

    /// What comes next; `total` bytes are there.
    async fn next<T>(&mut self, total: usize, next: impl Future<Output = T>) -> Result<T, Rejected> {
        if total >= self.mark + Self::LEAST {
            *self = Self { mark: total, ..Self::new() };
        }
        timeout_at(self.until, next).await.map_err(|_| Rejected::stalled(Self::LEAST, Self::WITHIN))
    }
}

/// The room that a body takes while it comes in.
struct Held<'a> {
    room: &'a Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    most: usize,
    total: usize,
}

impl Held<'_> {
    /// A length that was announced is judged before a byte of it is read.
    fn announced(&self, headers: &HeaderMap) -> Result<(), Error> {
        match announced(headers) {
            Some(length) if length > self.most => Err(Rejected::too_large(self.most).into()),
            _ => Ok(()),
        }
    }

    fn grow(&mut self, by: usize) -> Result<(), Error> {
        self.total += by;
        if self.total > self.most {
            return Err(Rejected::too_large(self.most).into());
        }
        let units = self.total / BUFFER_UNIT;
        let had = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if units > had {
            // A body within the limit has fewer units than a u32 counts.
            let more = u32::try_from(units - had).unwrap_or(u32::MAX);
            let more = Arc::clone(self.room).try_acquire_many_owned(more).map_err(|_| Error::Busy)?;
            match &mut self.permit {
                Some(permit) => permit.merge(more),
                None => self.permit = Some(more),
            }
        }
        Ok(())
    }

    /// How much to make room for at once: what was announced, within reason. An announcement costs its client nothing.
    fn expected(&self, headers: &HeaderMap) -> usize {
        const REASON: usize = 16 << 20;
        announced(headers).unwrap_or(0).min(REASON).max(self.total)
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
