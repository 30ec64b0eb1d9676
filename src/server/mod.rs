//! The standalone server: accepts connections, with TLS if it has a certificate, serves them with hyper, and shuts down
//! gracefully. A client with TLS may choose HTTP/2; all others have HTTP/1.1.

mod certificate;
mod client_io;
mod framing;
mod http2;
mod listener;
#[cfg(test)]
mod tests;
mod waiting;
mod write_window;

use std::{convert::Infallible, future::Future, net::SocketAddr, sync::Arc, time::Duration};

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
    net::TcpStream,
    sync::watch,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tollgate_layers::BoxError;
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_http::{sensitive_headers::SetSensitiveRequestHeadersLayer, trace::TraceLayer};
use tracing::Span;

pub use self::{
    certificate::{Certificate, CertificateError},
    client_io::SEND_TIMEOUT,
    listener::{Listener, ListenerSocket},
};
use self::{
    client_io::{ClientIo, Reset},
    framing::CheckFraming,
    listener::{Accepted, AtCapacity, ClientStream, Held},
    waiting::Connections,
    write_window::WriteWindow,
};
pub use crate::front::paths::Draining;
use crate::{front::headers, gateway::Gateway};

/// The default maximum time for finishing the requests in flight after a shutdown signal: agents' streams run for minutes.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(600);

/// The maximum time of a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The default maximum size of a request's head in bytes; a longer one gets a 431. The number is uvicorn's, which clients of
/// LiteLLM's proxy already keep to. hyper checks after it has read: an unauthenticated client can make the server buffer
/// at most twice as much, and all such clients together have a limit ([`waiting`]).
const MAX_HEAD_SIZE: usize = 64 * 1024;

/// The maximum size of hyper's read buffer in bytes. The buffer begins with 8 KB, which is enough for a chat, and grows
/// while reads fill it. Queued response bytes have a limit of their own, the [`WriteWindow`].
///
/// A connection keeps the buffers that it has grown: an idle stream holds 34 KB after the request of a chat, and 260 KB
/// after a prompt of 1 MB (110 with a limit of 64 KB here, 41 with 8 KB). With a limit of 64 KB a prompt of 5 MB cost 1.17
/// times as much (1.11 to 1.28, 12 pairs), and uploads took no less memory.
const MAX_READ_BUFFER: usize = 256 * 1024;

/// A tower service that the server can serve: it responds to every request of hyper and never fails.
///
/// Implemented for every such [`Service`]; it exists to name the bounds once.
pub trait HttpService: Clone + Send + 'static {
    /// The body of the responses.
    type Body: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
    /// The future of a response.
    type Future: Future<Output = Result<Response<Self::Body>, Infallible>> + Send;
    /// The tower service.
    type Service: Service<Request<Incoming>, Response = Response<Self::Body>, Error = Infallible, Future = Self::Future>
        + Clone
        + Send
        + 'static;

    /// Returns the tower service.
    fn into_service(self) -> Self::Service;
}

impl<S, B> HttpService for S
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

/// Returns true if the log filter enables a span for each request, as `RUST_LOG=tower_http=debug` does.
///
/// The filter is fixed when the process starts, so a server without it can omit the layer of [`traced`], which costs a
/// request a few hundred nanoseconds even when it logs nothing.
#[must_use]
pub fn is_traced() -> bool {
    tracing::enabled!(target: "tower_http::trace::on_request", tracing::Level::DEBUG)
}

/// Returns the gateway with a tracing span for each request, in which headers with secrets are hidden.
///
/// An application that mounts a [`Gateway`] adds such a layer of its own.
pub fn traced(gateway: Gateway) -> impl HttpService {
    ServiceBuilder::new()
        // Before the span is made; no response has a header with a secret.
        .layer(SetSensitiveRequestHeadersLayer::new(headers::SENSITIVE))
        .layer(TraceLayer::new_for_http().make_span_with(request_span::<Incoming>))
        .service(gateway)
}

/// Returns the span of a request. It has the path without the query, which may contain a key.
fn request_span<B>(request: &Request<B>) -> Span {
    tracing::debug_span!(
        target: "tower_http::trace::make_span",
        "request",
        method = %request.method(),
        path = request.uri().path(),
        version = ?request.version(),
    )
}

/// Serves until `shutdown` resolves, then finishes the requests in flight within the [drain timeout](Listener::with_drain_timeout).
///
/// `shutdown` returns the time for which new connections are still accepted: a load balancer goes on sending clients until
/// it has seen that `/health/readiness` returns 503.
///
/// Returns true if all requests were finished.
pub async fn serve<S: HttpService>(
    listener: Listener,
    service: S,
    draining: Draining,
    shutdown: impl Future<Output = Duration>,
) -> bool {
    serve_each(listener, move |_| service.clone(), draining, shutdown).await
}

/// Serves as [`serve`] does. `make` returns the service of each connection, by the address of its client; that of a unix
/// socket is `127.0.0.1`.
pub async fn serve_each<S: HttpService>(
    listener: Listener,
    make: impl Fn(SocketAddr) -> S,
    draining: Draining,
    shutdown: impl Future<Output = Duration>,
) -> bool {
    let mut server = Server::new(listener, make, draining.clone());
    let deregistration_delay = tokio::select! {
        delay = shutdown => delay,
        never = server.accept_loop() => match never {},
    };
    draining.begin();
    let _elapsed = timeout(deregistration_delay, server.accept_loop()).await;
    server.finish().await
}

/// The listener and the connections that it has accepted.
struct Server<M> {
    listener: Listener,
    make: M,
    context: ConnectionContext,
    connections: GracefulShutdown,
    /// True when connections with HTTP/2 are to end.
    closing: watch::Sender<bool>,
}

impl<M: Fn(SocketAddr) -> S, S: HttpService> Server<M> {
    fn new(listener: Listener, make: M, draining: Draining) -> Self {
        let context = listener.context(draining);
        let (connections, closing) = (GracefulShutdown::new(), watch::Sender::new(false));
        Self { listener, make, context, connections, closing }
    }

    async fn accept_loop(&mut self) -> Infallible {
        loop {
            let Accepted { stream, peer, held } = self.listener.accept().await;
            let service = (self.make)(peer);
            match (stream, self.listener.acceptor()) {
                (ClientStream::Tcp(stream), None) => self.serve(stream, service, held),
                (ClientStream::Tcp(stream), Some(acceptor)) => {
                    self.serve_tls((stream, acceptor), service, held);
                }
                (ClientStream::Unix(stream), _) => self.serve(stream, service, held),
            }
        }
    }

    fn serve<T>(&self, stream: T, service: S, held: Held)
    where
        T: AsyncRead + AsyncWrite + Reset + Send + Unpin + 'static,
    {
        let connection = self.connections.watch(self.context.clone().connection(stream, service));
        tokio::spawn(connection.map(move |result| ended(result, held)));
    }

    fn serve_tls(&self, (stream, acceptor): (TcpStream, TlsAcceptor), service: S, held: Held) {
        // A shutdown waits for the watcher.
        let (watcher, closing) = (self.connections.watcher(), self.closing.subscribe());
        let context = self.context.clone();
        tokio::spawn(async move {
            match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(certificate::HTTP2) => {
                    ended(context.serve_http2(stream, service, closing).await, held);
                    drop(watcher);
                }
                Ok(Ok(stream)) => ended(watcher.watch(context.connection(stream, service)).await, held),
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            }
        });
    }

    /// Closes the listener and waits for the connections. Returns true if all of them ended within the drain timeout.
    async fn finish(self) -> bool {
        let drain_timeout = self.listener.drain_timeout;
        drop(self.listener);
        self.closing.send_replace(true);
        timeout(drain_timeout, self.connections.shutdown()).await.is_ok()
    }
}

/// Drops what a connection has held.
fn ended(result: Result<(), hyper::Error>, held: Held) {
    // A broken connection concerns only its client; its requests in flight have been dropped.
    if let Err(error) = result {
        tracing::debug!(%error, "connection ended");
    }
    drop(held);
}

/// The part of the server's state that each connection needs.
#[derive(Clone, Debug)]
struct ConnectionContext {
    draining: Draining,
    at_capacity: AtCapacity,
    connections: Arc<Connections>,
    keepalive_timeout: Duration,
    max_head_size: usize,
}

impl ConnectionContext {
    /// Returns the connection of a client, which is served while it is polled.
    fn connection<T, S>(self, stream: T, service: S) -> impl GracefulConnection<Error = hyper::Error> + Send
    where
        T: AsyncRead + AsyncWrite + Reset + Send + Unpin + 'static,
        S: HttpService,
    {
        let head = self.connections.add();
        let window = WriteWindow::new(self.at_capacity, Arc::clone(&head));
        let io = ClientIo::new(stream, window.clone(), self.draining);
        let framing = window.clone();
        let service = service.into_service().map_response(move |response| window.wrap(response));
        let service = CheckFraming::new(service, framing).map_request(move |request| {
            head.begin_request();
            request
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.keepalive_timeout)
            .max_header_size(self.max_head_size)
            .max_buf_size(MAX_READ_BUFFER)
            .serve_connection(io, TowerToHyperService::new(service))
    }
}
