//! A request that the gateway itself makes: [`own_request`].

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use super::{
    form::FormReading,
    read::{self, CallTarget},
    upload::Pieces,
};
use crate::{
    error::InvalidRequest,
    request::{Operation, ParsedRequest, Request, RequestContext},
};

/// Returns the request with this body and these headers. It is tried once, and takes no fallback.
///
/// # Errors
///
/// [`InvalidRequest`] if the body is not one of the operation.
pub(crate) fn own_request(
    (operation, model): (Operation, Arc<str>),
    headers: &HeaderMap,
    body: Bytes,
    context: RequestContext,
) -> Result<Request, InvalidRequest> {
    let target = CallTarget { operation, model: Some(model) };
    let (mut info, frames) = match FormReading::of(operation, headers)? {
        Some(mut form) => {
            form.take(body);
            form.end(&target, headers)?
        }
        None => (Arc::new(read::read(&target, headers, &body)?), body.into()),
    };
    let overrides = &mut Arc::make_mut(&mut info).overrides;
    (overrides.num_retries, overrides.disable_fallbacks) = (Some(0), true);
    Ok(ParsedRequest::new(frames, info, Arc::new(context)).into())
}
