//! The part of a stream that is kept for the case that it breaks: [`Memory`].

use super::{transcript::Transcript, watch_config::WatchConfig};
use crate::dialect::{ClientDialect, Opened};

/// The part of a stream that is kept for the case that it breaks.
#[derive(Debug)]
pub(super) enum Memory {
    /// The text, which another model can continue.
    Text(Transcript),
    /// The beginning of a response, which ends as a failed one. Boxed, so that other streams have no space for it.
    Response(Option<Box<Opened>>),
}

impl Memory {
    /// Returns the memory of a stream, if any of it is kept.
    pub(super) fn of(config: &WatchConfig) -> Option<Self> {
        match config.dialect {
            ClientDialect::Responses => Some(Self::Response(None)),
            _ => config.keeps_transcript.then(|| Self::Text(Transcript::default())),
        }
    }

    /// Records an event that is passed on.
    pub(super) fn record(&mut self, data: &[u8]) {
        match self {
            Self::Text(transcript) => transcript.record(data),
            Self::Response(opened @ None) => *opened = Opened::read(data).map(Box::new),
            Self::Response(Some(_)) => {}
        }
    }

    /// Returns the text so far, if it is recorded and the stream has text alone.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(transcript) => transcript.text(),
            Self::Response(_) => None,
        }
    }
}
