//! The reader of a request body in `multipart/form-data` (RFC 7578): [`FormReading`].
//!
//! Its parts may come in any order, `file` before `model` too. The body is held once: each piece is searched for delimiters
//! when it arrives, and of the parts only the headers and the settings for the gateway are read. The parameters of the
//! deployment and its name of the model are later [spliced](crate::request::ParsedRequest::form_payload) between them.
//!
//! The parser is stricter than those of many servers, because a form that an upstream reads in another way would evade the
//! gateway's checks: lines end in CRLF, a delimiter is a whole line, a part has one `content-disposition` with one `name`,
//! and the parts that the gateway acts by are there once.

mod blocks;
mod delimiters;
mod parameters;
mod parts;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use self::{blocks::Blocks, delimiters::Delimiters, parameters::parameters, parts::Part};
use super::{
    overrides,
    read::{self, CallTarget},
    reading::ReadBody,
    upload::Pieces,
};
use crate::{
    config::{KeyAction, key_action},
    error::InvalidRequest,
    request::{BodyFrames, Form, Layout, Operation, RequestInfo},
};

/// The longest value that is read, in bytes: names of models and settings for the gateway.
const LONGEST_VALUE: usize = 64 * 1024;

/// The state of a form of which some frames have arrived.
#[derive(Debug)]
pub(super) struct FormReading {
    form: Form,
    delimiters: Delimiters,
    blocks: Blocks,
}

impl FormReading {
    /// Returns a reader of a form with these headers, boxed because it is rare, or none if the operation takes no form or the content type is another
    /// one.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] if the content type has no valid boundary.
    pub(super) fn of(operation: Operation, headers: &HeaderMap) -> Result<Option<Box<Self>>, InvalidRequest> {
        if !operation.takes_form() {
            return Ok(None);
        }
        let content_type = headers.get(header::CONTENT_TYPE);
        let Some(form) = content_type.filter(|value| is_form(value)) else { return Ok(None) };
        let boundary = boundary(form).ok_or_else(|| {
            InvalidRequest::form("its content-type has no boundary of 1 to 70 letters, digits and marks")
        })?;
        let delimiters = Delimiters::new(&boundary);
        let form = Form { content_type: form.clone(), boundary: boundary.into() };
        Ok(Some(Box::new(Self { form, delimiters, blocks: Blocks::default() })))
    }

    /// Ends the form.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`] if the form is not valid, lacks `model` or the part that the operation requires, or has an invalid
    /// setting for the gateway.
    pub(super) fn end(self, target: &CallTarget, headers: &HeaderMap) -> Result<ReadBody, InvalidRequest> {
        let frames = self.blocks.end();
        let (parts, close) = parts::read(&frames, &self.delimiters.end()?, self.form.boundary.len())?;
        let info = info(target, headers, (&frames, &parts, close), self.form)?;
        Ok((Arc::new(info), frames))
    }
}

impl Pieces for FormReading {
    fn take(&mut self, piece: Bytes) {
        self.delimiters.scan(&piece);
        self.blocks.push(&piece);
    }
}

fn is_form(content_type: &HeaderValue) -> bool {
    let kind = content_type.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"multipart/form-data")
}

/// Returns the boundary, if it is one by RFC 2046.
fn boundary(content_type: &HeaderValue) -> Option<String> {
    let (_, rest) = content_type.to_str().ok()?.split_once(';')?;
    let mut boundaries = parameters(rest)?.into_iter().filter(|(name, _)| name == "boundary");
    let (_, boundary) = boundaries.next().filter(|_| boundaries.next().is_none())?;
    let is_mark = |char: char| char.is_ascii_alphanumeric() || "'()+_,-./:=? ".contains(char);
    let is_valid = (1..=70).contains(&boundary.len()) && boundary.chars().all(is_mark);
    (is_valid && !boundary.ends_with(' ')).then_some(boundary)
}

/// Returns the info of a form.
fn info(
    target: &CallTarget,
    headers: &HeaderMap,
    (frames, parts, close): (&BodyFrames, &[Part], usize),
    form: Form,
) -> Result<RequestInfo, InvalidRequest> {
    reject_duplicates(parts)?;
    let CallTarget { operation, model } = target;
    let required = read::required(*operation);
    let has = |name: &str| parts.iter().any(|part| part.is(name));
    if !has(required) {
        return Err(InvalidRequest::missing(required));
    }
    let in_form = parts.iter().find(|part| part.is("model"));
    let model = match (model, in_form) {
        (Some(model), _) => Arc::clone(model),
        (None, None) => return Err(InvalidRequest::missing("model")),
        (None, Some(part)) => value(frames, part)?.into(),
    };
    if model.is_empty() || model.contains(char::is_control) {
        return Err(InvalidRequest::value("model", "must be a name without control characters"));
    }
    let is_setting = |part: &&Part| !matches!(key_action(&part.name), KeyAction::Pass | KeyAction::Strip);
    let settings = parts.iter().filter(is_setting);
    let settings = settings.map(|part| Ok((&*part.name, value(frames, part)?)));
    let stream = match parts.iter().rfind(|part| part.is("stream")) {
        Some(part) => overrides::boolean("stream", &value(frames, part)?.to_ascii_lowercase())?,
        None => false,
    };
    let overrides = overrides::of_form(settings.collect::<Result<Vec<_>, _>>()?, headers)?;
    if overrides.fallback_parameters().any(|parameter| form.is_divided_by(parameter)) {
        return Err(InvalidRequest::form("a parameter of a fallback contains its boundary"));
    }
    Ok(RequestInfo {
        stream,
        overrides,
        layout: layout(parts, close),
        form: Some(Box::new(form)),
        ..RequestInfo::passed(*operation, model)
    })
}

/// Rejects duplicates of the parts that the gateway acts by.
fn reject_duplicates(parts: &[Part]) -> Result<(), InvalidRequest> {
    let is_setting = |part: &&Part| part.is("model") || key_action(&part.name) == KeyAction::Override;
    for (index, part) in parts.iter().enumerate().filter(|(_, part)| is_setting(part)) {
        if parts[..index].iter().any(|before| before.name == part.name) {
            return Err(InvalidRequest::duplicate(part.name.clone()));
        }
    }
    Ok(())
}

/// Returns the text of a part that the gateway reads.
fn value(frames: &BodyFrames, part: &Part) -> Result<String, InvalidRequest> {
    let is_read = !part.is_file && part.value.len() <= LONGEST_VALUE;
    let text =
        is_read.then(|| String::from_utf8(frames.bytes(part.value.clone()).into_owned()).ok()).flatten();
    // A name may be of any length; the error shows its first 64 characters.
    let name = || part.name.chars().take(64).collect::<String>();
    text.ok_or_else(|| InvalidRequest::value(name(), "must be a text of at most 64 KB, not a file"))
}

/// Returns the layout: the parts with settings for the gateway are cut, each with its delimiter.
fn layout(parts: &[Part], close: usize) -> Layout {
    let mut layout = Layout { close, ..Layout::default() };
    for part in parts {
        match key_action(&part.name) {
            KeyAction::Pass => layout.keys.push(&part.name, part.value.clone()),
            KeyAction::Metadata | KeyAction::Strip | KeyAction::Reject | KeyAction::Override => {
                layout.cuts.push(part.whole.clone());
            }
        }
    }
    layout
}
