//! What a slow reader does not take is not read from the upstream, and not held.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
};

use crate::support::{answers as say, client::ask, gateway::Gateway, soon};

const FIRST: usize = 8;
const READERS: u64 = 20;
const STREAM: u64 = 80 << 20;
/// The maximum memory of one reader, without the buffers of its sockets; an idle stream has 34 KB already.
const EACH: u64 = 64 << 10;

/// A server that streams as fast as it is let, and counts what it could write.
async fn upstream(written: Arc<AtomicU64>) -> (String, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut streams = JoinSet::new();
        while let Ok((socket, _)) = listener.accept().await {
            streams.spawn(pour(socket, Arc::clone(&written)));
        }
    });
    (url, task)
}

async fn pour(mut socket: TcpStream, written: Arc<AtomicU64>) {
    let mut request = [0; 16 << 10];
    assert_ne!(socket.read(&mut request).await.unwrap(), 0);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let events = say::words(&[&"words ".repeat(20)]).body().repeat(200);
    let mut left = STREAM;
    while left > 0 {
        let Ok(count) = socket.write(&events).await else { return };
        written.fetch_add(count as u64, Ordering::SeqCst);
        left = left.saturating_sub(count as u64);
    }
}

/// Asks, reads the first bytes of the answer, and then takes nothing any more.
async fn reader(port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 << 10).unwrap();
    let mut socket = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
    let body = ask("m", json!({"stream": true}));
    let length = body.len();
    let request =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 512];
    let count = soon("the head of a stream", socket.read(&mut first)).await.unwrap();
    assert!(first[..count].starts_with(b"HTTP/1.1 200"));
    socket
}

/// Returns the number of bytes written when it has stopped growing.
async fn standstill(written: &AtomicU64) -> u64 {
    soon("a standstill", async {
        loop {
            let before = written.load(Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(400)).await;
            if before > 0 && written.load(Ordering::SeqCst) == before {
                return before;
            }
        }
    })
    .await
}

#[tokio::test]
async fn readers_that_stop_reading_cost_little_memory_and_hold_their_upstreams_back() {
    let written = Arc::new(AtomicU64::new(0));
    let (url, pouring) = upstream(Arc::clone(&written)).await;
    let gateway = Gateway::start(&format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/x, api_base: \"{url}\", api_key: k}}\n"
    ))
    .await;
    // What the first ones touch is not theirs alone: code, stacks, the allocator's arenas.
    let mut readers = Vec::new();
    for _ in 0..FIRST {
        readers.push(reader(gateway.port).await);
    }
    standstill(&written).await;
    let before = gateway.resident();
    written.store(0, Ordering::SeqCst);

    for _ in 0..READERS {
        readers.push(reader(gateway.port).await);
    }
    let poured = standstill(&written).await;
    let grown = gateway.resident().saturating_sub(before);
    // What is under way lies in the sockets of the kernel, a few MB for each stream at most.
    assert!(poured < READERS * STREAM / 4, "the upstreams could write {poured} bytes");
    assert!(grown < READERS * EACH, "{} bytes for each reader", grown / READERS);
    println!("{} bytes for each reader, {} written for each", grown / READERS, poured / READERS);

    // They are not stuck: who reads on gets more.
    let mut more = vec![0; 1 << 20];
    soon("more of the stream", readers[0].read_exact(&mut more)).await.unwrap();
    pouring.abort();
}
