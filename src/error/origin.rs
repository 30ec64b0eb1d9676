//! The deployment that a response or an error comes from: [`Origin`].

use std::sync::Arc;

use http::HeaderValue;

use crate::{
    config::Deployment,
    metrics::{Metrics, ScopeMetrics},
};

/// The deployment as shown in response headers and records, and its metrics. Created once, when the tree is built.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The deployment's id.
    pub deployment: HeaderValue,
    /// The group of the deployment.
    pub group: HeaderValue,
    /// The `api_base` of the deployment, sent only if the operator enables it.
    pub base: HeaderValue,
    /// The `num_retries` of the deployment.
    pub retries: Option<u32>,
    /// The metrics of the attempts on the deployment.
    pub metrics: Arc<ScopeMetrics>,
    /// The metrics of the group, which counts retries.
    pub group_metrics: Arc<ScopeMetrics>,
}

impl Origin {
    /// Returns the origin of a deployment. Characters that are invalid in a header are removed from the names.
    pub(crate) fn of(deployment: &Deployment, all: &Metrics) -> Self {
        let (group, id) = (&deployment.group, &deployment.id);
        Self {
            deployment: header_value(id),
            group: header_value(group),
            base: header_value(&deployment.target.base.to_string()),
            retries: deployment.num_retries,
            metrics: all.deployment(group, id),
            group_metrics: all.group(group),
        }
    }
}

fn header_value(name: &str) -> HeaderValue {
    let visible: String = name.chars().filter(|char| matches!(char, ' '..='~')).collect();
    HeaderValue::try_from(visible).unwrap_or(HeaderValue::from_static("-"))
}
