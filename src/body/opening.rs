//! The form of a body by its first bytes: [`Opening`]. Upstreams and proxies mislabel responses, so the bytes decide and not
//! the content type.

/// The form of a body by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// No bytes yet, or white space only.
    Blank,
    /// The first byte of an object or a list.
    Json,
    /// A line of an event stream: a comment, or a field that the standard names.
    Events,
    /// Any other bytes, among them the beginning of a field name.
    Other,
}

impl Opening {
    /// The fields of an event stream (HTML standard, section 9.2.6).
    const FIELDS: [&[u8]; 4] = [b"data:", b"event:", b"id:", b"retry:"];
    const LONGEST: usize = 6;

    /// Reads the first bytes of a body.
    pub(crate) fn of<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> Self {
        // White space, and a byte order mark, which a stream may begin with.
        let is_blank = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, 0xef | 0xbb | 0xbf);
        let mut bytes = bytes.into_iter().copied().skip_while(|byte| is_blank(*byte));
        match bytes.next() {
            None => Self::Blank,
            Some(b'{' | b'[') => Self::Json,
            Some(b':') => Self::Events,
            Some(first) => {
                let start: Vec<_> = [first].into_iter().chain(bytes).take(Self::LONGEST).collect();
                let is_event = Self::FIELDS.iter().any(|field| start.starts_with(field));
                if is_event { Self::Events } else { Self::Other }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_of_an_event_stream_is_a_comment_or_a_field() {
        for stream in [
            "data: a",
            "data:a",
            "event: a",
            "id:1",
            "retry: 9",
            ": ping",
            ":",
            "\n\ndata: a",
            "\u{feff}data: a",
        ] {
            assert_eq!(Opening::of(stream.as_bytes()), Opening::Events, "{stream:?}");
        }
    }

    #[test]
    fn opening_of_json_is_a_bracket_behind_white_space() {
        for json in ["{", " [1", "\r\n\r\n{\"data\":1}", "\u{feff}{}"] {
            assert_eq!(Opening::of(json.as_bytes()), Opening::Json, "{json:?}");
        }
    }

    #[test]
    fn opening_of_anything_else_is_neither() {
        for other in ["<html>", "data", "dat", "database: a", "identity: a", "\"data\":", "hello"] {
            assert_eq!(Opening::of(other.as_bytes()), Opening::Other, "{other:?}");
        }
        assert_eq!(Opening::of(b"\r\n "), Opening::Blank);
    }
}
