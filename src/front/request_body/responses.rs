//! The parser of a request body of OpenAI's Responses.

use std::sync::Arc;

use http::HeaderMap;

use super::{estimate, overrides, read::flag, scan::Object};
use crate::{
    error::InvalidRequest,
    request::{Layout, Operation, Overrides, RequestInfo},
};

/// Returns the info of a body.
///
/// # Errors
///
/// [`InvalidRequest`] if `stream` or a setting for the gateway is invalid.
pub(super) fn info(
    model: Arc<str>,
    headers: &HeaderMap,
    object: &Object<'_>,
    layout: Layout,
) -> Result<RequestInfo, InvalidRequest> {
    let stream = flag(object, "stream")?.unwrap_or(false);
    let is_set = |key| object.last(key).is_some_and(|value| value == "true");
    let once = is_set("store") || is_set("background");
    Ok(RequestInfo {
        operation: Operation::Responses,
        model,
        stream,
        streams_by_default: false,
        // A stream always has it.
        include_usage: Some(true),
        overrides: overrides(once, object, headers)?,
        layout,
        messages: None,
        form: None,
        stored: None,
        batch: false,
        once,
        choices: stream.then_some(1),
        prompt_tokens: estimate::prompt(object) + estimate::parameter(object, "instructions"),
        output_tokens: object.last("max_output_tokens").and_then(|tokens| tokens.parse().ok()),
    })
}

/// Returns true if the upstream has the input of a request: that of a prompt that is stored there.
pub(super) fn has_stored_input(operation: Operation, object: &Object<'_>) -> bool {
    operation == Operation::Responses && object.last_member("prompt").is_some()
}

/// Returns the settings of a request. One whose response is stored is sent `once`: each attempt would store one.
fn overrides(once: bool, object: &Object<'_>, headers: &HeaderMap) -> Result<Overrides, InvalidRequest> {
    let mut overrides = overrides::read(object, headers)?;
    if once {
        (overrides.num_retries, overrides.disable_fallbacks) = (Some(0), true);
    }
    Ok(overrides)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{super::read::read, *};

    fn info_of(body: &str) -> Result<RequestInfo, InvalidRequest> {
        read(&Operation::Responses.into(), &HeaderMap::new(), &Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn instructions_are_a_part_of_the_estimate_and_the_output_has_its_own_limit() {
        let text = "a".repeat(398);
        let body =
            format!(r#"{{"model":"m","input":"{text}","instructions":"{text}","max_output_tokens":7}}"#);
        let info = info_of(&body).expect("valid");
        assert_eq!((info.prompt_tokens, info.output_tokens, info.choices), (200, Some(7), None));
        let stream = info_of(r#"{"model":"m","input":"a","stream":true,"max_tokens":7}"#).expect("valid");
        assert_eq!((stream.stream, stream.output_tokens, stream.choices), (true, None, Some(1)));
    }

    #[test]
    fn input_may_be_missing_only_if_a_prompt_is_stored() {
        assert!(info_of(r#"{"model":"m","prompt":{"id":"p"}}"#).is_ok());
        assert!(info_of(r#"{"model":"m","instructions":"a"}"#).is_err());
    }

    #[test]
    fn a_request_whose_response_is_stored_forbids_repeats() {
        for (more, repeats) in [
            (r#""store":true"#, false),
            (r#""background":true,"num_retries":3"#, false),
            (r#""store":false,"num_retries":3"#, true),
            (r#""store":null"#, true),
        ] {
            let info = info_of(&format!(r#"{{"model":"m","input":"a",{more}}}"#)).expect("valid");
            let forbids = info.overrides.num_retries == Some(0) && info.overrides.disable_fallbacks;
            assert_eq!((forbids, info.once), (!repeats, !repeats), "{more}");
        }
    }
}
