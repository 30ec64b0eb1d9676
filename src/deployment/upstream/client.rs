//! The HTTP client of all upstreams, [`Client`]: one HTTP/1.1 pool per origin, and one shared HTTP/2 client.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use futures_util::FutureExt;
use http::{Uri, uri::PathAndQuery};
use tollgate_layers::BoxError;
use tower::ServiceExt;

use super::{
    Upstream, UpstreamCall, UpstreamFuture,
    connect::{Connector, connector, connector_with},
    error::{call_error, connect_error},
    http2::Http2,
    yield_once::YieldOnce,
};
use crate::{
    body::UpstreamBody,
    config::UpstreamTls,
    deployment::pool::{Io, Pool, SendError},
    error::TransportError,
    metrics::ConnectionMetrics,
    provider::origin_form,
    request::SplicedBody,
};

/// The HTTP client of all deployments. Deployments with the same origin share connections: credentials are part of the
/// requests, never of the connection.
pub(crate) struct Client {
    connector: Connector,
    http2_connector: Connector,
    metrics: ConnectionMetrics,
    /// The pools of the live trees and of the calls in flight.
    origins: Mutex<Origins>,
    http2: Mutex<Http2Clients>,
}

/// The pools by origin and TLS.
type Origins = HashMap<(Uri, Option<UpstreamTls>), Weak<Pool<Io, SplicedBody>>>;

/// The clients of HTTP/2 by idle timeout and TLS.
type Http2Clients = HashMap<(Duration, Option<UpstreamTls>), Arc<Http2>>;

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// Creates a client without connections, which measures its dials.
    ///
    /// # Errors
    /// If rustls refuses its own default protocol versions, which would be a bug of the build.
    pub(crate) fn new(metrics: ConnectionMetrics) -> Result<Self, BoxError> {
        Ok(Self {
            connector: connector(false, metrics.clone())?,
            origins: Mutex::default(),
            http2_connector: connector(true, metrics.clone())?,
            metrics,
            http2: Mutex::default(),
        })
    }

    /// Returns the HTTP/1.1 upstream of `base`, an absolute http or https URL. Its idle connections are closed after
    /// `idle_timeout`.
    pub(crate) fn http1(
        &self,
        base: &Uri,
        tls: Option<&UpstreamTls>,
        idle_timeout: Duration,
    ) -> Arc<dyn Upstream> {
        let (root, key) = (root(base), (root(base), tls.cloned()));
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if origins.len() == origins.capacity() {
            origins.retain(|_, pool| pool.strong_count() > 0);
        }
        let known = origins.get(&key).and_then(Weak::upgrade);
        let pool = known.unwrap_or_else(|| {
            let connector = self.connector(tls, false);
            Arc::new(Pool::new(idle_timeout, move || connector.clone().oneshot(root.clone())))
        });
        origins.insert(key, Arc::downgrade(&pool));
        pool.set_idle_timeout(idle_timeout);
        Arc::new(Http1(pool))
    }

    /// Returns the upstream that offers HTTP/2 by ALPN. It opens one connection per authority, and calls wait for its
    /// limit of streams. An idle connection is closed after `idle_timeout`.
    pub(crate) fn http2(&self, tls: Option<&UpstreamTls>, idle_timeout: Duration) -> Arc<dyn Upstream> {
        let mut clients = self.http2.lock().unwrap_or_else(PoisonError::into_inner);
        let client = clients
            .entry((idle_timeout, tls.cloned()))
            .or_insert_with(|| Arc::new(Http2::new(self.connector(tls, true), idle_timeout)));
        Arc::clone(client) as Arc<dyn Upstream>
    }

    /// Returns the connector with this TLS.
    fn connector(&self, tls: Option<&UpstreamTls>, http2: bool) -> Connector {
        match tls {
            Some(tls) => connector_with(tls, http2, self.metrics.clone()),
            None if http2 => self.http2_connector.clone(),
            None => self.connector.clone(),
        }
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
        let response = Arc::clone(&self.0).send(request, call.fresh).map(|result| match result {
            Ok(response) => Ok(response.map(UpstreamBody::new)),
            Err(SendError::Connect(error)) => Err(connect_error(&*error)),
            Err(SendError::Broken(error)) => Err(call_error(&error)),
            Err(SendError::StaleConnection(error)) => {
                Err(TransportError { stale: true, ..call_error(&error) })
            }
        });
        Box::pin(YieldOnce::new(response, call.stream))
    }

    fn takes_origin_form(&self) -> bool {
        true
    }
}
