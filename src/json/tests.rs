//! Whatever the walk takes, `serde_json` takes too, and both find the same.

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::{Cursor, MAX_DEPTH};

fn walks(text: &str) -> bool {
    let mut cursor = Cursor::new(text);
    cursor.value().and_then(|()| cursor.end()).is_some()
}

fn is_valid(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// What stands in a string, escapes side by side and far apart, some of it wrong.
fn inner() -> impl Strategy<Value = String> {
    let escapes = ["\\\\", "\\\"", "\\n", "\\t", "\\/", "\\b", "\\u00e9", "\\ud83d\\ude00"];
    let plain = [
        "a",
        "two words",
        "é",
        "日本語",
        "    ",
        "data:image/png;base64,",
        "a line of forty characters and no more .....",
    ];
    let wrong = ["\"", "\\", "\\x", "\\u12", "\n", "\u{1f}"];
    let weighted = prop_oneof![
        40 => prop::sample::select(escapes.to_vec()),
        20 => prop::sample::select(plain.to_vec()),
        1 => prop::sample::select(wrong.to_vec()),
    ];
    prop::collection::vec((weighted, 1..9_usize), 0..40)
        .prop_map(|parts| parts.into_iter().map(|(part, times)| part.repeat(times)).collect())
}

/// Pieces of JSON, in no order: near enough to valid that a good part is.
fn pieces() -> impl Strategy<Value = String> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"",
        "\\",
        "\\n",
        "\\u00e9",
        "\\ud800",
        "\\u12",
        "é",
        "\u{1}",
        " ",
        "\n",
        "0",
        "-",
        "1.5",
        "1e+9",
        "1e",
        ".",
        "01",
        "true",
        "null",
        "nul",
        "{\"a\":1}",
        "[1,2]",
        "\"plain text of many bytes, more than forty in all\"",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_walk_takes_what_serde_json_takes(text in pieces()) {
        prop_assert_eq!(walks(&text), is_valid(&text), "{}", text);
    }

    #[test]
    fn so_it_does_inside_of_a_string(inner in "[ -~\\x00-\\x1f\"\\\\é]{0,120}", quiet in 0..70_usize) {
        let text = format!("\"{}{inner}\"", "-".repeat(quiet));
        prop_assert_eq!(walks(&text), is_valid(&text), "{}", text);
    }

    #[test]
    fn so_it_does_where_escapes_stand_side_by_side(inner in inner(), behind in 0..100_usize) {
        let text = format!("\"{inner}\"{}", " ".repeat(behind));
        prop_assert_eq!(walks(&text), is_valid(&text), "{}", text);
        if is_valid(&text) {
            let found = Cursor::new(&text).string().unwrap();
            prop_assert_eq!(found.inner, 1..inner.len() + 1);
            prop_assert_eq!(found.escaped, inner.contains('\\'), "{}", text);
            // An escaped backslash is none that begins an escape.
            prop_assert_eq!(found.units, inner.replace("\\\\", "").matches("\\u").count(), "{}", text);
        }
    }

    #[test]
    fn so_it_does_with_numbers(text in "[-+0-9.eE]{1,8}") {
        prop_assert_eq!(walks(&text), is_valid(&text), "{}", text);
    }
}

#[test]
fn brackets_may_nest_so_deep_and_no_deeper() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(walks(&nested(MAX_DEPTH)) && !walks(&nested(MAX_DEPTH + 1)));
    let objects = |depth| format!("{}{}{}", "{\"a\":".repeat(depth), "1", "}".repeat(depth));
    assert!(walks(&objects(MAX_DEPTH)) && !walks(&objects(MAX_DEPTH + 1)));
    assert!(!walks(&"[".repeat(1_000_000)));
}

#[test]
fn a_closing_bracket_closes_its_own_kind() {
    for text in ["[}", "{]", "[[]}", "{\"a\":[}", "{\"a\":{]}", "[{\"a\":1]]"] {
        assert!(!walks(text), "{text}");
    }
}

#[test]
fn every_place_of_a_special_byte_is_found() {
    for place in 0..100 {
        for (special, valid) in
            [("\\\"", true), ("\\x", false), ("\u{1f}", false), ("\u{7f}", true), ("ÿ", true)]
        {
            let text = format!("\"{}{special}{}\"", " ".repeat(place), "]".repeat(100 - place));
            assert_eq!(walks(&text), valid, "{special:?} at {place}");
        }
    }
}

#[test]
fn what_is_counted_in_passing_is_told() {
    let text =
        r#"[{"image_url":"data:image/png;base64,AA\u0041"}, "a\u00e9\\u", {"x":"image_url"}, "data:,x"]"#;
    let mut cursor = Cursor::new(text);
    cursor.value().unwrap();
    let tally = cursor.tally;
    assert_eq!((tally.links, tally.uris, tally.units), (1, 1, 1));
    assert_eq!(tally.encoded, r#""data:image/png;base64,AA\u0041""#.len());
}
