//! Classes of outcomes ([`Class`]), and the trait that assigns them ([`Classify`]).
//!
//! A response is classified once, by the layer closest to the backend. Retry, Cooldown, Fallback and metrics read the
//! same [`Class`], so they never disagree about a failure. tower-http's `classify` serves observation only; here the
//! class also decides what a layer does.

use crate::Outcome;

pub use crate::class::Class;

/// Classifies the response head or the error of an attempt.
///
/// For a response with a pending body, [`Class::Success`] means "successful so far"; later failures reach the layers
/// through [`TrackOutcome`](crate::TrackOutcome).
///
/// Closures implement this trait:
///
/// ```
/// use tollgate_layers::{Class, Classify, Outcome};
///
/// let classify = |result: Result<&u16, &std::io::Error>| match result {
///     Ok(200..=399) => Outcome::new(Class::Success),
///     Ok(429) => Outcome::new(Class::RateLimited),
///     Ok(400..=499) => Outcome::new(Class::Caller),
///     Ok(_) => Outcome::new(Class::Unavailable),
///     Err(_) => Outcome::new(Class::Unavailable).never_sent(),
/// };
/// assert_eq!(classify.classify(Ok(&503)).class(), Class::Unavailable);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not classify the results of this service: it is not a `Classify<{Res}, {Err}>`",
    label = "not a classifier of this service",
    note = "a classifier is a function `fn(Result<&{Res}, &{Err}>) -> Outcome`, which takes references to the response and the error of the service below"
)]
pub trait Classify<Res, Err> {
    /// Returns the outcome of an attempt.
    fn classify(&self, result: Result<&Res, &Err>) -> Outcome;
}

#[diagnostic::do_not_recommend]
impl<F, Res, Err> Classify<Res, Err> for F
where
    F: Fn(Result<&Res, &Err>) -> Outcome,
{
    fn classify(&self, result: Result<&Res, &Err>) -> Outcome {
        self(result)
    }
}
