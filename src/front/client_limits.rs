//! The service that keeps clients within the rights and limits of their keys: [`ClientLimits`].
//!
//! The service stands between the request's body and the tree, outside of all fallbacks: a request counts once, however many
//! attempts it takes. The limits are those of a [`QuotaLayer`] that refuses, over the meters of the client. A stack without
//! client keys does not contain it, and a request with the master key passes.

use std::{
    future::ready,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use tollgate_layers::{
    Endpoint, TrackOutcome,
    endpoint::{NoCapacity, NoCapacityReason},
    quota::{MeterSnapshot, QuotaGuard, QuotaLayer},
};
use tower::{Layer, Service, service_fn};

use crate::{
    Error,
    body::{BodyOutcome, BoxResponseFuture, ClientCharge, Response},
    deployment::settings::cost,
    error::{KeyLimit, KeyLimitKind},
    group::ArcService,
    request::{BeginCall, Client, EndCall, Request},
    spend::Spending,
};

/// Refuses the requests of a client that may not call the model or has reached a limit. See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct ClientLimits {
    tree: ArcService,
}

impl ClientLimits {
    /// Returns `tree` below the limits of the `clients`, or `tree` itself if there are none.
    pub(crate) fn around(tree: ArcService, clients: &[Arc<Client>]) -> ArcService {
        if clients.is_empty() {
            return tree;
        }
        let limits = Self { tree };
        ArcService::layer().layer(service_fn(move |request| limits.call(request)))
    }

    fn call(&self, request: Request) -> BoxResponseFuture {
        let Some(client) = request.context.client.clone() else { return self.tree.call(request) };
        let metrics = client.metrics.begin(&request);
        let response = self.limited(&client, request).unwrap_or_else(|refused| {
            tracing::info!(key = %client.name, "request refused: {refused}");
            Box::pin(ready(Err(refused)))
        });
        Box::pin(response.map(|result| metrics.end(result)))
    }

    /// Returns the response to a request of `client`.
    ///
    /// # Errors
    ///
    /// [`Error::ModelDenied`] or [`Error::KeyLimit`] if the request is refused.
    fn limited(&self, client: &Arc<Client>, request: Request) -> Result<BoxResponseFuture, Error> {
        if let Some(model) = client.first_denied(&request) {
            return Err(Error::ModelDenied(Arc::clone(model)));
        }
        if let Some(Err(spent)) = client.budget.as_ref().map(|budget| budget.check(SystemTime::now())) {
            let kind = KeyLimitKind::Budget(spent.max);
            return Err(Error::KeyLimit(KeyLimit { kind, retry_after: spent.renewed_after }));
        }
        let spending = request.context.spending.clone().unwrap_or_default();
        let tracking = ClientTracking { spending, client: Arc::clone(client) };
        let meters = client.meters.clone();
        let quota = QuotaLayer::new(meters, BodyOutcome).with_tracking(tracking).with_cost(cost);
        let (mut quota, now) = (quota.layer(self.tree.clone()), Instant::now());
        let reserved = quota.score(&request, now).and_then(|score| quota.reserve(&request, &score, now));
        match reserved {
            Ok(()) => Ok(Box::pin(quota.call(request))),
            Err(full) => Err(Error::KeyLimit(limit(client, full, now))),
        }
    }
}

/// Returns the limit that a client has reached.
fn limit(client: &Client, full: NoCapacity, now: Instant) -> KeyLimit {
    let limits = client.meters.limits();
    let kind = match full.reason {
        NoCapacityReason::InFlight => KeyLimitKind::Parallel(limits.in_flight.unwrap_or_default()),
        NoCapacityReason::Cost => KeyLimitKind::Tokens(limits.tokens.unwrap_or_default()),
        NoCapacityReason::RateLimit
        | NoCapacityReason::ServerHold
        | NoCapacityReason::Probing
        | NoCapacityReason::Drained => KeyLimitKind::Requests(limits.requests.unwrap_or_default()),
    };
    KeyLimit { kind, retry_after: Some(full.until.saturating_duration_since(now)) }
}

/// Attaches the charge of a request to its response, with the sum of all attempts.
#[derive(Clone, Debug)]
struct ClientTracking {
    spending: Arc<Spending>,
    client: Arc<Client>,
}

impl TrackOutcome<QuotaGuard, Response, Error> for ClientTracking {
    fn track(&self, quota: QuotaGuard, result: Result<Response, Error>) -> Result<Response, Error> {
        let costs = (self.client.budget.clone(), self.client.metrics.nanodollars());
        BodyOutcome.track(ClientCharge::new(quota, Arc::clone(&self.spending), costs), result)
    }
}

/// Writes the limits of a client, and what is left of them, in OpenAI's headers.
pub(crate) fn write_headers(headers: &mut HeaderMap, client: &Client) {
    let MeterSnapshot { request_limit, requests, requests_reset, token_limit, tokens, tokens_reset, .. } =
        client.meters.snapshot();
    const REQUESTS: [&str; 3] =
        ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
    const TOKENS: [&str; 3] =
        ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
    let limits =
        [(REQUESTS, request_limit, requests, requests_reset), (TOKENS, token_limit, tokens, tokens_reset)];
    for ([limit_name, remaining_name, reset_name], limit, used, reset) in limits {
        let Some(limit) = limit else { continue };
        headers.insert(HeaderName::from_static(limit_name), limit.into());
        headers.insert(HeaderName::from_static(remaining_name), limit.saturating_sub(used).into());
        let reset = HeaderValue::try_from(openai_duration(reset)).unwrap_or(HeaderValue::from_static("0s"));
        headers.insert(HeaderName::from_static(reset_name), reset);
    }
}

/// Formats a duration as OpenAI does in its headers: `1m30s`, `6s`, `120ms`.
fn openai_duration(duration: Duration) -> String {
    let seconds = duration.as_millis().div_ceil(1000);
    match (seconds / 60, seconds % 60) {
        _ if duration.is_zero() => "0s".to_owned(),
        _ if duration.as_millis() < 1000 => format!("{}ms", duration.as_micros().div_ceil(1000)),
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reset_of_a_client_limit_is_written_as_openai_writes_it() {
        for (millis, text) in [
            (0, "0s"),
            (120, "120ms"),
            (999, "999ms"),
            (1000, "1s"),
            (5001, "6s"),
            (59_001, "1m0s"),
            (90_000, "1m30s"),
        ] {
            assert_eq!(openai_duration(Duration::from_millis(millis)), text);
        }
    }
}
