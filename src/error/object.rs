//! An error in the shape that clients of OpenAI know: [`Complaint`].

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::{
    classify::{self, Kind},
    error::{Break, Fault},
};

/// What the client is told went wrong.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Complaint {
    message: String,
    r#type: String,
    param: Option<String>,
    code: Option<String>,
}

#[derive(Serialize)]
struct Shape<'a> {
    error: &'a Complaint,
}

impl Complaint {
    /// One of our own.
    pub(crate) fn new(message: String, kind: &str, code: &str) -> Self {
        Self { message, r#type: kind.to_owned(), param: None, code: Some(code.to_owned()) }
    }

    /// Of a stream that broke off.
    pub(crate) fn of(broken: &Break) -> Self {
        match broken {
            Break::Fault(fault) => Self::of_fault(*fault),
            Break::Upstream(data, _) => Self::read(data),
        }
    }

    fn of_fault(fault: Fault) -> Self {
        let kind = if fault.kind() == Kind::Timeout { "timeout_error" } else { "server_error" };
        Self::new(fault.to_string(), kind, fault.code())
    }

    /// What an upstream's error object says, in whichever dialect.
    pub(crate) fn read(data: &[u8]) -> Self {
        Self::of_json(&serde_json::from_slice(data).unwrap_or_default())
    }

    fn of_json(json: &Value) -> Self {
        const PLACES: [&str; 3] = ["/error", "/choices/0/error", "/errors/0"];
        // Some wrap it in a list of one.
        let whole = json.get(0).unwrap_or(json);
        let error = PLACES.iter().find_map(|place| whole.pointer(place).filter(|error| error.is_object()));
        let error = error.unwrap_or(whole);
        let kind = text(error.get("type")).or_else(|| text(whole.get("error_type")));
        Self {
            message: classify::message_of(json).unwrap_or("the upstream reported an error").to_owned(),
            r#type: kind.unwrap_or_else(|| "server_error".to_owned()),
            param: text(error.get("param")),
            code: text(error.get("code")),
        }
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The JSON body of an answer.
    pub(crate) fn body(&self) -> Vec<u8> {
        // A struct of strings always serialises.
        serde_json::to_vec(&Shape { error: self }).unwrap_or_default()
    }

    /// One event of a stream.
    pub(crate) fn event(&self) -> Bytes {
        let mut event = b"data: ".to_vec();
        event.extend_from_slice(&self.body());
        event.extend_from_slice(b"\n\n");
        event.into()
    }
}

/// The upstream's error object as a body: as it is, where it has the shape already.
pub(crate) fn body_of(data: &[u8]) -> Bytes {
    let json: Value = serde_json::from_slice(data).unwrap_or_default();
    if json.get("error").is_some_and(Value::is_object) {
        return Bytes::copy_from_slice(data);
    }
    Complaint::of_json(&json).body().into()
}

/// Codes come as numbers and as words.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(data: &str) -> String {
        String::from_utf8(Complaint::read(data.as_bytes()).body()).expect("utf-8")
    }

    #[test]
    fn every_dialect_of_error_becomes_one_shape() {
        let cases = [
            (
                r#"{"error":{"message":"busy","type":"overloaded_error","code":529}}"#,
                r#"{"error":{"message":"busy","type":"overloaded_error","param":null,"code":"529"}}"#,
            ),
            (
                r#"{"object":"error","message":"old","type":"BadRequestError","code":40001}"#,
                r#"{"error":{"message":"old","type":"BadRequestError","param":null,"code":"40001"}}"#,
            ),
            (
                r#"{"error":"oom","error_type":"generation"}"#,
                r#"{"error":{"message":"oom","type":"generation","param":null,"code":null}}"#,
            ),
            (
                r#"{"choices":[{"error":{"code":429,"message":"limited"},"message":{"content":""}}]}"#,
                r#"{"error":{"message":"limited","type":"server_error","param":null,"code":"429"}}"#,
            ),
            (
                r#"{"success":false,"errors":[{"code":7003,"message":"no route"}]}"#,
                r#"{"error":{"message":"no route","type":"server_error","param":null,"code":"7003"}}"#,
            ),
            (
                r#"[{"error":{"code":503,"message":"busy"}}]"#,
                r#"{"error":{"message":"busy","type":"server_error","param":null,"code":"503"}}"#,
            ),
            (
                r#"{"detail":[{"msg":"field required"}]}"#,
                r#"{"error":{"message":"field required","type":"server_error","param":null,"code":null}}"#,
            ),
        ];
        for (upstream, ours) in cases {
            assert_eq!(told(upstream), ours);
        }
    }

    #[test]
    fn one_that_has_the_shape_is_passed_on_as_it_is() {
        let data = br#"{ "error": {"message": "x", "extra": 1} }"#;
        assert_eq!(&body_of(data)[..], data);
        for other in [r#"{"object":"error","message":"x"}"#, r#"[{"error":{"message":"x"}}]"#] {
            assert!(body_of(other.as_bytes()).starts_with(br#"{"error":{"message":"x""#), "{other}");
        }
    }
}
