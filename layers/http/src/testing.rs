//! Header fields for tests.

use http::{HeaderMap, HeaderName, HeaderValue};

/// A name and a value.
pub(crate) type Field = (&'static str, &'static str);

pub(crate) fn fields(pairs: &[Field]) -> HeaderMap {
    let pairs = pairs.iter().copied();
    pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}
