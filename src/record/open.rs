//! The record of a request that has not ended: [`OpenRecord`], begun by the [`Recorder`].

use std::{fmt, net::SocketAddr, sync::Arc, time::SystemTime};

use http::{HeaderName, Method, Request};
use tokio::time::Instant;

use super::{Draft, Record, RecordReader, RequestFacts, ResponseFacts, Sampler, TrustedProxies};

/// The id that a client gives its request. OpenAI's SDKs and most proxies use this header.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The status of a request of which the client disconnected before the response, as nginx has it.
const CLIENT_CLOSED: u16 = 499;

/// Begins the records of the requests on one connection.
#[derive(Clone)]
pub(crate) struct Recorder {
    readers: Arc<[Arc<dyn RecordReader>]>,
    proxies: Arc<TrustedProxies>,
    sampler: Option<Sampler>,
    peer: Option<SocketAddr>,
}

impl Recorder {
    /// Returns a recorder for these readers. A client behind one of the proxies has the address that they report.
    pub(crate) fn new(readers: Vec<Arc<dyn RecordReader>>, proxies: TrustedProxies) -> Self {
        Self { readers: readers.into(), proxies: Arc::new(proxies), sampler: None, peer: None }
    }

    /// Traces requests: `sampler` chooses those whose spans are exported.
    #[must_use]
    pub(crate) const fn with_traces(mut self, sampler: Option<Sampler>) -> Self {
        self.sampler = sampler;
        self
    }

    /// Returns the recorder of a connection from this address.
    pub(crate) fn of_peer(&self, peer: SocketAddr) -> Self {
        Self { peer: Some(peer), ..self.clone() }
    }

    /// Begins the record of a request.
    pub(crate) fn begin<B>(&self, request: &Request<B>) -> OpenRecord {
        let headers = request.headers();
        let start = Instant::now();
        let trace = self.sampler.map(|sampler| sampler.trace(headers));
        let facts = RequestFacts {
            time: SystemTime::now(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            client: self.peer.map(|peer| self.proxies.client(peer.ip(), headers)),
            request_id: headers.get(REQUEST_ID).cloned(),
            trace,
        };
        let response = ResponseFacts { status: CLIENT_CLOSED, ..ResponseFacts::default() };
        let draft = Arc::new(Draft::new(start, trace));
        OpenRecord { readers: Arc::clone(&self.readers), start, draft, parts: Some((facts, response)) }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

/// The record of a request that has not ended. The readers receive it when this is dropped.
pub(crate) struct OpenRecord {
    readers: Arc<[Arc<dyn RecordReader>]>,
    start: Instant,
    draft: Arc<Draft>,
    parts: Option<(RequestFacts, ResponseFacts)>,
}

impl OpenRecord {
    /// Returns the draft that the layers below complete.
    pub(crate) const fn draft(&self) -> &Arc<Draft> {
        &self.draft
    }

    /// Returns the facts about the response.
    pub(crate) fn response(&mut self) -> Option<&mut ResponseFacts> {
        self.parts.as_mut().map(|(_, response)| response)
    }

    /// Returns true if the request asks for a head only.
    pub(crate) fn is_head(&self) -> bool {
        self.parts.as_ref().is_some_and(|(request, _)| request.method == Method::HEAD)
    }

    /// Counts bytes that were sent. The first ones with content set the time to the first content.
    pub(crate) fn sent(&mut self, bytes: usize, is_content: bool) {
        let start = self.start;
        let Some(response) = self.response() else { return };
        response.bytes += bytes as u64;
        if is_content && response.first_content.is_none() {
            response.first_content = Some(Instant::now().saturating_duration_since(start));
        }
    }
}

impl Drop for OpenRecord {
    fn drop(&mut self) {
        let Some((request, mut response)) = self.parts.take() else { return };
        response.total = Instant::now().saturating_duration_since(self.start);
        let record = Arc::new(Record { request, course: self.draft.take(), response });
        self.readers.iter().for_each(|reader| reader.read(&record));
    }
}

impl fmt::Debug for OpenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenRecord")
    }
}
