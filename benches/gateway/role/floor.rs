//! The floor: the least that a reverse proxy made of hyper does.
//!
//! Server connection, pooled client of hyper-util, bodies streamed both ways, headers moved, the URI formatted and
//! parsed for each request. It reads no body, keeps no count, times nothing out and retries nothing.

use std::net::SocketAddr;

use http::{Request, Response, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::Result;

/// Forwards to `to`, for ever.
pub(crate) async fn serve(to: SocketAddr) -> Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let listener = super::listen().await?;
    loop {
        if let Some(stream) = super::accept(&listener).await {
            let client = client.clone();
            let forward = service_fn(move |request| forward(client.clone(), to, request));
            tokio::spawn(super::connection(stream, forward));
        }
    }
}

async fn forward(
    client: Client<HttpConnector, Incoming>,
    to: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Incoming>> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = format!("http://{to}{path}").parse()?;
    head.headers.remove(header::HOST);
    head.headers.remove(header::CONNECTION);
    Ok(client.request(Request::from_parts(head, body)).await?)
}
