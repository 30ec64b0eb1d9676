//! From bytes to a [`Head`].

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
    error::Rejected,
    request::{Head, Route},
};

/// Reads a request's body and those of its headers that are settings.
///
/// # Errors
///
/// When the body is not a JSON object (in UTF-8, nested at most 128 deep), names no `model`, lacks what `route`
/// needs, or has a setting of ours that cannot be obeyed.
pub(crate) fn read(route: Route, headers: &HeaderMap, body: &Bytes) -> Result<Head, Rejected> {
    if body.is_empty() {
        return Err(Rejected::body("The request body is empty: a JSON object is expected."));
    }
    let text = std::str::from_utf8(body).map_err(|error| Rejected::not_utf8(body, error))?;
    let fault = match scan::object(text) {
        Ok(object) => return head(route, headers, &object, &[]),
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
    head(route, headers, &object, &commas)
}

fn rejected(body: &[u8], fault: &Fault) -> Rejected {
    match fault {
        Fault::Syntax(error) => Rejected::json(body, error),
        Fault::NotAnObject => Rejected::body("The request body must be a JSON object."),
        Fault::TooManyKeys => Rejected::body(format!(
            "The request body has more than {} keys at the top level.",
            scan::MAX_KEYS
        )),
        &Fault::TooDeep(at) => Rejected::at(body, at, "it is nested more than 128 deep"),
    }
}

/// What a body says, of which `object` is left when its trailing `commas` are gone.
pub(super) fn head(
    route: Route,
    headers: &HeaderMap,
    object: &Object<'_>,
    commas: &[usize],
) -> Result<Head, Rejected> {
    once(object)?;
    let Some(asked) = object.last_member("model") else { return Err(Rejected::missing("model")) };
    let model = match scan::string(&object.value(asked)) {
        Some(model) if model.is_empty() => return Err(Rejected::value("model", "must not be empty")),
        Some(model) => model.as_ref().into(),
        None => return Err(Rejected::value("model", "must be a string")),
    };
    let needed = needed(route);
    if object.last_member(needed).is_none() {
        return Err(Rejected::missing(needed));
    }
    Ok(Head {
        route,
        model,
        stream: flag(object, "stream")?.unwrap_or(false),
        include_usage: include_usage(object)?,
        overrides: overrides::read(object, headers)?,
        layout: layout(object, asked.span.clone(), commas),
        prompt_tokens: estimate::prompt(object),
        output_tokens: match route {
            Route::Chat | Route::Completions => estimate::output(object),
            Route::Embeddings => Some(0),
        },
    })
}

/// The part of the body without which the route makes no sense.
const fn needed(route: Route) -> &'static str {
    match route {
        Route::Chat => "messages",
        Route::Completions => "prompt",
        Route::Embeddings => "input",
    }
}

/// Two readers of one body must not differ about what the gateway decides by: that is how a check is evaded.
fn once(object: &Object<'_>) -> Result<(), Rejected> {
    let ours = |member: &Member<'_>| member.key == "model" || in_request(&member.key) == InRequest::Override;
    for (index, member) in object.members.iter().enumerate().filter(|(_, member)| ours(member)) {
        if object.members[..index].iter().any(|before| before.key == member.key) {
            return Err(Rejected::duplicate(member.key.clone().into_owned()));
        }
    }
    Ok(())
}

fn flag(object: &Object<'_>, key: &'static str) -> Result<Option<bool>, Rejected> {
    match object.last(key) {
        Some(value) if value != "null" => boolean(key, &value).map(Some),
        _ => Ok(None),
    }
}

fn include_usage(object: &Object<'_>) -> Result<Option<bool>, Rejected> {
    let Some(options) = object.last("stream_options").filter(|options| options != "null") else {
        return Ok(None);
    };
    let options =
        scan::object(&options).map_err(|_| Rejected::value("stream_options", "must be an object or null"))?;
    match options.last("include_usage") {
        Some(value) if value != "null" => boolean("stream_options.include_usage", &value).map(Some),
        _ => Ok(None),
    }
}
