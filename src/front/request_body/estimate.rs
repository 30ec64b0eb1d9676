//! An estimate of a request's tokens, without a tokenizer.
//!
//! Outside English, bytes / 4 is more accurate than characters / 4, and it needs no pass over the text. Base64 data is
//! not text and is not counted.

use super::scan::Object;
use crate::json::TextStats;

/// The tokens of one picture, sound, or other binary. OpenAI counts 765 and more for a picture in high detail.
const PICTURE: u64 = 1000;

/// The parameters that contain text for the model.
const TEXTS: [&str; 7] = ["messages", "prompt", "input", "suffix", "tools", "functions", "response_format"];

/// The bytes that an escape such as `\u0000` has beyond those of its character, in most scripts that are escaped.
const ESCAPED: usize = 3;

/// Returns the estimated number of input tokens.
pub(super) fn prompt(object: &Object<'_>) -> u64 {
    let texts = object.members.iter().filter(|member| TEXTS.contains(&&*member.key));
    texts.map(|member| tokens_of(member.span.len(), member.stats)).sum()
}

/// Returns the estimated number of tokens of a parameter with text, such as `system` in Anthropic's dialect.
pub(super) fn parameter(object: &Object<'_>, name: &str) -> u64 {
    object.last_member(name).map_or(0, |member| tokens_of(member.span.len(), member.stats))
}

/// Returns the largest number of output tokens: `max_tokens` or `max_completion_tokens`, times `n`. A value that is not a
/// number counts as absent; the upstream validates it.
pub(super) fn output(object: &Object<'_>) -> Option<u64> {
    let last = |key: &str| object.last(key)?.parse::<u64>().ok();
    let each = last("max_tokens").max(last("max_completion_tokens"))?;
    Some(each.saturating_mul(last("n").unwrap_or(1).max(1)))
}

/// Returns the number of choices for one prompt: `n`, which is one by default.
pub(super) fn choices(object: &Object<'_>) -> Option<u32> {
    Some(object.last("n").and_then(|n| n.parse().ok()).unwrap_or(1))
}

/// Returns true if `prompt` is a list, of several prompts or of the tokens of one.
pub(super) fn is_batch(object: &Object<'_>) -> bool {
    object.last("prompt").is_some_and(|prompt| prompt.trim_ascii_start().starts_with('['))
}

/// Returns the tokens of a text of `length` bytes. An escaped character counts as if it were not escaped. Most data URIs
/// are values of an `image_url`, so the larger of the two numbers counts.
fn tokens_of(length: usize, stats: TextStats) -> u64 {
    let text = length.saturating_sub(stats.binary_bytes + ESCAPED * stats.unicode_escapes);
    text as u64 / 4 + PICTURE * stats.image_urls.max(stats.binaries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Cursor;

    fn tokens(text: &str) -> u64 {
        let mut cursor = Cursor::with_stats(text);
        cursor.value().expect("valid JSON");
        tokens_of(text.len(), cursor.observer)
    }

    #[test]
    fn estimate_of_sound_and_pictures_in_base64_is_flat() {
        // A JPEG, a WAV of silence, MP3 frames, a PDF: heads as their encoders write them.
        let heads = [
            "/9j/4AAQSkZJRgABAQEAYABgAAD",
            "UklGRiQAAABXQVZFZm10IBAAAAAB",
            "//uQxAAA",
            "JVBERi0xLjcKJcOkw7zDtsOf",
        ];
        for head in heads {
            let data = format!("{head}{}", "A".repeat(40_000));
            for part in [
                format!(r#"{{"type":"input_audio","input_audio":{{"data":"{data}","format":"wav"}}}}"#),
                format!(
                    r#"{{"type":"image","source":{{"type":"base64","media_type":"image/png","data":"{data}"}}}}"#
                ),
                format!(
                    r#"{{"inlineData":{{"mimeType":"audio/mp3","data":"{}"}}}}"#,
                    data.replace('/', "\\/")
                ),
                format!(r#"{{"type":"file","file":{{"file_data":"data:application/pdf;base64,{data}"}}}}"#),
            ] {
                assert!((1000..1040).contains(&tokens(&part)), "{head}: {}", tokens(&part));
            }
        }
        // Without a key that names it: letters of both cases and digits, for at least 200 bytes.
        let file =
            format!(r#"{{"file":{{"file_data":"JVBERi0xLjcKJcOkw7zDtsOf{}"}}}}"#, "QkFTRTY0".repeat(5000));
        assert!((1000..1040).contains(&tokens(&file)), "{}", tokens(&file));
        let data = "aB3/".repeat(100);
        assert_eq!(tokens(&format!(r#"["{data}","{data}"]"#)), 2000);
    }

    #[test]
    fn estimate_of_text_that_resembles_base64_is_that_of_text() {
        for text in [
            "acgt".repeat(1000),
            "x".repeat(4000),
            "word ".repeat(800),
            "中文".repeat(700),
            "0123456789".repeat(400),
        ] {
            let expected = (text.len() + 2) as u64 / 4;
            assert_eq!(tokens(&format!("\"{text}\"")), expected, "{}", &text[..4]);
        }
        // Short strings are text, also under the key `data`.
        assert!(tokens(&format!(r#"{{"data":"{}"}}"#, "aB3/".repeat(40))) < 60);
        assert!(tokens(&format!(r#"{{"data":"{}"}}"#, "some words. ".repeat(400))) > 1100);
    }

    #[test]
    fn estimate_of_text_is_a_quarter_of_its_bytes() {
        assert_eq!(tokens(&format!("\"{}\"", "a".repeat(398))), 100);
    }

    #[test]
    fn estimate_of_an_escaped_character_equals_that_of_the_character() {
        assert_eq!(tokens(r#""\u4e2d\u6587\u4e2d\u6587""#), tokens("\"中文中文\""));
    }

    #[test]
    fn estimate_of_a_picture_is_a_thousand_tokens_of_any_size() {
        let picture = |size| {
            let data = "A".repeat(size);
            format!(r#"[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}]"#)
        };
        assert_eq!(tokens(&picture(100)), tokens(&picture(1_000_000)));
        assert!((1000..1030).contains(&tokens(&picture(100))), "{}", tokens(&picture(100)));
    }

    #[test]
    fn estimate_of_a_linked_picture_equals_that_of_an_inlined_one() {
        let linked = tokens(r#"[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]"#);
        assert!((1000..1030).contains(&linked), "{linked}");
    }

    #[test]
    fn estimate_recognizes_a_picture_with_escaped_slashes() {
        let url = format!(r#""data:image\/png;base64,{}""#, "A\\/".repeat(10_000));
        assert_eq!(tokens(&url), 1000);
    }

    #[test]
    fn estimate_counts_text_about_data_uris_as_text() {
        let quoted = format!(r#""say \"data:image/png;base64,{}\"""#, "A".repeat(4000));
        assert!((1000..1020).contains(&tokens(&quoted)));
        let events = format!("\"data: {}\"", "{}".repeat(2000));
        assert!((1000..1020).contains(&tokens(&events)));
    }
}
