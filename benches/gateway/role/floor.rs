//! The floor: the least that a reverse proxy made of hyper does.
//!
//! Server connection, pooled client of hyper-util, bodies streamed both ways, headers moved, the URI formatted and
//! parsed for each request. It reads no body, keeps no count, times nothing out and retries nothing.

use std::sync::Arc;

use http::{Request, Response, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connect, HttpConnector},
    },
    rt::TokioExecutor,
};

use crate::Result;

/// Forwards to the server with this URL, which has no path, for ever.
pub(crate) async fn serve(to: &str) -> Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    if to.starts_with("http:") {
        return forward_all(to, connector).await;
    }
    connector.enforce_http(false);
    let tls = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?;
    forward_all(to, tls.https_only().enable_all_versions().wrap_connector(connector)).await
}

async fn forward_all<C: Connect + Clone + Send + Sync + 'static>(to: &str, connector: C) -> Result<()> {
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let listener = super::listen().await?;
    loop {
        if let Some(stream) = super::accept(&listener).await {
            let (client, to): (_, Arc<str>) = (client.clone(), to.into());
            let forward = service_fn(move |request| forward(client.clone(), to.clone(), request));
            tokio::spawn(super::connection(stream, forward));
        }
    }
}

async fn forward<C: Connect + Clone + Send + Sync + 'static>(
    client: Client<C, Incoming>,
    to: Arc<str>,
    request: Request<Incoming>,
) -> Result<Response<Incoming>> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = format!("{to}{path}").parse()?;
    head.headers.remove(header::HOST);
    head.headers.remove(header::CONNECTION);
    Ok(client.request(Request::from_parts(head, body)).await?)
}
