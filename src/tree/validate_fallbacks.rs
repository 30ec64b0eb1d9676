//! Whether a request's own fallbacks lead anywhere: [`ValidateFallbacks`].
//!
//! A name with a slip in it would go unnoticed until the day when the fallback is needed. The configuration's lists are
//! checked when it is read; a request's own are checked here, before anybody is called. It stands outside Fallback, which
//! would take the refusal for a failure and walk the very list.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::Either;
use tower::{Layer, Service};

use super::router::Router;
use crate::{
    Error,
    config::{self, Config},
    error::InvalidRequest,
    request::{Overrides, Request, Response},
};

/// The layer of [`ValidateFallbacks`].
#[derive(Clone, Debug)]
pub(crate) struct ValidateFallbacksLayer {
    names: Arc<Names>,
}

#[derive(Debug)]
struct Names {
    router: Router,
    /// Those that a stranger may be told.
    shown: Vec<Arc<str>>,
}

impl ValidateFallbacksLayer {
    /// Whatever `router` finds is known. Only what `config` shows to clients is proposed.
    pub(crate) fn new(config: &Config, router: &Router) -> Self {
        Self {
            names: Arc::new(Names {
                router: router.clone(),
                shown: config.visible_names().cloned().collect(),
            }),
        }
    }
}

impl<S> Layer<S> for ValidateFallbacksLayer {
    type Service = ValidateFallbacks<S>;

    fn layer(&self, inner: S) -> ValidateFallbacks<S> {
        ValidateFallbacks { inner, names: Arc::clone(&self.names) }
    }
}

/// See the [module](self).
#[derive(Clone, Debug)]
pub(crate) struct ValidateFallbacks<S> {
    inner: S,
    names: Arc<Names>,
}

impl Names {
    /// The first list of the request that leads nowhere, and why.
    fn refused(&self, overrides: &Overrides) -> Option<InvalidRequest> {
        let context_window = overrides.context_window_fallbacks.as_ref().and_then(Option::as_ref);
        let content_policy = overrides.content_policy_fallbacks.as_ref().and_then(Option::as_ref);
        let lists = [
            ("fallbacks", overrides.fallbacks.as_ref()),
            ("context_window_fallbacks", context_window),
            ("content_policy_fallbacks", content_policy),
        ];
        lists.iter().find_map(|(param, list)| {
            let unknown = list.as_ref()?.targets().find(|other| !self.router.knows(&other.model))?;
            let near = config::nearest(&unknown.model, self.shown.iter().map(|name| &**name), 4);
            Some(InvalidRequest::unknown_model(param, &unknown.model, near))
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
        match self.names.refused(&request.head.overrides) {
            Some(rejected) => Either::Left(ready(Err(rejected.into()))),
            None => Either::Right(self.inner.call(request)),
        }
    }
}
