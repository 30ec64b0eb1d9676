//! The tokens of one credential: [`TokenSource`].

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::HeaderValue;
use http_body_util::{BodyExt, Limited};
use tokio::{
    sync::Notify,
    time::{Instant, timeout},
};

use crate::{
    config::GoogleCredential,
    deployment::upstream::{Upstream, UpstreamCall},
    error::TransportError,
    provider::{AccessToken, read_token, token_request},
    request::Operation,
};

/// The time limit of a fetch.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest response of the endpoint that is read.
const MAX_RESPONSE: usize = 64 * 1024;
/// The time before the end of a token at which it is fetched again: that of Google's libraries, because the metadata server
/// returns the old token until then. At most half of the lifetime.
const RENEWAL: Duration = Duration::from_secs(225);
/// The time before the end of a token at which it is not used any more: a request takes a while.
const MARGIN: Duration = Duration::from_secs(10);
/// The pause after a failed fetch, doubled with each further one up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The tokens of one credential.
pub(super) struct TokenSource {
    credential: Arc<GoogleCredential>,
    endpoint: Arc<dyn Upstream>,
    state: Mutex<State>,
    /// Notified at the end of each fetch.
    fetched: Notify,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// The last failure, until a fetch succeeds.
    failure: Option<Failure>,
    is_fetching: bool,
}

struct Token {
    bearer: HeaderValue,
    renewal: Instant,
    end: Instant,
}

struct Failure {
    error: TransportError,
    pause: Duration,
    end: Instant,
}

impl TokenSource {
    /// Creates a source without a token, which fetches them at `endpoint`.
    pub(super) fn new(credential: Arc<GoogleCredential>, endpoint: Arc<dyn Upstream>) -> Self {
        Self { credential, endpoint, state: Mutex::default(), fetched: Notify::new() }
    }

    /// Returns the `authorization` of a call. Waits for a fetch only if there is no token.
    ///
    /// # Errors
    /// Returns the error of the last fetch, for a pause after it.
    pub(super) async fn bearer(self: &Arc<Self>) -> Result<HeaderValue, TransportError> {
        loop {
            // Before the look at the state, so that no end of a fetch is missed.
            let fetched = self.fetched.notified();
            if let Some(known) = self.known() {
                return known;
            }
            fetched.await;
        }
    }

    /// Drops the token that an upstream has refused, unless there is a newer one.
    pub(super) fn forget(&self, refused: &HeaderValue) {
        let mut state = self.lock();
        state.token = state.token.take().filter(|token| token.bearer != *refused);
    }

    /// Returns the token or the error that holds now, or none while a fetch must be waited for. Starts a fetch if one is due.
    fn known(self: &Arc<Self>) -> Option<Result<HeaderValue, TransportError>> {
        let mut state = self.lock();
        let now = Instant::now();
        if state.is_due(now) {
            state.is_fetching = true;
            let source = Arc::clone(self);
            tokio::spawn(async move { source.store(source.fetch().await) });
        }
        match (&state.token, &state.failure) {
            (Some(token), _) if now < token.end => Some(Ok(token.bearer.clone())),
            (_, Some(failure)) if !state.is_fetching => Some(Err(failure.error.clone())),
            _ => None,
        }
    }

    fn store(&self, result: Result<AccessToken, TransportError>) {
        let mut state = self.lock();
        state.is_fetching = false;
        let now = Instant::now();
        match result {
            Ok(AccessToken { bearer, lifetime }) => {
                let (renewal, margin) = (RENEWAL.min(lifetime / 2), MARGIN.min(lifetime / 2));
                let (renewal, end) = (now + (lifetime - renewal), now + (lifetime - margin));
                *state = State { token: Some(Token { bearer, renewal, end }), ..State::default() };
            }
            Err(error) => {
                tracing::warn!(error = %error, "an access token could not be fetched");
                let before = state.failure.as_ref().map(|failure| failure.pause);
                let pause = before.map_or(FIRST_PAUSE, |pause| (2 * pause).min(LONGEST_PAUSE));
                state.failure = Some(Failure { error, pause, end: now + pause });
            }
        }
        drop(state);
        self.fetched.notify_waiters();
    }

    async fn fetch(&self) -> Result<AccessToken, TransportError> {
        match timeout(TIMEOUT, self.request()).await {
            Ok(result) => result,
            Err(_) => {
                Err(failed(format_args!("the token endpoint did not respond within {} s", TIMEOUT.as_secs())))
            }
        }
    }

    /// Sends a request for a token; a second one if the connection had been idle and was closed.
    async fn request(&self) -> Result<AccessToken, TransportError> {
        let (status, body) = match self.send(false).await {
            Err(error) if error.stale => self.send(true).await?,
            result => result?,
        };
        read_token(&body).map_err(|code| {
            let code = code.map(|code| format!(" ({code})")).unwrap_or_default();
            failed(format_args!("the token endpoint responded {}{code}", status.as_u16()))
        })
    }

    async fn send(&self, fresh: bool) -> Result<(http::StatusCode, Bytes), TransportError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let request = token_request(&self.credential, now)
            .map_err(|_| failed(format_args!("the private key cannot sign")))?;
        // The client does not distinguish operations.
        let call = UpstreamCall { request, operation: Operation::Chat, stream: false, fresh };
        let response = self.endpoint.call(call).await.map_err(|error| unreachable(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_RESPONSE).collect().await;
        let body = body.map_err(|_| failed(format_args!("the response of the token endpoint broke off")))?;
        Ok((head.status, body.to_bytes()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns true if a fetch must start: without a token, or with one that ends soon.
    fn is_due(&self, now: Instant) -> bool {
        let is_needed = self.token.as_ref().is_none_or(|token| now >= token.renewal);
        let is_paused = self.failure.as_ref().is_some_and(|failure| now < failure.end);
        is_needed && !is_paused && !self.is_fetching
    }
}

/// Returns the error of a fetch: the call of the deployment has not been sent.
fn failed(reason: std::fmt::Arguments<'_>) -> TransportError {
    let what = format!("There is no access token for the upstream: {reason}.").into();
    TransportError { sent: false, timed_out: false, evidence: true, stale: false, what }
}

/// Returns the error of a call of the endpoint, which the client words as that of an upstream.
fn unreachable(error: &TransportError) -> TransportError {
    const ENDPOINT: &str = "the token endpoint";
    let what = error.what.replace("The upstream", ENDPOINT).replace("the upstream", ENDPOINT);
    TransportError { stale: error.stale, ..failed(format_args!("{}", what.trim_end_matches('.'))) }
}
