//! Those who call the gateway, and what they see: [`Callers`].

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde::Deserialize;
use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tower::Service;

use super::{arrivals::Arrival, report::Clients};
use crate::{Gateway, body::Body, front::respond::RETRY_AFTER_MS};

/// All who call, and those who have been answered.
#[derive(Debug)]
pub(super) struct Callers {
    gateway: Gateway,
    began: Instant,
    under_way: JoinSet<Call>,
    seen: Clients,
}

/// One who called.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) body: Bytes,
    /// When it came, and when it was answered.
    pub(super) came: Instant,
    pub(super) ended: Instant,
    pub(super) outcome: Outcome,
}

/// What one sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An answer, after so long a wait in the gateway.
    Served(Duration),
    /// A refusal, and after how long to come back.
    Refused(Option<Duration>),
    /// Anything else.
    Failed,
}

/// As much of an answer as the simulation reads.
#[derive(Deserialize)]
struct Answer<'a> {
    id: &'a str,
}

impl Callers {
    pub(super) fn new(gateway: Gateway, began: Instant) -> Self {
        Self { gateway, began, under_way: JoinSet::new(), seen: Clients::default() }
    }

    /// One more calls.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        self.under_way.spawn(call(self.gateway.clone(), arrival.body.into(), self.began));
    }

    /// The next one who is answered. None while nobody calls.
    pub(super) async fn answered(&mut self) -> Option<Call> {
        // The gateway answers its own panics; one of the caller's is not to be hidden.
        match self.under_way.join_next().await?.map_err(JoinError::try_into_panic) {
            Ok(call) => Some(call),
            Err(Ok(panic)) => std::panic::resume_unwind(panic),
            Err(Err(_)) => None,
        }
    }

    /// The next one who is answered before `at`, which is waited for otherwise.
    pub(super) async fn answered_before(&mut self, at: Instant) -> Option<Call> {
        tokio::select! {
            biased;
            Some(call) = self.answered() => Some(call),
            () = sleep_until(at) => None,
        }
    }

    /// Counts it.
    pub(super) fn count(&mut self, call: &Call) {
        let seen = &mut self.seen;
        seen.asked += 1;
        match call.outcome {
            Outcome::Served(wait) => {
                seen.served += 1;
                seen.waits.push(wait);
            }
            Outcome::Refused(after) => {
                seen.refused += 1;
                seen.untold += u64::from(after.is_none());
            }
            Outcome::Failed => seen.failed += 1,
        }
    }

    pub(super) const fn seen(&self) -> &Clients {
        &self.seen
    }

    /// One who comes once more, and alone.
    pub(super) async fn again(&self, call_again: &Call) -> Outcome {
        call(self.gateway.clone(), call_again.body.clone(), self.began).await.outcome
    }

    pub(super) fn into_seen(mut self) -> Clients {
        self.seen.waits.sort_unstable();
        self.seen
    }
}

async fn call(mut gateway: Gateway, body: Bytes, began: Instant) -> Call {
    let came = Instant::now();
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = http::Uri::from_static("/v1/chat/completions");
    let json = http::HeaderValue::from_static("application/json");
    request.headers_mut().insert(header::CONTENT_TYPE, json);
    let outcome = match gateway.call(request).await {
        Ok(response) => outcome(response, came - began).await,
        Err(impossible) => match impossible {},
    };
    Call { body, came, ended: Instant::now(), outcome }
}

async fn outcome(response: Response<Body>, came: Duration) -> Outcome {
    match response.status() {
        StatusCode::OK => {
            let Ok(body) = response.into_body().collect().await else { return Outcome::Failed };
            let body = body.to_bytes();
            // Its id is when the call left for the upstream.
            let left =
                serde_json::from_slice(&body).ok().and_then(|answer: Answer<'_>| answer.id.parse().ok());
            left.map_or(Outcome::Failed, |left| {
                Outcome::Served(Duration::from_nanos(left).saturating_sub(came))
            })
        }
        StatusCode::TOO_MANY_REQUESTS => {
            let number = |name| response.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
            // Ours says both, and the more exact one is tried; an upstream's that is passed on says seconds.
            let seconds = number(header::RETRY_AFTER);
            let after = seconds.map(|seconds| number(RETRY_AFTER_MS).unwrap_or(seconds * 1_000));
            Outcome::Refused(after.map(Duration::from_millis))
        }
        _ => Outcome::Failed,
    }
}
