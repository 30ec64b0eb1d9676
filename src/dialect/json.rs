//! Text and JSON that borrow from the bytes that were read: [`Text`], [`Json`], [`members`].

use std::{borrow::Cow, fmt, ops::Deref};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::value::RawValue;

/// A string. It is copied only if its JSON has escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl<'a> Text<'a> {
    /// Returns the parts before and after the first `separator`.
    pub(super) fn split(&self, separator: &str) -> Option<(Self, Self)> {
        match &self.0 {
            Cow::Borrowed(text) => text.split_once(separator).map(|(a, b)| (a.into(), b.into())),
            Cow::Owned(text) => {
                text.split_once(separator).map(|(a, b)| (a.to_owned().into(), b.to_owned().into()))
            }
        }
    }
}

/// A JSON value as it was written.
pub(crate) type Json<'a> = &'a RawValue;

/// A member of an object: its name and its value.
pub(crate) type Member<'a> = (Text<'a>, Json<'a>);

/// Returns the JSON value of a text that is known to be valid.
pub(super) fn constant(json: &'static str) -> Json<'static> {
    // A mistake in a constant is a null, which the tests of the requests would show.
    serde_json::from_str(json).unwrap_or(RawValue::NULL)
}

/// Returns the schema of any object.
pub(super) fn any_object<'a>() -> Json<'a> {
    constant(r#"{"type":"object","properties":{}}"#)
}

/// Writes a member that has a value.
pub(super) fn entry<M: SerializeMap>(
    map: &mut M,
    name: &str,
    value: Option<impl Serialize>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, &value))
}

/// Members of an object, without those that `is_sent` excludes, written unchanged.
pub(super) struct SentMembers<'a> {
    pub(super) members: &'a [Member<'a>],
    pub(super) is_sent: fn(&str) -> bool,
}

impl Serialize for SentMembers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sent = self.members.iter().filter(|(name, _)| (self.is_sent)(name));
        serializer.collect_map(sent.map(|(name, value)| (&**name, value)))
    }
}

/// Splits an object into its members, in order. Names may repeat.
pub(super) fn members<'a>(json: &'a str) -> serde_json::Result<Vec<Member<'a>>> {
    struct Members;

    impl<'de> Visitor<'de> for Members {
        type Value = Vec<Member<'de>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            std::iter::from_fn(|| map.next_entry().transpose()).collect()
        }
    }

    serde_json::Deserializer::from_str(json).deserialize_map(Members)
}

/// Returns the value at this name of an object, if there is one that is not null.
pub(super) fn member<'a>(object: Json<'a>, name: &str) -> Option<Json<'a>> {
    let members = members(object.get()).ok()?;
    let found = members.into_iter().rev().find(|(key, _)| **key == *name);
    found.map(|(_, value)| value).filter(|value| !is_null(value))
}

/// Returns true for a null.
pub(super) fn is_null(json: Json<'_>) -> bool {
    json.get() == "null"
}

/// Returns true for an object.
pub(super) fn is_object(json: Json<'_>) -> bool {
    json.get().starts_with('{')
}

/// Returns true for a string.
pub(super) fn is_text(json: Json<'_>) -> bool {
    json.get().starts_with('"')
}

/// Reads a whole number, also if it is written as a float.
pub(super) fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let number = f64::deserialize(from)?;
    // No count of tokens is beyond the whole numbers of a float.
    let is_whole = number >= 0.0 && number <= (1u64 << 53) as f64;
    if is_whole { Ok(number as u64) } else { Err(D::Error::custom("a number from 0")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_escapes_is_borrowed() {
        let borrowed: Text<'_> = serde_json::from_str("\"abc\"").unwrap();
        let optional: Option<Text<'_>> = serde_json::from_str("\"abc\"").unwrap();
        let owned: Text<'_> = serde_json::from_str("\"a\\nc\"").unwrap();
        assert!(
            matches!(borrowed.0, Cow::Borrowed("abc")) && matches!(optional.unwrap().0, Cow::Borrowed(_))
        );
        assert_eq!(&*owned, "a\nc");
    }

    #[test]
    fn the_last_member_of_a_name_counts() {
        let object: Json<'_> = serde_json::from_str(r#"{"a":1,"b":null,"a":[2]}"#).unwrap();
        assert_eq!(member(object, "a").unwrap().get(), "[2]");
        assert!(member(object, "b").is_none() && member(object, "c").is_none());
    }
}
