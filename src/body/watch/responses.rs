//! A fast reader of the events and responses of OpenAI's Responses: [`read`], and their meaning.
//!
//! The reader looks at the type and at the response in the event, if there is one. Any other form is declined and left to
//! [`scan`](super::scan), as in [`quick`](super::quick).

use super::{ChunkInfo, chunk_info::is_filter, quick, template::Varying};
use crate::json::Cursor;

/// The beginning of the type of each event.
const TYPES: &str = "response.";

/// The members that were read.
#[derive(Default)]
struct Read<'a> {
    info: ChunkInfo,
    /// The type of an event.
    kind: Option<&'a str>,
    /// True for a response instead of an event.
    is_response: bool,
    /// True if there is any output.
    output: bool,
    /// The reason why a response is incomplete.
    reason: Option<&'a str>,
}

/// Returns true if the text has the word that the type of an event, or that of a complete response, begins with. It may be
/// neither.
pub(super) fn may_be(json: &[u8]) -> bool {
    memchr::memmem::find(json, b"\"response").is_some()
}

/// Returns the information in an event, or in a complete response, and the places of an event's number, its delta and its
/// padding. Returns `None` for another dialect, and for a form that it declines.
pub(super) fn read(json: &[u8]) -> Option<(ChunkInfo, Varying)> {
    let mut cursor = Cursor::new(simdutf8::basic::from_utf8(json).ok()?);
    let (mut outer, mut inner, mut varying) = (Read::default(), None, Varying::default());
    cursor.object(|cursor, key| match quick::plain(key)? {
        b"type" => {
            outer.kind = Some(quick::word(cursor)?);
            Some(())
        }
        b"object" => {
            outer.is_response = quick::word(cursor)? == "response";
            Some(())
        }
        b"response" if inner.is_none() => {
            let read = inner.insert(Read::default());
            cursor.object(|cursor, key| member(cursor, quick::plain(key)?, read))
        }
        b"sequence_number" | b"delta" | b"obfuscation" => quick::varied(cursor, &mut varying),
        // Those of other dialects.
        b"response" | b"choices" | b"x_groq" | b"errors" | b"data" => None,
        name => member(cursor, name, &mut outer),
    })?;
    cursor.end()?;
    Some((info(outer, inner)?, varying))
}

/// Reads a member of a response.
fn member<'a>(cursor: &mut Cursor<'a>, name: &[u8], read: &mut Read<'a>) -> Option<()> {
    match name {
        b"usage" => quick::usage(cursor, &mut read.info.usage),
        b"error" => quick::filled(cursor, &mut read.info.error),
        b"output" => quick::filled(cursor, &mut read.output),
        b"incomplete_details" if cursor.peek()? == b'{' => cursor.object(|cursor, key| {
            match quick::plain(key)? {
                b"reason" => read.reason = Some(quick::word(cursor)?),
                _ => cursor.value()?,
            }
            Some(())
        }),
        b"incomplete_details" => quick::pass(cursor),
        _ => cursor.value(),
    }
}

fn info<'a>(outer: Read<'a>, inner: Option<Read<'a>>) -> Option<ChunkInfo> {
    let Read { mut info, kind, is_response, output, reason } = outer;
    if is_response && kind.is_none() && inner.is_none() {
        note_response(&mut info, output, reason);
        return Some(info);
    }
    let kind = kind.filter(|kind| kind.starts_with(TYPES) && !is_response)?;
    // Events have these in their response only.
    if info != ChunkInfo::default() || output || reason.is_some() {
        return None;
    }
    let has_response = inner.is_some();
    let Read { mut info, reason, .. } = inner.unwrap_or_default();
    info.response = has_response;
    note_event(&mut info, kind, reason);
    Some(info)
}

/// Adds the meaning of an event's type, and of the reason why its response is incomplete.
pub(super) fn note_event(info: &mut ChunkInfo, kind: &str, reason: Option<&str>) {
    let is_end = matches!(kind, "response.completed" | "response.incomplete");
    info.content |= kind.ends_with("delta") || kind == "response.output_item.done";
    info.error |= kind == "response.failed";
    info.terminal |= is_end;
    if is_end {
        (info.begun, info.finished) = (1, 1);
        info.filtered |= reason.is_some_and(is_filter);
    }
}

/// Adds the meaning of a complete response. One in the background has no output yet.
pub(super) fn note_response(info: &mut ChunkInfo, output: bool, reason: Option<&str>) {
    info.content |= output;
    (info.begun, info.finished) = (1, 1);
    info.filtered |= reason.is_some_and(is_filter);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::{Event, TemplateReader, scan, tests::chunk},
        *,
    };

    #[test]
    fn events_of_responses_have_content_usage_and_an_end() {
        for json in [
            r#"{"type":"response.output_text.delta","sequence_number":4,"item_id":"m","output_index":0,"content_index":0,"delta":"a","logprobs":[],"obfuscation":"x"}"#,
            r#"{"type":"response.function_call_arguments.delta","delta":"{"}"#,
            r#"{"type":"response.reasoning_summary_text.delta","delta":"a"}"#,
            r#"{"type":"response.output_item.done","item":{"type":"web_search_call","status":"completed"}}"#,
        ] {
            let info = chunk(json);
            assert!(info.content && !info.terminal && !info.error && info.usage.is_none(), "{json}");
        }
        for json in [
            r#"{"type":"response.created","response":{"id":"r","error":null,"incomplete_details":null,"output":[],"usage":null}}"#,
            r#"{"type":"response.output_item.added","item":{"type":"message","content":[]}}"#,
            r#"{"type":"response.content_part.added","part":{"type":"output_text","text":""}}"#,
        ] {
            assert!(chunk(json).only_opens() && !chunk(json).error, "{json}");
        }
        let usage = r#""usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":5},"output_tokens":4,"output_tokens_details":{"reasoning_tokens":1},"total_tokens":13}"#;
        let end = chunk(&format!(r#"{{"type":"response.completed","response":{{"output":[],{usage}}}}}"#));
        assert!(end.terminal && end.finished == 1 && !end.filtered && !end.only_usage);
        let counts = end.usage.unwrap().counts();
        assert_eq!((counts.input, counts.cached, counts.output), (9, 5, 4));
    }

    #[test]
    fn events_of_responses_that_differ_in_number_delta_and_padding_repeat() {
        let event = |number: &str, delta: &str, padding: &str| {
            format!(
                r#"{{"type":"response.output_text.delta","sequence_number":{number},"item_id":"m","output_index":0,"content_index":0,"delta":"{delta}","logprobs":[],"obfuscation":"{padding}"}}"#
            )
        };
        let mut reader = TemplateReader::default();
        assert!(matches!(reader.read(event("4", "Once", "a1b2").as_bytes()), Event::Chunk(_)));
        for (number, delta, padding) in [
            ("5", " upon", "a"),
            ("10", "\\n", "abcdef"),
            ("0", "\u{e9}", "x"),
            ("4294967296", "a", "\\u0041"),
        ] {
            assert_eq!(reader.read(event(number, delta, padding).as_bytes()), Event::Repeat, "{number}");
        }
        for (number, delta, padding) in [
            ("05", "a", "b"),
            ("", "a", "b"),
            ("5.0", "a", "b"),
            ("-1", "a", "b"),
            ("5", "", "b"),
            ("5", "a\",\"x\":\"", "b"),
        ] {
            let other = event(number, delta, padding);
            assert_ne!(reader.read(other.as_bytes()), Event::Repeat, "{other}");
            reader.read(event("4", "Once", "a1b2").as_bytes());
        }
        let other = event("5", "a", "b").replace("\"m\"", "\"n\"");
        assert!(matches!(reader.read(other.as_bytes()), Event::Chunk(_)), "another item");
        assert_eq!(reader.read(other.replace('5', "6").as_bytes()), Event::Repeat);
    }

    #[test]
    fn an_event_with_a_response_never_repeats() {
        let event = r#"{"type":"response.x.delta","delta":"a","response":{"id":"r"}}"#;
        let mut reader = TemplateReader::default();
        for _ in 0..2 {
            assert!(matches!(reader.read(event.as_bytes()), Event::Chunk(ChunkInfo { response: true, .. })));
        }
    }

    #[test]
    fn ends_of_responses_have_their_reason_and_failures_are_errors() {
        for (reason, filtered) in [("content_filter", true), ("max_output_tokens", false)] {
            let details = format!(r#""incomplete_details":{{"reason":"{reason}"}}"#);
            let end = chunk(&format!(r#"{{"type":"response.incomplete","response":{{{details}}}}}"#));
            assert!(end.terminal && end.filtered == filtered, "{reason}");
        }
        let failed =
            r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"m"}}}"#;
        assert!(chunk(failed).error && !chunk(failed).terminal);
        assert!(chunk(r#"{"type":"error","code":"server_error","message":"m"}"#).error);
    }

    #[test]
    fn complete_responses_have_output_or_the_reason_why_there_is_none() {
        let read = |members: &str| chunk(&format!(r#"{{"id":"r","object":"response",{members}}}"#));
        let done = read(
            r#""status":"completed","error":null,"incomplete_details":null,"output":[{"type":"message"}],"usage":{"input_tokens":1,"output_tokens":2}"#,
        );
        assert!(done.content && done.finished == 1 && !done.error && done.usage.is_some());
        let filtered =
            read(r#""status":"incomplete","incomplete_details":{"reason":"content_filter"},"output":[]"#);
        assert!(filtered.is_filtered() && filtered.finished == 1);
        assert_eq!(read(r#""status":"queued","output":[]"#).finished, 1);
        assert!(read(r#""status":"failed","output":[],"error":{"code":"server_error","message":"m"}"#).error);
    }

    const VALUES: [&str; 13] = [
        "null",
        "1",
        "-0.5",
        "\"a\"",
        "\"\\n\"",
        "[]",
        "{}",
        "{\"a\":[1]}",
        "{\"reason\":\"content_filter\"}",
        "{\"input_tokens\":1,\"output_tokens\":2}",
        "{\"usage\":{\"total_tokens\":3},\"error\":{\"code\":1}}",
        "\"response.failed\"",
        "\"response\"",
    ];
    const NAMES: [&str; 10] = [
        "response",
        "usage",
        "error",
        "incomplete_details",
        "delta",
        "item",
        "object",
        "\\u0074ype",
        "output",
        "reason",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn fast_reader_agrees_with_the_scan_reader(
            kind in prop::sample::select(vec!["response.created", "response.completed", "response.incomplete", "response.failed",
                "response.output_text.delta", "response.output_item.done", "error", "message_stop", "content_block_delta"]),
            members in prop::collection::vec((prop::sample::select(NAMES.to_vec()), prop::sample::select(VALUES.to_vec())), 0..4),
            inner in prop::collection::vec((prop::sample::select(NAMES.to_vec()), prop::sample::select(VALUES.to_vec())), 0..4),
            blow in prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let join = |members: &[(&str, &str)]| {
                members.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect::<String>()
            };
            let mut json = format!(r#"{{"type":"{kind}"{},"response":{{"id":"r"{}}}}}"#, join(&members), join(&inner)).into_bytes();
            if let Some((place, byte)) = blow {
                let at = place.index(json.len());
                json[at] = byte;
            }
            if let Some((info, _)) = read(&json) {
                prop_assert_eq!(Some(info), scan::read(&json), "{}", String::from_utf8_lossy(&json));
            }
        }
    }
}
