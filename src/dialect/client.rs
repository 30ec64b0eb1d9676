//! The dialects of clients: [`ClientDialect`] with the reading of their requests, [`Writer`] with the writing of responses.

use super::{
    chat,
    conversation::{Conversation, Refusal},
    delta::{Answer, Delta},
    messages,
};

/// The dialect of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientDialect {
    /// OpenAI's chat completions. The error objects are those of all its operations.
    Chat,
    /// Anthropic's Messages.
    Messages,
}

impl ClientDialect {
    /// Reads a request.
    ///
    /// # Errors
    /// Returns the parameter that cannot be read.
    pub(super) fn read(self, body: &str) -> Result<Conversation<'_>, Refusal> {
        match self {
            Self::Chat => chat::read(body),
            Self::Messages => messages::read(body),
        }
    }

    /// Returns the body of an error in this dialect, or none if it is OpenAI's error object. `status` is that of the response,
    /// or of the response that it would have been for an error within a stream. `is_too_long` is true if the request is
    /// longer than the context window.
    pub(crate) fn error_body(self, status: u16, message: &str, is_too_long: bool) -> Option<Vec<u8>> {
        match self {
            Self::Chat => None,
            Self::Messages => Some(messages::error_body(status, message, is_too_long)),
        }
    }

    /// Returns true if an error of an upstream is in this dialect already.
    pub(crate) fn has_form_of(self, error: &[u8]) -> bool {
        match self {
            Self::Chat => false,
            Self::Messages => messages::is_error(error),
        }
    }

    /// Returns the line before the data of an error event.
    pub(crate) const fn error_event(self) -> &'static str {
        match self {
            Self::Chat => "",
            Self::Messages => "event: error\n",
        }
    }

    /// Returns the event that ends a stream.
    pub(crate) const fn end_event(self) -> &'static str {
        match self {
            Self::Chat => "data: [DONE]\n\n",
            Self::Messages => messages::END_EVENT,
        }
    }
}

/// The writer of one response, in the form that the client requested.
#[derive(Debug)]
pub(super) enum Writer {
    Chunks(chat::Chunks),
    Events(messages::Events),
    /// The response so far, and how it is written.
    Complete(Box<Answer>, ClientDialect, u64),
}

impl Writer {
    /// Returns the writer of a response that began at `created`, in seconds since 1970.
    pub(super) fn new(dialect: ClientDialect, stream: bool, created: u64) -> Self {
        match dialect {
            _ if !stream => Self::Complete(Box::default(), dialect, created),
            ClientDialect::Chat => Self::Chunks(chat::Chunks::new(created)),
            ClientDialect::Messages => Self::Events(messages::Events::default()),
        }
    }

    /// Returns true if the client requested a stream.
    pub(super) const fn is_stream(&self) -> bool {
        !matches!(self, Self::Complete(..))
    }

    /// Appends a piece of the response.
    pub(super) fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Chunks(chunks) => chunks.write(delta, out),
            Self::Events(events) => events.write(delta, out),
            Self::Complete(answer, dialect, created) => {
                answer.add(delta);
                if matches!(delta, Delta::End) {
                    match dialect {
                        ClientDialect::Chat => chat::write_answer(answer, *created, out),
                        ClientDialect::Messages => messages::write_answer(answer, out),
                    }
                }
            }
        }
    }
}
