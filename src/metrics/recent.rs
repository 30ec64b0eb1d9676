//! The last failures of a deployment: [`RecentErrors`].

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tollgate_layers::Class;

/// The number of failures that are kept.
const KEPT: usize = 5;

/// The shortest time between two failures that are kept. In an outage there are thousands a second, and all are equal.
const INTERVAL: Duration = Duration::from_millis(200);

/// A failure of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecentError {
    /// The time.
    pub(crate) at: SystemTime,
    /// The class of the outcome.
    pub(crate) class: &'static str,
    /// The status of the upstream, if it has responded.
    pub(crate) status: Option<u16>,
    /// The message, without keys and without words of the request.
    pub(crate) message: String,
}

/// The last failures, the latest first. Equal ones are kept once, with the time of the last.
#[derive(Debug, Default)]
pub(crate) struct RecentErrors {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    errors: VecDeque<RecentError>,
    last: Option<Instant>,
}

impl RecentErrors {
    /// Keeps the failure that `error` returns, if its class says something about the deployment, and unless the last one was
    /// kept just now.
    pub(crate) fn add(&self, class: Class, now: Instant, error: impl FnOnce() -> RecentError) {
        if !class.worth_another() {
            return;
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            return;
        }
        inner.last = Some(now);
        let error = error();
        let is_equal = |known: &RecentError| {
            (known.class, known.status, &known.message) == (error.class, error.status, &error.message)
        };
        inner.errors.retain(|known| !is_equal(known));
        inner.errors.truncate(KEPT - 1);
        inner.errors.push_front(error);
    }

    /// Returns the failures, the latest first.
    pub(crate) fn read(&self) -> Vec<RecentError> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).errors.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(message: &str) -> RecentError {
        let message = message.to_owned();
        RecentError { at: SystemTime::UNIX_EPOCH, class: "unavailable", status: Some(500), message }
    }

    fn messages(errors: &RecentErrors) -> Vec<String> {
        errors.read().into_iter().map(|error| error.message).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn recent_errors_are_the_last_five_different_ones() {
        let errors = RecentErrors::default();
        for message in ["a", "b", "c", "b", "d", "e", "f"] {
            errors.add(Class::Unavailable, Instant::now(), || error(message));
            tokio::time::advance(INTERVAL).await;
        }
        assert_eq!(messages(&errors), ["f", "e", "d", "b", "c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn recent_errors_of_an_outage_are_not_all_read() {
        let errors = RecentErrors::default();
        errors.add(Class::Caller, Instant::now(), || panic!("an error of the caller"));
        errors.add(Class::Unavailable, Instant::now(), || error("first"));
        errors.add(Class::Unavailable, Instant::now(), || panic!("the second is not read"));
        assert_eq!(messages(&errors), ["first"]);
    }
}
