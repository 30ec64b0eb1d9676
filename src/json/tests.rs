//! Property tests: the scanners accept only what `serde_json` accepts, and both find the same.

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::{Cursor, MAX_DEPTH, Part, PushScanner};

fn walks(text: &str) -> bool {
    let mut cursor = Cursor::new(text);
    cursor.value().and_then(|()| cursor.end()).is_some()
}

fn is_valid(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Returns the outline of an object that is split at these positions.
fn outlined(text: &[u8], cuts: &[usize]) -> Option<(Vec<Part>, usize)> {
    let mut outline = PushScanner::new(1000);
    let mut from = 0;
    for &cut in cuts {
        outline.walk(&text[from..cut])?;
        from = cut;
    }
    outline.walk(&text[from..])?;
    outline.end()
}

/// Positions at which a text is split.
fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..8)
}

fn places(cuts: &[prop::sample::Index], length: usize) -> Vec<usize> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(length + 1)).collect();
    places.sort_unstable();
    places
}

/// The content of a string: escapes side by side and far apart, some of them invalid.
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

/// Fragments of JSON, of which a good part combines to valid text.
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
            // An escaped backslash does not begin an escape.
            prop_assert_eq!(found.units, inner.replace("\\\\", "").matches("\\u").count(), "{}", text);
        }
    }

    #[test]
    fn a_border_anywhere_changes_nothing(pieces in pieces(), inner in inner(), cuts in cuts()) {
        for text in [format!("{{\"a\":{pieces}}}"), format!("{{{pieces}}}"), format!("{{\"{inner}\":[\"{inner}\"]}} ")] {
            let whole = outlined(text.as_bytes(), &[]);
            prop_assert_eq!(whole.is_some(), is_valid(&text), "{}", text);
            prop_assert_eq!(outlined(text.as_bytes(), &places(&cuts, text.len())), whole, "{}", text);
        }
    }

    #[test]
    fn so_it_does_with_numbers(text in "[-+0-9.eE]{1,8}") {
        prop_assert_eq!(walks(&text), is_valid(&text), "{}", text);
    }
}

#[test]
fn json_brackets_may_nest_up_to_the_maximum_depth() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(walks(&nested(MAX_DEPTH)) && !walks(&nested(MAX_DEPTH + 1)));
    let objects = |depth| format!("{}{}{}", "{\"a\":".repeat(depth), "1", "}".repeat(depth));
    assert!(walks(&objects(MAX_DEPTH)) && !walks(&objects(MAX_DEPTH + 1)));
    assert!(!walks(&"[".repeat(1_000_000)));
}

#[test]
fn an_outline_enforces_its_maximum_depth_and_number_of_members() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(outlined(nested(MAX_DEPTH).as_bytes(), &[]).is_some());
    assert!(outlined(nested(MAX_DEPTH + 1).as_bytes(), &[]).is_none());
    let members = |count: usize| format!("{{{}}}", vec!["\"a\":[1,{\"b\":2}]"; count].join(","));
    assert_eq!(outlined(members(1000).as_bytes(), &[]).unwrap().0.len(), 1000);
    assert!(outlined(members(1001).as_bytes(), &[]).is_none());
}

#[test]
fn an_outline_finds_all_positions_for_any_split() {
    let text = r#" {"a\u0062" : "data:image/png;base64,AA\u0041", "c":[{"image_url":-1.5e+7,"d":"\u00e9"}, null],"e":true } "#;
    let span = |part: &str| {
        let at = text.find(part).unwrap();
        at..at + part.len()
    };
    let (parts, close) = outlined(text.as_bytes(), &[]).unwrap();
    assert_eq!(close, text.rfind('}').unwrap());
    let keys: Vec<_> = parts.iter().map(|part| (part.key.clone(), part.escaped)).collect();
    assert_eq!(keys, [(span(r#""a\u0062""#), true), (span("\"c\""), false), (span("\"e\""), false)]);
    let list = r#"[{"image_url":-1.5e+7,"d":"\u00e9"}, null]"#;
    let values: Vec<_> = parts.iter().map(|part| part.value.clone()).collect();
    assert_eq!(values, [span(r#""data:image/png;base64,AA\u0041""#), span(list), span("true")]);
    let tallies: Vec<_> = parts.iter().map(|part| part.tally).map(|t| (t.uris, t.links, t.units)).collect();
    assert_eq!(tallies, [(1, 0, 0), (0, 1, 1), (0, 0, 0)]);
    for cut in 0..=text.len() {
        assert_eq!(outlined(text.as_bytes(), &[cut]), Some((parts.clone(), close)), "cut at {cut}");
    }
    let each: Vec<_> = (0..=text.len()).collect();
    assert_eq!(outlined(text.as_bytes(), &each), Some((parts, close)));
}

#[test]
fn a_json_bracket_closes_only_its_own_kind() {
    for text in ["[}", "{]", "[[]}", "{\"a\":[}", "{\"a\":{]}", "[{\"a\":1]]"] {
        assert!(!walks(text), "{text}");
    }
}

#[test]
fn a_special_byte_of_a_json_string_is_found_at_any_position() {
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
fn skipped_json_text_is_counted() {
    let text =
        r#"[{"image_url":"data:image/png;base64,AA\u0041"}, "a\u00e9\\u", {"x":"image_url"}, "data:,x"]"#;
    let mut cursor = Cursor::tallying(text);
    cursor.value().unwrap();
    let tally = cursor.noticed;
    assert_eq!((tally.links, tally.uris, tally.units), (1, 1, 1));
    assert_eq!(tally.encoded, r#""data:image/png;base64,AA\u0041""#.len());
}
