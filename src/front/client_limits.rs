//! The service that keeps clients within the rights and limits of their keys, and all of them within the budget of the
//! gateway: [`ClientLimits`].
//!
//! The service stands between the request's body and the tree, outside of all fallbacks: a request counts once, however many
//! attempts it takes. The limits are those of a [`QuotaLayer`] that refuses, over the meters of the client. A stack without
//! client keys and without a budget does not contain it, and a request with the master key has no limit but that budget.
//!
//! If replicas share the limits, a request that lacks only permits of this replica waits for a response of the ledger before
//! it is refused.

use std::{
    future::ready,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};
use tollgate_layers::{
    Endpoint, TrackOutcome,
    endpoint::{CapacityListener, NoCapacity, NoCapacityReason},
    quota::{MeterSnapshot, QuotaGuard, QuotaLayer},
};
use tower::{Layer, Service, service_fn};

use crate::{
    Error,
    body::{BodyOutcome, BoxResponseFuture, ClientCharge, Response},
    deployment::settings::cost,
    error::{KeyLimit, KeyLimitKind, UnknownResponse},
    group::ArcService,
    request::{BeginCall, Client, EndCall, Request},
    spend::{Budget, Spending},
};

/// The longest time for which a request waits for permits of other replicas: that after which a sync has failed.
const LEASE_WAIT: Duration = Duration::from_millis(250);

/// Refuses the requests of a client that may not call the model or has reached a limit. See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct ClientLimits {
    tree: ArcService,
    /// The budget of the gateway.
    budget: Option<Arc<Budget>>,
}

impl ClientLimits {
    /// Returns `tree` below the limits of the `clients` and the `budget` of the gateway, or `tree` itself if there are
    /// none.
    pub(crate) fn around(
        tree: ArcService,
        clients: &[Arc<Client>],
        budget: Option<Arc<Budget>>,
    ) -> ArcService {
        if clients.is_empty() && budget.is_none() {
            return tree;
        }
        let limits = Self { tree, budget };
        ArcService::layer().layer(service_fn(move |request| limits.call(request)))
    }

    fn call(&self, request: Request) -> BoxResponseFuture {
        let Some(client) = request.context.client.clone() else { return self.within_budget(request) };
        let metrics = client.metrics.begin(&request);
        let response = self.limited(&client, request).unwrap_or_else(|refused| {
            tracing::info!(key = %client.name, "request refused: {refused}");
            Box::pin(ready(Err(refused)))
        });
        Box::pin(response.map(|result| metrics.end(result)))
    }

    /// Returns the response to a request without a client key.
    fn within_budget(&self, request: Request) -> BoxResponseFuture {
        let Some(budget) = &self.budget else { return self.tree.call(request) };
        if let Err(refused) = check(budget, KeyLimitKind::GatewayBudget) {
            tracing::info!("request refused: {refused}");
            return Box::pin(ready(Err(refused)));
        }
        let spending = request.context.spending.clone().unwrap_or_default();
        let charge = Box::new(ClientCharge::new(None, spending, ([None, Some(Arc::clone(budget))], None)));
        Box::pin(self.tree.call(request).map(|result| BodyOutcome.track(charge, result)))
    }

    /// Returns the response to a request of `client`.
    ///
    /// # Errors
    ///
    /// [`Error::ModelDenied`], [`Error::UnknownResponse`] or [`Error::KeyLimit`] if the request is refused.
    fn limited(&self, client: &Arc<Client>, request: Request) -> Result<BoxResponseFuture, Error> {
        if let Some(model) = client.first_denied(&request) {
            if request.info.operation.on_stored().is_some() {
                return Err(Error::UnknownResponse(UnknownResponse::Named));
            }
            return Err(Error::ModelDenied(Arc::clone(model)));
        }
        for (budget, kind) in [
            (&client.budget, KeyLimitKind::Budget as fn(f64) -> _),
            (&self.budget, KeyLimitKind::GatewayBudget),
        ] {
            budget.as_ref().map_or(Ok(()), |budget| check(budget, kind))?;
        }
        let spending = request.context.spending.clone().unwrap_or_default();
        let tracking = ClientTracking { spending, client: Arc::clone(client), budget: self.budget.clone() };
        let meters = client.meters.clone();
        let quota = QuotaLayer::new(meters, BodyOutcome).with_tracking(tracking).with_cost(cost);
        let mut quota = quota.layer(self.tree.clone());
        match reserve(&mut quota, &request) {
            Ok(()) => Ok(Box::pin(quota.call(request))),
            Err(full) if is_leased(client) => {
                Ok(Box::pin(call_when_leased(quota, request, (Arc::clone(client), full))))
            }
            Err(full) => Err(limit(client, full)),
        }
    }
}

/// Reserves capacity for a request.
fn reserve(quota: &mut impl Endpoint<Request>, request: &Request) -> Result<(), NoCapacity> {
    let now = Instant::now();
    let score = quota.score(request, now)?;
    quota.reserve(request, &score, now)
}

/// Returns true if replicas share the limits of a client.
fn is_leased(client: &Client) -> bool {
    let MeterSnapshot { request_lease, token_lease, in_flight_lease, .. } = client.meters.snapshot();
    request_lease.or(token_lease).is_some() || in_flight_lease.is_some()
}

/// Calls the tree as soon as this replica has the permits that a request lacks. The time of `full` is early while the ledger
/// may grant them, and later than the longest wait once it has responded that there are none.
async fn call_when_leased<Q>(
    mut quota: Q,
    request: Request,
    (client, mut full): (Arc<Client>, NoCapacity),
) -> Result<Response, Error>
where
    Q: Endpoint<Request> + Service<Request, Response = Response, Error = Error>,
{
    let granted = Arc::new(Granted::default());
    let listener: Arc<dyn CapacityListener> = Arc::<Granted>::clone(&granted);
    quota.subscribe(&Arc::downgrade(&listener));
    quota.record_unmet(&request);
    let deadline = Instant::now() + LEASE_WAIT;
    while full.until <= deadline {
        // At the end of the wait it checks as it does after a notification.
        let _elapsed = timeout_at(full.until, granted.0.notified()).await;
        match reserve(&mut quota, &request) {
            Ok(()) => return quota.call(request).await,
            Err(still_full) => full = still_full,
        }
    }
    let refused = limit(&client, full);
    tracing::info!(key = %client.name, "request refused: {refused}");
    Err(refused)
}

/// Wakes a request that waits for permits.
#[derive(Debug, Default)]
struct Granted(Notify);

impl CapacityListener for Granted {
    fn capacity_freed(&self) {
        self.0.notify_one();
    }
}

/// Checks if something is left of a budget of this kind.
fn check(budget: &Budget, kind: impl Fn(f64) -> KeyLimitKind) -> Result<(), Error> {
    budget.check(SystemTime::now()).map_err(|spent| {
        Error::KeyLimit(KeyLimit { kind: kind(spent.max), retry_after: spent.renewed_after })
    })
}

/// Returns the error of the limit that a client has reached.
fn limit(client: &Client, full: NoCapacity) -> Error {
    let limits = client.meters.limits();
    let kind = match full.reason {
        NoCapacityReason::InFlight => KeyLimitKind::Parallel(limits.in_flight.unwrap_or_default()),
        NoCapacityReason::Cost => KeyLimitKind::Tokens(limits.tokens.unwrap_or_default()),
        NoCapacityReason::RateLimit
        | NoCapacityReason::ServerHold
        | NoCapacityReason::Probing
        | NoCapacityReason::Drained => KeyLimitKind::Requests(limits.requests.unwrap_or_default()),
    };
    let retry_after = Some(full.until.saturating_duration_since(Instant::now()));
    Error::KeyLimit(KeyLimit { kind, retry_after })
}

/// Attaches the charge of a request to its response, with the sum of all attempts.
#[derive(Clone, Debug)]
struct ClientTracking {
    spending: Arc<Spending>,
    client: Arc<Client>,
    /// The budget of the gateway.
    budget: Option<Arc<Budget>>,
}

impl TrackOutcome<QuotaGuard, Response, Error> for ClientTracking {
    fn track(&self, quota: QuotaGuard, result: Result<Response, Error>) -> Result<Response, Error> {
        let budgets = [self.client.budget.clone(), self.budget.clone()];
        let costs = (budgets, Some(self.client.metrics.nanodollars()));
        let charge = ClientCharge::new(Some(quota), Arc::clone(&self.spending), costs);
        BodyOutcome.track(Box::new(charge), result)
    }
}

/// Writes the limits of a client, and what is left of them, in OpenAI's headers. Of a limit that replicas share, that is
/// the part of this replica.
pub(crate) fn write_headers(headers: &mut HeaderMap, client: &Client) {
    let meters = client.meters.snapshot();
    const REQUESTS: [&str; 3] =
        ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
    const TOKENS: [&str; 3] =
        ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
    let limits = [
        (REQUESTS, (meters.request_limit, meters.request_lease), meters.requests, meters.requests_reset),
        (TOKENS, (meters.token_limit, meters.token_lease), meters.tokens, meters.tokens_reset),
    ];
    for ([limit_name, remaining_name, reset_name], (limit, lease), used, reset) in limits {
        let Some(limit) = limit else { continue };
        let available = lease.map_or(limit, |lease| lease.min(limit));
        headers.insert(HeaderName::from_static(limit_name), limit.into());
        headers.insert(HeaderName::from_static(remaining_name), available.saturating_sub(used).into());
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
