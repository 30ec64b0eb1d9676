//! Requests about responses that are stored at an upstream: their ids, and those requests that have no body.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Uri};

use super::{overrides, reading::ReadBody, scan};
use crate::{
    Error,
    config::IdKey,
    error::UnknownResponse,
    issued_id::IssuedId,
    request::{BodyFrames, Operation, PREVIOUS, RequestInfo, StoredResponse},
};

/// Returns the info of a request about the response with this id, and its empty body.
///
/// # Errors
///
/// [`Error::UnknownResponse`] if the gateway has not issued the id, or an invalid setting in a header.
pub(super) fn read(
    operation: Operation,
    (key, id): (&IdKey, &str),
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<ReadBody, Error> {
    let id = IssuedId::decode(key, id).ok_or(Error::UnknownResponse(UnknownResponse::Named))?;
    let stored = StoredResponse::named(id.clone(), uri.query().unwrap_or_default());
    let stream =
        operation == Operation::RetrieveResponse && stored.query.split('&').any(|pair| pair == "stream=true");
    let mut overrides = overrides::of_headers(headers)?;
    overrides.disable_fallbacks = true;
    let info = RequestInfo {
        stream,
        overrides,
        stored: Some(Box::new(stored)),
        batch: false,
        choices: stream.then_some(1),
        ..RequestInfo::passed(operation, id.model)
    };
    Ok((Arc::new(info), Bytes::new().into()))
}

/// Adds the earlier response that a request continues, if it names one. Only the deployment that has it can be called.
pub(super) fn add_previous(info: &mut RequestInfo, body: &BodyFrames, key: &IdKey) {
    let Some(id) = info.layout.keys.last(PREVIOUS).map(|value| body.text(value.clone())) else { return };
    if id == "null" {
        return;
    }
    let id = scan::string(&id).and_then(|id| IssuedId::decode(key, &id));
    info.stored = Some(Box::new(StoredResponse::previous(id)));
    info.overrides.disable_fallbacks = true;
}
