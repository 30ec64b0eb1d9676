//! The parser of a JSON body of an operation that is never translated: moderations, reranking, images, audio.

use std::sync::Arc;

use http::HeaderMap;

use super::{estimate, overrides, read::flag, scan::Object};
use crate::{
    error::InvalidRequest,
    request::{Layout, Operation, RequestInfo},
};

/// Returns the info of a body.
///
/// # Errors
///
/// [`InvalidRequest`] if `stream` or a setting for the gateway is invalid.
pub(super) fn info(
    (operation, model): (Operation, Arc<str>),
    headers: &HeaderMap,
    object: &Object<'_>,
    layout: Layout,
) -> Result<RequestInfo, InvalidRequest> {
    Ok(RequestInfo {
        stream: flag(object, "stream")?.unwrap_or(false),
        overrides: overrides::read(object, headers)?,
        layout,
        prompt_tokens: texts(operation).iter().map(|name| estimate::parameter(object, name)).sum(),
        ..RequestInfo::passed(operation, model)
    })
}

/// Returns the parameters whose text is counted as input.
const fn texts(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::Moderations | Operation::Speech => &["input"],
        Operation::Rerank => &["query", "documents"],
        _ => &[],
    }
}
