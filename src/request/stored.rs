//! The stored response that a request is about: [`StoredResponse`].

use std::sync::Arc;

use crate::issued_id::IssuedId;

/// The name of the parameter with the id of an earlier response.
pub(crate) const PREVIOUS: &str = "previous_response_id";

/// The stored response that a request names: the earlier one of a conversation, or the one that it is about.
#[derive(Clone, Debug)]
pub(crate) struct StoredResponse {
    /// The content of its id. None if the gateway has not issued the id.
    pub id: Option<IssuedId>,
    /// The parameter with the id at the upstream, for a request with a body.
    pub parameters: Vec<(Arc<str>, Arc<str>)>,
    /// The query of a request without a body, for the upstream.
    pub query: Arc<str>,
}

impl StoredResponse {
    /// Returns the response that precedes the one that is requested.
    pub(crate) fn previous(id: Option<IssuedId>) -> Self {
        let quoted = |id: &IssuedId| serde_json::Value::from(&*id.upstream).to_string();
        let parameters = id.iter().map(|id| (PREVIOUS.into(), quoted(id).into())).collect();
        Self { id, parameters, query: "".into() }
    }

    /// Returns the response that a request without a body is about. Of its query that is passed on which is not about Azure's
    /// API: the version is that of the deployment.
    pub(crate) fn named(id: IssuedId, query: &str) -> Self {
        let passed: Vec<_> = query.split('&').filter(|pair| !pair.starts_with("api-version=")).collect();
        Self { id: Some(id), parameters: Vec::new(), query: passed.join("&").into() }
    }
}
