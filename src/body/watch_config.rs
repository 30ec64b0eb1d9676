//! Configuration of the watching of response bodies: [`WatchConfig`], and the [`Classifier`].

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http::{HeaderMap, StatusCode};
use tollgate_layers::{Class, Outcome};

use super::{held_events::HeldEvents, issued_ids::IdIssuer, secrets::Secrets, watch::Usage};
use crate::{dialect::ClientDialect, spend::AttemptCharge};

/// The gateway's classifier, as plain functions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Classifier {
    /// Returns the outcome of a response that is not a success, by its status, headers and body.
    pub response: fn(StatusCode, &HeaderMap, &[u8]) -> Outcome,
    /// Returns the outcome of an event's data (or the body of a 200) that looks like an error; `None` if it is not an
    /// error.
    pub event: fn(&[u8], &HeaderMap) -> Option<Outcome>,
    /// Returns the outcome of a body or an event that is a failure although its form is not that of an error; `None` if
    /// it contains no reason.
    pub failure: fn(&[u8], &HeaderMap) -> Option<Outcome>,
    /// Returns the outcome so far of a success: the limits that its headers report.
    pub success: fn(&HeaderMap) -> Outcome,
}

impl Classifier {
    /// Returns the outcome of an event that is named an error, whatever its data contains.
    pub(crate) fn named_error(&self, data: &[u8], headers: &HeaderMap) -> Outcome {
        let outcome = (self.event)(data, headers).or_else(|| (self.failure)(data, headers));
        outcome.unwrap_or(const { Outcome::new(Class::Unavailable) })
    }
}

/// The default limit of one event, in bytes: 16 MB, larger than any event seen (images in base64), and affordable for
/// one request.
pub(crate) const DEFAULT_EVENT_LIMIT: usize = 16 << 20;

/// The configuration of a deployment's Peek layer.
#[derive(Clone, Debug)]
pub(crate) struct PeekConfig {
    pub(crate) classifier: Classifier,
    /// True for `broken_events: pass`: events with broken JSON are passed on.
    pub(crate) pass_broken: bool,
    pub(crate) event_limit: usize,
    /// True if errors are written in OpenAI's format, whatever the upstream's is.
    pub(crate) rewords_errors: bool,
    /// The unfinished events of all streams.
    pub(crate) held_events: HeldEvents,
    /// The number of events with broken JSON, for the metrics.
    pub(crate) broken: Option<Arc<AtomicU64>>,
    /// The credentials that are removed from errors.
    pub(crate) secrets: Secrets,
    /// The issuer of ids, for a deployment that stores responses.
    pub(crate) issuer: Option<IdIssuer>,
}

impl PeekConfig {
    pub(crate) fn new(classifier: Classifier) -> Self {
        Self {
            classifier,
            pass_broken: false,
            event_limit: DEFAULT_EVENT_LIMIT,
            rewords_errors: false,
            held_events: HeldEvents::default(),
            broken: None,
            secrets: Secrets::default(),
            issuer: None,
        }
    }

    pub(crate) fn count_broken(&self) {
        if let Some(broken) = &self.broken {
            broken.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The form of the response that a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// An event stream.
    Stream,
    /// A JSON object with choices.
    Choices,
    /// A JSON object with a list of data.
    Data,
    /// JSON of any content.
    Json,
    /// A JSON object about a response that is stored, which may be a failed one.
    Stored,
    /// Text or JSON.
    Text,
    /// Bytes, which are passed on from the first one on.
    Bytes,
}

impl Expected {
    /// Returns true for a response of any form: it is not JSON only.
    pub(crate) const fn is_any(self) -> bool {
        matches!(self, Self::Text | Self::Bytes)
    }
}

/// The configuration for one response.
#[derive(Clone, Debug)]
pub(crate) struct WatchConfig {
    pub(crate) peek: Arc<PeekConfig>,
    pub(crate) expected: Expected,
    /// True if a server may ignore that a stream is requested: its complete response is passed on.
    pub(crate) may_be_whole: bool,
    /// The dialect of the client.
    pub(crate) dialect: ClientDialect,
    /// The number of choices of a stream, if it is known.
    pub(crate) choices: Option<u32>,
    /// True if the gateway asked for usage and the client did not: a chunk with usage alone is removed.
    pub(crate) strip_usage: bool,
    /// True if the text is recorded, so that another model can continue it.
    pub(crate) keeps_transcript: bool,
    /// True if the response continues another one: chunks that only open a stream are removed.
    pub(crate) is_continuation: bool,
    /// The charge of the attempt, where the spending of requests is read.
    pub(crate) charge: Option<Arc<AttemptCharge>>,
    /// The model for which ids are issued, if the response may have any.
    pub(crate) issues_for: Option<Arc<str>>,
    /// True if the request names a response that is stored.
    pub(crate) names_stored: bool,
    /// True if the stream repeats that of a response that is stored.
    pub(crate) is_replay: bool,
}

impl WatchConfig {
    /// Charges a response with this usage.
    pub(crate) fn charge(&self, usage: Option<Usage>) {
        if let Some(charge) = &self.charge {
            charge.end(usage.map(|usage| usage.counts()));
        }
    }

    /// Returns the issuer of ids and the model for which they are issued, if the response may have any.
    pub(crate) fn issuer(&self) -> Option<(&IdIssuer, &Arc<str>)> {
        self.peek.issuer.as_ref().zip(self.issues_for.as_ref())
    }

    /// Records that the response is committed.
    pub(crate) fn begin_charge(&self) {
        if let Some(charge) = &self.charge {
            charge.begin();
        }
    }
}
