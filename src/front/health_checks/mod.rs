//! LiteLLM's `/health`: a small request to each deployment, [`HealthChecks`].
//!
//! The requests go through the tree by the ids of the deployments: they count against limits and for the health of a
//! deployment like those of clients, and a deployment without capacity is reported as such. Each is tried once.

mod requests;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::StatusCode;
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use super::{model_list::ListedDeployment, request_body::own_request};
use crate::{
    body::{Body, Response},
    classify::message_of,
    config::{ModelMode, Pattern},
    group::ArcService,
    request::RequestContext,
};

/// The largest number of checks at once.
const CONCURRENCY: usize = 16;

/// The time limit of a check, unless the deployment has `health_check_timeout`; LiteLLM's default.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The longest message of an error in the response, in characters.
const LONGEST_ERROR: usize = 500;

/// The tree that calls the deployments.
#[derive(Debug)]
pub(crate) struct HealthChecks(ArcService);

/// The state of a deployment, in the form of LiteLLM.
#[derive(Debug, Serialize)]
struct Endpoint<'a> {
    model: String,
    model_id: &'a str,
    mode: ModelMode,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exception_status: Option<u16>,
}

/// The response, in the form of LiteLLM.
#[derive(Debug, Serialize)]
struct Report<'a> {
    healthy_count: usize,
    unhealthy_count: usize,
    healthy_endpoints: Vec<Endpoint<'a>>,
    unhealthy_endpoints: Vec<Endpoint<'a>>,
}

/// A failed check: its status, if there is one, and its message.
type Failure = (Option<StatusCode>, String);

impl HealthChecks {
    /// Returns the checks of the deployments that `tree` calls.
    pub(crate) const fn new(tree: ArcService) -> Self {
        Self(tree)
    }

    /// Calls those of the deployments that the query names by their model or id, or all. Returns the status and the JSON of
    /// the response: 503 if the query names one and none is healthy.
    pub(super) async fn run(
        &self,
        deployments: &[ListedDeployment],
        query: Option<&str>,
    ) -> (StatusCode, Bytes) {
        let (model, id) = (named(query, "model"), named(query, "model_id"));
        let is_asked = |deployment: &&ListedDeployment| {
            let is_model = |model: &String| **model == *deployment.group || *model == deployment.model();
            model.as_ref().is_none_or(is_model) && id.as_ref().is_none_or(|id| **id == *deployment.id)
        };
        // Collected, because the future would otherwise not be known to be `Send`.
        let checks: Vec<_> =
            deployments.iter().filter(is_asked).map(|deployment| self.check(deployment)).collect();
        let endpoints: Vec<_> = stream::iter(checks).buffered(CONCURRENCY).collect().await;
        let (healthy, unhealthy): (Vec<_>, Vec<_>) =
            endpoints.into_iter().partition(|endpoint| endpoint.error.is_none());
        let is_named = model.is_some() || id.is_some();
        let status = match is_named && healthy.is_empty() {
            true => StatusCode::SERVICE_UNAVAILABLE,
            false => StatusCode::OK,
        };
        let report = Report {
            healthy_count: healthy.len(),
            unhealthy_count: unhealthy.len(),
            healthy_endpoints: healthy,
            unhealthy_endpoints: unhealthy,
        };
        (status, serde_json::to_vec(&report).unwrap_or_default().into())
    }

    async fn check<'a>(&self, deployment: &'a ListedDeployment) -> Endpoint<'a> {
        let mode = deployment.facts.mode.unwrap_or(ModelMode::Chat);
        let failure = self.call(deployment, mode).await.err();
        let (status, error) = failure.map_or((None, None), |(status, error)| (status, Some(error)));
        Endpoint {
            model: deployment.model(),
            model_id: &deployment.id,
            mode,
            error: error.map(|error| error.chars().take(LONGEST_ERROR).collect()),
            exception_status: status.map(|status| status.as_u16()),
        }
    }

    /// Calls a deployment, and reads its response to the end.
    async fn call(&self, deployment: &ListedDeployment, mode: ModelMode) -> Result<(), Failure> {
        if Pattern::parse(&deployment.group).is_some() {
            let message = "The group is a pattern of names: its deployments are not checked.";
            return Err((None, message.to_owned()));
        }
        let limit = deployment.check_timeout.unwrap_or(TIMEOUT);
        let (operation, headers, body) = requests::of(mode, deployment.newer_limit);
        let context = RequestContext::new(Instant::now(), Some(limit));
        let request = own_request((operation, Arc::clone(&deployment.id)), &headers, body, context)
            .map_err(|error| (None, error.to_string()))?;
        let response = async {
            let response = self.0.call(request).await;
            read(response.map_err(|error| (Some(error.status()), error.to_string()))?).await
        };
        // The deadline of the request ends it too; this limit also covers what does not know a deadline.
        match timeout(limit, response).await {
            Ok(result) => result,
            Err(_) => Err((Some(StatusCode::REQUEST_TIMEOUT), "Timeout exceeded".to_owned())),
        }
    }
}

/// Reads a response to its end.
async fn read(response: Response) -> Result<(), Failure> {
    let (parts, body) = (*response).into_parts();
    if parts.status.is_success() {
        return drain(body).await.map_err(|error| (None, error));
    }
    // The body of an error is complete, and limited.
    let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let json = serde_json::from_slice(&bytes).unwrap_or_default();
    let message = message_of(&json).unwrap_or("The upstream reported an error without a message.");
    Err((Some(parts.status), message.to_owned()))
}

async fn drain(mut body: Body) -> Result<(), String> {
    while let Some(frame) = body.frame().await {
        frame.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Returns the value of a parameter of a query.
fn named(query: Option<&str>, name: &str) -> Option<String> {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back()?;
    Some(percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
}
