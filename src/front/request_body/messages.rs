//! The parser of a request body in Anthropic's dialect.
//!
//! Every member is sent upstream, also those with the name of a setting for the gateway: Anthropic has a `fallbacks` of its
//! own. Settings come in headers.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use super::{estimate, overrides, read::flag, scan::Object};
use crate::{
    error::InvalidRequest,
    request::{Layout, MessagesInfo, Operation, RequestInfo},
};

/// The headers that an upstream of Anthropic's receives.
const HEADERS: [HeaderName; 2] =
    [HeaderName::from_static("anthropic-version"), HeaderName::from_static("anthropic-beta")];

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
    let input_tokens = estimate::prompt(object) + estimate::parameter(object, "system");
    let counts = operation == Operation::CountTokens;
    let stream = !counts && flag(object, "stream")?.unwrap_or(false);
    Ok(RequestInfo {
        operation,
        model,
        stream,
        streams_by_default: false,
        // A stream always has it.
        include_usage: Some(true),
        overrides: overrides::of_headers(headers)?,
        layout,
        messages: Some(Box::new(MessagesInfo { headers: sent(headers), input_tokens })),
        form: None,
        stored: None,
        batch: false,
        once: false,
        choices: stream.then_some(1),
        // A count uses no tokens.
        prompt_tokens: if counts { 0 } else { input_tokens },
        output_tokens: if counts { Some(0) } else { estimate::output(object) },
    })
}

/// Returns the headers that an upstream of Anthropic's receives.
fn sent(headers: &HeaderMap) -> HeaderMap {
    let mut sent = HeaderMap::new();
    for name in HEADERS {
        for value in headers.get_all(&name) {
            sent.append(&name, value.clone());
        }
    }
    sent
}
