//! The access log: a line for each request, [`AccessLog`].

use std::{fmt::Write, sync::Arc, time::Duration};

use super::{
    Millis,
    line::{Line, LogFormat, quote},
    writer::Queue,
};
use crate::{
    metrics::class_name,
    record::{Attempt, Record, RecordReader},
};

/// The usual length of a line, with some room.
const LINE: usize = 1024;

/// The reader of records that writes the access log.
#[derive(Debug)]
pub(crate) struct AccessLog {
    queue: Arc<Queue>,
    format: LogFormat,
    /// The share of the successes that are logged, 0.0 to 1.0.
    sample: f64,
}

impl AccessLog {
    /// Returns the log of this queue. It contains this share of the successes, and everything else.
    pub(crate) const fn new(queue: Arc<Queue>, format: LogFormat, sample: f64) -> Self {
        Self { queue, format, sample }
    }

    /// Returns true if the record is not one of the successes that are left out. A probe of the gateway's health is not
    /// a request of a client.
    fn takes(&self, record: &Record) -> bool {
        let is_probe = record.course.operation.is_none() && record.request.path.starts_with("/health/");
        !record.is_success() || !is_probe && (self.sample >= 1.0 || fastrand::f64() < self.sample)
    }
}

impl RecordReader for AccessLog {
    fn read(&self, record: &Arc<Record>) {
        if self.takes(record) {
            let mut line = String::with_capacity(LINE);
            write(record, self.format, &mut line);
            self.queue.push(&line);
        }
    }
}

/// Writes the line of a record.
fn write(record: &Record, format: LogFormat, out: &mut String) {
    let Record { request, course, response } = record;
    let mut line = Line::begin(out, format, request.time);
    line.headline("message", "request");
    line.number("status", response.status);
    line.text("class", class_name(response.class));
    line.text("method", request.method.as_str());
    line.text("path", &request.path);
    line.optional("operation", course.operation);
    line.optional("call_id", response.call_id.as_ref().and_then(|id| id.to_str().ok()));
    line.optional("request_id", request.request_id.as_ref().and_then(|id| id.to_str().ok()));
    line.optional("trace_id", request.trace.map(|trace| format!("{:032x}", trace.id)).as_deref());
    line.optional("client", request.client.map(|client| client.to_string()).as_deref());
    line.optional("key", course.key.as_deref());
    line.optional("model", course.model.as_deref());
    if let Some(origin) = &response.origin {
        line.optional("group", origin.group.to_str().ok());
        line.optional("deployment", origin.deployment.to_str().ok());
    }
    times(record, &mut line);
    tokens(record, &mut line);
    if let Some(cost) = course.cost {
        line.number("cost", cost);
    }
    line.number("bytes_in", course.bytes);
    line.number("bytes_out", response.bytes);
    if !course.attempts.is_empty() {
        attempts(record, &mut line);
    }
    line.end();
}

fn times(record: &Record, line: &mut Line<'_>) {
    line.number("total_ms", Millis(record.response.total));
    if record.course.operation.is_some() {
        line.number("queue_ms", Millis(record.queue()));
    }
    if let Some(first) = record.response.first_content {
        line.number("first_content_ms", Millis(first));
    }
}

fn tokens(record: &Record, line: &mut Line<'_>) {
    let tokens = record.tokens();
    let counts =
        [("tokens_in", tokens.input), ("tokens_cached", tokens.cached), ("tokens_out", tokens.output)];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        line.number(name, count);
    }
}

/// Writes the attempts: a list of objects in JSON, else `deployment:class:ms` with commas between, and the message of the
/// last failure.
fn attempts(record: &Record, line: &mut Line<'_>) {
    let (attempts, fallbacks) = (&record.course.attempts, record.course.fallbacks.join(","));
    line.optional("fallbacks", Some(&*fallbacks).filter(|groups| !groups.is_empty()));
    if line.format() == LogFormat::Json {
        return line.json("attempts", |out| list(attempts, out));
    }
    let short = attempts.iter().map(|attempt| {
        format!("{}:{}:{}", deployment(attempt), class_name(attempt.class), Millis(duration(attempt)))
    });
    line.text("attempts", &short.collect::<Vec<_>>().join(","));
    let messages = attempts.iter().rev().find_map(|attempt| attempt.message.as_deref());
    line.optional("error", messages);
}

/// Writes the attempts as a list of objects in JSON.
fn list(attempts: &[Attempt], out: &mut String) {
    for (index, attempt) in attempts.iter().enumerate() {
        out.push_str(if index == 0 { "[{\"deployment\":" } else { "},{\"deployment\":" });
        quote(deployment(attempt), out);
        let (class, millis) = (class_name(attempt.class), Millis(duration(attempt)));
        // Writing to a string does not fail.
        let _written = write!(out, ",\"class\":\"{class}\",\"ms\":{millis}");
        if let Some(status) = attempt.status {
            let _written = write!(out, ",\"status\":{status}");
        }
        if let Some(message) = &attempt.message {
            out.push_str(",\"message\":");
            quote(message, out);
        }
    }
    out.push_str("}]");
}

fn deployment(attempt: &Attempt) -> &str {
    attempt.origin.deployment.to_str().unwrap_or_default()
}

fn duration(attempt: &Attempt) -> Duration {
    attempt.ended.saturating_sub(attempt.begun)
}
