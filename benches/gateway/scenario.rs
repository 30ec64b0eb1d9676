//! What is asked and what is answered: one place, so that the upstream that answers and the load that checks agree.

use bytes::Bytes;

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
}

impl Scenario {
    pub(crate) const ALL: [Self; 5] = [Self::Chat, Self::Burst, Self::Paced, Self::Idle, Self::Fail];

    /// The path segment, and the name of the gateway's group.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Burst => "burst",
            Self::Paced => "paced",
            Self::Idle => "idle",
            Self::Fail => "fail",
        }
    }

    pub(crate) const fn streams(self) -> bool {
        matches!(self, Self::Burst | Self::Paced | Self::Idle)
    }

    /// Returns the length of the whole response in bytes; none for an endless stream.
    pub(crate) fn length(self) -> Option<usize> {
        match self {
            Self::Chat => Some(answer().len()),
            Self::Burst | Self::Paced => Some(events().iter().map(Bytes::len).sum()),
            Self::Idle => None,
            Self::Fail => Some(failure().len()),
        }
    }
}

/// A chat completion of 1 KB.
pub(crate) fn answer() -> Bytes {
    let head = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1760000000,"model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":""#;
    let tail = r#""},"finish_reason":"stop"}],"usage":{"prompt_tokens":230,"completion_tokens":160,"total_tokens":390}}"#;
    let text =
        filled("The deployments answer in turn, and none is asked twice. ", 1024 - head.len() - tail.len());
    Bytes::from([head, &text, tail].concat())
}

/// Returns the body of a failing upstream.
pub(crate) fn failure() -> Bytes {
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
        Prompt::Picture => format!(
            r#"[{{"type":"text","text":"What is in it?"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]"#,
            filled("iVBORw0KGgoAAAANSUhEUgAABLAAAASwCAYAAADrIbPPAAAgAElEQVR4Aey9B7xt", 5 * 1024 * 1024)
        ),
    };
    Bytes::from(format!(
        r#"{{"model":"{model}","stream":{streams},"temperature":0.2,"max_tokens":200,"messages":[{{"role":"system","content":"Answer briefly."}},{{"role":"user","content":{content}}}]}}"#
    ))
}

/// `text` over and over, `length` bytes in all.
fn filled(text: &str, length: usize) -> String {
    text.chars().cycle().take(length).collect()
}
