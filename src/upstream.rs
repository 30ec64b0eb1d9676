//! The hyper client as a Service, and the second border where types are erased: [`Upstream`].
//!
//! One [`Client`] serves all deployments of a gateway: hyper-util's pool is keyed by scheme and authority, and a
//! deployment's credentials ride in its own requests, never in the connection. HTTP/1.1 unless a deployment asks for
//! HTTP/2, because that client opens one connection per authority and queues behind its stream limit.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream, builderstates::WantsSchemes};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::net::TcpStream;
use tollgate_layers::{
    BoxError,
    timeout::{Elapsed, TimeoutLayer},
};
use tower::{Service, ServiceBuilder, util::BoxCloneSyncService};

use crate::{
    Error,
    body::{Payload, Wire},
    error::WireError,
    provider::Encoder,
    request::{Request, Route},
};

/// The connect clock: dial, and the handshake of TLS.
pub const CONNECT: Duration = Duration::from_secs(5);

/// An idle connection is kept for that long: below the 60 s after which common load balancers drop one silently.
const IDLE: Duration = Duration::from_secs(50);

/// What hyper reads ahead of an answer at most: its default of 400 KB would be held for every slow reader. A longer
/// head of an answer is refused.
const BUFFER: usize = 8 * 1024;

/// What goes out, and what a canned answer must know to look like a real one.
#[derive(Debug)]
pub struct Call {
    /// The request in the upstream's dialect.
    pub request: http::Request<Payload>,
    /// Which endpoint was called.
    pub route: Route,
    /// Whether a stream is asked for.
    pub stream: bool,
}

/// An upstream's answer on its way.
pub type Calling = Pin<Box<dyn Future<Output = Result<http::Response<Wire>, WireError>> + Send>>;

/// Whatever answers in an upstream's dialect: a [`Client`], a mock, or an embedder's own.
pub trait Upstream: Send + Sync {
    /// Sends the call. Dropping the future cancels it.
    fn call(&self, call: Call) -> Calling;
}

type Connector = BoxCloneSyncService<Uri, MaybeHttpsStream<TokioIo<TcpStream>>, BoxError>;

/// hyper-util's pooled client over rustls.
#[derive(Clone, Debug)]
pub struct Client {
    inner: legacy::Client<Connector, Payload>,
}

impl Client {
    /// A client with its own pool. With `http2` the protocol is offered by ALPN.
    ///
    /// # Errors
    /// When rustls refuses its own default protocol versions, which would be a fault of the build.
    pub fn new(http2: bool) -> Result<Self, BoxError> {
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
        let connector = ServiceBuilder::new().layer(TimeoutLayer::new(CONNECT)).service(https);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http1_max_buf_size(BUFFER)
            .build(BoxCloneSyncService::new(connector));
        Ok(Self { inner })
    }
}

/// TLS with the machine's own roots, or with Mozilla's where the machine has none (an empty container).
fn tls() -> Result<HttpsConnectorBuilder<WantsSchemes>, BoxError> {
    let ring = rustls::crypto::ring::default_provider;
    match HttpsConnectorBuilder::new().with_provider_and_native_roots(ring()) {
        Ok(builder) => Ok(builder),
        Err(_) => Ok(HttpsConnectorBuilder::new().with_provider_and_webpki_roots(ring())?),
    }
}

impl Upstream for Client {
    fn call(&self, call: Call) -> Calling {
        let answer = self.inner.request(call.request);
        Box::pin(async move {
            match answer.await {
                Ok(answer) => Ok(answer.map(Wire::from)),
                Err(error) => Err(wire_error(&error)),
            }
        })
    }
}

/// What happened, in words that name no address. On the way to a connection, TLS tells of a bad certificate, or of a
/// server that speaks no TLS, as of invalid data or of something else.
fn wire_error(error: &legacy::Error) -> WireError {
    use std::io::ErrorKind;

    let mut cause = std::error::Error::source(error);
    let mut timed_out = false;
    let mut what = None;
    let mut unresolved = false;
    while let Some(error) = cause {
        timed_out |= error.is::<Elapsed>();
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            what = Some(io.kind());
        }
        // The resolver's io error has no kind; only the one that holds it tells what it is.
        unresolved |= error.to_string().starts_with("dns error");
        cause = error.source();
    }
    let connecting = error.is_connect();
    let what = match what {
        _ if timed_out => {
            format!("No connection to the upstream within {} s (connect clock).", CONNECT.as_secs())
        }
        _ if unresolved => "The upstream cannot be reached: its host name does not resolve.".to_owned(),
        Some(ErrorKind::InvalidData | ErrorKind::Other) if connecting => {
            "The upstream cannot be reached: TLS fails (its certificate, or it speaks none).".to_owned()
        }
        Some(kind) if connecting => format!("The upstream cannot be reached: {kind}."),
        None if connecting => "The upstream cannot be reached.".to_owned(),
        Some(kind) => format!("The connection to the upstream broke before its answer: {kind}."),
        None => "The connection to the upstream broke before its answer.".to_owned(),
    };
    WireError { sent: !connecting, timed_out, what: what.into() }
}

/// The innermost service: encodes for one deployment and sends.
#[derive(Clone)]
pub struct Deployed {
    inner: Arc<Inner>,
}

struct Inner {
    encoder: Encoder,
    /// Whether a stream's usage is asked for, to meter its tokens, where the client did not.
    usage: bool,
    upstream: Arc<dyn Upstream>,
}

impl std::fmt::Debug for Deployed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deployed").field("encoder", &self.inner.encoder).finish_non_exhaustive()
    }
}

impl Deployed {
    /// Calls `upstream` in the dialect of `encoder`.
    #[must_use]
    pub fn new(encoder: Encoder, usage: bool, upstream: Arc<dyn Upstream>) -> Self {
        Self { inner: Arc::new(Inner { encoder, usage, upstream }) }
    }
}

impl Service<Request> for Deployed {
    type Response = http::Response<Wire>;
    type Error = Error;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> ResponseFuture {
        let prompt = request.body();
        let (route, stream) = (prompt.head.route, prompt.head.stream);
        let request = self.inner.encoder.encode(prompt, self.inner.usage);
        ResponseFuture { inner: self.inner.upstream.call(Call { request, route, stream }) }
    }
}

/// The future of [`Deployed`].
pub struct ResponseFuture {
    inner: Calling,
}

impl std::fmt::Debug for ResponseFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponseFuture")
    }
}

impl Future for ResponseFuture {
    type Output = Result<http::Response<Wire>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(cx).map_err(Error::Wire)
    }
}
