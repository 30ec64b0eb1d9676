//! The connector that reaches https upstreams through the proxy of the environment: [`ProxyConnector`].

use std::{
    error::Error,
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{
    TryFutureExt,
    future::{Either, MapErr},
};
use http::{Uri, uri::Scheme};
use hyper::rt::{Read, Write};
use hyper_util::client::{legacy::connect::proxy::Tunnel, proxy::matcher::Matcher};
use tollgate_layers::BoxError;
use tower::Service;

/// A connector that opens a tunnel (CONNECT) to an https upstream where `HTTPS_PROXY` or `ALL_PROXY` names a proxy and
/// `NO_PROXY` does not exclude the host. Every other upstream is connected to directly.
#[derive(Clone)]
pub(super) struct ProxyConnector<C> {
    direct: C,
    proxies: Arc<Matcher>,
}

impl<C> ProxyConnector<C> {
    /// Returns a connector over `direct` with the proxies that the environment names now.
    pub(super) fn from_env(direct: C) -> Self {
        Self { direct, proxies: Arc::new(Matcher::from_env()) }
    }
}

impl<C> Service<Uri> for ProxyConnector<C>
where
    C: Service<Uri, Error: Into<BoxError>, Future: Send + 'static> + Clone,
    C::Response: Read + Write + Unpin + Send + 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Either<
        MapErr<C::Future, fn(C::Error) -> BoxError>,
        MapErr<<Tunnel<C> as Service<Uri>>::Future, fn(<Tunnel<C> as Service<Uri>>::Error) -> BoxError>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.direct.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let proxy = self.proxies.intercept(&to).filter(|_| to.scheme() == Some(&Scheme::HTTPS));
        let Some(proxy) = proxy else {
            return Either::Left(self.direct.call(to).map_err(Into::into));
        };
        // The clone that is ready makes the connection.
        let later = self.direct.clone();
        let mut tunnel = Tunnel::new(proxy.uri().clone(), mem::replace(&mut self.direct, later));
        if let Some(credentials) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(credentials.clone());
        }
        Either::Right(tunnel.call(to).map_err(|error| TunnelError(error.into()).into()))
    }
}

/// The failure of a tunnel through a proxy.
#[derive(Debug)]
pub(super) struct TunnelError(BoxError);

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy of HTTPS_PROXY opened no connection: {}", self.0)
    }
}

impl Error for TunnelError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}
