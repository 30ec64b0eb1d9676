//! Connections in memory, on a paused clock: what waits for ever ends a test at once.

mod clocks;
mod leaving;
mod reading;
mod ready;
mod stuck;

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

use super::{House, connection, line::Reset};

impl Reset for DuplexStream {
    fn reset(&self) {}
}

/// A client's end of a connection whose buffer holds so much each way; requests are answered by these scripts in turn.
fn served(room: usize, scripts: impl IntoIterator<Item = Script>) -> (DuplexStream, JoinHandle<bool>) {
    let (client, server) = duplex(room);
    let scripts = Arc::new(std::sync::Mutex::new(scripts.into_iter().collect::<VecDeque<_>>()));
    let edge = service_fn(move |_: Request<Incoming>| {
        let script = scripts.lock().unwrap().pop_front().unwrap();
        std::future::ready(Ok::<_, Infallible>(Response::new(script.into_body())))
    });
    let connection = connection(server, edge, House::default());
    (client, tokio::spawn(async move { connection.await.is_ok() }))
}

/// So many requests in one piece; with the last the client says that it is done.
async fn ask(client: &mut (impl AsyncWrite + Unpin), count: usize) {
    let mut requests = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(count);
    requests.insert_str(requests.len() - 2, "connection: close\r\n");
    client.write_all(requests.as_bytes()).await.unwrap();
}

/// No clock of a connection runs longer.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Waits for `what`; what waits for ever ends the test.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(FOR_EVER, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited for ever: {what}"),
    }
}

/// What was written is as far as it will go.
async fn rest() {
    sleep(Duration::from_millis(10)).await;
}
