//! The deployment that a response or an error comes from: [`Origin`].

use http::HeaderValue;

use crate::config::Deployment;

/// The deployment as shown in the response headers, created once when the tree is built.
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
}

impl Origin {
    /// Returns the origin of a deployment. Characters that are invalid in a header are removed from the names.
    pub(crate) fn of(deployment: &Deployment) -> Self {
        Self {
            deployment: header_value(&deployment.id),
            group: header_value(&deployment.group),
            base: header_value(&deployment.target.base.to_string()),
            retries: deployment.num_retries,
        }
    }
}

fn header_value(name: &str) -> HeaderValue {
    let visible: String = name.chars().filter(|char| matches!(char, ' '..='~')).collect();
    HeaderValue::try_from(visible).unwrap_or(HeaderValue::from_static("-"))
}
