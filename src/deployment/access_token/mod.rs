//! Access tokens for the upstreams of Google Cloud: [`AccessTokens`].
//!
//! The deployments of one credential share its tokens. A token is fetched with the first call that needs one, by a task of
//! its own, so that a client that disconnects does not cancel it, and is fetched again before it ends, while calls go on
//! with the old one. Only the upstreams of deployments with such a credential are wrapped: others pay nothing.

mod source;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use http::{StatusCode, header};

use self::source::TokenSource;
use super::upstream::{Client, Upstream, UpstreamCall, UpstreamFuture};
use crate::config::{GoogleCredential, Target, UpstreamTls};

/// The sources by credential and TLS.
type Sources = HashMap<(Arc<GoogleCredential>, Option<UpstreamTls>), Weak<TokenSource>>;

/// The sources of the live trees, which keep their tokens over a reload.
#[derive(Default)]
pub(crate) struct AccessTokens {
    sources: Mutex<Sources>,
}

impl AccessTokens {
    /// Returns the upstream with the access token of the target in each call, or the upstream itself if the target needs
    /// none. Tokens are fetched by `client`.
    pub(crate) fn around(
        &self,
        upstream: Arc<dyn Upstream>,
        target: &Target,
        (client, idle_timeout): (&Client, Duration),
    ) -> Arc<dyn Upstream> {
        let Some(credential) = &target.google else { return upstream };
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|_, source| source.strong_count() > 0);
        let key = (Arc::clone(credential), target.tls.clone());
        let known = sources.get(&key).and_then(Weak::upgrade);
        let source = known.unwrap_or_else(|| {
            let endpoint = client.http1(&credential.token_uri, target.tls.as_ref(), idle_timeout);
            Arc::new(TokenSource::new(Arc::clone(credential), endpoint))
        });
        sources.insert(key, Arc::downgrade(&source));
        Arc::new(Authorized { inner: upstream, source })
    }
}

/// An upstream whose calls need an access token.
struct Authorized {
    inner: Arc<dyn Upstream>,
    source: Arc<TokenSource>,
}

impl Upstream for Authorized {
    fn call(&self, mut call: UpstreamCall) -> UpstreamFuture {
        let (inner, source) = (Arc::clone(&self.inner), Arc::clone(&self.source));
        Box::pin(async move {
            let bearer = source.bearer().await?;
            call.request.headers_mut().insert(header::AUTHORIZATION, bearer.clone());
            let response = inner.call(call).await?;
            if response.status() == StatusCode::UNAUTHORIZED {
                source.forget(&bearer);
            }
            Ok(response)
        })
    }

    fn takes_origin_form(&self) -> bool {
        self.inner.takes_origin_form()
    }
}
