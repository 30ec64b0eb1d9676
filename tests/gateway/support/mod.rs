//! What the tests are made of: scripted upstreams, the gateway as a process, a client, and a way to say a case.

pub(crate) mod answers;
pub(crate) mod case;
pub(crate) mod client;
pub(crate) mod form;
pub(crate) mod gateway;
pub(crate) mod reply;
pub(crate) mod upstream;

use std::{future::Future, time::Duration};

/// No single step of a test takes longer; what does is stuck.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `what`, not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {PATIENCE:?} in vain: {what}"),
    }
}
