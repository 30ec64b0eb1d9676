//! Classification of upstream responses: the only place that decides the outcome of an attempt.
//!
//! [`response`] classifies a complete response (status, headers, small error body), [`event`] finds an error inside of
//! a 200, [`success`] reads the rate limit headers of a successful response. Each returns an [`Outcome`], which Retry,
//! Cooldown, Fallback, metrics and logs read; none of them classifies again. tower-http's `classify` separates 5xx
//! from the rest for traces; here the class decides what happens next.
//!
//! The order of evidence is fixed: the HTTP status, then the codes and types in the body, then the words of its
//! message, and these only for statuses with which a provider is known to use them. Providers echo the prompt in
//! their errors, so a 400 with "rate limit" in its message is still a 400. All rules are in one table, `table.rs`.
//!
//! Hazards: only the first 4 KB of a message are searched; an absolute time is compared with the `date` header of the
//! response, and with the gateway's clock only if there is none.

mod error_details;
mod kind;
mod phrases;
mod policy;
mod table;
mod wait;

use http::{HeaderMap, StatusCode};
use tollgate_http::rate_limit::RateLimits;
use tollgate_layers::{Class, Outcome};

use self::error_details::ErrorDetails;
pub(crate) use self::error_details::message_of;
pub(crate) use self::{
    kind::{OutcomeKind, kind_of, openai_type, status_of},
    policy::{counted, named},
};

/// Classifies a complete response. The body of a 2xx is searched for an error, as by [`event`].
pub(crate) fn response(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Outcome {
    if status.is_success() {
        return event(body, headers).unwrap_or_else(|| success(headers));
    }
    let details = ErrorDetails::of_response(headers, body);
    outcome(table::judge(status.as_u16(), &details), headers, &details)
}

/// Classifies an error inside of a 200. `data` is a complete JSON body, or the data of one event. Returns none if it
/// is not an error; for an ordinary chunk this costs one search for a key.
pub(crate) fn event(data: &[u8], headers: &HeaderMap) -> Option<Outcome> {
    ErrorDetails::of_event(data).map(|details| of_details(&details, headers))
}

/// Classifies data that must be a failure although its form is not that of an error: a 200 without output, an event that
/// is named an error. Returns none if the data contains no reason.
pub(crate) fn failure(data: &[u8], headers: &HeaderMap) -> Option<Outcome> {
    let details = ErrorDetails::of_data(data);
    let outcome = of_details(&details, headers);
    let has_reason = !details.text().trim().is_empty() || details.status().is_some();
    (has_reason || kind_of(&outcome) != OutcomeKind::ServerError).then_some(outcome)
}

/// Returns a success with the rate limits in the headers.
pub(crate) fn success(headers: &HeaderMap) -> Outcome {
    let limits = RateLimits::from_headers(headers);
    OutcomeKind::Success.outcome().with_reported(limits.requests, limits.tokens)
}

/// Returns the outcome of an error without an HTTP status of its own.
fn of_details(details: &ErrorDetails, headers: &HeaderMap) -> Outcome {
    let status = details.status().or_else(|| table::implied(details)).unwrap_or(500);
    outcome(table::judge(status, details), headers, details)
}

fn outcome(kind: OutcomeKind, headers: &HeaderMap, details: &ErrorDetails) -> Outcome {
    let limits = RateLimits::from_headers(headers);
    let asked = match kind.class() {
        Class::RateLimited => wait::asked(headers, details).or_else(|| wait::hinted(headers, details)),
        Class::Unavailable | Class::Timeout => wait::asked(headers, details),
        // Waiting does not help against these, whatever the headers contain.
        Class::Success
        | Class::Caller
        | Class::ContextWindow
        | Class::ContentPolicy
        | Class::Unauthorized => None,
    };
    kind.outcome().with_retry_after(asked).with_reported(limits.requests, limits.tokens)
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
