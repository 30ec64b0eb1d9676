//! From bytes to a [`RequestInfo`].

use bytes::Bytes;
use http::HeaderMap;

use super::{
    estimate,
    layout::layout,
    overrides::{self, boolean},
    scan::{self, Fault, Member, Object},
    tolerant,
};
use crate::{
    config::{InRequest, in_request},
    error::InvalidRequest,
    request::{Operation, RequestInfo},
};

/// Reads a request's body and those of its headers that are settings.
///
/// # Errors
///
/// When the body is not a JSON object (in UTF-8, nested at most 128 deep), names no `model`, lacks what `operation`
/// needs, or has a setting of ours that cannot be obeyed.
pub(crate) fn read(
    operation: Operation,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<RequestInfo, InvalidRequest> {
    if body.is_empty() {
        return Err(InvalidRequest::body("The request body is empty: a JSON object is expected."));
    }
    let text = std::str::from_utf8(body).map_err(|error| InvalidRequest::not_utf8(body, error))?;
    let fault = match scan::object(text) {
        Ok(object) => return head(operation, headers, &object, &[]),
        Err(fault) => fault,
    };
    let commas = match fault {
        Fault::Syntax(_) => tolerant::trailing_commas(body),
        Fault::NotAnObject | Fault::TooManyKeys | Fault::TooDeep(_) => Vec::new(),
    };
    if commas.is_empty() {
        return Err(rejected(body, &fault));
    }
    let copy = tolerant::blanked(text, &commas);
    let object = scan::object(&copy).map_err(|fault| rejected(body, &fault))?;
    head(operation, headers, &object, &commas)
}

fn rejected(body: &[u8], fault: &Fault) -> InvalidRequest {
    match fault {
        Fault::Syntax(error) => InvalidRequest::json(body, error),
        Fault::NotAnObject => InvalidRequest::body("The request body must be a JSON object."),
        Fault::TooManyKeys => InvalidRequest::body(format!(
            "The request body has more than {} keys at the top level.",
            scan::MAX_KEYS
        )),
        &Fault::TooDeep(at) => InvalidRequest::at(body, at, "it is nested more than 128 deep"),
    }
}

/// What a body says, of which `object` is left when its trailing `commas` are gone.
pub(super) fn head(
    operation: Operation,
    headers: &HeaderMap,
    object: &Object<'_>,
    commas: &[usize],
) -> Result<RequestInfo, InvalidRequest> {
    once(object)?;
    let Some(asked) = object.last_member("model") else { return Err(InvalidRequest::missing("model")) };
    let model = match scan::string(&object.value(asked)) {
        Some(model) if model.is_empty() => return Err(InvalidRequest::value("model", "must not be empty")),
        Some(model) => model.as_ref().into(),
        None => return Err(InvalidRequest::value("model", "must be a string")),
    };
    let needed = needed(operation);
    if object.last_member(needed).is_none() {
        return Err(InvalidRequest::missing(needed));
    }
    Ok(RequestInfo {
        operation,
        model,
        stream: flag(object, "stream")?.unwrap_or(false),
        include_usage: include_usage(object)?,
        overrides: overrides::read(object, headers)?,
        layout: layout(object, asked.span.clone(), commas),
        prompt_tokens: estimate::prompt(object),
        output_tokens: match operation {
            Operation::Chat | Operation::Completions => estimate::output(object),
            Operation::Embeddings => Some(0),
        },
    })
}

/// The part of the body without which the route makes no sense.
const fn needed(operation: Operation) -> &'static str {
    match operation {
        Operation::Chat => "messages",
        Operation::Completions => "prompt",
        Operation::Embeddings => "input",
    }
}

/// Two readers of one body must not differ about what the gateway decides by: that is how a check is evaded.
fn once(object: &Object<'_>) -> Result<(), InvalidRequest> {
    let ours = |member: &Member<'_>| member.key == "model" || in_request(&member.key) == InRequest::Override;
    for (index, member) in object.members.iter().enumerate().filter(|(_, member)| ours(member)) {
        if object.members[..index].iter().any(|before| before.key == member.key) {
            return Err(InvalidRequest::duplicate(member.key.clone().into_owned()));
        }
    }
    Ok(())
}

fn flag(object: &Object<'_>, key: &'static str) -> Result<Option<bool>, InvalidRequest> {
    match object.last(key) {
        Some(value) if value != "null" => boolean(key, &value).map(Some),
        _ => Ok(None),
    }
}

fn include_usage(object: &Object<'_>) -> Result<Option<bool>, InvalidRequest> {
    let Some(options) = object.last("stream_options").filter(|options| options != "null") else {
        return Ok(None);
    };
    let options = scan::object(&options)
        .map_err(|_| InvalidRequest::value("stream_options", "must be an object or null"))?;
    match options.last("include_usage") {
        Some(value) if value != "null" => boolean("stream_options.include_usage", &value).map(Some),
        _ => Ok(None),
    }
}
