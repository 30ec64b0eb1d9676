//! The dialects of clients: [`ClientDialect`] with the reading of their requests, [`Writer`] with the writing of responses.

use super::{
    chat, completions,
    conversation::{Conversation, Refusal},
    delta::{Answer, Delta},
    messages,
    responses::{self, Echo},
};

/// The dialect of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientDialect {
    /// OpenAI's chat completions. The error objects are those of all its operations.
    Chat,
    /// OpenAI's text completions.
    Completions,
    /// Anthropic's Messages.
    Messages,
    /// OpenAI's Responses.
    Responses,
}

impl ClientDialect {
    /// Reads a request. With `drop`, what cannot be read is dropped where that is possible.
    ///
    /// # Errors
    /// Returns the parameter that cannot be read.
    pub(super) fn read(self, body: &str, drop: bool) -> Result<Conversation<'_>, Refusal> {
        match self {
            Self::Chat => chat::read(body),
            Self::Completions => completions::read(body, drop),
            Self::Messages => messages::read(body),
            Self::Responses => responses::read(body),
        }
    }

    /// Returns a refusal with the parameter's name in this dialect.
    pub(super) fn worded(self, refusal: Refusal) -> Refusal {
        match (self, &*refusal.parameter) {
            (Self::Responses, "messages") => Refusal { parameter: responses::INPUT.to_owned(), ..refusal },
            (Self::Responses, "verbosity" | "response_format") => {
                Refusal { parameter: "text".to_owned(), ..refusal }
            }
            (Self::Responses, "reasoning_effort") => Refusal { parameter: "reasoning".to_owned(), ..refusal },
            _ => refusal,
        }
    }

    /// Returns the body of an error in this dialect, or none if it is OpenAI's error object. `status` is that of the response,
    /// or of the response that it would have been for an error within a stream. `is_too_long` is true if the request is
    /// longer than the context window.
    pub(crate) fn error_body(self, status: u16, message: &str, is_too_long: bool) -> Option<Vec<u8>> {
        match self {
            Self::Chat | Self::Completions | Self::Responses => None,
            Self::Messages => Some(messages::error_body(status, message, is_too_long)),
        }
    }

    /// Returns true if an error of an upstream is in this dialect already.
    pub(crate) fn has_form_of(self, error: &[u8]) -> bool {
        match self {
            Self::Chat | Self::Completions | Self::Responses => false,
            Self::Messages => messages::is_error(error),
        }
    }

    /// Returns the line before the data of an error event.
    pub(crate) const fn error_event(self) -> &'static str {
        match self {
            Self::Chat | Self::Completions => "",
            Self::Messages | Self::Responses => "event: error\n",
        }
    }

    /// Returns the event that ends a stream.
    pub(crate) const fn end_event(self) -> &'static str {
        match self {
            Self::Chat | Self::Completions => "data: [DONE]\n\n",
            Self::Messages => messages::END_EVENT,
            // The last event contains the response: without it a stream is not complete.
            Self::Responses => "",
        }
    }
}

/// The writer of one response, in the form that the client requested.
#[derive(Debug)]
pub(super) enum Writer {
    Chunks(chat::Chunks),
    /// The response so far, and the time of its beginning.
    Completion(Box<Answer>, u64),
    /// In either form.
    TextCompletion(Box<completions::Writer>),
    Events(messages::Events),
    /// The response so far.
    Message(Box<Answer>),
    /// In either form.
    Response(Box<responses::Writer>),
}

impl Writer {
    /// Returns the writer of the response to a request, which began at `created`, in seconds since 1970.
    pub(super) fn new(dialect: ClientDialect, body: &str, stream: bool, created: u64) -> Self {
        match (dialect, stream) {
            (ClientDialect::Chat, true) => Self::Chunks(chat::Chunks::new(created)),
            (ClientDialect::Chat, false) => Self::Completion(Box::default(), created),
            (ClientDialect::Completions, _) => {
                Self::TextCompletion(Box::new(completions::Writer::new(stream, created, body)))
            }
            (ClientDialect::Messages, true) => Self::Events(messages::Events::default()),
            (ClientDialect::Messages, false) => Self::Message(Box::default()),
            (ClientDialect::Responses, _) => {
                Self::Response(Box::new(responses::Writer::new(stream, created, Echo::of(body))))
            }
        }
    }

    /// Returns true if the client requested a stream.
    pub(super) const fn is_stream(&self) -> bool {
        match self {
            Self::Chunks(_) | Self::Events(_) => true,
            Self::Completion(..) | Self::Message(_) => false,
            Self::TextCompletion(completion) => completion.is_stream(),
            Self::Response(response) => response.is_stream(),
        }
    }

    /// Appends a piece of the response.
    pub(super) fn write(&mut self, delta: &Delta<'_>, out: &mut Vec<u8>) {
        let is_end = matches!(delta, Delta::End);
        match self {
            Self::Chunks(chunks) => chunks.write(delta, out),
            Self::Events(events) => events.write(delta, out),
            Self::TextCompletion(completion) => completion.write(delta, out),
            Self::Response(response) => response.write(delta, out),
            Self::Completion(answer, created) if is_end => chat::write_answer(answer, *created, out),
            Self::Message(answer) if is_end => messages::write_answer(answer, out),
            Self::Completion(answer, _) | Self::Message(answer) => answer.add(delta),
        }
    }
}
