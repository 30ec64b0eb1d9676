//! How many tokens a request may cost, before anybody has counted them.
//!
//! Bytes / 4 comes nearer to the truth than characters / 4 outside English, and costs nothing. What is written in
//! base64 is no text and is left out.

use super::scan::Object;
use crate::json::TextStats;

/// Tokens of one picture, or of anything else that comes as a data URI: high detail costs 765 and up.
const PICTURE: u64 = 1000;

/// The parameters whose text the model reads.
const TEXTS: [&str; 7] = ["messages", "prompt", "input", "suffix", "tools", "functions", "response_format"];

/// Bytes of `\u0000` beyond those of the character that it writes, in most scripts that are written so.
const ESCAPED: usize = 3;

/// The tokens of all that the model reads.
pub(super) fn prompt(object: &Object<'_>) -> u64 {
    let texts = object.members.iter().filter(|member| TEXTS.contains(&&*member.key));
    texts.map(|member| cost(member.span.len(), member.tally)).sum()
}

/// The tokens that it may write: `max_tokens` or `max_completion_tokens`, times `n`. What is no number is the
/// upstream's to judge.
pub(super) fn output(object: &Object<'_>) -> Option<u64> {
    let last = |key: &str| object.last(key)?.parse::<u64>().ok();
    let each = last("max_tokens").max(last("max_completion_tokens"))?;
    Some(each.saturating_mul(last("n").unwrap_or(1).max(1)))
}

/// What a text of so many bytes costs, each escaped character counted as if it stood there itself. What comes as a
/// data URI mostly stands behind a key that is counted too.
fn cost(length: usize, tally: TextStats) -> u64 {
    let text = length.saturating_sub(tally.encoded + ESCAPED * tally.units);
    text as u64 / 4 + PICTURE * tally.links.max(tally.uris)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Cursor;

    fn tokens(text: &str) -> u64 {
        let mut cursor = Cursor::tallying(text);
        cursor.value().expect("valid JSON");
        cost(text.len(), cursor.noticed)
    }

    #[test]
    fn text_costs_a_quarter_of_its_bytes() {
        assert_eq!(tokens(&format!("\"{}\"", "a".repeat(398))), 100);
    }

    #[test]
    fn an_escaped_character_costs_what_it_would_cost_unescaped() {
        assert_eq!(tokens(r#""\u4e2d\u6587\u4e2d\u6587""#), tokens("\"中文中文\""));
    }

    #[test]
    fn a_picture_costs_a_flat_thousand_however_large() {
        let picture = |size| {
            let data = "A".repeat(size);
            format!(r#"[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{data}"}}}}]"#)
        };
        assert_eq!(tokens(&picture(100)), tokens(&picture(1_000_000)));
        assert!((1000..1030).contains(&tokens(&picture(100))), "{}", tokens(&picture(100)));
    }

    #[test]
    fn a_linked_picture_costs_as_much_as_an_inlined_one() {
        let linked = tokens(r#"[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]"#);
        assert!((1000..1030).contains(&linked), "{linked}");
    }

    #[test]
    fn a_slash_written_with_an_escape_does_not_hide_a_picture() {
        let url = format!(r#""data:image\/png;base64,{}""#, "A\\/".repeat(10_000));
        assert_eq!(tokens(&url), 1000);
    }

    #[test]
    fn text_that_speaks_of_data_uris_is_text() {
        let quoted = format!(r#""say \"data:image/png;base64,{}\"""#, "A".repeat(4000));
        assert!((1000..1020).contains(&tokens(&quoted)));
        let events = format!("\"data: {}\"", "{}".repeat(2000));
        assert!((1000..1020).contains(&tokens(&events)));
    }
}
