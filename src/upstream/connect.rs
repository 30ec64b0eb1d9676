//! Dialling, with TLS where it is asked for: [`Connector`].

use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::client::legacy::connect::HttpConnector;
use tollgate_layers::{BoxError, timeout::TimeoutLayer};
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use crate::pool::Io;

/// The connect clock: dial, and the handshake of TLS.
pub const CONNECT: Duration = Duration::from_secs(5);

/// Gives a connection to wherever a URL leads, within [`CONNECT`].
pub(super) type Connector = BoxCloneSyncService<Uri, Io, BoxError>;

/// With `http2` that protocol is offered by ALPN.
pub(super) fn connector(http2: bool) -> Result<Connector, BoxError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_keepalive(Some(Duration::from_secs(60)));
    let tls = tls()?.https_or_http();
    let https = if http2 {
        tls.enable_all_versions().wrap_connector(tcp)
    } else {
        tls.enable_http1().wrap_connector(tcp)
    };
    Ok(BoxCloneSyncService::new(ServiceBuilder::new().layer(TimeoutLayer::new(CONNECT)).service(https)))
}

/// TLS with the machine's own roots, or with Mozilla's where the machine has none (an empty container).
fn tls() -> Result<HttpsConnectorBuilder<WantsSchemes>, BoxError> {
    let ring = rustls::crypto::ring::default_provider;
    match HttpsConnectorBuilder::new().with_provider_and_native_roots(ring()) {
        Ok(builder) => Ok(builder),
        Err(_) => Ok(HttpsConnectorBuilder::new().with_provider_and_webpki_roots(ring())?),
    }
}
