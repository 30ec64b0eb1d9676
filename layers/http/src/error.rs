//! The outcome of an error of the inner service: [`ErrorOutcome`].

use std::{convert::Infallible, error::Error, io, iter};

use tokio::time::Instant;
use tollgate_layers::{
    BoxError, Class, Outcome, balance::Exhausted, cooldown::CoolingDown, timeout::Elapsed,
};

/// An error type of a service, from which the classifiers of this crate read an outcome.
///
/// [`BoxError`], which the layers' examples use, implements it: the layers' own errors have the outcome that is stated at
/// their implementation below, a refused connection is an attempt that was never sent, and any other error is a failure of
/// the backend. Errors that these wrap as their [source](Error::source) are found too.
///
/// An application's own error enum implements it next to its `From<Elapsed>`:
///
/// ```
/// use tollgate_http::ErrorOutcome;
/// use tollgate_layers::{Class, Outcome, timeout::Elapsed};
///
/// enum Error {
///     Elapsed(Elapsed),
///     Hyper(std::io::Error),
/// }
///
/// impl ErrorOutcome for Error {
///     fn outcome(&self) -> Outcome {
///         match self {
///             Self::Elapsed(elapsed) => elapsed.outcome(),
///             Self::Hyper(_) => Outcome::new(Class::Unavailable),
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "the outcome of the error `{Self}` is not known: it does not implement `ErrorOutcome`",
    label = "the service fails with `{Self}`",
    note = "put `map_err(BoxError::from)` below the layers, or implement `ErrorOutcome` for the error type"
)]
pub trait ErrorOutcome {
    /// Returns the outcome of an attempt that failed with this error.
    fn outcome(&self) -> Outcome;
}

impl ErrorOutcome for BoxError {
    fn outcome(&self) -> Outcome {
        let first: &(dyn Error + 'static) = &**self;
        let known = iter::successors(Some(first), |&error| error.source()).find_map(known);
        known.unwrap_or(Outcome::new(Class::Unavailable))
    }
}

/// Returns the outcome of an error that this crate knows.
fn known(error: &(dyn Error + 'static)) -> Option<Outcome> {
    let elapsed = error.downcast_ref::<Elapsed>().map(Elapsed::outcome);
    let cooling = || error.downcast_ref::<CoolingDown>().map(CoolingDown::outcome);
    let exhausted = || error.downcast_ref::<Exhausted>().map(Exhausted::outcome);
    let refused =
        || error.downcast_ref::<io::Error>().filter(|error| is_refused(error)).map(io::Error::outcome);
    elapsed.or_else(cooling).or_else(exhausted).or_else(refused)
}

/// [`Class::Timeout`], without evidence if the limit was not evidence.
impl ErrorOutcome for Elapsed {
    fn outcome(&self) -> Outcome {
        let outcome = Outcome::new(Class::Timeout);
        if self.is_evidence() { outcome } else { outcome.without_evidence() }
    }
}

/// [`Class::Unavailable`], a local refusal with the time that is left of the cooldown.
impl ErrorOutcome for CoolingDown {
    fn outcome(&self) -> Outcome {
        let left = self.until().saturating_duration_since(Instant::now());
        Outcome::new(Class::Unavailable).refused().with_retry_after(Some(left))
    }
}

/// [`Class::RateLimited`], a local refusal with the time after which there is capacity.
impl ErrorOutcome for Exhausted {
    fn outcome(&self) -> Outcome {
        Outcome::new(Class::RateLimited).refused().with_retry_after(self.retry_after())
    }
}

/// [`Class::Unavailable`], never sent if the connection was refused.
impl ErrorOutcome for io::Error {
    fn outcome(&self) -> Outcome {
        let outcome = Outcome::new(Class::Unavailable);
        if is_refused(self) { outcome.never_sent() } else { outcome }
    }
}

impl ErrorOutcome for Infallible {
    fn outcome(&self) -> Outcome {
        match *self {}
    }
}

/// Returns true if there was no connection over which the request could have been sent.
fn is_refused(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused
}

#[cfg(test)]
mod tests {
    use std::{fmt, time::Duration};

    use tollgate_layers::timeout::Limit;

    use super::*;

    #[derive(Debug)]
    struct Wrapper(io::Error);

    impl fmt::Display for Wrapper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("connect")
        }
    }

    impl Error for Wrapper {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn an_elapsed_timeout_is_a_timeout_with_the_evidence_of_its_limit() {
        let elapsed = Elapsed::from(Limit::from(Duration::from_secs(1)));
        assert_eq!(elapsed.outcome(), Outcome::new(Class::Timeout));
        assert_eq!(BoxError::from(elapsed).outcome(), elapsed.outcome());
    }

    #[test]
    fn a_refused_connection_was_never_sent_however_deep_it_is_wrapped() {
        let wrapped = |kind| BoxError::from(Wrapper(io::Error::from(kind))).outcome();
        assert_eq!(wrapped(io::ErrorKind::ConnectionRefused), Outcome::new(Class::Unavailable).never_sent());
        assert_eq!(wrapped(io::ErrorKind::ConnectionReset), Outcome::new(Class::Unavailable));
    }

    #[test]
    fn an_unknown_error_is_a_failure_of_the_backend() {
        assert_eq!(BoxError::from("no").outcome(), Outcome::new(Class::Unavailable));
    }
}
