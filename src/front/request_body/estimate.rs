//! An estimate of a request's tokens, without a tokenizer.
//!
//! Outside English, bytes / 4 is more accurate than characters / 4, and it needs no pass over the text. Base64 data is
//! not text and is not counted.

use super::scan::Object;
use crate::json::TextStats;

/// The tokens of one picture, or of any other data URI. OpenAI counts 765 and more for a picture in high detail.
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

/// Returns the largest number of output tokens: `max_tokens` or `max_completion_tokens`, times `n`. A value that is not a
/// number counts as absent; the upstream validates it.
pub(super) fn output(object: &Object<'_>) -> Option<u64> {
    let last = |key: &str| object.last(key)?.parse::<u64>().ok();
    let each = last("max_tokens").max(last("max_completion_tokens"))?;
    Some(each.saturating_mul(last("n").unwrap_or(1).max(1)))
}

/// Returns the number of choices: `n`, which is one by default. Returns `None` for a list of prompts, each of which has `n`.
pub(super) fn choices(object: &Object<'_>) -> Option<u32> {
    let is_list = object.last("prompt").is_some_and(|prompt| prompt.trim_ascii_start().starts_with('['));
    let each = object.last("n").and_then(|n| n.parse().ok()).unwrap_or(1);
    (!is_list).then_some(each)
}

/// Returns the tokens of a text of `length` bytes. An escaped character counts as if it were not escaped. Most data URIs
/// are values of a key that counts as a link, so the larger of the two numbers counts.
fn tokens_of(length: usize, stats: TextStats) -> u64 {
    let text = length.saturating_sub(stats.data_uri_bytes + ESCAPED * stats.unicode_escapes);
    text as u64 / 4 + PICTURE * stats.image_urls.max(stats.data_uris)
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
