//! The spans of a record: [`spans`].

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::{Span, Status, span::SpanKind, status::StatusCode},
};
use tollgate_layers::Class;

use crate::{
    metrics::{Tokens, class_name},
    record::{Attempt, Record, Trace},
};

/// Returns an attribute.
pub(super) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// The attributes of a span.
#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn text(&mut self, key: &str, value: impl Into<String>) {
        self.0.push(attribute(key, Value::StringValue(value.into())));
    }

    fn header(&mut self, key: &str, value: Option<&HeaderValue>) {
        if let Some(text) = value.and_then(|value| value.to_str().ok()) {
            self.text(key, text);
        }
    }

    fn number(&mut self, key: &str, value: impl TryInto<i64>) {
        self.0.push(attribute(key, Value::IntValue(value.try_into().unwrap_or(i64::MAX))));
    }

    fn tokens(&mut self, tokens: Tokens) {
        self.number("gen_ai.usage.input_tokens", tokens.input);
        self.number("gen_ai.usage.output_tokens", tokens.output);
        if tokens.cached > 0 {
            self.number("gen_ai.usage.cache_read.input_tokens", tokens.cached);
        }
    }

    /// Adds the class of a failure. Returns the status of the span.
    fn status(&mut self, class: Option<Class>, message: Option<&String>) -> Status {
        if class == Some(Class::Success) {
            return Status::default();
        }
        self.text("error.type", class_name(class));
        let message = message.cloned().unwrap_or_default();
        // A client that has left is no error.
        let code = if class.is_some() { StatusCode::Error } else { StatusCode::Unset };
        Status { code: code.into(), message }
    }
}

/// Returns the spans of the request and of its attempts.
pub(super) fn spans(record: &Record, trace: Trace) -> impl Iterator<Item = Span> {
    let attempts = record.course.attempts.iter().enumerate();
    std::iter::once(request_span(record, trace))
        .chain(attempts.map(move |(index, attempt)| attempt_span(record, (index, attempt), trace)))
}

fn request_span(record: &Record, trace: Trace) -> Span {
    let Record { request, course, response } = record;
    let mut attributes = common(record);
    attributes.text("http.request.method", request.method.as_str());
    attributes.text("url.path", &*request.path);
    attributes.number("http.response.status_code", response.status);
    if let Some(client) = request.client {
        attributes.text("client.address", client.to_string());
    }
    if let Some(key) = &course.key {
        attributes.text("tollgate.key.name", &**key);
    }
    if let Some(origin) = &response.origin {
        attributes.header("tollgate.group", Some(&origin.group));
        attributes.header("tollgate.deployment", Some(&origin.deployment));
    }
    attributes.header("tollgate.call_id", response.call_id.as_ref());
    attributes.number("tollgate.attempts", course.attempts.len());
    attributes.number("tollgate.fallbacks", course.fallbacks.len());
    attributes.number("tollgate.queue_ms", record.queue().as_millis());
    if let Some(first) = response.first_content {
        attributes.0.push(attribute("tollgate.first_content_s", Value::DoubleValue(first.as_secs_f64())));
    }
    attributes.tokens(record.tokens());
    if let Some(cost) = course.cost {
        attributes.0.push(attribute("gen_ai.usage.cost", Value::DoubleValue(cost)));
    }
    let status = attributes.status(response.class, None);
    Span {
        span_id: trace.span.to_be_bytes().to_vec(),
        parent_span_id: if trace.parent == 0 { Vec::new() } else { trace.parent.to_be_bytes().to_vec() },
        kind: SpanKind::Server.into(),
        status: Some(status),
        attributes: attributes.0,
        ..span(record, trace, (Duration::ZERO, response.total))
    }
}

fn attempt_span(record: &Record, (index, attempt): (usize, &Attempt), trace: Trace) -> Span {
    let mut attributes = common(record);
    attributes.header("tollgate.group", Some(&attempt.origin.group));
    attributes.header("tollgate.deployment", Some(&attempt.origin.deployment));
    if let Some(status) = attempt.status {
        attributes.number("http.response.status_code", status);
    }
    attributes.tokens(attempt.tokens);
    let status = attributes.status(attempt.class, attempt.message.as_ref());
    Span {
        span_id: trace.attempt(index).to_be_bytes().to_vec(),
        parent_span_id: trace.span.to_be_bytes().to_vec(),
        kind: SpanKind::Client.into(),
        status: Some(status),
        attributes: attributes.0,
        ..span(record, trace, (attempt.begun, attempt.ended))
    }
}

/// Returns the attributes of both kinds of spans.
fn common(record: &Record) -> Attributes {
    let mut attributes = Attributes::default();
    attributes.text("gen_ai.operation.name", operation(record));
    if let Some(model) = &record.course.model {
        attributes.text("gen_ai.request.model", &**model);
    }
    attributes
}

/// Returns the name of the operation by OpenTelemetry's conventions.
fn operation(record: &Record) -> &'static str {
    match record.course.operation {
        Some("completions") => "text_completion",
        Some(operation) => operation,
        None => "unknown",
    }
}

/// Returns a span between two times, counted from the arrival of the request.
fn span(record: &Record, trace: Trace, (begun, ended): (Duration, Duration)) -> Span {
    let model = record.course.model.as_deref().unwrap_or_default();
    Span {
        trace_id: trace.id.to_be_bytes().to_vec(),
        name: format!("{} {model}", operation(record)),
        start_time_unix_nano: nanos(record.request.time + begun),
        end_time_unix_nano: nanos(record.request.time + ended),
        ..Span::default()
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
