//! What is answered, and by whom: an upstream that is there at once.

use std::{future::ready, sync::Arc};

use crate::case::PIECE;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use tollgate::upstream::{ScriptStep, Upstream, UpstreamBody, UpstreamCall, UpstreamFuture};

/// Events of a stream before its `[DONE]`.
const EVENTS: usize = 64;

/// The answers, made once.
#[derive(Clone)]
pub(crate) struct ScriptedBody(Arc<Answers>);

struct Answers {
    whole: Vec<Bytes>,
    length: usize,
    events: Vec<Bytes>,
}

impl ScriptedBody {
    /// `long` makes the response that is not a stream one of 34 KB.
    pub(crate) fn new(long: bool) -> Self {
        let repeats = if long { 600 } else { 13 };
        let text = "The deployments answer in turn, and none is asked twice. ".repeat(repeats);
        let whole = format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1760000000,"model":"gpt-4o-mini","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":230,"completion_tokens":160,"total_tokens":390}}}}"#
        );
        let event = |n| {
            let (delta, finish) = match n {
                0 => (r#"{"role":"assistant","content":"The"}"#, "null"),
                _ if n == EVENTS - 1 => ("{}", r#""stop""#),
                _ => (r#"{"content":" deployments"}"#, "null"),
            };
            Bytes::from(format!(
                "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"gpt-4o-mini\",\"system_fingerprint\":\"fp_44709d6fcb\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n"
            ))
        };
        let done = Bytes::from_static(b"data: [DONE]\n\n");
        let events = (0..EVENTS).map(event).chain([done]).collect();
        let whole = Bytes::from(whole);
        let length = whole.len();
        let at = |from| whole.slice(from..length.min(from + PIECE));
        Self(Arc::new(Answers { whole: (0..length).step_by(PIECE).map(at).collect(), length, events }))
    }

    pub(crate) fn upstream(&self) -> Arc<dyn Upstream> {
        Arc::new(self.clone())
    }
}

impl Upstream for ScriptedBody {
    fn call(&self, call: UpstreamCall) -> UpstreamFuture {
        let Self(answers) = self;
        let (media, frames) = match call.stream {
            true => ("text/event-stream", &*answers.events),
            false => ("application/json", &*answers.whole),
        };
        let mut answer = Response::new(UpstreamBody::scripted(frames.iter().cloned().map(ScriptStep::Data)));
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        headers.insert(header::DATE, HeaderValue::from_static("Mon, 01 Dec 2025 00:00:00 GMT"));
        headers.insert("x-request-id", HeaderValue::from_static("req_1"));
        if !call.stream {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(answers.length));
        }
        // The request goes, as it does once it is sent.
        drop(call);
        Box::pin(ready(Ok(answer)))
    }
}
