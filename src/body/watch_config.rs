//! On what terms an answer is watched: [`WatchConfig`], and who judges it: [`Classifier`].

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http::{HeaderMap, StatusCode};
use tollgate_layers::Outcome;

use super::secrets::Secrets;

/// Judges an answer: the gateway's classifier, as plain functions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Classifier {
    /// What an answer that is no success means, by its status, headers and body.
    pub response: fn(StatusCode, &HeaderMap, &[u8]) -> Outcome,
    /// What the data of an event (or the body of a 200) means that looks like an error; `None` when it is none.
    pub event: fn(&[u8], &HeaderMap) -> Option<Outcome>,
    /// What a success means so far: what its headers tell about limits.
    pub success: fn(&HeaderMap) -> Outcome,
}

/// How the answers of a deployment are watched.
#[derive(Clone, Debug)]
pub(crate) struct PeekConfig {
    pub(crate) classifier: Classifier,
    /// `broken_events: pass`.
    pub(crate) pass_broken: bool,
    pub(crate) event_limit: usize,
    /// Counts the events with broken JSON.
    pub(crate) broken: Option<Arc<AtomicU64>>,
    /// What no error may tell.
    pub(crate) secrets: Secrets,
}

impl PeekConfig {
    /// 16 MB: larger than any event seen (images in base64), small enough for one request.
    const EVENT_LIMIT: usize = 16 << 20;

    pub(crate) fn new(classifier: Classifier) -> Self {
        Self {
            classifier,
            pass_broken: false,
            event_limit: Self::EVENT_LIMIT,
            broken: None,
            secrets: Secrets::default(),
        }
    }

    pub(crate) fn count_broken(&self) {
        if let Some(broken) = &self.broken {
            broken.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How one answer is watched.
#[derive(Clone, Debug)]
pub(crate) struct WatchConfig {
    pub(crate) peek: Arc<PeekConfig>,
    /// We asked for usage and the client did not: the chunk that carries nothing else is taken out.
    pub(crate) strip_usage: bool,
    /// What is said is kept in mind, so that another can go on with it.
    pub(crate) keeps_transcript: bool,
    /// The answer goes on with another: what only opens a stream is left out.
    pub(crate) is_continuation: bool,
}
