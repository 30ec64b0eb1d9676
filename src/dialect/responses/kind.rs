//! The kinds of parts that are written in pieces: [`Kind`].

use super::object::{Item, Part, Status};

/// The kind of a part that is written in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Refusal,
    /// A summary of reasoning.
    Summary,
}

impl Kind {
    /// Returns an empty part.
    pub(super) const fn part(self) -> Part {
        let text = String::new();
        match self {
            Self::Text => Part::OutputText { text, annotations: Vec::new(), logprobs: [] },
            Self::Refusal => Part::Refusal { refusal: text },
            Self::Summary => Part::SummaryText { text },
        }
    }

    /// Returns an item without parts, for the last characters of its id.
    pub(super) fn item(self, id: &str) -> Item {
        match self {
            Self::Text | Self::Refusal => Item::Message {
                id: format!("msg_{id}"),
                status: Status::InProgress,
                role: "assistant",
                content: Vec::new(),
            },
            Self::Summary => Item::reasoning(id, None),
        }
    }

    /// Returns true if the item can have such a part. A signature ends the summary before it.
    pub(super) const fn fits(self, item: &Item) -> bool {
        match item {
            Item::Message { .. } => matches!(self, Self::Text | Self::Refusal),
            Item::Reasoning { encrypted_content, .. } => {
                matches!(self, Self::Summary) && encrypted_content.is_none()
            }
            Item::FunctionCall { .. } => false,
        }
    }

    /// Returns the log probabilities of a text, of which there are none.
    pub(super) fn logprobs(self) -> Option<[(); 0]> {
        (self == Self::Text).then_some([])
    }

    pub(super) const fn added(self) -> &'static str {
        match self {
            Self::Text | Self::Refusal => "response.content_part.added",
            Self::Summary => "response.reasoning_summary_part.added",
        }
    }

    pub(super) const fn delta(self) -> &'static str {
        match self {
            Self::Text => "response.output_text.delta",
            Self::Refusal => "response.refusal.delta",
            Self::Summary => "response.reasoning_summary_text.delta",
        }
    }

    pub(super) const fn done(self) -> &'static str {
        match self {
            Self::Text => "response.output_text.done",
            Self::Refusal => "response.refusal.done",
            Self::Summary => "response.reasoning_summary_text.done",
        }
    }

    pub(super) const fn part_done(self) -> &'static str {
        match self {
            Self::Text | Self::Refusal => "response.content_part.done",
            Self::Summary => "response.reasoning_summary_part.done",
        }
    }
}
