//! The part of structured fields (RFC 9651) that rate limits need: lists of items with parameters, and dictionaries of
//! integers.

use http::{HeaderMap, HeaderName};

/// The members of a list that are read, so that a long field costs no more than a short one.
const MOST_MEMBERS: usize = 16;

/// The digits of an integer: RFC 9651, section 3.3.1.
const MOST_DIGITS: usize = 15;

/// A member of a list: an item and its parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    item: &'a str,
    parameters: &'a str,
}

/// Returns the members of all fields of this name, which together are one list.
pub(super) fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Member<'a>> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| parts(value, b',')).map(Member::of).take(MOST_MEMBERS)
}

impl<'a> Member<'a> {
    fn of(text: &'a str) -> Self {
        let (item, parameters) = cut(text, b';');
        Self { item: item.trim(), parameters: parameters.unwrap_or_default() }
    }

    /// Returns the item as a name: a string or a token.
    pub(super) fn name(&self) -> &'a str {
        unquoted(self.item)
    }

    /// Returns the item as an integer.
    pub(super) fn integer(&self) -> Option<u64> {
        integer(self.item)
    }

    /// Returns the value of the member `key` of a dictionary, if this is that member and its value is an integer.
    pub(super) fn entry(&self, key: &str) -> Option<u64> {
        self.item.split_once('=').filter(|(name, _)| *name == key).and_then(|(_, value)| integer(value))
    }

    /// Returns the value of a parameter, a string or a token.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        let pairs = parts(self.parameters, b';').filter_map(|part| part.trim().split_once('='));
        pairs.filter(|(name, _)| *name == key).map(|(_, value)| unquoted(value)).next()
    }

    /// Returns the value of a parameter, an integer.
    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.text(key).and_then(integer)
    }
}

/// Parses a non-negative integer.
fn integer(text: &str) -> Option<u64> {
    let is_digits = (1..=MOST_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_digits.then(|| text.parse().ok()).flatten()
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// Returns the parts of the text between the separators that are not in a string.
fn parts(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (part, after) = cut(rest?, separator);
        rest = after;
        Some(part)
    })
}

/// Returns the text before the first separator that is not in a string, and the text behind it if there is one.
fn cut(text: &str, separator: u8) -> (&str, Option<&str>) {
    let (mut quoted, mut escaped) = (false, false);
    let found = text.bytes().position(|byte| {
        let is_string = quoted;
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        !is_string && byte == separator
    });
    let halves = found.and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?)));
    halves.map_or((text, None), |(before, after)| (before, Some(after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_in_a_string_separates_nothing() {
        let text = r#""a,b";x="1;2\",";y=3, c , "d"#;
        let members: Vec<_> = parts(text, b',').map(Member::of).collect();
        assert_eq!(members.iter().map(Member::name).collect::<Vec<_>>(), ["a,b", "c", "\"d"]);
        assert_eq!((members[0].text("x"), members[0].number("y")), (Some(r#"1;2\","#), Some(3)));
        assert_eq!((members[0].number("x"), members[1].text("x")), (None, None));
    }

    #[test]
    fn an_integer_has_digits_only_and_no_more_than_the_standard_permits() {
        assert_eq!(integer("999999999999999"), Some(999_999_999_999_999));
        for text in ["", "-1", "+1", "1.0", "1e3", "NaN", "1000000000000000", " 1"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }
}
