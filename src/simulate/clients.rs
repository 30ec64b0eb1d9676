//! Clients of the simulated gateway, and the results that they receive: [`Clients`].

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde::Deserialize;
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until, timeout_at},
};
use tower::Service;

use super::{arrivals::Arrival, replicas::SimulatedReplica, report::ClientReport};
use crate::{Gateway, body::Body, front::handle_error::RETRY_AFTER_MS};

/// The clients: calls in flight, and the counts of completed calls.
#[derive(Debug)]
pub(super) struct Clients {
    start: Instant,
    in_flight: JoinSet<CompletedCall>,
    report: ClientReport,
}

/// A completed call.
#[derive(Debug)]
pub(super) struct CompletedCall {
    pub(super) body: Bytes,
    /// The position of the replica that was called.
    pub(super) replica: usize,
    /// The time of the request.
    pub(super) arrived: Instant,
    /// The time of the response.
    pub(super) ended: Instant,
    pub(super) result: ClientResult,
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientResult {
    /// A response, and the time for which the call waited in the gateway.
    Served(Duration),
    /// A 429, and its `Retry-After`.
    Refused(Option<Duration>),
    /// Any other error.
    Failed,
}

/// The part of a response that the simulation reads.
#[derive(Deserialize)]
struct CompletionId<'a> {
    id: &'a str,
}

impl Clients {
    pub(super) fn new(start: Instant) -> Self {
        Self { start, in_flight: JoinSet::new(), report: ClientReport::default() }
    }

    /// Starts a call of the replica at this position.
    pub(super) fn arrive(&mut self, arrival: Arrival, (position, replica): (usize, &SimulatedReplica)) {
        let target = (position, replica.gateway.clone(), replica.killed_at);
        self.in_flight.spawn(call(target, arrival.body.into(), self.start));
    }

    /// Waits for the next completed call. Returns none if no call is in flight.
    pub(super) async fn next_completed(&mut self) -> Option<CompletedCall> {
        // The gateway converts its own panics into responses; a panic in the simulation itself must not be hidden.
        match self.in_flight.join_next().await?.map_err(JoinError::try_into_panic) {
            Ok(call) => Some(call),
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Err(Err(_)) => None,
        }
    }

    /// Waits for the next completed call until `deadline`.
    pub(super) async fn next_completed_before(&mut self, deadline: Instant) -> Option<CompletedCall> {
        tokio::select! {
            biased;
            Some(call) = self.next_completed() => Some(call),
            () = sleep_until(deadline) => None,
        }
    }

    /// Counts a completed call.
    pub(super) fn count(&mut self, call: &CompletedCall) {
        let report = &mut self.report;
        report.requests += 1;
        match call.result {
            ClientResult::Served(wait) => {
                report.served += 1;
                report.waits.push(wait);
            }
            ClientResult::Refused(after) => {
                report.refused += 1;
                report.without_retry_after += u64::from(after.is_none());
            }
            ClientResult::Failed => report.failed += 1,
        }
    }

    pub(super) const fn report(&self) -> &ClientReport {
        &self.report
    }

    /// Repeats a call, at the same replica.
    pub(super) async fn repeat(&self, earlier: &CompletedCall, replica: &SimulatedReplica) -> ClientResult {
        let target = (earlier.replica, replica.gateway.clone(), replica.killed_at);
        call(target, earlier.body.clone(), self.start).await.result
    }

    pub(super) fn into_report(mut self) -> ClientReport {
        self.report.waits.sort_unstable();
        self.report
    }
}

/// Calls a replica, at this position. A call that is in flight when the replica is killed fails.
async fn call(
    (replica, gateway, killed_at): (usize, Gateway, Option<Instant>),
    body: Bytes,
    start: Instant,
) -> CompletedCall {
    let arrived = Instant::now();
    let response = respond(gateway, body.clone(), arrived - start);
    let result = match killed_at {
        Some(at) => timeout_at(at, response).await.unwrap_or(ClientResult::Failed),
        None => response.await,
    };
    CompletedCall { body, replica, arrived, ended: Instant::now(), result }
}

async fn respond(mut gateway: Gateway, body: Bytes, arrived: Duration) -> ClientResult {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static("/v1/chat/completions");
    let json = http::HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::CONTENT_TYPE, json);
    match gateway.call(request).await {
        Ok(response) => result(response, arrived).await,
        Err(impossible) => match impossible {},
    }
}

async fn result(response: Response<Body>, arrived: Duration) -> ClientResult {
    match response.status() {
        StatusCode::OK => {
            let Ok(body) = response.into_body().collect().await else { return ClientResult::Failed };
            let body = body.to_bytes();
            // The id is the time at which the call left for the upstream.
            let sent = serde_json::from_slice(&body)
                .ok()
                .and_then(|completion: CompletionId<'_>| completion.id.parse().ok());
            sent.map_or(ClientResult::Failed, |sent| {
                ClientResult::Served(Duration::from_nanos(sent).saturating_sub(arrived))
            })
        }
        StatusCode::TOO_MANY_REQUESTS => {
            let number = |name| response.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
            // The gateway sends both headers, and the more precise one is used; a forwarded refusal has only seconds.
            let seconds = number(header::RETRY_AFTER);
            let after = seconds.map(|seconds| number(RETRY_AFTER_MS).unwrap_or(seconds * 1_000));
            ClientResult::Refused(after.map(Duration::from_millis))
        }
        _ => ClientResult::Failed,
    }
}
