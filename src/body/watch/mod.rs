//! Readers of the JSON of stream events: [`Event::read`] for one event, [`TemplateReader`] for those of one stream.
//!
//! The readers build no tree: they look for a few names and skip all other values, of any type. A field with an
//! unexpected type is ignored and never an error: they do not validate.

mod chunk_info;
mod messages;
mod quick;
mod responses;
mod scan;
mod template;

pub(crate) use chunk_info::{ChunkInfo, Usage};
pub(super) use quick::plain;
pub(crate) use template::TemplateReader;

use crate::metrics::BodyStats;

/// The end marker of the OpenAI dialect.
pub(crate) const DONE: &[u8] = b"[DONE]";

/// The content of one event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Event {
    /// An event without data.
    Empty,
    /// `[DONE]`.
    Done,
    /// Any other data that is not JSON.
    Broken,
    /// A JSON chunk.
    Chunk(ChunkInfo),
    /// A chunk with content, and without any other news since an earlier chunk of its stream: see [`TemplateReader`].
    Repeat,
}

impl Event {
    /// Reads an event's data.
    #[cfg(test)]
    pub(crate) fn read(data: &[u8]) -> Self {
        Self::read_by(data, ChunkInfo::read)
    }

    fn read_by(data: &[u8], read: impl FnOnce(&[u8]) -> Option<ChunkInfo>) -> Self {
        match data.trim_ascii() {
            [] => Self::Empty,
            DONE => Self::Done,
            json => read(json).map_or(Self::Broken, Self::Chunk),
        }
    }
}

/// The state of a stream. Its size is constant, however many events follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamState {
    /// True after an event with data.
    pub any: bool,
    /// True if the stream has made progress since this was last reset.
    pub fresh: bool,
    /// True after the first content.
    pub content: bool,
    /// True after a choice that a content filter ended.
    pub filtered: bool,
    /// True after the terminal event.
    pub done: bool,
    /// The last reported usage. A stream that reports usage in every chunk counts up.
    pub usage: Option<Usage>,
    /// The number of events with content or other news.
    pub events: u32,
    begun: u128,
    finished: u128,
}

impl StreamState {
    /// Updates the state with an event.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::Empty => return,
            Event::Done => (self.fresh, self.done) = (true, true),
            Event::Repeat => {
                self.events += 1;
                self.fresh = true;
            }
            Event::Broken => {}
            Event::Chunk(chunk) => {
                self.events += 1;
                self.fresh |= !chunk.only_opens();
                self.content |= chunk.content;
                self.filtered |= chunk.filtered;
                self.done |= chunk.terminal;
                self.begun |= chunk.begun;
                self.finished |= chunk.finished;
                if let Some(usage) = chunk.usage {
                    self.usage = Some(usage.after(self.usage));
                }
            }
        }
        self.any = true;
    }

    /// Returns the facts for the metrics.
    pub(crate) fn stats(&self) -> BodyStats {
        let tokens = self.usage.map(|usage| usage.tokens()).unwrap_or_default();
        BodyStats { tokens, events: self.events }
    }

    /// Returns true if every choice that began has its finish reason. A choice may finish while others continue.
    pub(crate) const fn finished(&self) -> bool {
        self.finished != 0 && self.begun & !self.finished == 0
    }

    /// Returns true if this many choices have finished, and none that began continues.
    pub(crate) const fn finished_all(&self, choices: u32) -> bool {
        self.finished() && self.finished.count_ones() >= choices
    }

    /// Returns true if a content filter has ended a choice and there is no output so far.
    pub(crate) const fn is_filtered(&self) -> bool {
        self.filtered && !self.content
    }

    /// Returns true if the upstream has begun to generate: content, or a finish reason without any.
    pub(crate) const fn answered(&self) -> bool {
        self.content || self.finished != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Tokens;

    pub(super) fn chunk(json: &str) -> ChunkInfo {
        match Event::read(json.as_bytes()) {
            Event::Chunk(info) => info,
            other @ (Event::Empty | Event::Done | Event::Broken | Event::Repeat) => {
                panic!("{json}: {other:?}")
            }
        }
    }

    #[test]
    fn content_is_any_output_of_the_model() {
        for delta in [
            r#""content":"a""#,
            r#""content":[{"type":"text","text":"a"}]"#,
            r#""reasoning":"a""#,
            r#""reasoning_content":"a""#,
            r#""tool_calls":[{"index":0}]"#,
            r#""function_call":{"name":"f"}"#,
            r#""refusal":"no""#,
            r#""audio":{"id":"a"}"#,
            r#""thinking":"a""#,
            r#""annotations":[{"type":"url_citation"}]"#,
            r#""provider_specific_fields":{"citations":[1]}"#,
            r#""extra_content":{"google":{"thought_signature":"a"}}"#,
            r#""vendor_\u0061":true"#,
            r#""score":0.5"#,
        ] {
            let json = format!(r#"{{"choices":[{{"index":0,"delta":{{"role":"assistant",{delta}}}}}]}}"#);
            assert!(chunk(&json).content, "{json}");
        }
        assert!(chunk(r#"{"choices":[{"delta":"a"}]}"#).content, "a delta that is not an object");
        assert!(chunk(r#"{"choices":[{"text":"a"}]}"#).content, "text completions");
        assert!(chunk(r#"{"type":"content_block_delta","delta":{"text":"a"}}"#).content, "other dialects");
    }

    #[test]
    fn events_of_images_and_transcriptions_have_content_usage_and_an_end() {
        for (kind, terminal) in [
            ("image_generation.partial_image", false),
            ("image_edit.completed", true),
            ("transcript.text.delta", false),
            ("transcript.text.done", true),
            ("transcription.done", true),
        ] {
            let info =
                chunk(&format!(r#"{{"type":"{kind}","usage":{{"input_tokens":3,"output_tokens":4}}}}"#));
            assert!(info.content && info.terminal == terminal, "{kind}");
            assert_eq!(info.usage.map(|usage| usage.total()), Some(7), "{kind}");
        }
        for kind in ["image_generation.started", "transcript.text.segment", "other.done"] {
            let info = chunk(&format!(r#"{{"type":"{kind}"}}"#));
            assert!(!info.content && !info.terminal, "{kind}");
        }
    }

    #[test]
    fn roles_empty_choices_and_pings_are_not_content() {
        for json in [
            r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            r#"{"choices":[{"delta":{"content":null,"tool_calls":[],"refusal":null}}]}"#,
            r#"{"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#,
            r#"{"choices":[{"delta":{"role":"assistant","content":"","thinking":"","annotations":[],"x":{},"y":false}}]}"#,
            r#"{"choices":[{"delta":{"role":"assistant"}}]}"#,
            r#"{"choices":[{"delta":""}]}"#,
            r#"{"type":"ping"}"#,
            r#"{"choices":null}"#,
            r#"{"choices":[{"text":""}]}"#,
            "{}",
            "17",
        ] {
            let info = chunk(json);
            assert!(!info.content && info.finished == 0 && !info.error, "{json}");
        }
    }

    #[test]
    fn finish_reasons_of_content_filters_are_recognised() {
        for (reason, filtered) in [
            ("content_filter", true),
            ("sensitive", true),
            ("SAFETY", true),
            ("PROHIBITED_CONTENT", true),
            ("guardrail_intervened", true),
            ("refusal", true),
            ("cont\\u0065nt_filter", true),
            ("stop", false),
            ("length", false),
            ("content", false),
            ("", false),
        ] {
            let json = format!(r#"{{"choices":[{{"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
            assert_eq!(chunk(&json).is_filtered(), filtered, "{reason}");
        }
        let said = chunk(r#"{"choices":[{"message":{"content":"a"},"finish_reason":"content_filter"}]}"#);
        assert!(said.filtered && !said.is_filtered());
    }

    #[test]
    fn usage_is_found_in_every_place_and_a_usage_only_chunk_is_recognised() {
        let last =
            chunk(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#);
        assert_eq!(last.usage.map(|usage| usage.total()), Some(7));
        assert!(last.only_usage);
        let within = chunk(
            r#"{"choices":[{"delta":{}}],"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2}}}"#,
        );
        assert_eq!(within.usage.map(|usage| usage.total()), Some(3));
        assert!(!within.only_usage);
        assert_eq!(chunk(r#"{"choices":[],"usage":null}"#).usage, None);
    }

    #[test]
    fn usage_has_the_tokens_by_kind() {
        for (json, (input, cached, output)) in [
            (
                r#"{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"audio_tokens":0,"cached_tokens":5}}"#,
                (9, 5, 4),
            ),
            (r#"{"input_tokens":9,"output_tokens":4,"input_tokens_details":{"cached_tokens":5}}"#, (9, 5, 4)),
            (r#"{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":null}"#, (9, 0, 4)),
            (
                r#"{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":null}}"#,
                (9, 0, 4),
            ),
            (r#"{"total_tokens":7}"#, (7, 0, 0)),
            (r#"{"prompt_tokens":99999999999,"completion_tokens":4}"#, (u32::MAX, 0, 4)),
        ] {
            let usage = chunk(&format!(r#"{{"choices":[],"usage":{json}}}"#)).usage.unwrap();
            assert_eq!(usage.tokens(), Tokens { input, cached, output }, "{json}");
        }
    }

    #[test]
    fn usage_without_numbers_does_not_reset_the_last_usage() {
        let mut state = StreamState::default();
        state.note(&Event::read(br#"{"choices":[],"usage":{"total_tokens":7}}"#));
        for empty in [
            r#"{"usage":{"prompt_tokens":null,"completion_tokens":null,"total_tokens":null}}"#,
            r#"{"usage":{"total_tokens":"many"}}"#,
            r#"{"usage":{"total_tokens":-1}}"#,
            r#"{"usage":{}}"#,
        ] {
            state.note(&Event::read(empty.as_bytes()));
            assert_eq!(state.usage.map(|usage| usage.total()), Some(7), "{empty}");
        }
    }

    #[test]
    fn errors_are_recognised_in_each_dialect() {
        for json in [
            r#"{"error":{"message":"no"}}"#,
            r#"{"object":"error","message":"no"}"#,
            r#"{"error":"no","error_type":"generation"}"#,
            r#"{"type":"error","error":{"type":"overloaded_error"}}"#,
            r#"{"error":{"code":"429"},"choices":[{"finish_reason":"error"}]}"#,
            r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
            r#"{"choices":[{"finish_reason":"\u0065rror"}]}"#,
            r#"{"choices":[{"error":{"code":429},"message":{"content":""}}]}"#,
            r#"{"success":false,"errors":[{"code":7003}]}"#,
            r#"[{"error":{"code":503}}]"#,
        ] {
            assert!(chunk(json).error, "{json}");
        }
        for json in [
            r#"{"error":null,"errors":[],"choices":[]}"#,
            r#"{"choices":[{"error":null,"finish_reason":"errors"}]}"#,
            r#"["error"]"#,
        ] {
            assert!(!chunk(json).error, "{json}");
        }
    }

    #[test]
    fn unexpected_types_and_repeated_or_escaped_names_are_not_broken_json() {
        assert!(
            chunk(r#"{"a\nb":1,"usage":3,"usage":[],"choices":{"x":1},"object":5,"type":null}"#)
                .usage
                .is_none()
        );
        // The string has no value, but the chunk counts as content.
        assert!(chunk(r#"{"type":"\ud800","usage":{"total_tokens":1}}"#).content);
        assert!(matches!(Event::read(br#"{"type":"\ud800","choices":[{"#), Event::Broken));
        assert!(matches!(Event::read(br#"{"choices":[{"#), Event::Broken));
        assert!(matches!(Event::read(b"{} {}"), Event::Broken));
        assert!(matches!(Event::read(b" [DONE] "), Event::Done));
    }

    #[test]
    fn stream_is_finished_when_every_choice_has_a_finish_reason() {
        let mut state = StreamState::default();
        for json in [
            r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}"#,
            r#"{"choices":[{"finish_reason":"stop","index":0}]}"#,
        ] {
            state.note(&Event::read(json.as_bytes()));
        }
        assert!(!state.finished());
        state.note(&Event::read(br#"{"choices":[{"index":1,"finish_reason":"length"}]}"#));
        assert!(state.finished());
    }
}
