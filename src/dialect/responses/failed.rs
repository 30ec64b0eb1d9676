//! The event at the end of a stream that broke: [`failed`].

use serde::{Deserialize, Serialize};

use super::{
    Echo,
    events::Event,
    object::{Failure, Object, Status},
};
use crate::dialect::{json::Text, write};

/// The beginning of a response, as its first event has it.
#[derive(Debug)]
pub(crate) struct Opened {
    id: String,
    model: String,
    created_at: u64,
}

impl Opened {
    /// Reads the data of an event. Returns `None` if it does not open a response.
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Created<'a> {
            #[serde(borrow)]
            response: Response<'a>,
        }
        #[derive(Deserialize)]
        struct Response<'a> {
            #[serde(borrow)]
            id: Text<'a>,
            #[serde(borrow)]
            model: Text<'a>,
            created_at: f64,
        }
        let Created { response: Response { id, model, created_at } } = serde_json::from_slice(data).ok()?;
        Some(Self { id: id.to_string(), model: model.to_string(), created_at: created_at as u64 })
    }
}

/// Returns the event at the end of a stream of this many events that broke: a failed response, or an error if none was
/// opened.
pub(crate) fn failed(
    opened: Option<&Opened>,
    sequence_number: u64,
    (code, message): (Option<&str>, &str),
) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(Opened { id, model, created_at }) = opened else {
        let error = Error { r#type: "error", sequence_number, code, message, param: None };
        write::event(error.r#type, &error, &mut out);
        return out;
    };
    let echo = &Echo::default();
    let error = Some(Failure { code: failure_code(code), message });
    let (created, status) = (*created_at, Status::Failed);
    let response =
        Some(&Object { id, model, created, status, finish: None, error, output: &[], usage: None, echo });
    Event { r#type: "response.failed", sequence_number, response, ..Event::default() }.write(&mut out);
    out
}

/// Returns the code of a failed response: clients know a few.
fn failure_code(code: Option<&str>) -> &'static str {
    match code {
        Some("rate_limit_exceeded") => "rate_limit_exceeded",
        _ => "server_error",
    }
}

/// An error outside of a response.
#[derive(Serialize)]
struct Error<'a> {
    r#type: &'static str,
    sequence_number: u64,
    code: Option<&'a str>,
    message: &'a str,
    param: Option<()>,
}
