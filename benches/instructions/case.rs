//! What is asked.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body::{Body, Frame, SizeHint};

use crate::tools;

/// As much as a connection gives at once.
pub(crate) const PIECE: usize = 16 * 1024;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// 1 KB in, 1 KB out.
    Chat,
    /// A chat with a response of 64 events.
    Stream,
    /// 120 KB of text as programs write it, with an escape now and then.
    ParsedRequest,
    /// 5 MB, most of it a picture.
    Picture,
    /// 30 tool definitions, 33 KB in all.
    Tools,
    /// A chat with a response of 34 KB.
    Answer,
    /// A chat of two messages.
    Messages,
    /// A chat with limits that are leased from a ledger.
    Replicas,
    /// A call in OpenAI's Responses that is passed on, with as much text as a chat.
    Responses,
    /// A call in Responses with a response of 64 events.
    ResponsesStream,
    /// A call in Anthropic's Messages that is passed on, with as much text as a chat.
    Anthropic,
    /// A call in Messages with a response of 64 events.
    AnthropicStream,
    /// A chat that is translated for Anthropic.
    Translated,
    /// A chat with a response of 64 events that is translated for Anthropic.
    TranslatedStream,
}

/// The dialect of a request or a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Chat,
    Responses,
    Messages,
}

impl Case {
    pub(crate) const ALL: [Self; 14] = [
        Self::Chat,
        Self::Stream,
        Self::ParsedRequest,
        Self::Picture,
        Self::Tools,
        Self::Answer,
        Self::Messages,
        Self::Replicas,
        Self::Responses,
        Self::ResponsesStream,
        Self::Anthropic,
        Self::AnthropicStream,
        Self::Translated,
        Self::TranslatedStream,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Stream => "stream",
            Self::ParsedRequest => "prompt",
            Self::Picture => "picture",
            Self::Tools => "tools",
            Self::Answer => "answer",
            Self::Messages => "messages",
            Self::Replicas => "replicas",
            Self::Responses => "responses",
            Self::ResponsesStream => "responses-stream",
            Self::Anthropic => "anthropic",
            Self::AnthropicStream => "anthropic-stream",
            Self::Translated => "translated",
            Self::TranslatedStream => "translated-stream",
        }
    }

    /// Returns the dialect of the client.
    const fn client(self) -> Dialect {
        match self {
            Self::Responses | Self::ResponsesStream => Dialect::Responses,
            Self::Anthropic | Self::AnthropicStream => Dialect::Messages,
            _ => Dialect::Chat,
        }
    }

    /// Returns the dialect of the upstream.
    pub(crate) const fn upstream(self) -> Dialect {
        match self {
            Self::Translated | Self::TranslatedStream => Dialect::Messages,
            _ => self.client(),
        }
    }

    const fn is_stream(self) -> bool {
        matches!(self, Self::Stream | Self::ResponsesStream | Self::AnthropicStream | Self::TranslatedStream)
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|case| case.name() == name)
    }

    pub(crate) fn body(self) -> Pieces {
        let text = "fn main() {\\n    println!(\\\"the deployments answer in turn\\\");\\n}\\n";
        let content = match self {
            Self::ParsedRequest => format!("\"{}\"", text.repeat(120_000 / text.len())),
            Self::Picture => format!(
                r#"[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]"#,
                "iVBORw0KGgo+".repeat(5_000_000 / 12)
            ),
            _ => format!("\"{}\"", "None is asked twice. ".repeat(44)),
        };
        let stream = self.is_stream();
        let first = match self {
            Self::Messages => r#"{"role":"system","content":"Answer briefly, and name your sources."},"#,
            _ => "",
        };
        let tools = if self == Self::Tools { tools::member() } else { String::new() };
        let more = if self.client() == Dialect::Messages { r#","max_tokens":1024"# } else { "" };
        let (model, input) = match self.upstream() {
            Dialect::Responses => ("responses", "input"),
            Dialect::Messages => ("claude", "messages"),
            Dialect::Chat => ("chat", "messages"),
        };
        let whole = Bytes::from(format!(
            r#"{{"model":"{model}","{input}":[{first}{{"role":"user","content":{content}}}],"temperature":0.7,"stream":{stream}{tools}{more}}}"#
        ));
        let at = |from| whole.slice(from..whole.len().min(from + PIECE));
        Pieces((0..whole.len()).step_by(PIECE).map(at).collect())
    }

    pub(crate) fn request(self, body: &Pieces) -> Request<Pieces> {
        let mut request = Request::new(body.clone());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = http::Uri::from_static(match self.client() {
            Dialect::Chat => "/v1/chat/completions",
            Dialect::Responses => "/v1/responses",
            Dialect::Messages => "/v1/messages",
        });
        let headers = request.headers_mut();
        headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:4000"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer sk-client"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("instructions"));
        headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(body.0.iter().map(Bytes::len).sum::<usize>()));
        request
    }
}

/// A request's body, in pieces as a connection gives them.
#[derive(Clone)]
pub(crate) struct Pieces(VecDeque<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}
