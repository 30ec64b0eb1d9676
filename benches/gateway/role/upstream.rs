//! The scripted upstream: reads the whole prompt, then answers as the path says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tollgate_test_support::tls::{Identity, identity};

use super::script::{Events, Script};
use crate::{
    Result,
    scenario::{self, Scenario},
};

/// The state that all connections share.
struct Shared {
    answers: [Bytes; Scenario::ALL.len()],
    chunks: [Arc<[Bytes]>; Scenario::ALL.len()],
    events: Arc<[Bytes]>,
    counts: [Count; Scenario::ALL.len()],
}

/// The requests of one scenario.
#[derive(Default)]
struct Count {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            answers: Scenario::ALL.map(Scenario::answer),
            chunks: Scenario::ALL.map(chunks),
            events: scenario::events().into(),
            counts: Default::default(),
        })
    }
}

/// Serves over TLS with this ALPN protocol, for ever. Writes its certificate to a file first.
pub(crate) async fn serve_tls(certificate: &str, protocol: &str) -> Result<()> {
    let Identity { acceptor, pem, .. } = identity(&[protocol])?;
    std::fs::write(certificate, pem)?;
    let shared = Shared::new();
    let listener = super::listen().await?;
    loop {
        if let Some(stream) = super::accept(&listener).await {
            let (acceptor, shared) = (acceptor.clone(), shared.clone());
            let answer = service_fn(move |request| answer(shared.clone(), request));
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let server = auto::Builder::new(TokioExecutor::new());
                // A connection that breaks shows as a failed answer on the side that counts.
                let _ended = server.serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    }
}

/// Serves, for ever. `GET /counts` tells what was asked so far.
pub(crate) async fn serve() -> Result<()> {
    let shared = Shared::new();
    let listener = super::listen().await?;
    loop {
        if let Some(stream) = super::accept(&listener).await {
            let shared = shared.clone();
            let answer = service_fn(move |request| answer(shared.clone(), request));
            tokio::spawn(super::connection(stream, answer));
        }
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Script>> {
    let segment = request.uri().path().split('/').nth(1).unwrap_or_default();
    let Some(n) = Scenario::ALL.iter().position(|scenario| scenario.name() == segment) else {
        return plain(StatusCode::OK, counts(&shared));
    };
    let (scenario, count) = (Scenario::ALL[n], &shared.counts[n]);
    let mut body = request.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, Bytes::len) as u64;
    }
    count.requests.fetch_add(1, Ordering::Relaxed);
    count.bytes.fetch_add(bytes, Ordering::Relaxed);
    match scenario {
        Scenario::Fail => plain(StatusCode::INTERNAL_SERVER_ERROR, shared.answers[n].clone()),
        Scenario::Burst => stream(&shared, None, false),
        Scenario::Paced => stream(&shared, Some(Duration::from_millis(20)), false),
        Scenario::Idle => stream(&shared, Some(Duration::from_secs(10)), true),
        _ if shared.chunks[n].is_empty() => plain(StatusCode::OK, shared.answers[n].clone()),
        _ => chunked(shared.chunks[n].clone()),
    }
}

/// Returns the chunks of a response that is sent in chunks.
fn chunks(scenario: Scenario) -> Arc<[Bytes]> {
    let Some(length) = scenario.chunk() else { return Arc::default() };
    let answer = scenario.answer();
    (0..answer.len()).step_by(length).map(|at| answer.slice(at..(at + length).min(answer.len()))).collect()
}

fn chunked(chunks: Arc<[Bytes]>) -> Result<Response<Script>> {
    let events = Events { events: chunks, next: 0, pace: None, endless: false };
    let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
    Ok(response.body(Script::Events(events))?)
}

fn plain(status: StatusCode, body: Bytes) -> Result<Response<Script>> {
    let response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    Ok(response.body(Script::Whole(Some(body)))?)
}

fn stream(shared: &Shared, every: Option<Duration>, endless: bool) -> Result<Response<Script>> {
    let events =
        Events { events: shared.events.clone(), next: 0, pace: every.map(tokio::time::interval), endless };
    let response = Response::builder().header(header::CONTENT_TYPE, "text/event-stream; charset=utf-8");
    Ok(response.header(header::CACHE_CONTROL, "no-cache").body(Script::Events(events))?)
}

/// `{"chat":[requests, bytes], ...}`
fn counts(shared: &Shared) -> Bytes {
    let counts: serde_json::Map<_, _> = Scenario::ALL
        .into_iter()
        .zip(&shared.counts)
        .map(|(scenario, count)| {
            let pair = [count.requests.load(Ordering::Relaxed), count.bytes.load(Ordering::Relaxed)];
            (scenario.name().to_owned(), pair.to_vec().into())
        })
        .collect();
    Bytes::from(serde_json::Value::Object(counts).to_string())
}
