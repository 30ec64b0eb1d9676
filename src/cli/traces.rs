//! The export of traces, as the environment asks for it by OpenTelemetry's variables: [`start`].

use std::{process::ExitCode, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use super::{
    environment::{USAGE, variable},
    failed,
};
use crate::{
    record::Sampler,
    state::State,
    traces::{Exporter, Protocol, Traces},
};

/// The time for which the end of the process waits for the last spans.
const FLUSH: Duration = Duration::from_secs(5);

/// The task that exports traces.
pub(super) struct Exporting {
    task: JoinHandle<()>,
    end: oneshot::Sender<()>,
}

impl Exporting {
    /// Sends the spans of the requests that have ended, and ends the task.
    pub(super) async fn finish(self) {
        // What cannot be sent in this time is lost.
        let _ended = (self.end.send(()), timeout(FLUSH, self.task).await);
    }
}

/// Returns the state with the traces that the environment asks for, and their exporter.
///
/// # Errors
///
/// Returns the exit code after printing the error.
pub(super) fn start(state: State) -> Result<(State, Option<Exporting>), ExitCode> {
    let Some(target) = target()? else { return Ok((state, None)) };
    let (headers, sampler) = (headers()?, sampler()?);
    let dropped = state.metrics.dropped_traces();
    let exporter = Exporter::new(target, headers, &resource(), Arc::clone(&dropped));
    let exporter = exporter.map_err(failed("cannot set up TLS"))?;
    let (traces, records) = Traces::new(dropped);
    let (end, ended) = oneshot::channel();
    let task = tokio::spawn(exporter.run(records, ended));
    Ok((state.with_reader(Arc::new(traces)).with_traces(sampler), Some(Exporting { task, end })))
}

/// Returns the URL of the collector and its protocol, or none if traces are not exported.
fn target() -> Result<Option<(Uri, Protocol)>, ExitCode> {
    let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value != "otlp");
    let given = |name: &str| variable(name).filter(|_| !is_off);
    let name = "OTEL_EXPORTER_OTLP_PROTOCOL";
    let protocol = variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| variable(name));
    let protocol = match protocol.as_deref() {
        None | Some("http/protobuf") => Protocol::Http,
        Some("grpc") => Protocol::Grpc,
        Some(other) => return Err(wrong(name, other, "`http/protobuf` or `grpc`")),
    };
    let (name, url) = if let Some(url) = given("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url)
    } else if let Some(url) = given("OTEL_EXPORTER_OTLP_ENDPOINT") {
        let path = if protocol == Protocol::Http { "/v1/traces" } else { "" };
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{}{path}", url.trim_end_matches('/')))
    } else {
        return Ok(None);
    };
    let url = match protocol {
        Protocol::Http => url,
        Protocol::Grpc => {
            format!(
                "{}/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                url.trim_end_matches('/')
            )
        }
    };
    let uri: Option<Uri> = url.parse().ok();
    let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    // A URL may contain a password, so it is not repeated.
    let uri = uri.ok_or_else(|| wrong(name, "***", "an http or https URL"))?;
    Ok(Some((uri, protocol)))
}

/// Returns the headers of each request to the collector: pairs `name=value` with commas between them, percent-encoded.
fn headers() -> Result<HeaderMap, ExitCode> {
    let name = "OTEL_EXPORTER_OTLP_HEADERS";
    let text = variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS").or_else(|| variable(name)).unwrap_or_default();
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let header = pair.split_once('=').and_then(|(name, value)| {
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            let mut value = HeaderValue::from_str(&value).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name.trim()).ok()?, value))
        });
        // The values are secrets.
        let (key, value) =
            header.ok_or_else(|| wrong(name, "***", "`name=value` pairs with commas between them"))?;
        headers.insert(key, value);
    }
    Ok(headers)
}

/// Returns the choice of traces.
fn sampler() -> Result<Sampler, ExitCode> {
    let share = || -> Result<f64, ExitCode> {
        let Some(text) = variable("OTEL_TRACES_SAMPLER_ARG") else { return Ok(1.0) };
        let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.ok_or_else(|| wrong("OTEL_TRACES_SAMPLER_ARG", &text, "a number from 0 to 1"))
    };
    let name = variable("OTEL_TRACES_SAMPLER").unwrap_or_else(|| "parentbased_always_on".to_owned());
    let (follows_parent, kind) = match name.strip_prefix("parentbased_") {
        Some(kind) => (true, kind),
        None => (false, &*name),
    };
    let share = match kind {
        "always_on" => 1.0,
        "always_off" => 0.0,
        "traceidratio" => share()?,
        _ => {
            let known = "`always_on`, `always_off` or `traceidratio`, also with `parentbased_` before it";
            return Err(wrong("OTEL_TRACES_SAMPLER", &name, known));
        }
    };
    Ok(Sampler { share, follows_parent })
}

/// Returns the attributes of this process.
fn resource() -> Vec<(String, String)> {
    let text = variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    let decoded = |text: &str| percent_decode_str(text.trim()).decode_utf8_lossy().into_owned();
    let mut attributes: Vec<_> = pairs.map(|(key, value)| (decoded(key), decoded(value))).collect();
    if let Some(name) = variable("OTEL_SERVICE_NAME") {
        attributes.retain(|(key, _)| key != "service.name");
        attributes.push(("service.name".to_owned(), name));
    }
    for (key, value) in [("service.name", "tollgate"), ("service.version", env!("CARGO_PKG_VERSION"))] {
        if !attributes.iter().any(|(known, _)| known == key) {
            attributes.push((key.to_owned(), value.to_owned()));
        }
    }
    attributes
}

fn wrong(name: &str, value: &str, expected: &str) -> ExitCode {
    eprintln!("error: the environment variable {name} is `{value}`, but should be {expected}");
    USAGE.into()
}
