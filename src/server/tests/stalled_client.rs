//! Test of a client that stops reading, over sockets and through the whole gateway: it frees everything that it held.

use std::{future::pending, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
    time::{Instant, pause, resume},
};

use crate::{
    config::Config,
    server::{Listener, SEND_TIMEOUT, serve, traced},
    stack::{self, Options},
    state::State,
};

/// An upstream that streams without end to its first client; the task ends when the client disconnects.
async fn endless_upstream() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let first = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        assert_ne!(socket.read(&mut [0; 16 * 1024]).await.unwrap(), 0);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        socket.write_all(head.as_bytes()).await.unwrap();
        let event = r#"data: {"choices":[{"index":0,"delta":{"content":"words"}}]}"#;
        let events = format!("{event}\n\n").repeat(100);
        while socket.write_all(events.as_bytes()).await.is_ok() {}
    });
    (address, first)
}

/// A gateway that admits one request at a time.
async fn gateway(upstream: SocketAddr) -> SocketAddr {
    let yaml = format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/x, api_base: \"http://{upstream}/v1\", \
         api_key: k, max_parallel_requests: 1}}\nrouter_settings: {{max_in_flight: 1, num_retries: 0}}\n"
    );
    let (config, _) = Config::from_yaml(&yaml, "stalled.yaml", &|_| None).unwrap();
    let state = State::new().unwrap();
    let gateway = stack::gateway(&config, &state, Options::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let listener = Listener::new(listener, 10);
    tokio::spawn(async move { serve(listener, traced(gateway), state.draining.clone(), pending()).await });
    address
}

fn chat() -> String {
    let body = r#"{"model": "m", "stream": true, "messages": []}"#;
    let length = body.len();
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// Sends a request; returns the connection and the first bytes of the response.
async fn begin(gateway: SocketAddr, request: &str) -> (TcpStream, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 * 1024).unwrap();
    let mut socket = socket.connect(gateway).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 4096];
    let count = socket.read(&mut first).await.unwrap();
    (socket, String::from_utf8_lossy(&first[..count]).into_owned())
}

/// The gateway's metrics.
async fn metrics(gateway: SocketAddr) -> String {
    let request = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let (mut socket, mut text) = begin(gateway, request).await;
    socket.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn a_client_that_stops_reading_frees_its_permit_its_slot_and_its_upstream() {
    let (upstream, streamed) = endless_upstream().await;
    let gateway = gateway(upstream).await;
    let (mut client, head) = begin(gateway, &chat()).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let (_, refused) = begin(gateway, &chat()).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "the only permit is taken: {refused}");

    // From here on the clock jumps to the next timer whenever all tasks wait; the send timeout is the only timer.
    pause();
    let since = Instant::now();
    streamed.await.unwrap();
    assert!(since.elapsed() >= SEND_TIMEOUT, "{:?}", since.elapsed());
    resume();

    let mut rest = Vec::new();
    let reset = client.read_to_end(&mut rest).await.unwrap_err();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset, "the kernel holds no bytes for it");
    let metrics = metrics(gateway).await;
    let value = |start| {
        let line = metrics.lines().find(|line| line.starts_with(start));
        line.unwrap_or_else(|| panic!("no {start} in {metrics}")).rsplit_once(' ').unwrap().1
    };
    assert_eq!(value("tollgate_deployment_attempts_in_flight{"), "0");
    assert_eq!(value("tollgate_requests_in_flight"), "0");
    assert_eq!(value("tollgate_requests_total{operation=\"chat\",status=\"200\",class=\"cancelled\"}"), "1");
    // The upstream no longer listens, but the gateway calls it: the permit and the slot are free.
    let (_, called) = begin(gateway, &chat()).await;
    assert!(called.starts_with("HTTP/1.1 502"), "{called}");
}
