//! What is asked and what is answered: one place, so that the upstream that answers and the load that checks agree.

use bytes::Bytes;

use crate::tools;

/// Events of a stream before its `[DONE]`.
pub(crate) const EVENTS: usize = 64;

/// The mark of an event with text; the load counts the first as first content.
pub(crate) const CONTENT: &[u8] = br#""content":""#;

const DONE: &[u8] = b"data: [DONE]\n\n";

/// The behaviour of the upstream, selected by the first segment of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// A JSON answer of 1 KB.
    Chat,
    /// 64 events, as fast as they are taken.
    Burst,
    /// 64 events, one every 20 ms.
    Paced,
    /// An event at once, then one every 10 s, without end.
    Idle,
    /// Status 500.
    Fail,
    /// A chat completion of 2 KB, with escapes and some text beyond ASCII.
    Answer2k,
    /// Such a completion of 34 KB.
    Answer34k,
    /// Embeddings of 300 KB.
    Answer300k,
    /// Embeddings of 1 MB.
    Answer1m,
    /// The answer of 34 KB in chunks of 4 KB.
    Chunked34k,
    /// The answer of 1 MB in chunks of 16 KB.
    Chunked1m,
}

impl Scenario {
    pub(crate) const ALL: [Self; 11] = [
        Self::Chat,
        Self::Burst,
        Self::Paced,
        Self::Idle,
        Self::Fail,
        Self::Answer2k,
        Self::Answer34k,
        Self::Answer300k,
        Self::Answer1m,
        Self::Chunked34k,
        Self::Chunked1m,
    ];

    /// The path segment, and the name of the gateway's group.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Burst => "burst",
            Self::Paced => "paced",
            Self::Idle => "idle",
            Self::Fail => "fail",
            Self::Answer2k => "answer-2k",
            Self::Answer34k => "answer-34k",
            Self::Answer300k => "answer-300k",
            Self::Answer1m => "answer-1m",
            Self::Chunked34k => "chunked-34k",
            Self::Chunked1m => "chunked-1m",
        }
    }

    /// Returns the length of the chunks of a response in chunks that is not a stream.
    pub(crate) const fn chunk(self) -> Option<usize> {
        match self {
            Self::Chunked34k => Some(4 * 1024),
            Self::Chunked1m => Some(16 * 1024),
            _ => None,
        }
    }

    pub(crate) const fn streams(self) -> bool {
        matches!(self, Self::Burst | Self::Paced | Self::Idle)
    }

    /// Returns the length of the whole response in bytes; none for an endless stream.
    pub(crate) fn length(self) -> Option<usize> {
        match self {
            Self::Burst | Self::Paced => Some(events().iter().map(Bytes::len).sum()),
            Self::Idle => None,
            _ => Some(self.answer().len()),
        }
    }

    /// Returns the body of a response that is not a stream.
    pub(crate) fn answer(self) -> Bytes {
        match self {
            Self::Answer2k => completion(RICH, 2 * 1024),
            Self::Answer34k | Self::Chunked34k => completion(RICH, 34 * 1024),
            Self::Answer300k => embeddings(300 * 1024),
            Self::Answer1m | Self::Chunked1m => embeddings(1024 * 1024),
            Self::Fail => failure(),
            _ => completion("The deployments answer in turn, and none is asked twice. ", 1024),
        }
    }
}

/// Text of a model that writes code, as JSON: an escape now and then, and some letters beyond ASCII.
const RICH: &str = r#"Use `filter` as in:\n\n    let even = list.iter().filter(|n| *n % 2 == 0);\n\nThe \"naïve\" way — a loop — is as fast. "#;

/// A chat completion of this length and text.
fn completion(text: &str, length: usize) -> Bytes {
    let head = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1760000000,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":""#;
    let tail = r#""},"finish_reason":"stop"}],"usage":{"prompt_tokens":230,"completion_tokens":160,"total_tokens":390}}"#;
    Bytes::from([head, &filled(text, length - head.len() - tail.len()), tail].concat())
}

/// Embeddings of some 1,500 numbers each, about this length in all.
fn embeddings(length: usize) -> Bytes {
    let vector =
        (0..1536).map(|n| format!("{:.9}", f64::from(n) / 1536.0 - 0.5)).collect::<Vec<_>>().join(",");
    let one = |n| format!(r#"{{"object":"embedding","index":{n},"embedding":[{vector}]}}"#);
    let data = (0..length / vector.len()).map(one).collect::<Vec<_>>().join(",");
    let tail = r#""model":"text-embedding-3-small","usage":{"prompt_tokens":230,"total_tokens":230}}"#;
    Bytes::from(format!(r#"{{"object":"list","data":[{data}],{tail}"#))
}

/// Returns the body of a failing upstream.
fn failure() -> Bytes {
    Bytes::from_static(
        br#"{"error":{"message":"The server had an error.","type":"server_error","param":null,"code":null}}"#,
    )
}

/// The events of a stream, its `[DONE]` last. The first carries text already: the time to it is the time to content.
pub(crate) fn events() -> Vec<Bytes> {
    (0..EVENTS).map(event).chain([Bytes::from_static(DONE)]).collect()
}

fn event(n: usize) -> Bytes {
    let delta = match n {
        0 => r#"{"role":"assistant","content":"Ten"}"#.to_owned(),
        n if n + 1 == EVENTS => "{}".to_owned(),
        n => format!(r#"{{"content":" token{n:02}"}}"#),
    };
    let finish = if n + 1 == EVENTS { r#""stop""# } else { "null" };
    Bytes::from(format!(
        concat!(
            r#"data: {{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,"#,
            r#""model":"gpt-4o-mini","choices":[{{"index":0,"delta":{},"finish_reason":{}}}]}}"#,
            "\n\n"
        ),
        delta, finish
    ))
}

/// The length and the content of a prompt.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Prompt {
    /// A question of 1 KB.
    Short,
    /// 120 KB: half prose, half code, where every line brings an escape or two.
    Long,
    /// 33 KB of prose, with escapes and some text beyond ASCII.
    Prose33k,
    /// Such prose of 331 KB.
    Prose331k,
    /// 30 tool definitions, 33 KB in all.
    Tools,
    /// 1 MB of prose.
    Upload,
    /// 5 MB: a picture as a data URI.
    Picture,
}

/// The body of a chat request.
pub(crate) fn body(model: &str, streams: bool, prompt: Prompt) -> Bytes {
    let prose = "You are asked to compare two clauses and to say which of them binds the tenant. ";
    let code = "    if let Some(next) = queue.pop() {\\n        visit(&next, \\\"depth\\\");\\n    }\\n";
    let content = match prompt {
        Prompt::Short => format!("\"{}\"", filled(prose, 850)),
        Prompt::Long => format!("\"{}{}\"", filled(prose, 60 * 1024), code.repeat(60 * 1024 / code.len())),
        Prompt::Prose33k => format!("\"{}\"", filled(RICH, 33 * 1024)),
        Prompt::Prose331k => format!("\"{}\"", filled(RICH, 331 * 1024)),
        Prompt::Upload => format!("\"{}\"", filled(RICH, 1024 * 1024)),
        Prompt::Tools => format!("\"{}\"", filled(prose, 850)),
        Prompt::Picture => format!(
            r#"[{{"type":"text","text":"What is in it?"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]"#,
            filled("iVBORw0KGgoAAAANSUhEUgAABLAAAASwCAYAAADrIbPPAAAgAElEQVR4Aey9B7xt", 5 * 1024 * 1024)
        ),
    };
    let tools = if matches!(prompt, Prompt::Tools) { tools::member() } else { String::new() };
    Bytes::from(format!(
        r#"{{"model":"{model}","stream":{streams},"temperature":0.2,"max_tokens":200,"messages":[{{"role":"system","content":"Answer briefly."}},{{"role":"user","content":{content}}}]{tools}}}"#
    ))
}

/// `text` over and over, `length` bytes in all; the end is spaces, where the text does not fit as a whole.
fn filled(text: &str, length: usize) -> String {
    let whole = text.repeat(length / text.len());
    let rest = " ".repeat(length - whole.len());
    whole + &rest
}
