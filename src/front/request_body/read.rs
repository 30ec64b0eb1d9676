//! The parser of a whole request body: from bytes to a [`RequestInfo`].

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use http::HeaderMap;

use super::{
    estimate,
    layout::{self, layout},
    messages,
    overrides::{self, boolean},
    passed, responses,
    scan::{self, Member, Object, ParseError},
    tolerant,
};
use crate::{
    config::{KeyAction, key_action},
    dialect::ClientDialect,
    error::InvalidRequest,
    request::{Operation, RequestInfo},
};

/// The parts of a call that its path names.
#[derive(Clone, Debug)]
pub(crate) struct CallTarget {
    /// The operation that is called.
    pub operation: Operation,
    /// The model. It replaces that of the body.
    pub model: Option<Arc<str>>,
}

impl From<Operation> for CallTarget {
    fn from(operation: Operation) -> Self {
        Self { operation, model: None }
    }
}

/// Parses a request's body, and those of its headers that are settings.
///
/// # Errors
///
/// [`InvalidRequest`] if the body is not a JSON object in UTF-8 with a nesting of at most 128, if it has no `model` or
/// lacks the parameter that the operation requires, or if a setting for the gateway is invalid.
pub(crate) fn read(
    target: &CallTarget,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<RequestInfo, InvalidRequest> {
    if body.is_empty() {
        return Err(InvalidRequest::body("The request body is empty: send a JSON object."));
    }
    let text = std::str::from_utf8(body)
        .map_err(|error| InvalidRequest::at(body, error.valid_up_to(), "it is not UTF-8"))?;
    let error = match scan::object(text) {
        Ok(object) => return info(target, headers, &object, &[]),
        Err(error) => error,
    };
    let commas = match error {
        ParseError::Syntax(_) => tolerant::trailing_commas(body),
        ParseError::NotAnObject | ParseError::TooManyKeys | ParseError::TooDeep(_) => Vec::new(),
    };
    if commas.is_empty() {
        return Err(invalid(body, &error));
    }
    let copy = tolerant::blanked(text, &commas);
    let object = scan::object(&copy).map_err(|error| invalid(body, &error))?;
    info(target, headers, &object, &commas)
}

fn invalid(body: &[u8], error: &ParseError) -> InvalidRequest {
    match error {
        ParseError::Syntax(error) => InvalidRequest::json(body, error),
        ParseError::NotAnObject => InvalidRequest::body("The request body must be a JSON object."),
        ParseError::TooManyKeys => InvalidRequest::body(format!(
            "The request body has more than {} keys at the top level.",
            scan::MAX_KEYS
        )),
        &ParseError::TooDeep(at) => InvalidRequest::at(body, at, "it is nested more than 128 deep"),
    }
}

/// Returns the info of a body; `object` is its content without the trailing `commas`.
pub(super) fn info(
    target: &CallTarget,
    headers: &HeaderMap,
    object: &Object<'_>,
    commas: &[usize],
) -> Result<RequestInfo, InvalidRequest> {
    reject_duplicates(object)?;
    let (model, span) = model(object, target.model.as_ref())?;
    let operation = target.operation;
    let required = required(operation);
    if object.last_member(required).is_none() && !responses::has_stored_input(operation, object) {
        return Err(InvalidRequest::missing(required));
    }
    match operation.dialect() {
        ClientDialect::Chat if operation.is_passed() => {
            return passed::info((operation, model), headers, object, layout(object, span, commas));
        }
        ClientDialect::Chat | ClientDialect::Completions => {}
        ClientDialect::Messages => {
            let layout = layout::unchanged(object, span, commas);
            return messages::info((operation, model), headers, object, layout);
        }
        ClientDialect::Responses => {
            return responses::info(model, headers, object, layout(object, span, commas));
        }
    }
    let stream = flag(object, "stream")?.unwrap_or(false);
    let batch = operation == Operation::Completions && estimate::is_batch(object);
    Ok(RequestInfo {
        operation,
        model,
        stream,
        streams_by_default: false,
        include_usage: include_usage(object)?,
        overrides: overrides::read(object, headers)?,
        layout: layout(object, span, commas),
        messages: None,
        form: None,
        stored: None,
        batch,
        once: false,
        choices: if stream && !batch { estimate::choices(object) } else { None },
        prompt_tokens: estimate::prompt(object),
        output_tokens: match operation {
            Operation::Embeddings => Some(0),
            _ => estimate::output(object),
        },
    })
}

/// Returns the name of the model and the range that the upstream's name replaces. The model of the path comes first: a
/// body may lack it.
fn model(
    object: &Object<'_>,
    from_path: Option<&Arc<str>>,
) -> Result<(Arc<str>, Range<usize>), InvalidRequest> {
    let member = object.last_member("model");
    let span = member.map_or_else(|| object.open()..object.open(), |member| member.span.clone());
    match (from_path, member) {
        (Some(model), _) => Ok((Arc::clone(model), span)),
        (None, None) => Err(InvalidRequest::missing("model")),
        (None, Some(member)) => match scan::string(&object.value(member)) {
            Some(model) if model.is_empty() => Err(InvalidRequest::value("model", "must not be empty")),
            Some(model) => Ok((model.as_ref().into(), span)),
            None => Err(InvalidRequest::value("model", "must be a string")),
        },
    }
}

/// Returns the parameter that an operation with a body requires beside `model`.
pub(super) const fn required(operation: Operation) -> &'static str {
    match operation {
        Operation::Chat | Operation::Messages | Operation::CountTokens => "messages",
        Operation::Completions | Operation::Images | Operation::ImageEdits => "prompt",
        Operation::Rerank => "query",
        Operation::Transcriptions | Operation::Translations => "file",
        _ => "input",
    }
}

/// Rejects duplicates of the keys that the gateway acts by. An upstream might take the other value, which would evade a
/// check of the gateway.
fn reject_duplicates(object: &Object<'_>) -> Result<(), InvalidRequest> {
    let is_setting =
        |member: &Member<'_>| member.key == "model" || key_action(&member.key) == KeyAction::Override;
    for (index, member) in object.members.iter().enumerate().filter(|(_, member)| is_setting(member)) {
        if object.members[..index].iter().any(|before| before.key == member.key) {
            return Err(InvalidRequest::duplicate(member.key.clone().into_owned()));
        }
    }
    Ok(())
}

pub(super) fn flag(object: &Object<'_>, key: &str) -> Result<Option<bool>, InvalidRequest> {
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
