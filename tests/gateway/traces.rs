//! Traces: a collector that decodes OTLP receives a span for each request and attempt, and upstreams receive the trace.

use std::convert::Infallible;

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    resource::v1::Resource,
    trace::v1::{Span, span::SpanKind, status::StatusCode as SpanStatus},
};
use prost::Message;
use serde_json::json;
use tokio::{net::TcpListener, sync::mpsc};

use crate::support::{
    answers as say,
    client::request,
    gateway::{Gateway, Start, command, config},
    soon,
    upstream::Upstream,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A request of the exporter.
struct Export {
    path: String,
    headers: HeaderMap,
    bytes: Bytes,
    resource: Resource,
    spans: Vec<Span>,
}

/// A collector of OTLP over HTTP and gRPC, which responds with this status.
pub(crate) struct Collector {
    port: u16,
    exports: mpsc::UnboundedReceiver<Export>,
}

impl Collector {
    pub(crate) async fn start(status: StatusCode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, exports) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = service_fn(move |request| collect(request, status, sender.clone()));
                tokio::spawn(async move {
                    // It ends with its client.
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ended = server.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { port, exports }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn next(&mut self) -> Export {
        soon("an export", self.exports.recv()).await.unwrap()
    }

    /// Returns all that was sent when there are this many spans.
    pub(crate) async fn text(&mut self, count: usize) -> String {
        let (mut text, mut spans) = (String::new(), 0);
        while spans < count {
            let export = self.next().await;
            text.push_str(&String::from_utf8_lossy(&export.bytes));
            spans += export.spans.len();
        }
        text
    }

    /// Returns the spans when there are this many, in the order of their beginnings.
    async fn spans(&mut self, count: usize) -> Vec<Span> {
        let mut spans = Vec::new();
        while spans.len() < count {
            spans.extend(self.next().await.spans);
        }
        spans.sort_by_key(|span| (span.start_time_unix_nano, span.kind == SpanKind::Client as i32));
        assert_eq!(spans.len(), count);
        spans
    }
}

type CollectorBody =
    StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

async fn collect(
    request: Request<Incoming>,
    status: StatusCode,
    sender: mpsc::UnboundedSender<Export>,
) -> Result<Response<CollectorBody>, Infallible> {
    let (head, body) = request.into_parts();
    let mut bytes = body.collect().await.unwrap().to_bytes();
    let is_grpc = head.headers["content-type"] == "application/grpc";
    if is_grpc {
        assert_eq!((bytes.get_u8(), bytes.get_u32() as usize), (0, bytes.len()));
    }
    let message = ExportTraceServiceRequest::decode(bytes.clone()).unwrap();
    let [resource_spans] = <[_; 1]>::try_from(message.resource_spans).unwrap();
    let spans = resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans).collect();
    let (path, resource) = (head.uri.path().to_owned(), resource_spans.resource.unwrap());
    // The test may have ended.
    let _late = sender.send(Export { path, headers: head.headers, bytes, resource, spans });
    let trailers =
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from(0))]);
    let frames = if is_grpc { vec![Ok(Frame::trailers(trailers))] } else { Vec::new() };
    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
    *response.status_mut() = status;
    Ok(response)
}

fn attribute<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match attribute(attributes, key)? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A gateway before its start, in front of these upstreams.
fn gateway(upstreams: &[&Upstream]) -> Start {
    let entry = |upstream: &&Upstream| {
        format!(
            "  - model_name: m\n    litellm_params: {{model: openai/x, api_base: \"{}/v1\", api_key: sk-of-upstream, \
             output_cost_per_token: 0.5}}\n",
            upstream.url()
        )
    };
    let entries: String = upstreams.iter().map(entry).collect();
    Start::new(&format!("model_list:\n{entries}router_settings: {{num_retries: 2}}\n"))
}

/// Sends a chat with this header `traceparent`.
async fn chat(gateway: &Gateway, traceparent: &str) -> StatusCode {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "the words of a prompt"}]});
    let headers = [("traceparent", traceparent)];
    gateway.send(request(Method::POST, "/v1/chat/completions", body.to_string(), &headers)).await.status
}

#[tokio::test]
async fn a_trace_is_continued_by_a_span_for_the_request_and_one_for_each_attempt() {
    let mut collector = Collector::start(StatusCode::OK).await;
    let upstream = Upstream::with([say::unavailable(), say::chat("the words of a response")]).await;
    let start = gateway(&[&upstream]).env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    let start = start.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20c2VjcmV0, x-tenant=a");
    let gateway = start.env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test").go().await;
    assert_eq!(chat(&gateway, &format!("00-{TRACE}-00f067aa0ba902b7-01")).await, 200);
    let export = collector.next().await;
    assert_eq!(export.path, "/v1/traces");
    assert_eq!(
        (&export.headers["authorization"], &export.headers["x-tenant"]),
        (&"Basic c2VjcmV0".parse().unwrap(), &"a".parse().unwrap())
    );
    assert_eq!(text(&export.resource.attributes, "service.name"), Some("tollgate"));
    assert_eq!(text(&export.resource.attributes, "deployment.environment"), Some("test"));
    let sent = String::from_utf8_lossy(&export.bytes).into_owned();
    for secret in ["the words of", "sk-of-upstream", "c2VjcmV0"] {
        assert!(!sent.contains(secret), "{secret}");
    }
    let mut spans = export.spans;
    spans.sort_by_key(|span| span.start_time_unix_nano);
    let [request, first, second] = &*spans else { panic!("{spans:?}") };
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE && span.name == "chat m"));
    assert_eq!(
        (request.kind, hex(&request.parent_span_id)),
        (SpanKind::Server as i32, "00f067aa0ba902b7".to_owned())
    );
    assert_eq!(text(&request.attributes, "gen_ai.request.model"), Some("m"));
    assert_eq!(attribute(&request.attributes, "http.response.status_code"), Some(&Value::IntValue(200)));
    assert!(matches!(
        attribute(&request.attributes, "gen_ai.usage.output_tokens"),
        Some(Value::IntValue(1..))
    ));
    assert!(matches!(attribute(&request.attributes, "gen_ai.usage.cost"), Some(Value::DoubleValue(0.5..))));
    assert_eq!(text(&request.attributes, "error.type"), None);
    for (attempt, call) in [first, second].into_iter().zip(upstream.calls()) {
        assert_eq!((attempt.kind, &attempt.parent_span_id), (SpanKind::Client as i32, &request.span_id));
        let carried = format!("00-{TRACE}-{}-01", hex(&attempt.span_id));
        assert_eq!(call.header("traceparent"), Some(&*carried));
        assert!(request.start_time_unix_nano <= attempt.start_time_unix_nano);
        assert!(attempt.end_time_unix_nano <= request.end_time_unix_nano);
    }
    assert_eq!(first.status.as_ref().unwrap().code, SpanStatus::Error as i32);
    assert_eq!(attribute(&first.attributes, "http.response.status_code"), Some(&Value::IntValue(503)));
    assert!(
        text(&first.attributes, "error.type").is_some() && text(&second.attributes, "error.type").is_none()
    );
}

#[tokio::test]
async fn a_collector_receives_spans_by_grpc_and_the_last_ones_at_the_end_of_the_process() {
    let mut collector = Collector::start(StatusCode::OK).await;
    let upstream = Upstream::start().await;
    let start = gateway(&[&upstream]).env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    let mut gateway = start.env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc").go().await;
    assert_eq!(chat(&gateway, "not one").await, 200);
    gateway.signal("INT").await;
    assert_eq!(gateway.end().await.code(), Some(0));
    let export = collector.next().await;
    assert_eq!(export.path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
    let [request, attempt] = &*export.spans else { panic!("{:?}", export.spans) };
    assert!(request.parent_span_id.is_empty() && attempt.parent_span_id == request.span_id);
}

#[tokio::test]
async fn a_caller_decides_if_its_trace_is_exported_and_the_trace_goes_on() {
    let mut collector = Collector::start(StatusCode::OK).await;
    let upstream = Upstream::start().await;
    let gateway = gateway(&[&upstream]).env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()).go().await;
    assert_eq!(chat(&gateway, &format!("00-{TRACE}-00f067aa0ba902b7-00")).await, 200);
    assert!(upstream.only().header("traceparent").unwrap().starts_with(&format!("00-{TRACE}-")));
    assert!(upstream.only().header("traceparent").unwrap().ends_with("-00"));
    assert_eq!(chat(&gateway, "none").await, 200);
    let spans = collector.spans(2).await;
    assert!(spans.iter().all(|span| hex(&span.trace_id) != TRACE));
}

#[tokio::test]
async fn a_collector_that_refuses_costs_no_request_and_is_reported_without_its_headers() {
    let mut collector = Collector::start(StatusCode::FORBIDDEN).await;
    let upstream = Upstream::start().await;
    let start = gateway(&[&upstream]).env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    let gateway = start.env("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret-of-the-collector").go().await;
    assert_eq!(chat(&gateway, "none").await, 200);
    collector.next().await;
    let said = gateway.says(&["the spans of 1 requests are lost: the collector responded 403"]).await;
    assert!(!said.contains("secret-of-the-collector"), "{said}");
    let metrics = gateway.get("/metrics").await.text();
    assert!(metrics.contains("tollgate_traces_dropped_requests_total 1\n"), "{metrics}");
}

#[tokio::test]
async fn a_callback_of_litellm_sends_spans_to_its_service_with_its_credentials() {
    let (mut langfuse, mut phoenix) =
        (Collector::start(StatusCode::OK).await, Collector::start(StatusCode::OK).await);
    let yaml = format!(
        "model_list: [{{model_name: m, litellm_params: {{model: openai/x, mock_response: hello}}}}]\n\
         environment_variables: {{LANGFUSE_HOST: \"{}\", LANGFUSE_PUBLIC_KEY: pk-lf-canary, \
         LANGFUSE_SECRET_KEY: sk-lf-canary}}\n\
         litellm_settings: {{callbacks: [langfuse_otel, arize_phoenix], success_callback: [langfuse_otel, datadog]}}\n",
        langfuse.url()
    );
    let start = Start::new(&yaml).env("PHOENIX_COLLECTOR_ENDPOINT", phoenix.url());
    let gateway = start.env("PHOENIX_API_KEY", "phoenix-canary").env("RUST_LOG", "trace").go().await;
    assert_eq!(chat(&gateway, "none").await, 200);
    let export = langfuse.next().await;
    assert_eq!((&*export.path, export.spans.len()), ("/api/public/otel/v1/traces", 2));
    assert_eq!(export.headers["authorization"], "Basic cGstbGYtY2FuYXJ5OnNrLWxmLWNhbmFyeQ==");
    let export = phoenix.next().await;
    assert_eq!((&*export.path, export.spans.len()), ("/v1/traces", 2));
    assert_eq!(export.headers["authorization"], "Bearer phoenix-canary");
    assert_eq!(text(&export.resource.attributes, "openinference.project.name"), Some("default"));
    let said = gateway.says(&["`success_callback`: nothing is sent to these services: datadog\n"]).await;
    for secret in ["canary", "cGstbGYtY2Fu"] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
}

#[tokio::test]
async fn a_wrong_variable_of_opentelemetry_is_explained() {
    for (name, value, expected) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "`http/protobuf` or `grpc`"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "an http or https URL"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret", "`name=value` pairs"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "`always_on`"),
        ("OTEL_TRACES_SAMPLER_ARG", "2", "a number from 0 to 1"),
    ] {
        let file = config("model_list: []\n");
        let mut command = command();
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
            .env("OTEL_TRACES_SAMPLER", "traceidratio");
        command.env(name, value).args(["--config", file.to_str().unwrap(), "--port", "0"]);
        let output = soon("the end", command.output()).await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {stderr}");
        assert!(stderr.contains(name) && stderr.contains(expected) && !stderr.contains("secret"), "{stderr}");
    }
}
