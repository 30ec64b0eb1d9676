//! The export of traces, as OpenTelemetry's variables and the callbacks of the configuration ask for it: [`start`].

use std::{process::ExitCode, sync::Arc, time::Duration};

use futures_util::future::join_all;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use tokio::{sync::oneshot, task::JoinHandle, time::timeout};

use super::{
    environment::{USAGE, variable},
    failed,
};
use crate::{
    config::{Collector, OtlpProtocol, collector},
    record::Sampler,
    state::State,
    traces::{Exporter, Traces},
};

/// The time for which the end of the process waits for the last spans.
const FLUSH: Duration = Duration::from_secs(5);

/// The tasks that export traces, one for each collector.
#[derive(Default)]
pub(super) struct Exporting(Vec<(JoinHandle<()>, oneshot::Sender<()>)>);

impl Exporting {
    /// Sends the spans of the requests that have ended, and ends the tasks.
    pub(super) async fn finish(self) {
        let (tasks, ends): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        // A task that has ended takes no signal.
        ends.into_iter().for_each(|end| _ = end.send(()));
        // What cannot be sent in this time is lost.
        let _elapsed = timeout(FLUSH, join_all(tasks)).await;
    }
}

/// Returns the state with the traces that the environment and the `configured` callbacks ask for, and their exporters.
///
/// # Errors
///
/// Returns the exit code after printing the error.
pub(super) fn start(mut state: State, configured: &[Collector]) -> Result<(State, Exporting), ExitCode> {
    let mut exporting = Exporting::default();
    let collectors = collectors(configured)?;
    if collectors.is_empty() {
        return Ok((state, exporting));
    }
    let (sampler, resource) = (sampler()?, resource());
    for collector in collectors {
        let dropped = state.metrics.dropped_traces();
        let exporter = Exporter::new(collector, &resource, Arc::clone(&dropped));
        let exporter = exporter.map_err(failed("cannot set up TLS"))?;
        let (traces, records) = Traces::new(dropped);
        let (end, ended) = oneshot::channel();
        exporting.0.push((tokio::spawn(exporter.run(records, ended)), end));
        state = state.with_reader(Arc::new(traces));
    }
    Ok((state.with_traces(sampler), exporting))
}

/// Returns all collectors. That of the environment replaces the one of the callback `otel`, which reads the same
/// variables.
fn collectors(configured: &[Collector]) -> Result<Vec<Collector>, ExitCode> {
    let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value != "otlp");
    if is_off {
        return Ok(Vec::new());
    }
    let own = own_collector()?;
    let others = configured.iter().filter(|collector| own.is_none() || collector.name != "otel").cloned();
    Ok(others.chain(own.clone()).collect())
}

/// Returns the collector of the environment, or none if it names none.
fn own_collector() -> Result<Option<Collector>, ExitCode> {
    let name = "OTEL_EXPORTER_OTLP_PROTOCOL";
    let protocol = variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| variable(name));
    let protocol = match protocol.as_deref() {
        None | Some("http/protobuf") => OtlpProtocol::Http,
        Some("grpc") => OtlpProtocol::Grpc,
        Some(other) => return Err(wrong(name, other, "`http/protobuf` or `grpc`")),
    };
    let (name, collector) = if let Some(url) = variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        let name = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        // The path of gRPC is that of its method; for HTTP this URL has the path already.
        let new = if protocol == OtlpProtocol::Grpc { Collector::new } else { Collector::at };
        (name, new(name, protocol, &url))
    } else if let Some(url) = variable("OTEL_EXPORTER_OTLP_ENDPOINT") {
        let name = "OTEL_EXPORTER_OTLP_ENDPOINT";
        (name, Collector::new(name, protocol, &url))
    } else {
        return Ok(None);
    };
    // A URL may contain a password, so it is not repeated.
    let collector = collector.ok_or_else(|| wrong(name, "***", "an http or https URL"))?;
    Ok(Some(Collector { headers: headers()?, ..collector }))
}

/// Returns the headers of each request to the collector of the environment.
fn headers() -> Result<HeaderMap, ExitCode> {
    let name = "OTEL_EXPORTER_OTLP_HEADERS";
    let list = variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS").or_else(|| variable(name)).unwrap_or_default();
    // The values are secrets.
    collector::headers(&list).ok_or_else(|| wrong(name, "***", "`name=value` pairs with commas between them"))
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
