//! Streams whose events do not end: the memory for them has a limit over all streams.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use crate::support::{gateway::Gateway, soon, upstream::read_request};

const STREAMS: usize = 100;
/// The size of an event that does not end.
const ENDLESS: usize = 2_000_000;
/// The size of a picture in an event that ends.
const PICTURE: usize = 3_000_000;

/// Starts an upstream that sends a long event: complete if the request asks for a picture; else without an end, in one line
/// or, if the request asks for lines, in many.
/// The receiver holds the number of long events that were sent.
async fn upstream() -> (SocketAddr, watch::Receiver<usize>, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, sent) = (listener.local_addr().unwrap(), Arc::new(watch::Sender::new(0)));
    let (count, mut server) = (sent.subscribe(), JoinSet::new());
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            connections.spawn(serve(socket, Arc::clone(&sent)));
        }
    });
    (address, count, server)
}

async fn serve(mut socket: TcpStream, sent: Arc<watch::Sender<usize>>) {
    let request = read_request(&mut socket).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    if String::from_utf8_lossy(&request).contains("picture") {
        let long = "x".repeat(PICTURE);
        let event = format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{long}\"}},\"finish_reason\":\"stop\"}}]}}\n\n"
        );
        socket.write_all((head.to_owned() + &event + "data: [DONE]\n\n").as_bytes()).await.unwrap();
        return;
    }
    let line = if String::from_utf8_lossy(&request).contains("lines") { 1000 } else { ENDLESS };
    let event = format!("data: {}\n", "x".repeat(line)).repeat(ENDLESS / line);
    socket.write_all((head.to_owned() + &event[..ENDLESS]).as_bytes()).await.unwrap();
    sent.send_modify(|count| *count += 1);
    // The stream stays open.
    assert_eq!(socket.read(&mut [0]).await.unwrap_or(0), 0);
}

/// Asks for a stream.
async fn ask(port: u16, what: &str) -> TcpStream {
    let body = format!(
        "{{\"model\":\"m\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\"content\":\"{what}\"}}]}}"
    );
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    client.write_all((head + &body).as_bytes()).await.unwrap();
    client
}

#[tokio::test]
async fn a_hundred_streams_without_line_ends_stay_under_64_mb_and_others_pass() {
    hundred_endless_events("one line").await;
}

#[tokio::test]
async fn a_hundred_streams_without_blank_lines_stay_under_64_mb_and_others_pass() {
    hundred_endless_events("lines").await;
}

/// Reads a hundred endless events of this kind and one picture.
async fn hundred_endless_events(kind: &str) {
    let (address, mut sent, _server) = upstream().await;
    let gateway = Gateway::start(&format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/x, api_base: \"http://{address}/v1\", api_key: k}}\n"
    ))
    .await;
    let idle = gateway.peak_memory();
    let mut readers = JoinSet::new();
    for _ in 0..STREAMS {
        let mut client = ask(gateway.port, kind).await;
        readers.spawn(async move { tokio::io::copy(&mut client, &mut tokio::io::sink()).await });
    }
    soon("all long events", sent.wait_for(|sent| *sent == STREAMS)).await.unwrap();

    let mut picture = String::new();
    let mut client = ask(gateway.port, "picture").await;
    soon("the picture", client.read_to_string(&mut picture)).await.unwrap();
    assert_eq!(picture.matches('x').count() / 1000, PICTURE / 1000);
    assert!(picture.contains("data: [DONE]"));
    // A release build takes 9 MB when it is idle, and grows by 40 MB: its calls are shorter.
    let grown = gateway.peak_memory() - idle;
    assert!(grown < 64_000_000, "{grown} bytes");
}
