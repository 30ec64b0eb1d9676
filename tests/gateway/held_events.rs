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
const ENDLESS: usize = 6_000_000;
/// The size of a picture in an event that ends.
const PICTURE: usize = 3_000_000;

/// Starts an upstream that sends a long event: complete if the request asks for a picture, else without a line end.
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
    socket.write_all((head.to_owned() + "data: " + &"x".repeat(ENDLESS)).as_bytes()).await.unwrap();
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
async fn a_hundred_streams_without_line_ends_take_less_than_half_of_what_they_send_and_others_pass() {
    let (address, mut sent, _server) = upstream().await;
    let gateway = Gateway::start(&format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/x, api_base: \"http://{address}/v1\", api_key: k}}\n"
    ))
    .await;
    let before = gateway.peak_memory();
    let mut readers = JoinSet::new();
    for _ in 0..STREAMS {
        let mut client = ask(gateway.port, "without end").await;
        readers.spawn(async move { tokio::io::copy(&mut client, &mut tokio::io::sink()).await });
    }
    soon("all long events", sent.wait_for(|sent| *sent == STREAMS)).await.unwrap();

    let mut picture = String::new();
    let mut client = ask(gateway.port, "picture").await;
    soon("the picture", client.read_to_string(&mut picture)).await.unwrap();
    assert_eq!(picture.matches('x').count() / 1000, PICTURE / 1000);
    assert!(picture.contains("data: [DONE]"));
    let grown = gateway.peak_memory() - before;
    assert!(grown < (STREAMS * ENDLESS / 2) as u64, "{grown} bytes");
}
