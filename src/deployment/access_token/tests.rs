//! Tests of access tokens, on a paused clock and with a scripted endpoint.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use http::{Response, StatusCode};
use serde_json::json;
use tokio::{
    sync::Semaphore,
    time::{advance, timeout},
};

use super::source::TokenSource;
use crate::{
    body::UpstreamBody,
    config::GoogleCredential,
    deployment::upstream::{Upstream, UpstreamCall, UpstreamFuture},
};

/// A token endpoint: each response needs a permit, and is the next of the script.
struct Endpoint {
    script: Mutex<VecDeque<(u16, String)>>,
    permits: Arc<Semaphore>,
    calls: AtomicUsize,
}

impl Upstream for Endpoint {
    fn call(&self, _: UpstreamCall) -> UpstreamFuture {
        self.calls.fetch_add(1, SeqCst);
        let (status, body) = self.script.lock().unwrap().pop_front().expect("a line of the script");
        let permits = Arc::clone(&self.permits);
        Box::pin(async move {
            permits.acquire().await.expect("an open endpoint").forget();
            let mut response = Response::new(UpstreamBody::full(body));
            *response.status_mut() = StatusCode::from_u16(status).expect("a status");
            Ok(response)
        })
    }
}

fn token(name: &str, seconds: u64) -> (u16, String) {
    (200, json!({"access_token": name, "expires_in": seconds}).to_string())
}

fn refusal() -> (u16, String) {
    (400, json!({"error": "invalid_grant"}).to_string())
}

/// Returns a source, and its endpoint with as many permits.
fn source(
    permits: usize,
    script: impl IntoIterator<Item = (u16, String)>,
) -> (Arc<TokenSource>, Arc<Endpoint>) {
    let credential =
        json!({"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "r"});
    let credential = GoogleCredential::parse(&credential.to_string()).expect("a credential");
    let endpoint = Arc::new(Endpoint {
        script: Mutex::new(script.into_iter().collect()),
        permits: Arc::new(Semaphore::new(permits)),
        calls: AtomicUsize::new(0),
    });
    (Arc::new(TokenSource::new(Arc::new(credential), Arc::clone(&endpoint) as Arc<dyn Upstream>)), endpoint)
}

/// Returns the token of the next call, or the message of its error.
async fn next(source: &Arc<TokenSource>) -> Result<String, String> {
    let bearer = source.bearer().await.map_err(|error| error.what.to_string())?;
    Ok(bearer.to_str().expect("a text").trim_start_matches("Bearer ").to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_at_once_wait_for_one_fetch() {
    let (source, endpoint) = source(0, [token("one", 3600)]);
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let source = Arc::clone(&source);
            tokio::spawn(async move { next(&source).await })
        })
        .collect();
    tokio::task::yield_now().await;
    endpoint.permits.add_permits(1);
    for call in calls {
        assert_eq!(call.await.expect("a call"), Ok("one".to_owned()));
    }
    assert_eq!(endpoint.calls.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_does_not_cancel_the_fetch() {
    let (source, endpoint) = source(0, [token("one", 3600)]);
    assert!(timeout(Duration::from_secs(1), source.bearer()).await.is_err());
    endpoint.permits.add_permits(1);
    assert_eq!(next(&source).await, Ok("one".to_owned()));
    assert_eq!(endpoint.calls.load(SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_in_the_background_before_its_end() {
    let (source, endpoint) = source(1, [token("one", 3600), token("two", 3600)]);
    assert_eq!(next(&source).await, Ok("one".to_owned()));
    advance(Duration::from_secs(3600 - 226)).await;
    assert_eq!((next(&source).await, endpoint.calls.load(SeqCst)), (Ok("one".to_owned()), 1));
    advance(Duration::from_secs(2)).await;
    // The endpoint does not respond yet: calls go on with the old token.
    for _ in 0..3 {
        assert_eq!(next(&source).await, Ok("one".to_owned()));
        tokio::task::yield_now().await;
    }
    assert_eq!(endpoint.calls.load(SeqCst), 2);
    endpoint.permits.add_permits(1);
    while next(&source).await == Ok("one".to_owned()) {
        tokio::task::yield_now().await;
    }
    assert_eq!((next(&source).await, endpoint.calls.load(SeqCst)), (Ok("two".to_owned()), 2));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_has_ended_is_not_used() {
    let (source, endpoint) = source(2, [token("one", 60), token("two", 60)]);
    assert_eq!(next(&source).await, Ok("one".to_owned()));
    advance(Duration::from_secs(51)).await;
    assert_eq!((next(&source).await, endpoint.calls.load(SeqCst)), (Ok("two".to_owned()), 2));
}

#[tokio::test(start_paused = true)]
async fn a_failed_fetch_is_repeated_after_a_pause_that_grows() {
    let (source, endpoint) = source(9, [refusal(), refusal(), token("one", 3600)]);
    let error =
        "There is no access token for the upstream: the token endpoint responded 400 (invalid_grant).";
    for (wait, result, calls) in [
        (0, Err(error), 1),
        (999, Err(error), 1),
        (1, Err(error), 2),
        (1999, Err(error), 2),
        (1, Ok("one"), 3),
    ] {
        advance(Duration::from_millis(wait)).await;
        let wanted = result.map(str::to_owned).map_err(str::to_owned);
        assert_eq!((next(&source).await, endpoint.calls.load(SeqCst)), (wanted, calls), "{wait} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_leaves_the_old_token() {
    let (source, endpoint) = source(9, [token("one", 3600), refusal(), token("two", 3600)]);
    assert_eq!(next(&source).await, Ok("one".to_owned()));
    advance(Duration::from_secs(3400)).await;
    while endpoint.calls.load(SeqCst) < 2 {
        assert_eq!(next(&source).await, Ok("one".to_owned()));
        tokio::task::yield_now().await;
    }
    assert_eq!(next(&source).await, Ok("one".to_owned()));
    advance(Duration::from_secs(2)).await;
    while next(&source).await == Ok("one".to_owned()) {
        tokio::task::yield_now().await;
    }
    assert_eq!((next(&source).await, endpoint.calls.load(SeqCst)), (Ok("two".to_owned()), 3));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_does_not_respond_is_an_error_after_ten_seconds() {
    let (source, _) = source(0, [token("one", 3600)]);
    let error = "There is no access token for the upstream: the token endpoint did not respond within 10 s.";
    assert_eq!(next(&source).await, Err(error.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_dropped_and_a_newer_one_is_kept() {
    let (source, endpoint) = source(9, [token("one", 3600), token("two", 3600)]);
    let one = source.bearer().await.expect("a token");
    source.forget(&one);
    assert_eq!(next(&source).await, Ok("two".to_owned()));
    source.forget(&one);
    assert_eq!((next(&source).await, endpoint.calls.load(SeqCst)), (Ok("two".to_owned()), 2));
}
