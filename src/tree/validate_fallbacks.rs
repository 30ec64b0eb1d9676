//! A service that rejects a request if its own fallbacks name unknown models: [`ValidateFallbacks`].
//!
//! Without the check, a misspelled name would go unnoticed until the fallback is needed. The lists of the configuration
//! are checked when it is read; the lists of a request are checked here, before any upstream is called. The service is
//! outside Fallback, which would treat the rejection as a failure and try the invalid list.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::Either;
use tower::{Layer, Service, layer::layer_fn};

use super::router::Router;
use crate::{
    Error,
    config::{self, Config},
    error::InvalidRequest,
    request::{Overrides, Request, Response},
};

/// The names that a fallback may have.
#[derive(Debug)]
struct KnownNames {
    router: Router,
    /// The names that an error may suggest: hidden aliases are not among them.
    visible: Vec<Arc<str>>,
}

/// A service that rejects requests with unknown fallbacks; see the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct ValidateFallbacks<S> {
    inner: S,
    names: Arc<KnownNames>,
}

impl<S> ValidateFallbacks<S> {
    /// Returns a layer that accepts all names that `router` has a route for. Its errors suggest only names that
    /// `config` shows to clients.
    pub(crate) fn layer(config: &Config, router: Router) -> impl Layer<S, Service = Self> + use<S> {
        let names = Arc::new(KnownNames { router, visible: config.visible_names().cloned().collect() });
        layer_fn(move |inner| Self { inner, names: Arc::clone(&names) })
    }
}

impl KnownNames {
    /// Returns the error for the first list of the request that names an unknown model.
    fn first_invalid(&self, overrides: &Overrides) -> Option<InvalidRequest> {
        let context_window = overrides.context_window_fallbacks.as_ref().and_then(Option::as_ref);
        let content_policy = overrides.content_policy_fallbacks.as_ref().and_then(Option::as_ref);
        let lists = [
            ("fallbacks", overrides.fallbacks.as_ref()),
            ("context_window_fallbacks", context_window),
            ("content_policy_fallbacks", content_policy),
        ];
        lists.iter().find_map(|(param, list)| {
            let unknown = list.as_ref()?.targets().find(|other| !self.router.has_route(&other.model))?;
            let nearest = config::nearest(&unknown.model, self.visible.iter().map(|name| &**name), 4);
            Some(InvalidRequest::unknown_model(param, &unknown.model, nearest))
        })
    }
}

impl<S> Service<Request> for ValidateFallbacks<S>
where
    S: Service<Request, Response = Response, Error = Error>,
{
    type Response = Response;
    type Error = Error;
    type Future = Either<Ready<Result<Response, Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.names.first_invalid(&request.info.overrides) {
            Some(invalid) => Either::Left(ready(Err(invalid.into()))),
            None => Either::Right(self.inner.call(request)),
        }
    }
}
