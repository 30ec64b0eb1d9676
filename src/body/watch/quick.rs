//! A fast reader of one event's JSON, without serde: [`read`].
//!
//! Every event of every stream is read, so this is the most expensive step of the gateway in a slow stream. It reads
//! chunks in the form that upstreams usually write; any other form (an escape in a name, a float for a count, broken
//! JSON) is declined and left to [`scan`](super::scan). The tests compare both.

use super::{
    ChunkInfo, Usage,
    chunk_info::{ROLE, is_filter},
    template::Varying,
};
use crate::json::{Cursor, Key};

/// Returns the chunk's information, and the places of its content strings and of its padding. Returns `None` for a form
/// that it declines.
pub(super) fn read(json: &[u8]) -> Option<(ChunkInfo, Varying)> {
    let mut cursor = Cursor::new(simdutf8::basic::from_utf8(json).ok()?);
    let (mut info, mut no_choice, mut varying) = (ChunkInfo::default(), false, Varying::default());
    if cursor.peek()? != b'{' {
        return None;
    }
    cursor.object(|cursor, key| match plain(key)? {
        b"choices" => choices(cursor, &mut info, &mut no_choice, &mut varying),
        b"usage" => usage(cursor, &mut info.usage),
        b"x_groq" => wrapped(cursor, &mut info.usage),
        b"error" | b"errors" => filled(cursor, &mut info.error),
        b"data" => filled(cursor, &mut info.data),
        // OpenAI's, of random length, so that who sees lengths only cannot tell tokens.
        b"obfuscation" => varied(cursor, &mut varying),
        // A response of OpenAI's Responses.
        b"object" => word(cursor).filter(|word| !matches!(*word, "error" | "response")).map(drop),
        // The other dialects have a `type`.
        b"type" => None,
        _ => cursor.value(),
    })?;
    cursor.end()?;
    info.only_usage = no_choice && info.usage.is_some();
    Some((info, varying))
}

/// Returns the name of a member without escapes.
pub(in crate::body) fn plain<'a>(key: Key<'a>) -> Option<&'a [u8]> {
    (!key.escaped).then_some(key.inner)
}

/// Reads a string without escapes.
pub(super) fn word<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    let from = cursor.at();
    let text = cursor.string().filter(|text| !text.escaped)?;
    let whole = cursor.slice(from);
    whole.get(1..=text.inner.len())
}

fn choices(
    cursor: &mut Cursor<'_>,
    info: &mut ChunkInfo,
    no_choice: &mut bool,
    varying: &mut Varying,
) -> Option<()> {
    if cursor.peek()? != b'[' {
        return pass(cursor);
    }
    let any = cursor.list(|cursor| {
        let (mut index, mut content, mut finish) = (0, false, false);
        if cursor.peek()? != b'{' {
            return None;
        }
        cursor.object(|cursor, key| match plain(key)? {
            b"index" => cursor.count().map(|count| index = count),
            b"text" => speech(cursor, &mut content, varying),
            b"delta" | b"message" => delta(cursor, &mut content, varying),
            b"finish_reason" => reason(cursor, &mut finish, info),
            b"error" => filled(cursor, &mut info.error),
            _ => cursor.value(),
        })?;
        let bit = 1_u128 << index.min(127);
        info.begun |= bit;
        info.content |= content;
        if finish {
            info.finished |= bit;
        }
        Some(())
    })?;
    *no_choice |= !any;
    Some(())
}

/// Reads a finish reason: sets `finish` if there is one, and the flags of `info` by its meaning.
fn reason(cursor: &mut Cursor<'_>, finish: &mut bool, info: &mut ChunkInfo) -> Option<()> {
    if cursor.peek()? != b'"' {
        return filled(cursor, finish);
    }
    let word = word(cursor)?;
    *finish |= !word.is_empty();
    info.error |= word == "error";
    info.filtered |= is_filter(word);
    Some(())
}

fn delta(cursor: &mut Cursor<'_>, content: &mut bool, varying: &mut Varying) -> Option<()> {
    if cursor.peek()? != b'{' {
        return filled(cursor, content);
    }
    cursor.object(|cursor, key| match plain(key)? == ROLE.as_bytes() {
        true => cursor.value(),
        false => speech(cursor, content, varying),
    })
}

/// Reads output of the model: sets `content` if it is not empty, and notes the place of a string.
fn speech(cursor: &mut Cursor<'_>, content: &mut bool, varying: &mut Varying) -> Option<()> {
    let from = cursor.at();
    filled(cursor, content)?;
    varying.add(cursor, from);
    Some(())
}

/// Skips a value that has no meaning, and notes its place.
pub(super) fn varied(cursor: &mut Cursor<'_>, varying: &mut Varying) -> Option<()> {
    let from = cursor.at();
    cursor.value()?;
    varying.add(cursor, from);
    Some(())
}

fn wrapped(cursor: &mut Cursor<'_>, into: &mut Option<Usage>) -> Option<()> {
    if cursor.peek()? != b'{' {
        return pass(cursor);
    }
    cursor.object(|cursor, key| match plain(key)? {
        b"usage" => usage(cursor, into),
        _ => cursor.value(),
    })
}

pub(super) fn usage(cursor: &mut Cursor<'_>, into: &mut Option<Usage>) -> Option<()> {
    if cursor.peek()? != b'{' {
        return pass(cursor);
    }
    cursor.object(|cursor, key| {
        let name = plain(key)?;
        let Some(name) = Usage::NAMES.iter().find(|known| known.as_bytes() == name) else {
            let is_details = Usage::INPUT_DETAILS.iter().any(|known| known.as_bytes() == name);
            return if is_details { details(cursor, into) } else { pass(cursor) };
        };
        let tokens = cursor.count()?;
        into.get_or_insert_default().set(name, tokens);
        Some(())
    })
}

/// Reads the details of the input.
fn details(cursor: &mut Cursor<'_>, into: &mut Option<Usage>) -> Option<()> {
    let Some(usage) = into.as_mut().filter(|_| cursor.peek() == Some(b'{')) else { return pass(cursor) };
    cursor.object(|cursor, key| match plain(key)? == Usage::CACHED.as_bytes() {
        true => cursor.count().map(|tokens| usage.set_cached(tokens)),
        false => cursor.value(),
    })
}

/// Skips a value where the slow reader would look into it, too.
pub(super) fn pass(cursor: &mut Cursor<'_>) -> Option<()> {
    filled(cursor, &mut false)
}

/// Sets `into` if the value is neither null, false nor empty. Never clears it.
pub(super) fn filled(cursor: &mut Cursor<'_>, into: &mut bool) -> Option<()> {
    match cursor.peek()? {
        b'"' => {
            *into |= !cursor.string()?.inner.is_empty();
            Some(())
        }
        b'n' => cursor.word("null"),
        b'f' => cursor.word("false"),
        b'[' => cursor.list(Cursor::value).map(|any| *into |= any),
        b'{' => {
            let mut any = false;
            cursor.object(|cursor, key| {
                any = true;
                plain(key).and_then(|_| cursor.value())
            })?;
            *into |= any;
            Some(())
        }
        b't' => cursor.word("true").map(|()| *into = true),
        _ => cursor.count().map(|_| *into = true),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::scan, *};

    const VALUES: [&str; 33] = [
        "null",
        "true",
        "false",
        "0",
        "7",
        "200",
        "-1",
        "1.5",
        "1e999",
        "\"\"",
        "\"a\"",
        "\"é\"",
        "\"\\n\"",
        "\"\\u4e2d\"",
        "\"\\ud800\"",
        "\"error\"",
        "\"content_filter\"",
        "\"SAFETY\"",
        "[]",
        "{}",
        "[1]",
        "[\"\"]",
        "{\"a\":1}",
        "{\"\\u0061\":1}",
        "[",
        "{\"usage\":{\"total_tokens\":3}}",
        "{\"prompt_tokens\":1,\"completion_tokens\":2,\"x\":{\"y\":[]}}",
        "{\"content\":\"hi\"}",
        "{\"role\":\"assistant\",\"content\":null}",
        "{\"tool_calls\":[{}]}",
        "{\"role\":\"assistant\",\"thinking\":\"hm\"}",
        "{\"role\":\"assistant\",\"annotations\":[],\"extra\":{}}",
        "{\"index\":0.5}",
    ];

    const NAMES: [&str; 16] = [
        "index",
        "text",
        "delta",
        "message",
        "data",
        "finish_reason",
        "logprobs",
        "choices",
        "usage",
        "x_groq",
        "error",
        "errors",
        "object",
        "type",
        "id",
        "con\\u0074ent",
    ];

    /// Chunks in the usual form, and similar ones.
    fn chunks() -> impl Strategy<Value = String> {
        let member = (prop::sample::select(NAMES.to_vec()), prop::sample::select(VALUES.to_vec()));
        let member = member.prop_map(|(name, value)| format!("\"{name}\":{value}"));
        let members = prop::collection::vec(member, 0..4).prop_map(|members| members.join(","));
        let choices = prop::collection::vec(members.clone(), 0..3);
        let choices =
            choices.prop_map(|all| all.iter().map(|one| format!("{{{one}}}")).collect::<Vec<_>>().join(","));
        (members, choices).prop_map(|(members, choices)| {
            let comma = if members.is_empty() { "" } else { "," };
            format!("{{{members}{comma}\"choices\":[{choices}]}}")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn quick_reader_agrees_with_the_scan_reader(
            chunk in chunks(),
            blow in prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut json = chunk.into_bytes();
            if let Some((place, byte)) = blow {
                let at = place.index(json.len());
                json[at] = byte;
            }
            if let Some((info, _)) = read(&json) {
                let text = String::from_utf8_lossy(&json);
                prop_assert!(scan::is_json(&json), "{}", text);
                prop_assert_eq!(Some(info), scan::read(&json), "{}", text);
            }
        }
    }

    #[test]
    fn quick_reader_accepts_usual_chunks() {
        for json in [
            r#"{"id":"a","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":" \u4e2d\n"},"logprobs":null,"finish_reason":null}]}"#,
            r#"{"id":"a","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0}}}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"a"}}]},"finish_reason":"stop"}]}"#,
        ] {
            assert!(read(json.as_bytes()).is_some(), "{json}");
        }
    }
}
