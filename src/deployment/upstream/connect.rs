//! The connector for TCP and TLS: [`Connector`].

use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::client::legacy::connect::{HttpConnector, dns::GaiResolver};
use rustls::ClientConfig;
use tokio::time::Instant;
use tollgate_layers::{BoxError, timeout::TimeoutLayer};
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use super::{proxy::ProxyConnector, resolve::Resolver};
use crate::{config::UpstreamTls, deployment::pool::Io, metrics::ConnectionMetrics};

/// The timeout of the dial and the TLS handshake.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A service that connects to the host of a URL within [`CONNECT_TIMEOUT`].
pub(crate) type Connector = BoxCloneSyncService<Uri, Io, BoxError>;

/// The silence of a server after which TCP keep-alive sends its first probe.
pub(super) const KEEPALIVE_TIME: Duration = Duration::from_secs(15);
/// The interval of further probes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// The number of unconfirmed probes after which the connection is dead.
const KEEPALIVE_RETRIES: u32 = 3;

/// The time without an acknowledgement, of data or of a probe, after which a connection is dead (`TCP_USER_TIMEOUT`): the
/// host has lost power, or a middlebox has dropped the connection. The kernel's own limit is a quarter of an hour.
pub(super) const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Creates a connector that measures its dials; `http2` offers that protocol by ALPN.
pub(crate) fn connector(http2: bool, metrics: ConnectionMetrics) -> Result<Connector, BoxError> {
    Ok(connector_over(tls()?, http2, metrics))
}

/// Creates such a connector with other TLS than the default.
pub(super) fn connector_with(tls: &UpstreamTls, http2: bool, metrics: ConnectionMetrics) -> Connector {
    let builder = HttpsConnectorBuilder::new().with_tls_config(ClientConfig::clone(&tls.config));
    connector_over(builder, http2, metrics)
}

fn connector_over(
    tls: HttpsConnectorBuilder<WantsSchemes>,
    http2: bool,
    metrics: ConnectionMetrics,
) -> Connector {
    let tcp = tcp(HttpConnector::new_with_resolver(Resolver::new(GaiResolver::new())));
    let tcp = ProxyConnector::from_env(tcp);
    let tls = tls.https_or_http();
    let https = if http2 {
        tls.enable_all_versions().wrap_connector(tcp)
    } else {
        tls.enable_http1().wrap_connector(tcp)
    };
    BoxCloneSyncService::new(
        ServiceBuilder::new()
            .map_future(move |dial| measured(dial, metrics.clone()))
            .layer(TimeoutLayer::new(CONNECT_TIMEOUT))
            .service(https),
    )
}

/// Measures a dial.
async fn measured<T, E>(
    dial: impl Future<Output = Result<T, E>>,
    metrics: ConnectionMetrics,
) -> Result<T, E> {
    let start = Instant::now();
    let result = dial.await;
    metrics.dialled(result.is_ok(), start.elapsed());
    result
}

/// Returns the TCP connector with the timeouts and keep-alive of upstream connections.
pub(super) fn tcp<R>(mut tcp: HttpConnector<R>) -> HttpConnector<R> {
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // The timeout is divided among the addresses, so that a dead one leaves time for the next.
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEPALIVE_TIME));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    tcp.set_tcp_user_timeout(Some(USER_TIMEOUT));
    tcp
}

/// Returns TLS with the root certificates of the machine, or with Mozilla's if it has none (an empty container).
fn tls() -> Result<HttpsConnectorBuilder<WantsSchemes>, BoxError> {
    let ring = rustls::crypto::ring::default_provider;
    match HttpsConnectorBuilder::new().with_provider_and_native_roots(ring()) {
        Ok(builder) => Ok(builder),
        Err(_) => Ok(HttpsConnectorBuilder::new().with_provider_and_webpki_roots(ring())?),
    }
}
