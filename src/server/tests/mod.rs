//! Tests of the server over in-memory connections and a paused clock, on which a wait without end fails a test at once.

mod backpressure;
mod http2;
mod readiness;
mod shutdown;
mod stalled_client;
mod timeouts;

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tollgate_test_support::Script;
use tower::service_fn;

use super::{AtCapacity, ConnectionContext, Draining, client_io::Reset};

impl Reset for DuplexStream {
    fn reset(&self) {}
}

fn context() -> ConnectionContext {
    ConnectionContext {
        draining: Draining::default(),
        at_capacity: AtCapacity::default(),
        connections: Arc::default(),
        keepalive_timeout: KEEPALIVE_TIMEOUT,
        max_head_size: super::MAX_HEAD_SIZE,
    }
}

const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(75);

/// The client's end of a connection with a buffer of this size in each direction; the scripts are the response bodies.
fn served(capacity: usize, scripts: impl IntoIterator<Item = Script>) -> (DuplexStream, JoinHandle<bool>) {
    let (client, server) = duplex(capacity);
    let scripts = Arc::new(std::sync::Mutex::new(scripts.into_iter().collect::<VecDeque<_>>()));
    let service = service_fn(move |_: Request<Incoming>| {
        let script = scripts.lock().unwrap().pop_front().unwrap();
        std::future::ready(Ok::<_, Infallible>(Response::new(script.into_body())))
    });
    let connection = context().connection(server, service);
    (client, tokio::spawn(async move { connection.await.is_ok() }))
}

/// Sends pipelined requests in one write; the last closes the connection.
async fn send_requests(client: &mut (impl AsyncWrite + Unpin), count: usize) {
    let mut requests = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(count);
    requests.insert_str(requests.len() - 2, "connection: close\r\n");
    client.write_all(requests.as_bytes()).await.unwrap();
}

/// A time longer than every timeout of a connection.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Waits for the future, and fails the test if it never resolves.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(FOR_EVER, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited for ever: {what}"),
    }
}

/// Waits until the connection has made all the progress that it can make.
async fn settle() {
    sleep(Duration::from_millis(10)).await;
}
