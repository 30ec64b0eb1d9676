//! A model server that follows a script and writes down every call.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::Instant,
};

use super::{
    answers,
    reply::{Part, Reply, ScriptBody, live},
    soon,
};

/// The end of a call, as the upstream saw it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// The whole answer was handed out.
    Answered(Instant),
    /// Broken by the script of the upstream.
    Broken(Instant),
    /// The caller went away first.
    Left(Instant),
}

/// A call, as it was received.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// When all of it had come.
    pub(crate) at: Instant,
    /// Which connection it came by, counted from 0.
    pub(crate) connection: usize,
    end: watch::Receiver<Option<End>>,
}

impl Call {
    /// The body as JSON, judged strictly.
    pub(crate) fn json(&self) -> serde_json::Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("an upstream was sent {:?}: {error}", String::from_utf8_lossy(&self.body)),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Waits for its end.
    pub(crate) async fn end(&self) -> End {
        let mut end = self.end.clone();
        soon("the end of a call", async { end.wait_for(Option::is_some).await.unwrap().unwrap() }).await
    }

    /// Waits until the caller has gone away; any other end is a mistake.
    pub(crate) async fn left(&self) -> Instant {
        match self.end().await {
            End::Left(at) => at,
            other => panic!("the caller was to leave, but: {other:?}"),
        }
    }
}

/// The end of a call, which the first event sets.
#[derive(Clone)]
pub(super) struct Watch {
    end: Arc<EndOnDrop>,
    reset: Arc<AtomicBool>,
}

struct EndOnDrop(watch::Sender<Option<End>>);

impl EndOnDrop {
    fn set(&self, end: End) {
        self.0.send_if_modified(|known| known.is_none() && known.replace(end).is_none());
    }
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.set(End::Left(Instant::now()));
    }
}

impl Watch {
    pub(super) fn answered(&self) {
        self.end.set(End::Answered(Instant::now()));
    }

    pub(super) fn breaking(&self, reset: bool) {
        self.reset.store(reset, Ordering::SeqCst);
        self.end.set(End::Broken(Instant::now()));
    }
}

type Script = Box<dyn FnMut(&Call) -> Reply + Send>;

struct Shared {
    script: Mutex<Script>,
    calls: watch::Sender<Vec<Arc<Call>>>,
    connections: AtomicUsize,
}

/// A server on a port of its own.
pub(crate) struct Upstream {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: Option<JoinHandle<()>>,
    /// Keeps the port of one that refuses: bound, never listening.
    _refusing: Option<TcpSocket>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Upstream {
    /// Starts an upstream that always responds like a chat model.
    pub(crate) async fn start() -> Self {
        Self::of(|_| answers::chat("hello")).await
    }

    /// Starts an upstream with these replies in order; the last is repeated.
    pub(crate) async fn with(replies: impl IntoIterator<Item = Reply>) -> Self {
        let mut replies: VecDeque<_> = replies.into_iter().collect();
        Self::of(move |_| if replies.len() > 1 { replies.pop_front().unwrap() } else { replies[0].clone() })
            .await
    }

    /// Starts an upstream that computes the reply to each call.
    pub(crate) async fn of(script: impl FnMut(&Call) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Self::shared(Box::new(script));
        let task = tokio::spawn(accept(listener, shared.clone()));
        Self { shared, address, task: Some(task), _refusing: None }
    }

    /// A port where nobody listens.
    pub(crate) fn refusing() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        let shared = Self::shared(Box::new(|_| answers::chat("unreachable")));
        Self { shared, address, task: None, _refusing: Some(socket) }
    }

    fn shared(script: Script) -> Arc<Shared> {
        let calls = watch::Sender::new(Vec::new());
        Arc::new(Shared { script: Mutex::new(script), calls, connections: AtomicUsize::new(0) })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Replaces the reply to all later calls.
    pub(crate) fn becomes(&self, reply: Reply) {
        *self.shared.script.lock().unwrap() = Box::new(move |_| reply.clone());
    }

    /// Replaces the function that computes the reply to each later call.
    pub(crate) fn thinks(&self, script: impl FnMut(&Call) -> Reply + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    pub(crate) fn calls(&self) -> Vec<Arc<Call>> {
        self.shared.calls.borrow().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.shared.calls.borrow().len()
    }

    /// Connections taken so far.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The only call there was.
    pub(crate) fn only(&self) -> Arc<Call> {
        let calls = self.calls();
        assert_eq!(calls.len(), 1, "one call was expected");
        calls[0].clone()
    }

    /// Waits for the call number `n`, counted from 1.
    pub(crate) async fn call(&self, n: usize) -> Arc<Call> {
        let mut calls = self.shared.calls.subscribe();
        let seen =
            soon("a call", async { calls.wait_for(|calls| calls.len() >= n).await.unwrap().clone() }).await;
        seen[n - 1].clone()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        stream.set_nodelay(true).unwrap();
        let connection = shared.connections.fetch_add(1, Ordering::SeqCst);
        let reset = Arc::new(AtomicBool::new(false));
        let line = Line { stream, reset: reset.clone() };
        let shared = shared.clone();
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, shared.clone(), connection, reset.clone()));
            let server =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(line), service);
            drop(server.await); // a broken connection is what some scripts ask for
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    connection: usize,
    reset: Arc<AtomicBool>,
) -> io::Result<Response<ScriptBody>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let ending = watch::Sender::new(None);
    let end = ending.subscribe();
    let watch = Watch { end: Arc::new(EndOnDrop(ending)), reset };
    let target = head.uri.path_and_query().map_or_else(String::new, ToString::to_string);
    let (method, headers, at) = (head.method, head.headers, Instant::now());
    let call = Arc::new(Call { method, target, headers, body, at, connection, end });
    let reply = (shared.script.lock().unwrap())(&call);
    shared.calls.send_modify(|calls| calls.push(call));
    for part in reply.before.clone() {
        live(part, watch.clone()).await?;
    }
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    response.body(reply.into_body(watch)).map_err(io::Error::other)
}

/// Reads a request with a JSON object as its body from a plain socket, for an upstream below HTTP.
pub(crate) async fn read_request(socket: &mut TcpStream) -> Vec<u8> {
    let mut received = Vec::new();
    while !received.ends_with(b"}") {
        assert_ne!(socket.read_buf(&mut received).await.unwrap(), 0, "the request is not complete");
    }
    received
}

/// A connection that is reset instead of closed when its script says so.
struct Line {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.reset.load(Ordering::SeqCst) {
            drop(self.stream.set_zero_linger());
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// A part that a test puts between events to see them come one by one.
pub(crate) fn pause(millis: u64) -> Part {
    Part::Wait(std::time::Duration::from_millis(millis))
}
