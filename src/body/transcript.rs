//! The text that a stream has sent, kept so that another model can continue it: [`Transcript`].

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};

/// The text of one choice. There is no transcript of a stream with anything that cannot be an assistant message's text:
/// such a stream is not continued.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    text: String,
    unfit: bool,
}

impl Transcript {
    /// The longest transcript, in bytes: longer than any response of today's models.
    const MAX_BYTES: usize = 1 << 20;

    /// Records a chunk that is passed on.
    pub(super) fn record(&mut self, data: &[u8]) {
        if self.unfit {
            return;
        }
        let chunk = serde_json::from_slice::<Chunk<'_>>(data);
        let fit = chunk.is_ok_and(|chunk| chunk.choices.unwrap_or_default().iter().all(|c| self.add(c)));
        if !fit || self.text.len() > Self::MAX_BYTES {
            *self = Self { text: String::new(), unfit: true };
        }
    }

    fn add(&mut self, choice: &Choice<'_>) -> bool {
        self.text.push_str(choice.text.as_deref().unwrap_or_default());
        let Some(delta) = &choice.delta else { return choice.index == 0 };
        self.text.push_str(delta.content.as_deref().unwrap_or_default());
        choice.index == 0 && delta.is_text()
    }

    /// Returns the text, which may be empty. Returns `None` if the stream had anything else.
    pub(super) fn text(&self) -> Option<&str> {
        (!self.unfit).then_some(&*self.text)
    }
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u64,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    /// The text of a text completion.
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
    tool_calls: Option<Vec<IgnoredAny>>,
    function_call: Option<IgnoredAny>,
    refusal: Option<IgnoredAny>,
    audio: Option<IgnoredAny>,
}

impl Delta<'_> {
    fn is_text(&self) -> bool {
        self.tool_calls.as_ref().is_none_or(Vec::is_empty)
            && [&self.function_call, &self.refusal, &self.audio].iter().all(|other| other.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript(chunks: &[&str]) -> Option<String> {
        let mut transcript = Transcript::default();
        chunks.iter().for_each(|chunk| transcript.record(chunk.as_bytes()));
        transcript.text().map(str::to_owned)
    }

    #[test]
    fn transcript_joins_text_and_excludes_reasoning() {
        let chunks = [
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":null}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}"#,
            r#"{"choices":[{"delta":{"content":"a \"b\"\n"}}]}"#,
            r#"{"choices":[],"usage":null}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"\u00e9","refusal":null}}]}"#,
        ];
        assert_eq!(transcript(&chunks).as_deref(), Some("a \"b\"\n\u{e9}"));
        assert_eq!(transcript(&chunks[..2]).as_deref(), Some(""), "nothing was said yet");
    }

    #[test]
    fn transcript_joins_the_text_of_a_text_completion() {
        let chunks = [r#"{"choices":[{"index":0,"text":"a"}]}"#, r#"{"choices":[{"index":0,"text":" \n"}]}"#];
        assert_eq!(transcript(&chunks).as_deref(), Some("a \n"));
        assert_eq!(transcript(&[chunks[0], r#"{"choices":[{"index":1,"text":"b"}]}"#]), None);
    }

    #[test]
    fn transcript_is_none_for_anything_but_one_text() {
        for other in [
            r#"{"choices":[{"index":1,"delta":{"content":"b"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"function_call":{"name":"f"}}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"refusal":"no"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":[{"type":"text"}]}}]}"#,
        ] {
            let text = r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
            assert_eq!(transcript(&[text, other, text]), None, "{other}");
        }
    }
}
