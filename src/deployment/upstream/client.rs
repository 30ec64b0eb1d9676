//! The HTTP client of all upstreams, [`Client`]: one HTTP/1.1 pool per origin, and one shared HTTP/2 client.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt;
use http::{Uri, uri::PathAndQuery};
use tollgate_layers::BoxError;
use tower::ServiceExt;

use super::{
    Upstream, UpstreamCall, UpstreamFuture,
    connect::{Connector, connector},
    error::{call_error, connect_error},
    http2::Http2,
    yield_once::YieldOnce,
};
use crate::{
    body::UpstreamBody,
    deployment::pool::{Io, Pool, SendError},
    error::TransportError,
    provider::origin_form,
    request::SplicedBody,
};

/// The time that an idle connection is kept: below the 60 s after which common load balancers drop one silently.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// The HTTP client of all deployments. Deployments with the same origin share connections: credentials are part of the
/// requests, never of the connection.
pub(crate) struct Client {
    connector: Connector,
    origins: Mutex<HashMap<Uri, Arc<Pool<Io, SplicedBody>>>>,
    http2: Arc<Http2>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// Creates a client without connections.
    ///
    /// # Errors
    /// If rustls refuses its own default protocol versions, which would be a bug of the build.
    pub(crate) fn new() -> Result<Self, BoxError> {
        let http2 = Arc::new(Http2::new(connector(true)?));
        Ok(Self { connector: connector(false)?, origins: Mutex::default(), http2 })
    }

    /// Returns the HTTP/1.1 upstream of `base`, an absolute http or https URL.
    pub(crate) fn http1(&self, base: &Uri) -> Arc<dyn Upstream> {
        let root = root(base);
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let pool = origins.entry(root.clone()).or_insert_with(|| {
            let connector = self.connector.clone();
            Arc::new(Pool::new(IDLE_TIMEOUT, move || connector.clone().oneshot(root.clone())))
        });
        Arc::new(Http1(Arc::clone(pool)))
    }

    /// Returns the upstream that offers HTTP/2 by ALPN. It opens one connection per authority, and calls wait for its
    /// limit of streams.
    pub(crate) fn http2(&self) -> Arc<dyn Upstream> {
        Arc::clone(&self.http2) as Arc<dyn Upstream>
    }
}

/// Returns the scheme and authority of a URL, with the path `/`.
fn root(base: &Uri) -> Uri {
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static("/"));
    // Without scheme or authority the connector returns an error.
    Uri::from_parts(parts).unwrap_or_default()
}

/// The HTTP/1.1 upstream of one origin, over its pool.
struct Http1(Arc<Pool<Io, SplicedBody>>);

impl Upstream for Http1 {
    fn call(&self, call: UpstreamCall) -> UpstreamFuture {
        let mut request = call.request;
        if request.uri().scheme().is_some() {
            *request.uri_mut() = origin_form(request.uri());
        }
        let response = Arc::clone(&self.0).send(request).map(|result| match result {
            Ok(response) => Ok(response.map(UpstreamBody::from)),
            Err(SendError::Connect(error)) => Err(connect_error(&*error)),
            Err(SendError::Broken(error)) => Err(call_error(&error)),
            Err(SendError::StaleConnection(error)) => {
                Err(TransportError { evidence: false, ..call_error(&error) })
            }
        });
        Box::pin(YieldOnce::new(response, call.stream))
    }

    fn takes_origin_form(&self) -> bool {
        true
    }
}
