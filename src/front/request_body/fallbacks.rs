//! The parser of a request's fallback lists.
//!
//! `["a", "b"]`, `[{"model": "a", "temperature": 0}]` and a mixture of the two are one flat list for every group.
//! `[{"group": ["a", {"model": "b"}]}]` is a list by group; `"*"` is the list of every group without its own.

use std::sync::Arc;

use super::{
    metadata,
    scan::{self, Object, string},
};
use crate::{
    config::{FallbackTarget, Fallbacks, KeyAction, key_action},
    error::InvalidRequest,
};

/// The largest number of entries in a list, and of alternatives in all lists of a request. It bounds the memory of a
/// request; no chain of fallbacks is as long.
const MOST_ENTRIES: usize = 256;

/// The largest number of parameters that all fallbacks of a request may set together.
const MOST_PARAMETERS_IN_ALL: usize = 1024;

/// The largest number of parameters that a fallback may set.
const MOST_PARAMETERS: usize = 64;

/// Parameters that a fallback may not set, because they change the form of the response that the client expects.
const FIXED: [&str; 2] = ["stream", "stream_options"];

/// The number of alternatives and parameters that the fallback lists of one request may still contain.
#[derive(Debug)]
pub(super) struct Allowance {
    alternatives: usize,
    parameters: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { alternatives: MOST_ENTRIES, parameters: MOST_PARAMETERS_IN_ALL }
    }
}

impl Allowance {
    /// Takes one alternative with these parameters.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] if the lists of the request have too many.
    fn take(&mut self, name: &str, parameters: usize) -> Result<(), InvalidRequest> {
        let left = (self.alternatives.checked_sub(1), self.parameters.checked_sub(parameters));
        let (Some(alternatives), Some(parameters)) = left else {
            return Err(InvalidRequest::value(
                name,
                "is too long: all fallbacks of a request may have at most 256 alternatives with 1,024 parameters",
            ));
        };
        *self = Self { alternatives, parameters };
        Ok(())
    }
}

/// Parses the value of the parameter `name`. The value is not null.
///
/// # Errors
///
/// [`InvalidRequest`] if the list has another form, sets a parameter that a fallback may not set, or exceeds `allowance`.
pub(super) fn read(name: &str, value: &str, allowance: &mut Allowance) -> Result<Fallbacks, InvalidRequest> {
    let mut fallbacks = Fallbacks::default();
    for entry in entries(name, value)? {
        match object(name, entry)? {
            Some(object) if !is_target(&object) => by_group((name, allowance), &object, &mut fallbacks)?,
            _ => fallbacks.flat.get_or_insert_default().push(target((name, allowance), entry)?),
        }
    }
    if fallbacks.flat.is_some() && !(fallbacks.by_group.is_empty() && fallbacks.default.is_empty()) {
        return Err(InvalidRequest::value(
            name,
            "must be either one list for all models or a list by model, not both",
        ));
    }
    Ok(fallbacks)
}

fn entries<'a>(name: &str, value: &'a str) -> Result<Vec<&'a str>, InvalidRequest> {
    scan::list(value, MOST_ENTRIES).ok_or_else(|| {
        InvalidRequest::value(name, "must be a list of at most 256 model names or objects, or null")
    })
}

fn object<'a>(name: &str, entry: &'a str) -> Result<Option<Object<'a>>, InvalidRequest> {
    if !entry.starts_with('{') {
        return Ok(None);
    }
    match scan::object(entry) {
        Ok(object) if object.members.len() <= MOST_PARAMETERS => Ok(Some(object)),
        _ => Err(InvalidRequest::value(name, "has an entry that is not an object of at most 64 keys")),
    }
}

/// Returns true if `object` is a fallback: `{"model": "a"}` names a model, `{"model": ["a"]}` a group called `model`.
fn is_target(object: &Object<'_>) -> bool {
    object.members.iter().any(|member| member.key == "model" && !object.value(member).starts_with('['))
}

fn named(name: &str, entry: &str) -> Result<FallbackTarget, InvalidRequest> {
    match string(entry) {
        Some(model) if !model.is_empty() => {
            Ok(FallbackTarget { model: model.into(), parameters: Vec::new() })
        }
        _ => Err(InvalidRequest::value(name, "has an entry that is neither a model name nor an object")),
    }
}

fn with_parameters(name: &str, object: &Object<'_>) -> Result<FallbackTarget, InvalidRequest> {
    let mut model: Option<Arc<str>> = None;
    let mut parameters: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(object.members.len());
    for member in &object.members {
        // The client's key may be of any length; the error shows its first 64 characters.
        let at = || format!("{name}[].{}", member.key.chars().take(64).collect::<String>());
        if parameters.iter().any(|(known, _)| **known == *member.key)
            || (member.key == "model" && model.is_some())
        {
            return Err(InvalidRequest::duplicate(at()));
        }
        match &*member.key {
            "model" => model = Some(named(name, &object.value(member))?.model),
            key if FIXED.contains(&key) => {
                return Err(InvalidRequest::value(at(), "may not differ in a fallback: remove it"));
            }
            metadata::KEY if !metadata::is_accepted(&object.value(member)) => {}
            key => match key_action(key) {
                KeyAction::Pass | KeyAction::Metadata => {
                    parameters.push((key.into(), object.value(member).into()))
                }
                KeyAction::Strip | KeyAction::Reject => {
                    return Err(InvalidRequest::value(
                        at(),
                        "may not be set by a request: set it in the gateway's configuration",
                    ));
                }
                KeyAction::Override => {
                    return Err(InvalidRequest::value(
                        at(),
                        "belongs to the request, not to one of its fallbacks: move it to the top level of the body",
                    ));
                }
            },
        }
    }
    model.map_or_else(
        || Err(InvalidRequest::value(name, "has an entry without a model: give each object a \"model\"")),
        |model| Ok(FallbackTarget { model, parameters }),
    )
}

fn by_group(
    (name, allowance): (&str, &mut Allowance),
    object: &Object<'_>,
    into: &mut Fallbacks,
) -> Result<(), InvalidRequest> {
    let [group] = &*object.members else {
        return Err(InvalidRequest::value(
            name,
            "has an object that is not of the form {\"model\": [\"fallback\"]}",
        ));
    };
    let value = object.value(group);
    if !value.starts_with('[') {
        return Err(InvalidRequest::value(name, "has an object whose value is not a list"));
    }
    let list = entries(name, &value)?.into_iter().map(|entry| target((name, allowance), entry));
    let list = list.collect::<Result<Vec<_>, _>>()?;
    if group.key == "*" {
        into.default.extend(list);
    } else {
        into.by_group.push((group.key.as_ref().into(), list));
    }
    Ok(())
}

fn target((name, allowance): (&str, &mut Allowance), entry: &str) -> Result<FallbackTarget, InvalidRequest> {
    let object = object(name, entry)?;
    allowance.take(name, object.as_ref().map_or(0, |object| object.members.len().saturating_sub(1)))?;
    match object {
        Some(object) => with_parameters(name, &object),
        None => named(name, entry),
    }
}
