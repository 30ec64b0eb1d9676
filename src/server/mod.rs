//! The standalone server: accepts, serves HTTP/1.1, and goes without dropping anybody.

mod line;
mod listener;
mod outbox;
#[cfg(test)]
mod tests;

use std::{convert::Infallible, future::Future, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body::Body as HttpBody;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::TokioTimer,
    server::graceful::{GracefulConnection, GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::timeout,
};
use tollgate_layers::BoxError;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::{sensitive_headers::SetSensitiveRequestHeadersLayer, trace::TraceLayer};

pub use self::{line::SEND, listener::Listener};
use self::{
    line::{Line, Reset},
    listener::Crowd,
    outbox::Outbox,
};
pub use crate::front::paths::Draining;
use crate::{front::headers, gateway::Gateway};

/// What is in flight when the server is told to go may take that long: agents' streams run for minutes.
pub const DRAIN: Duration = Duration::from_secs(600);

/// A client may take that long to send its head, and may be silent for so long between two requests.
const HEAD: Duration = Duration::from_secs(30);

/// A longer head of a request is refused (431): what uvicorn takes, under which clients of LiteLLM's proxy live. hyper
/// looks when it has read, so that a stranger makes us hold at most twice as much, for [`HEAD`].
const HEAD_SIZE: usize = 64 * 1024;

/// hyper reads as much at once where reads come back full; it begins with 8 KB, and that is all that a chat costs. What is
/// queued for a slow reader has a bound of its own, the [`Outbox`].
///
/// A connection keeps the buffers that it has grown: an idle stream that began with a prompt of 1 MB holds 260 KB (with
/// 64 KB here it is 110, with 8 KB 41), one that began with a chat 34.
const READ_AHEAD: usize = 256 * 1024;

/// A service that can be served: it answers whatever comes.
pub trait Edge: Clone + Send + 'static {
    /// The body of its answers.
    type Body: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
    /// An answer on its way.
    type Future: Future<Output = Result<Response<Self::Body>, Infallible>> + Send;
    /// Converts into a tower Service.
    type Service: Service<Request<Incoming>, Response = Response<Self::Body>, Error = Infallible, Future = Self::Future>
        + Clone
        + Send
        + 'static;

    /// As a tower Service.
    fn into_service(self) -> Self::Service;
}

impl<S, B> Edge for S
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
    type Future = S::Future;
    type Service = S;

    fn into_service(self) -> S {
        self
    }
}

/// Whether anybody wants to hear of each request: `RUST_LOG=tower_http=debug`. That is known when the process starts,
/// and a layer that tells nobody anything would still cost each request a few hundred nanoseconds.
#[must_use]
pub fn is_traced() -> bool {
    tracing::enabled!(target: "tower_http::trace::on_request", tracing::Level::DEBUG)
}

/// The gateway with a span that tells of each request without its secrets.
///
/// An application that mounts a [`Gateway`] has such a layer of its own.
pub fn traced(gateway: Gateway) -> impl Edge {
    ServiceBuilder::new()
        .layer(SetSensitiveRequestHeadersLayer::new(headers::SENSITIVE)) // before a span can show them; no answer has any
        .layer(TraceLayer::new_for_http())
        .service(gateway)
}

/// Serves until `leave` resolves, with how long clients may still come: whoever sends them here must first hear from
/// `/health/readiness` that he should not. Then finishes what is in flight, at most [`DRAIN`] long.
///
/// Returns true if all requests were finished.
pub async fn serve<E: Edge>(
    listener: Listener,
    edge: E,
    draining: Draining,
    leave: impl Future<Output = Duration>,
) -> bool {
    let house = House { draining: draining.clone(), crowd: listener.crowd() };
    let connections = GracefulShutdown::new();
    let mut entrance = Entrance { listener, service: edge.into_service(), house, connections };
    let notice = tokio::select! {
        notice = leave => notice,
        never = entrance.let_in() => match never {},
    };
    draining.begin();
    let _over = timeout(notice, entrance.let_in()).await;
    let Entrance { listener, connections, .. } = entrance;
    drop(listener);
    timeout(DRAIN, connections.shutdown()).await.is_ok()
}

/// Where clients come in.
struct Entrance<S> {
    listener: Listener,
    service: S,
    house: House,
    connections: GracefulShutdown,
}

impl<S: Edge> Entrance<S> {
    async fn let_in(&mut self) -> Infallible {
        loop {
            let (stream, place) = self.listener.accept().await;
            let connection = connection(stream, self.service.clone(), self.house.clone());
            let served = self.connections.watch(connection).map(move |ended| {
                // A connection that breaks is its client's business; what it had in flight has been dropped.
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection ended");
                }
                drop(place);
            });
            tokio::spawn(served);
        }
    }
}

/// The part of the server's state that each connection needs.
#[derive(Clone, Debug, Default)]
struct House {
    draining: Draining,
    crowd: Crowd,
}

/// The connection of a client, served when it is polled.
fn connection<T, E>(stream: T, edge: E, house: House) -> impl GracefulConnection<Error = hyper::Error> + Send
where
    T: AsyncRead + AsyncWrite + Reset + Send + Unpin + 'static,
    E: Edge,
{
    let outbox = Outbox::new(house.crowd);
    let line = Line::new(stream, outbox.clone(), house.draining);
    let service = edge.into_service().map_response(move |answer| outbox.paced(answer));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_header_size(HEAD_SIZE)
        .max_buf_size(READ_AHEAD)
        .serve_connection(line, TowerToHyperService::new(service))
}
