//! Property tests of the scanners: they accept the text that `serde_json` accepts, and both find the same members.

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::{Cursor, MAX_DEPTH, Part, PushScanner};

fn is_accepted(text: &str) -> bool {
    let mut cursor = Cursor::new(text);
    cursor.value().and_then(|()| cursor.end()).is_some()
}

fn is_valid(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Returns the members that a [`PushScanner`] finds in an object that is split at these positions.
fn pushed(text: &[u8], cuts: &[usize]) -> Option<(Vec<Part>, usize)> {
    let mut scanner = PushScanner::new(1000);
    let mut from = 0;
    for &cut in cuts {
        scanner.scan(&text[from..cut])?;
        from = cut;
    }
    scanner.scan(&text[from..])?;
    scanner.end()
}

/// Generates positions at which a text is split.
fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..8)
}

fn offsets(cuts: &[prop::sample::Index], length: usize) -> Vec<usize> {
    let mut offsets: Vec<_> = cuts.iter().map(|cut| cut.index(length + 1)).collect();
    offsets.sort_unstable();
    offsets
}

/// Generates the content of a string: escapes side by side and far apart, some of them invalid.
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

/// Generates fragments of JSON that often combine to valid text.
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

/// Generates nested values of many short tokens, as definitions of tools are.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof![
        "[a-z_]{0,12}",
        "[ -~]{0,70}",
        inner().prop_map(|text| text.chars().take(30).collect()),
        prop::sample::select(vec!["data", "image_url", "data:image/png;base64,AA", "\\\"", "\u{8}\u{1}"])
            .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        text.clone().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        any::<Option<bool>>().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
            prop::collection::vec((text.clone(), inner), 0..6).prop_map(serde_json::Value::from_iter),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_cursor_accepts_the_json_that_serde_json_accepts(text in pieces()) {
        prop_assert_eq!(is_accepted(&text), is_valid(&text), "{}", text);
    }

    #[test]
    fn the_cursor_accepts_the_strings_that_serde_json_accepts(inner in "[ -~\\x00-\\x1f\"\\\\é]{0,120}", quiet in 0..70_usize) {
        let text = format!("\"{}{inner}\"", "-".repeat(quiet));
        prop_assert_eq!(is_accepted(&text), is_valid(&text), "{}", text);
    }

    #[test]
    fn the_cursor_accepts_the_escapes_that_serde_json_accepts(inner in inner(), behind in 0..100_usize) {
        let text = format!("\"{inner}\"{}", " ".repeat(behind));
        prop_assert_eq!(is_accepted(&text), is_valid(&text), "{}", text);
        if is_valid(&text) {
            let found = Cursor::new(&text).string().unwrap();
            prop_assert_eq!(found.inner, 1..inner.len() + 1);
            prop_assert_eq!(found.escaped, inner.contains('\\'), "{}", text);
            // An escaped backslash does not begin an escape.
            prop_assert_eq!(found.unicode_escapes, inner.replace("\\\\", "").matches("\\u").count(), "{}", text);
        }
    }

    #[test]
    fn the_push_scanner_finds_the_same_members_for_any_split(pieces in pieces(), inner in inner(), cuts in cuts()) {
        for text in [format!("{{\"a\":{pieces}}}"), format!("{{{pieces}}}"), format!("{{\"{inner}\":[\"{inner}\"]}} ")] {
            let whole = pushed(text.as_bytes(), &[]);
            prop_assert_eq!(whole.is_some(), is_valid(&text), "{}", text);
            prop_assert_eq!(pushed(text.as_bytes(), &offsets(&cuts, text.len())), whole, "{}", text);
        }
    }

    #[test]
    fn the_push_scanner_finds_the_same_tokens_in_blocks_as_byte_by_byte(
        value in document(),
        is_pretty in any::<bool>(),
        change in prop::option::of((any::<prop::sample::Index>(), prop::sample::select(b"\"\\{}[]:, \n01-.eat\x0c\x1a\xff".as_slice()))),
        from in 0..3_usize,
    ) {
        let value = if is_pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let mut text = format!("{{{}\"a\":{value}}}", " ".repeat(from)).into_bytes();
        if let Some((place, byte)) = change {
            let place = place.index(text.len());
            text[place] = byte;
        }
        let each: Vec<_> = (0..=text.len()).collect();
        let found = pushed(&text, &[]);
        prop_assert_eq!(&found, &pushed(&text, &each), "{}", String::from_utf8_lossy(&text));
        if let Ok(text) = std::str::from_utf8(&text) {
            prop_assert_eq!(found.is_some(), is_valid(text), "{}", text);
        }
    }

    #[test]
    fn the_cursor_accepts_the_numbers_that_serde_json_accepts(text in "[-+0-9.eE]{1,8}") {
        prop_assert_eq!(is_accepted(&text), is_valid(&text), "{}", text);
    }
}

#[test]
fn json_brackets_may_nest_up_to_the_maximum_depth() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(is_accepted(&nested(MAX_DEPTH)) && !is_accepted(&nested(MAX_DEPTH + 1)));
    let objects = |depth| format!("{}{}{}", "{\"a\":".repeat(depth), "1", "}".repeat(depth));
    assert!(is_accepted(&objects(MAX_DEPTH)) && !is_accepted(&objects(MAX_DEPTH + 1)));
    assert!(!is_accepted(&"[".repeat(1_000_000)));
}

#[test]
fn the_push_scanner_enforces_its_maximum_depth_and_number_of_members() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(pushed(nested(MAX_DEPTH).as_bytes(), &[]).is_some());
    assert!(pushed(nested(MAX_DEPTH + 1).as_bytes(), &[]).is_none());
    let members = |count: usize| format!("{{{}}}", vec!["\"a\":[1,{\"b\":2}]"; count].join(","));
    assert_eq!(pushed(members(1000).as_bytes(), &[]).unwrap().0.len(), 1000);
    assert!(pushed(members(1001).as_bytes(), &[]).is_none());
}

#[test]
fn the_push_scanner_finds_all_positions_for_any_split() {
    let text = r#" {"a\u0062" : "data:image/png;base64,AA\u0041", "c":[{"image_url":-1.5e+7,"d":"\u00e9"}, null],"e":true } "#;
    let span = |part: &str| {
        let at = text.find(part).unwrap();
        at..at + part.len()
    };
    let (parts, close) = pushed(text.as_bytes(), &[]).unwrap();
    assert_eq!(close, text.rfind('}').unwrap());
    let keys: Vec<_> = parts.iter().map(|part| (part.key.clone(), part.escaped)).collect();
    assert_eq!(keys, [(span(r#""a\u0062""#), true), (span("\"c\""), false), (span("\"e\""), false)]);
    let list = r#"[{"image_url":-1.5e+7,"d":"\u00e9"}, null]"#;
    let values: Vec<_> = parts.iter().map(|part| part.value.clone()).collect();
    assert_eq!(values, [span(r#""data:image/png;base64,AA\u0041""#), span(list), span("true")]);
    let stats: Vec<_> =
        parts.iter().map(|part| part.stats).map(|t| (t.binaries, t.image_urls, t.unicode_escapes)).collect();
    assert_eq!(stats, [(1, 0, 0), (0, 1, 1), (0, 0, 0)]);
    for cut in 0..=text.len() {
        assert_eq!(pushed(text.as_bytes(), &[cut]), Some((parts.clone(), close)), "cut at {cut}");
    }
    let each: Vec<_> = (0..=text.len()).collect();
    assert_eq!(pushed(text.as_bytes(), &each), Some((parts, close)));
}

#[test]
fn a_json_bracket_closes_only_its_own_kind() {
    for text in ["[}", "{]", "[[]}", "{\"a\":[}", "{\"a\":{]}", "[{\"a\":1]]"] {
        assert!(!is_accepted(text), "{text}");
    }
}

#[test]
fn a_special_byte_of_a_json_string_is_found_at_any_position() {
    for position in 0..100 {
        for (special, valid) in
            [("\\\"", true), ("\\x", false), ("\u{1f}", false), ("\u{7f}", true), ("ÿ", true)]
        {
            let text = format!("\"{}{special}{}\"", " ".repeat(position), "]".repeat(100 - position));
            assert_eq!(is_accepted(&text), valid, "{special:?} at {position}");
        }
    }
}

#[test]
fn the_cursor_counts_the_statistics_of_skipped_json_text() {
    let text =
        r#"[{"image_url":"data:image/png;base64,AA\u0041"}, "a\u00e9\\u", {"x":"image_url"}, "data:,x"]"#;
    let mut cursor = Cursor::with_stats(text);
    cursor.value().unwrap();
    let stats = cursor.observer;
    assert_eq!((stats.image_urls, stats.binaries, stats.unicode_escapes), (1, 1, 1));
    assert_eq!(stats.binary_bytes, r#""data:image/png;base64,AA\u0041""#.len());
}
