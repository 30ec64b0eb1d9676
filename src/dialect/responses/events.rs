//! The events of a stream: [`Event`], [`Events`].

use serde::Serialize;

use super::object::{Annotation, Item, Object, Part};
use crate::dialect::write;

/// The events of one response.
#[derive(Debug)]
pub(super) struct Events {
    /// True if the response is a stream. Otherwise no event is written.
    pub(super) is_stream: bool,
    /// The number of events so far.
    pub(super) count: u64,
}

/// An event. Which members it has depends on its type.
#[derive(Debug, Default, Serialize)]
pub(super) struct Event<'a> {
    pub(super) r#type: &'static str,
    pub(super) sequence_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) response: Option<&'a Object<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<&'a Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<&'a Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotation_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) annotation: Option<&'a Annotation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'a str>,
}

impl Events {
    /// Appends an event to a stream.
    pub(super) fn write(&mut self, event: Event<'_>, out: &mut Vec<u8>) {
        if self.is_stream {
            Event { sequence_number: self.next(), ..event }.write(out);
        }
    }

    /// Returns the number of the next event.
    pub(super) const fn next(&mut self) -> u64 {
        self.count += 1;
        self.count - 1
    }
}

impl Event<'_> {
    /// Appends the event to a stream.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write::event(self.r#type, self, out);
    }
}
