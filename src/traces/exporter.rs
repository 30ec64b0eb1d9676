//! The task that sends spans to a collector: [`Exporter`].

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, Error},
    rt::{TokioExecutor, TokioTimer},
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{InstrumentationScope, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans},
};
use prost::Message;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until, timeout},
};
use tollgate_layers::BoxError;

use super::spans::{attribute, spans};
use crate::{
    config::{Collector, OtlpProtocol},
    deployment::upstream::{Connector, connector},
    metrics::ConnectionMetrics,
    record::Record,
};

/// The largest number of requests in a batch, and the time for which a batch waits for more.
const BATCH: usize = 512;
const BATCH_TIME: Duration = Duration::from_secs(1);

/// The time limit of one transfer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The pauses before a batch is sent again. A batch that fails after the last one is dropped.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// The minimum interval between two warnings.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// The largest response of a collector that is read.
const MAX_RESPONSE: usize = 64 * 1024;

/// Sends the spans of records in batches.
pub(crate) struct Exporter {
    client: Client<Connector, Full<Bytes>>,
    collector: Collector,
    resource: Resource,
    dropped: Arc<AtomicU64>,
    warned: Option<Instant>,
}

impl Exporter {
    /// Returns an exporter to this collector. `resource` are the attributes of this process. Requests whose spans are lost
    /// are counted in `dropped`.
    ///
    /// # Errors
    ///
    /// If rustls refuses its own default protocol versions, which would be a bug of the build.
    pub(crate) fn new(
        collector: Collector,
        resource: &[(String, String)],
        dropped: Arc<AtomicU64>,
    ) -> Result<Self, BoxError> {
        let is_grpc = collector.protocol == OtlpProtocol::Grpc;
        let mut client = Client::builder(TokioExecutor::new());
        client.http2_only(is_grpc).pool_timer(TokioTimer::new());
        let own = collector.attributes.iter().map(|(key, value)| (*key, value));
        let all = resource.iter().map(|(key, value)| (&**key, value)).chain(own);
        let attributes = all.map(|(key, value)| attribute(key, Value::StringValue(value.clone()))).collect();
        Ok(Self {
            client: client.build(connector(is_grpc, ConnectionMetrics::default())?),
            collector,
            resource: Resource { attributes, ..Resource::default() },
            dropped,
            warned: None,
        })
    }

    /// Sends the records of the queue. After `end` it sends those that are in the queue, and returns.
    pub(crate) async fn run(
        mut self,
        mut records: mpsc::Receiver<Arc<Record>>,
        mut end: oneshot::Receiver<()>,
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let mut ends = None;
            while batch.len() < BATCH {
                tokio::select! {
                    record = records.recv() => match record {
                        Some(record) => {
                            batch.push(record);
                            ends.get_or_insert(Instant::now() + BATCH_TIME);
                        }
                        None => break,
                    },
                    () = sleep_until(ends.unwrap_or_else(Instant::now)), if ends.is_some() => break,
                    _ = &mut end, if !records.is_closed() => records.close(),
                }
            }
            if batch.is_empty() {
                return;
            }
            self.export(&batch).await;
            batch.clear();
        }
    }

    /// Sends a batch, several times if the collector cannot be reached or is overloaded.
    async fn export(&mut self, batch: &[Arc<Record>]) {
        let message = self.message(batch);
        let mut pauses = PAUSES.into_iter();
        loop {
            let failure = match timeout(TIMEOUT, self.send(message.clone())).await {
                Ok(Ok(())) => return,
                Ok(Err(failure)) => failure,
                Err(_) => ExportError::Unreachable(format!("no response within {} s", TIMEOUT.as_secs())),
            };
            let pause = pauses.next().filter(|_| failure.is_temporary());
            let Some(pause) = pause else { return self.drop_batch(batch.len(), &failure) };
            sleep(pause).await;
        }
    }

    /// Counts the requests of a batch that is lost, and reports the reason now and then.
    fn drop_batch(&mut self, requests: usize, failure: &ExportError) {
        self.dropped.fetch_add(requests as u64, Relaxed);
        if self.warned.is_none_or(|warned| warned.elapsed() >= WARNING_INTERVAL) {
            self.warned = Some(Instant::now());
            let collector = self.collector.name;
            tracing::warn!(collector, "the spans of {requests} requests are lost: {failure}");
        }
    }

    /// Returns the message of a batch, as the protocol frames it.
    fn message(&self, batch: &[Arc<Record>]) -> Bytes {
        let traced = batch.iter().filter_map(|record| Some((record, record.request.trace?)));
        let scope = InstrumentationScope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let scope_spans = ScopeSpans {
            scope: Some(scope),
            spans: traced.flat_map(|(record, trace)| spans(record, trace)).collect(),
            ..ScopeSpans::default()
        };
        let resource_spans = ResourceSpans {
            resource: Some(self.resource.clone()),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        };
        let message = ExportTraceServiceRequest { resource_spans: vec![resource_spans] };
        let length = message.encoded_len();
        let mut bytes = BytesMut::with_capacity(length + 5);
        if self.collector.protocol == OtlpProtocol::Grpc {
            // Not compressed; the length follows.
            bytes.put_u8(0);
            bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        }
        // The buffer grows, so it has room.
        let _encoded = message.encode(&mut bytes);
        bytes.freeze()
    }

    async fn send(&self, message: Bytes) -> Result<(), ExportError> {
        let mut request = Request::post(self.collector.url.clone());
        if let Some(headers) = request.headers_mut() {
            headers.extend(self.collector.headers.clone());
            let grpc = self.collector.protocol == OtlpProtocol::Grpc;
            let content_type = if grpc { "application/grpc" } else { "application/x-protobuf" };
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            if grpc {
                headers.insert(header::TE, HeaderValue::from_static("trailers"));
            }
        }
        let request = request.body(Full::new(message)).map_err(ExportError::unreachable)?;
        let response = self.client.request(request).await.map_err(|error| ExportError::failed(&error))?;
        self.accepted(response).await
    }

    /// Reads the response of a collector.
    async fn accepted(&self, response: Response<Incoming>) -> Result<(), ExportError> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_RESPONSE).collect().await;
        if head.status != StatusCode::OK {
            return Err(ExportError::Status(head.status));
        }
        if self.collector.protocol == OtlpProtocol::Http {
            return Ok(());
        }
        let body = body.map_err(ExportError::unreachable)?;
        let status = body.trailers().and_then(|trailers| trailers.get("grpc-status"));
        match status.or(head.headers.get("grpc-status")).map(HeaderValue::as_bytes) {
            Some(b"0") => Ok(()),
            status => Err(ExportError::Grpc(String::from_utf8_lossy(status.unwrap_or(b"none")).into_owned())),
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter").field("collector", &self.collector).finish_non_exhaustive()
    }
}

/// The reason why a batch was not accepted.
#[derive(Debug)]
enum ExportError {
    Unreachable(String),
    Status(StatusCode),
    Grpc(String),
}

impl ExportError {
    fn unreachable(error: impl fmt::Display) -> Self {
        Self::Unreachable(error.to_string())
    }

    fn failed(error: &Error) -> Self {
        let reason = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        Self::Unreachable(reason)
    }

    /// Returns true if the batch may be accepted later, by the specification of OTLP.
    fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Status(status) => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            // Cancelled, deadline exceeded, resource exhausted, aborted, out of range, unavailable, data loss.
            Self::Grpc(code) => matches!(&**code, "1" | "4" | "8" | "10" | "11" | "14" | "15"),
        }
    }
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(reason) => write!(f, "the collector cannot be reached: {reason}"),
            Self::Status(status) => write!(f, "the collector responded {status}"),
            Self::Grpc(code) => write!(f, "the collector responded with gRPC status {code}"),
        }
    }
}
