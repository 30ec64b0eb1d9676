//! A reader that recognises chunks which differ in a few values: [`TemplateReader`].
//!
//! A model sends hundreds of chunks that are equal to the byte but for the text, and in some dialects a number and a
//! padding. They have the information of the first, as long as these are one valid string each and not empty, or one
//! count: comparisons decide that, at a tenth of the cost of a parse, and the state of the stream needs no update.
//! Chunks with other differences are parsed.

use std::ops::Range;

use super::{ChunkInfo, Event};
use crate::json::{Cursor, string};

/// The longest template, in bytes. Longer chunks are not the short deltas of a long stream. Each stream keeps at most
/// this much.
const MAX_LENGTH: usize = 1024;

/// The most values in which chunks may differ: those of an event of OpenAI's Responses.
const MAX_VARYING: usize = 3;

/// The places of values in a chunk that may vary: another chunk with other values there has the same information.
/// Strings are without their quotes, and not empty. In order.
#[derive(Clone, Debug, Default)]
pub(super) struct Varying {
    places: [Range<usize>; MAX_VARYING],
    count: usize,
}

/// A reader for the events of one stream.
#[derive(Debug, Default)]
pub(crate) struct TemplateReader {
    /// The template: the last parsed chunk with content, without the values that may vary.
    template: Vec<u8>,
    /// The lengths of the parts of the template that end at a value.
    parts: [usize; MAX_VARYING],
    /// The number of these parts. Zero: there is no template.
    count: usize,
}

impl Varying {
    /// Adds the place of a value that was read from `from` on, if it is a string that is not empty, or a count. Any other
    /// value, and one too many, has to be the same in other chunks.
    #[inline]
    pub(super) fn add(&mut self, cursor: &Cursor<'_>, from: usize) {
        let value = cursor.slice(from).as_bytes();
        let place = match value {
            [b'"', _, .., b'"'] => from + 1..cursor.at() - 1,
            [b'0'..=b'9', ..] if value.iter().all(u8::is_ascii_digit) => from..cursor.at(),
            _ => return,
        };
        self.add_place(place);
    }

    /// Adds the place of a value.
    pub(super) fn add_place(&mut self, place: Range<usize>) {
        if let Some(free) = self.places.get_mut(self.count) {
            *free = place;
            self.count += 1;
        }
    }
}

impl TemplateReader {
    /// Reads one event's data.
    #[inline(always)]
    pub(crate) fn read(&mut self, data: &[u8]) -> Event {
        if self.matches_template(data) {
            return Event::Repeat;
        }
        Event::read_by(data, |json| match ChunkInfo::read_usual(json) {
            Some((info, varying)) => {
                // Usage changes from chunk to chunk, and each error and each response counts.
                if info.content && info.usage.is_none() && !info.error && !info.response {
                    self.learn(json, &varying);
                }
                Some(info)
            }
            None => ChunkInfo::read_slowly(json),
        })
    }

    fn learn(&mut self, json: &[u8], varying: &Varying) {
        if json.len() > MAX_LENGTH || varying.count == 0 {
            return;
        }
        self.template.clear();
        self.count = varying.count;
        let mut from = 0;
        for (place, length) in varying.places.iter().zip(&mut self.parts).take(varying.count) {
            self.template.extend_from_slice(&json[from..place.start]);
            *length = place.start - from;
            from = place.end;
        }
        self.template.extend_from_slice(&json[from..]);
    }

    /// Returns true if the data equals the template but for the values that may vary.
    #[inline(always)]
    fn matches_template(&self, data: &[u8]) -> bool {
        self.count != 0 && self.last_parts(data).is_some_and(|(rest, last)| rest == last)
    }

    /// Returns what follows the last value that may vary: in the data, and in the template. Returns none if they differ before.
    #[inline(always)]
    fn last_parts<'a>(&'a self, data: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let (mut rest, mut template) = (data, &*self.template);
        for &length in &self.parts[..self.count] {
            let (part, behind) = template.split_at_checked(length)?;
            if !rest.starts_with(part) {
                return None;
            }
            let end =
                if part.ends_with(b"\"") { end_of_string(rest, length) } else { end_of_count(rest, length) };
            (rest, template) = (rest.get(end?..)?, behind);
        }
        Some((rest, template))
    }
}

/// Returns the end of the string that begins at `at`, behind its quote. Returns none if it is empty or not valid.
#[inline(always)]
fn end_of_string(data: &[u8], at: usize) -> Option<usize> {
    let end = string(data, at - 1)?.inner.end;
    let text = data.get(at..end)?;
    (!text.is_empty() && (text.is_ascii() || std::str::from_utf8(text).is_ok())).then_some(end)
}

/// Returns the end of the count that begins at `at`. Returns none if there is none.
fn end_of_count(data: &[u8], at: usize) -> Option<usize> {
    let digits = data.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
    // No number begins with a zero.
    (digits == 1 || digits > 1 && data[at] != b'0').then_some(at + digits)
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
    fn chunks_with_several_texts_and_a_padding_repeat() {
        let chunk = |content: &str, reasoning: &str, padding: &str| {
            format!(
                r#"{{"choices":[{{"index":0,"delta":{{"content":"{content}","reasoning":"{reasoning}"}}}}],"obfuscation":"{padding}"}}"#
            )
        };
        let mut reader = TemplateReader::default();
        reader.read(chunk("a", "b", "c").as_bytes());
        assert_eq!(reader.read(chunk("bc", "d", "efgh").as_bytes()), Event::Repeat);
        for other in [chunk("", "d", "e"), chunk("b", "", "e"), chunk("b", "d", "")] {
            assert!(matches!(reader.read(other.as_bytes()), Event::Chunk(_)), "{other}");
            reader.read(chunk("a", "b", "c").as_bytes());
        }
    }

    #[test]
    fn values_past_the_most_that_may_vary_have_to_be_equal() {
        let chunk = |third: &str, fourth: &str| {
            format!(r#"{{"choices":[{{"delta":{{"a":"x","b":"y","c":"{third}","d":"{fourth}"}}}}]}}"#)
        };
        let mut reader = TemplateReader::default();
        reader.read(chunk("z", "z").as_bytes());
        assert_eq!(reader.read(chunk("other", "z").as_bytes()), Event::Repeat);
        assert!(matches!(reader.read(chunk("z", "other").as_bytes()), Event::Chunk(_)));
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
                    prop::sample::select(vec!["", ",\"usage\":null", ",\"usage\":{\"total_tokens\":3}", ",\"error\":{\"a\":1}",
                        ",\"obfuscation\":\"a\"", ",\"obfuscation\":\"bcd\"", ",\"obfuscation\":12", ",\"obfuscation\":7"]),
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
