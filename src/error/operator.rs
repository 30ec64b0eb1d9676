//! The errors of an operation on a deployment: [`OperatorError`].

use std::fmt;

use http::StatusCode;

/// The reason why an operation of an operator is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OperatorError {
    /// A browser sent the request for another site.
    CrossSite,
    /// No deployment that is served has the id.
    UnknownDeployment,
    /// The configuration disables cooldowns of the deployment.
    NoCooldowns,
    /// The length of the cooldown is invalid.
    Length,
}

impl OperatorError {
    /// Returns the status, the `type` and the `code` of the error object.
    pub(crate) const fn status_type_code(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::CrossSite => (StatusCode::FORBIDDEN, "permission_error", "cross_site"),
            Self::UnknownDeployment => (StatusCode::NOT_FOUND, "invalid_request_error", "unknown_deployment"),
            Self::NoCooldowns => (StatusCode::CONFLICT, "invalid_request_error", "no_cooldowns"),
            Self::Length => (StatusCode::BAD_REQUEST, "invalid_request_error", "invalid_seconds"),
        }
    }
}

impl fmt::Display for OperatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CrossSite => {
                "A page of another site sent this request. Use the gateway's own page, or another client."
            }
            Self::UnknownDeployment => {
                "No deployment has this id. GET /status/data lists the deployments that are served."
            }
            Self::NoCooldowns => {
                "This deployment has no cooldowns: its cooldown_time is 0, or its group is a pattern. Drain it instead."
            }
            Self::Length => "`seconds` is not a whole number from 1 to 86400.",
        })
    }
}
