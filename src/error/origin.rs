//! Whose answer it is: [`Origin`].

use http::HeaderValue;

use crate::config::Deployment;

/// What the headers of an answer tell of its deployment, made once when the tree is built.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The deployment's id.
    pub deployment: HeaderValue,
    /// Its group.
    pub group: HeaderValue,
    /// Its `api_base`, shown only when the operator says so.
    pub base: HeaderValue,
    /// Its own `num_retries`.
    pub retries: Option<u32>,
}

impl Origin {
    /// Of this deployment. A name that cannot stand in a header is shown with what cannot left out.
    pub(crate) fn of(deployment: &Deployment) -> Self {
        Self {
            deployment: shown(&deployment.id),
            group: shown(&deployment.group),
            base: shown(&deployment.target.base.to_string()),
            retries: deployment.num_retries,
        }
    }
}

fn shown(name: &str) -> HeaderValue {
    let visible: String = name.chars().filter(|char| matches!(char, ' '..='~')).collect();
    HeaderValue::try_from(visible).unwrap_or(HeaderValue::from_static("-"))
}
