//! Reads values of a client's request: [`typed`], [`whole`].

use serde::Deserialize;

use super::{
    conversation::Refusal,
    json::{self, Json},
};

/// Reads the value of a parameter.
pub(super) fn typed<'a, T: Deserialize<'a>>(name: &str, value: Json<'a>) -> Result<T, Refusal> {
    serde_json::from_str(value.get()).map_err(|error| Refusal::invalid(name, error))
}

/// Reads a whole number, also if it is written as a float.
pub(super) fn whole(name: &str, value: Json<'_>) -> Result<u64, Refusal> {
    let mut reader = serde_json::Deserializer::from_str(value.get());
    json::whole(&mut reader).map_err(|error| Refusal::invalid(name, error))
}
