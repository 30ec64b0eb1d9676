//! The parameter `metadata`, which is OpenAI's for flat maps of strings and LiteLLM's for everything else.

use super::scan::{self, string};

/// The name of the parameter.
pub(super) const KEY: &str = "metadata";

/// OpenAI's limits: the number of entries, and the characters of a key and of a value.
const MAX_ENTRIES: usize = 16;
const MAX_KEY: usize = 64;
const MAX_VALUE: usize = 512;

/// Returns true if OpenAI accepts the value. Any other one is for LiteLLM's logs and is not sent upstream.
pub(super) fn is_accepted(value: &str) -> bool {
    let fits = |text: &str, limit: usize| text.chars().count() <= limit;
    let is_flat = |object: scan::Object<'_>| {
        let is_text = |value: &str| string(value).is_some_and(|text| fits(&text, MAX_VALUE));
        let mut members = object.members.iter();
        members.len() <= MAX_ENTRIES
            && members.all(|member| fits(&member.key, MAX_KEY) && is_text(&object.value(member)))
    };
    value == "null" || scan::object(value).is_ok_and(is_flat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_sent_if_it_is_a_flat_map_of_strings() {
        for value in ["null", "{}", r#"{"a":"b"}"#, r#"{ "a" : "b" , "c" : "" }"#, r#"{"\u0061":"\n"}"#] {
            assert!(is_accepted(value), "{value}");
        }
        let full: Vec<_> =
            (0..16).map(|n| format!("\"{n}{}\":\"{}\"", "k".repeat(62), "é".repeat(512))).collect();
        assert!(is_accepted(&format!("{{{}}}", full.join(","))));
    }

    #[test]
    fn metadata_that_openai_refuses_is_not_sent() {
        for value in [
            "1",
            "true",
            "\"text\"",
            "[]",
            r#"["a"]"#,
            r#"{"a":1}"#,
            r#"{"a":true}"#,
            r#"{"a":null}"#,
            r#"{"a":["b"]}"#,
            r#"{"a":{"b":"c"}}"#,
            r#"{"a":"b","tags":["c"]}"#,
        ] {
            assert!(!is_accepted(value), "{value}");
        }
        let many: Vec<_> = (0..17).map(|n| format!("\"{n}\":\"\"")).collect();
        assert!(!is_accepted(&format!("{{{}}}", many.join(","))));
        assert!(!is_accepted(&format!("{{\"{}\":\"\"}}", "k".repeat(65))));
        assert!(!is_accepted(&format!("{{\"k\":\"{}\"}}", "v".repeat(513))));
    }
}
