//! A reader that recognises chunks which differ in one string: [`TemplateReader`].
//!
//! A model sends hundreds of chunks that are equal to the byte but for one string. They have the information of the
//! first, as long as that string is one valid string and not empty: two comparisons decide that, at a tenth of the cost
//! of a parse, and the state of the stream needs no update. Chunks with other differences are parsed.

use std::ops::Range;

use super::{ChunkInfo, Event};
use crate::json::string;

/// The longest template, in bytes. Longer chunks are not the short deltas of a long stream. Each stream keeps at most
/// this much.
const MAX_LENGTH: usize = 1024;

/// A reader for the events of one stream.
#[derive(Debug, Default)]
pub(crate) struct TemplateReader {
    /// The template: the last parsed chunk with content.
    template: Vec<u8>,
    /// The range of the content string in the template, without its quotes. Empty: there is no template.
    content: Range<usize>,
}

impl TemplateReader {
    /// Reads one event's data.
    #[inline(always)]
    pub(crate) fn read(&mut self, data: &[u8]) -> Event {
        if self.matches_template(data) {
            return Event::Repeat;
        }
        Event::read_by(data, |json| match ChunkInfo::read_usual(json) {
            Some((info, content)) => {
                // Usage changes from chunk to chunk, and each error counts.
                if let Some(content) = content.filter(|_| info.usage.is_none() && !info.error) {
                    self.learn(json, content);
                }
                Some(info)
            }
            None => ChunkInfo::read_slowly(json),
        })
    }

    fn learn(&mut self, json: &[u8], content: Range<usize>) {
        if json.len() <= MAX_LENGTH {
            self.template.clear();
            self.template.extend_from_slice(json);
            self.content = content;
        }
    }

    /// Returns true if the data equals the template but for its content string.
    fn matches_template(&self, data: &[u8]) -> bool {
        // Both include a quote of the string.
        let (head, tail) = (&self.template[..self.content.start], &self.template[self.content.end..]);
        !head.is_empty()
            && data.len() > head.len() + tail.len()
            && data.starts_with(head)
            && data.ends_with(tail)
            && is_one_string(data, head.len()..data.len() - tail.len())
    }
}

/// Returns true if the bytes between the two quotes are one valid string.
fn is_one_string(data: &[u8], inner: Range<usize>) -> bool {
    let text = &data[inner.clone()];
    (text.is_ascii() || std::str::from_utf8(text).is_ok())
        && string(data, inner.start - 1).is_some_and(|text| text.inner == inner)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::StreamState, *};

    fn chunk(content: &str, rest: &str) -> String {
        format!(
            r#"{{"id":"a","choices":[{{"index":0,"delta":{{"content":"{content}"}},"finish_reason":null}}]{rest}}}"#
        )
    }

    /// A reader that has a template.
    fn reader() -> TemplateReader {
        let mut reader = TemplateReader::default();
        reader.read(chunk("Once", "").as_bytes());
        reader
    }

    #[test]
    fn template_matches_a_chunk_with_another_content_string() {
        let reader = reader();
        for content in
            ["upon", " a", "\\n", "\\\"time\\\"", "\u{e9}", "\\u00e9", "\\ud800", "there was a longer one"]
        {
            assert!(reader.matches_template(chunk(content, "").as_bytes()), "{content}");
        }
    }

    #[test]
    fn template_does_not_match_a_chunk_with_other_differences() {
        let reader = reader();
        for other in [
            chunk("", ""),
            chunk("\\x", ""),
            chunk("a\",\"role\":\"b", ""),
            chunk("upon", ",\"usage\":{\"total_tokens\":1}"),
            chunk("upon", "").replace("null", "\"stop\""),
            chunk("upon", "").replace("\"index\":0", "\"index\":1"),
            chunk("upon", "").trim_end_matches('}').to_owned(),
        ] {
            assert!(!reader.matches_template(other.as_bytes()), "{other}");
        }
        assert!(!reader.matches_template(b""));
        assert!(!TemplateReader::default().matches_template(b"{}"));
    }

    #[test]
    fn template_does_not_match_invalid_utf8() {
        let mut broken = chunk("\u{e9}", "").into_bytes();
        let at = broken.iter().position(|&byte| byte == 0xc3).unwrap();
        broken.remove(at);
        assert!(!reader().matches_template(&broken));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Earlier events do not change the information of an event.
        #[test]
        fn template_reader_agrees_with_the_reader_of_single_events(
            events in prop::collection::vec(
                (
                    prop::sample::select(vec!["a", "", "\\n", "\\\"", "\\ud83d\\ude00", "\\ud800", "\u{e9}", "\"", "b\\"]),
                    prop::sample::select(vec!["", ",\"usage\":null", ",\"usage\":{\"total_tokens\":3}", ",\"error\":{\"a\":1}"]),
                    prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
                ),
                1..6,
            ),
        ) {
            let (mut reader, mut state) = (TemplateReader::default(), StreamState::default());
            for (content, rest, blow) in events {
                let mut data = chunk(content, rest).into_bytes();
                if let Some((place, byte)) = blow {
                    let at = place.index(data.len());
                    data[at] = byte;
                }
                let (text, event, alone) = (String::from_utf8_lossy(&data), reader.read(&data), Event::read(&data));
                let mut expected = state;
                expected.note(&alone);
                state.note(&event);
                prop_assert_eq!(state, expected, "{}", text);
                match (event, alone) {
                    (Event::Repeat, Event::Chunk(chunk)) => prop_assert!(chunk.content && !chunk.error, "{}", text),
                    _ => prop_assert_eq!(event, alone, "{}", text),
                }
            }
        }
    }
}
