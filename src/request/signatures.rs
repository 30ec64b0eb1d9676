//! Ids of tool calls without the signatures of Gemini's thinking.
//!
//! The id of a call of Gemini's has the signature of the thinking before it as its end. A client sends it back to whichever
//! deployment is next. OpenAI limits an id to 40 characters, its Responses to 64, and Anthropic its characters.

use bytes::Bytes;
use memchr::memmem;

use super::SplicedBody;
use crate::dialect::SIGNATURE;

/// The members whose value is the id of a tool call, in the dialects of clients.
const MEMBERS: [&[u8]; 4] = [b"\"id\"", b"\"tool_call_id\"", b"\"call_id\"", b"\"tool_use_id\""];

impl SplicedBody {
    /// Returns the body without the signatures in ids of tool calls. A body without any is not copied.
    pub(crate) fn without_signatures(self) -> Self {
        if !contains(self.parts(), SIGNATURE.as_bytes()) {
            return self;
        }
        Bytes::from(cut(&self.to_bytes())).into()
    }
}

/// Returns true if a text stands in these parts, or across the ends of some.
fn contains<'a>(parts: impl Iterator<Item = &'a [u8]>, text: &[u8]) -> bool {
    let finder = memmem::Finder::new(text);
    let mut seam = Vec::with_capacity(2 * text.len());
    for part in parts {
        seam.extend_from_slice(&part[..part.len().min(text.len())]);
        if finder.find(part).or_else(|| finder.find(&seam)).is_some() {
            return true;
        }
        if part.len() >= text.len() {
            seam.clear();
            seam.extend_from_slice(&part[part.len() - text.len()..]);
        }
    }
    false
}

/// Returns JSON without the signatures in ids of tool calls.
fn cut(json: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(json.len());
    let mut from = 0;
    for at in memmem::find_iter(json, SIGNATURE).filter(|at| is_in_id(&json[..*at])) {
        let Some(length) = memchr::memchr(b'"', &json[at..]) else { break };
        // An id with two signatures has been cut at the first.
        if at < from {
            continue;
        }
        kept.extend_from_slice(&json[from..at]);
        from = at + length;
    }
    kept.extend_from_slice(&json[from..]);
    kept
}

/// Returns true if JSON up to here ends within the id of a tool call. Within a string, quotes are escaped.
fn is_in_id(before: &[u8]) -> bool {
    let is_of_id = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let start = before.iter().rposition(|byte| !is_of_id(byte)).map_or(0, |at| at + 1);
    let name = before[..start].strip_suffix(b"\"").and_then(|text| text.trim_ascii_end().strip_suffix(b":"));
    name.is_some_and(|name| MEMBERS.iter().any(|member| name.trim_ascii_end().ends_with(member)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &str = r#"{"messages":[{"content":"\"id\":\"call_0__thought__a\" and __thought__"},
        {"tool_calls":[{"id":"call_1__thought__a+/=","function":{"arguments":"{\"id\":\"x__thought__y\"}"}}, {"id" : "call_2"}]},
        {"tool_call_id":"call_1__thought__a+/=","name":"x__thought__y"}, {"call_id":"call_3__thought__"},
        {"tool_use_id":"toolu_4__thought__b","my_id":"x__thought__y"}]}"#;

    fn wanted() -> String {
        let ids = ["call_1__thought__a+/=", "call_3__thought__", "toolu_4__thought__b"];
        ids.iter().fold(SENT.to_owned(), |text, id| text.replace(id, id.split_once(SIGNATURE).unwrap().0))
    }

    #[test]
    fn ids_of_tool_calls_lose_their_signatures_and_other_texts_do_not() {
        assert_eq!(SplicedBody::from(Bytes::from(SENT)).without_signatures().to_bytes(), wanted());
        let plain = r#"{"messages":[{"content":"hi"}],"tools":[]}"#;
        assert_eq!(SplicedBody::from(Bytes::from(plain)).without_signatures().to_bytes(), plain);
    }

    #[test]
    fn signatures_are_found_in_ids_of_a_body_in_many_parts() {
        let one = r#"{"id":"call_1__thought__abc"}"#;
        for size in 1..one.len() {
            let parts = one.as_bytes().chunks(size).map(Bytes::from_static).collect();
            let body = SplicedBody::new(parts).without_signatures();
            assert_eq!(body.to_bytes(), r#"{"id":"call_1"}"#, "parts of {size} bytes");
        }
    }
}
