//! Where clients come in: how many at once, and how long a head may be.

use std::time::Duration;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpStream, UnixStream},
    process::Command,
};

use crate::support::{
    gateway::{Gateway, Start, command, config, directory, run},
    soon,
};

const QUIET: &str = "model_list:\n  - model_name: m\n    litellm_params: {model: openai/x, api_base: \"http://127.0.0.1:9/v1\", api_key: k}\n";

/// Sends these bytes and reads what comes back until the connection is closed.
async fn raw(port: u16, request: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("the end of the answer", socket.read_to_string(&mut answer)).await.unwrap();
    answer
}

/// Connects and asks for its health; the connection stays.
async fn connected(port: u16) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.write_all(b"GET /health/liveliness HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    socket
}

async fn answered(socket: &mut TcpStream) {
    let mut answer = [0; 1024];
    let count = soon("the answer", socket.read(&mut answer)).await.unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn beyond_max_connections_clients_wait_until_one_leaves() {
    let gateway = Gateway::start(&format!("{QUIET}router_settings: {{max_connections: 2}}\n")).await;
    let mut first = connected(gateway.port).await;
    let mut second = connected(gateway.port).await;
    answered(&mut first).await;
    answered(&mut second).await;
    gateway.says(&["2 clients are connected (max_connections)"]).await;

    let (mut third, mut fourth) = (connected(gateway.port).await, connected(gateway.port).await);
    let waiting = async {
        tokio::select! { _ = third.readable() => {}, _ = fourth.readable() => {} }
    };
    assert!(tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err(), "one was let in");
    drop(first);
    answered(&mut third).await;
    drop(second);
    answered(&mut fourth).await;
    drop((third, fourth));
    assert_eq!(gateway.get("/health/liveliness").await.status, 200);
    assert_eq!(gateway.said().matches("clients are connected").count(), 1, "{}", gateway.said());
}

#[tokio::test]
async fn at_max_connections_each_response_closes_its_connection_while_clients_wait() {
    let gateway = Gateway::start(&format!("{QUIET}router_settings: {{max_connections: 1}}\n")).await;
    let mut first = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    gateway.says(&["1 clients are connected (max_connections)"]).await;
    let mut second = connected(gateway.port).await;
    first.write_all(b"GET /health/liveliness HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon("the end of the first", first.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("connection: close"), "{answer}");
    drop(first);
    answered(&mut second).await;
}

#[tokio::test]
async fn at_max_connections_connections_without_a_request_are_closed_for_waiting_clients() {
    let gateway = Gateway::start(&format!("{QUIET}router_settings: {{max_connections: 3}}\n")).await;
    let silent = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    let mut unfinished = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    unfinished.write_all(b"GET /health/liveliness HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut idle = connected(gateway.port).await;
    answered(&mut idle).await;
    for mut client in [connected(gateway.port).await, connected(gateway.port).await] {
        answered(&mut client).await;
    }
    for mut closed in [silent, unfinished, idle] {
        assert_eq!(soon("the end of a waiting connection", closed.read(&mut [0])).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_thousand_unfinished_heads_take_less_than_20_megabytes() {
    let gateway = Gateway::start(QUIET).await;
    let mut warm = connected(gateway.port).await;
    answered(&mut warm).await;
    let before = gateway.resident();
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        let mut client = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
        client.write_all(b"GET /v1/models HTTP/1.1\r\nhost: x\r\nx-long: ").await.unwrap();
        clients.push(client);
    }
    let long = "x".repeat(60_000);
    for client in &mut clients {
        // The gateway may close the connection during the write.
        let _written = client.write_all(long.as_bytes()).await;
    }
    // A request after all of them: what was sent before has been read.
    assert_eq!(gateway.get("/health/liveliness").await.status, 200);
    let grown = gateway.resident().saturating_sub(before);
    assert!(grown < 20_000_000, "{grown} bytes");
}

#[tokio::test]
async fn a_host_may_be_an_ipv6_address_in_brackets() {
    let gateway = Start::new(QUIET).argument("--host").argument("[::1]").start().await;
    assert!(TcpStream::connect(("::1", gateway.port)).await.is_ok());
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_keepalive_timeout() {
    let gateway = Gateway::start(&format!("{QUIET}router_settings: {{keepalive_timeout: 0.2}}\n")).await;
    let mut client = connected(gateway.port).await;
    answered(&mut client).await;
    assert_eq!(soon("the end of an idle connection", client.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_long_prompt_that_is_refused_does_not_reset_the_connection() {
    let gateway = Gateway::start(&format!("{QUIET}general_settings: {{master_key: sk-door}}\n")).await;
    let length = 8_000_000;
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    let answer = raw(gateway.port, &(head + &"x".repeat(length))).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn more_connections_than_files_are_warned_of() {
    let gateway = Gateway::start(&format!("{QUIET}router_settings: {{max_connections: 4000000000}}\n")).await;
    gateway.says(&["warning: max_connections is 4000000000, and each may take two files"]).await;
}

/// A request for the models whose head has so many headers of this length.
fn request(headers: usize, length: usize) -> String {
    let mut request = "GET /v1/models HTTP/1.1\r\nhost: x\r\nconnection: close\r\n".to_owned();
    for n in 0..headers {
        request.push_str(&format!("x-{n}: {}\r\n", "h".repeat(length)));
    }
    request + "\r\n"
}

#[tokio::test]
async fn a_request_head_of_60_kb_is_served_and_one_beyond_64_kb_is_refused() {
    let gateway = Gateway::start(QUIET).await;
    for served in [request(1, 60_000), request(90, 600)] {
        let answer = raw(gateway.port, &served).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"id\":\"m\""), "{answer}");
    }
    // Without its end, so that all of it has been read when it is refused.
    let endless = request(1, 66_000);
    for refused in [endless.trim_end(), &request(101, 10)] {
        let answer = raw(gateway.port, refused).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    assert_eq!(gateway.get("/health/liveliness").await.status, 200, "and it serves on");
}

#[tokio::test]
async fn the_largest_request_head_is_a_setting() {
    let gateway = Gateway::start(&format!("{QUIET}router_settings: {{max_header_bytes: 8192}}\n")).await;
    assert!(raw(gateway.port, &request(1, 7_000)).await.starts_with("HTTP/1.1 200 OK"));
    let refused = request(1, 9_000);
    assert!(raw(gateway.port, refused.trim_end()).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_unix_socket_serves_clients_and_the_health_command() {
    let (path, file) = (directory().join("s"), config(QUIET));
    let host = format!("unix:{}", path.to_str().unwrap());
    let mut gateway = command();
    gateway.args(["--config", file.to_str().unwrap(), "--host", &host]);
    let mut gateway = gateway.spawn().unwrap();
    let mut said = BufReader::new(gateway.stdout.take().unwrap()).lines();
    let first = soon("the first line", said.next_line()).await.unwrap().unwrap();
    assert_eq!(first, format!("tollgate listening on {host}, serving m"));
    let mut socket = UnixStream::connect(&path).await.unwrap();
    socket.write_all(request(0, 0).as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("the end of the answer", socket.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("\"id\":\"m\""), "{answer}");
    let health = run(["health", "--host", &host]).await;
    assert_eq!(health.code, Some(0), "{}", health.stderr);
    let signal = format!("kill -INT {}", gateway.id().unwrap());
    assert!(Command::new("sh").args(["-c", &signal]).status().await.unwrap().success());
    assert!(soon("the end", gateway.wait()).await.unwrap().success() && !path.exists());
    let health = run(["health", "--host", &host]).await;
    assert!(health.code == Some(1) && health.stderr.contains(&host), "{}", health.stderr);
}

#[tokio::test]
async fn a_request_with_another_host_or_transfer_encoding_than_one_is_refused() {
    let gateway = Gateway::start(QUIET).await;
    let post = "POST /v1/chat/completions HTTP/1.1\r\n";
    for (head, status) in [
        ("GET /v1/models HTTP/1.1\r\n".to_owned(), 400),
        ("GET /health/liveliness HTTP/1.1\r\nhost: a\r\nhost: b\r\n".to_owned(), 400),
        ("GET /v1/models HTTP/1.1\r\nHost: a\r\nHOST: a\r\n".to_owned(), 400),
        ("GET /v1/models HTTP/1.0\r\nhost: a\r\nhost: b\r\n".to_owned(), 400),
        (format!("{post}host: a\r\ntransfer-encoding: gzip, chunked\r\n"), 501),
        (format!("{post}host: a\r\ntransfer-encoding: chunked, chunked\r\n"), 501),
        (format!("{post}host: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n"), 501),
        (format!("{post}host: a\r\ntransfer-encoding: identity, chunked\r\n"), 501),
        (format!("{post}host: a\r\ntransfer-encoding: chunked, gzip\r\n"), 400),
    ] {
        let answer = raw(gateway.port, &format!("{head}\r\n0\r\n\r\n")).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}"))
                || answer.starts_with(&format!("HTTP/1.0 {status}")),
            "{head}{answer}"
        );
    }
    let old = raw(gateway.port, "GET /health/liveliness HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200") || old.starts_with("HTTP/1.1 200"), "{old}");
    let chunked = format!(
        "{post}host: a\r\nconnection: close\r\ntransfer-encoding: Chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
    );
    let answer = raw(gateway.port, &chunked).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("'model'"), "{answer}");
}

#[tokio::test]
async fn a_key_in_a_query_does_not_reach_a_log() {
    let start = Start::new(&format!("{QUIET}general_settings: {{master_key: sk-door}}\n"));
    let gateway = start.env("RUST_LOG", "debug,tower_http=trace").go().await;
    for path in ["/v1/models", "/nowhere", "/v1/chat/completions", "/health/readiness"] {
        for query in ["api_key=sk-in-a-query", "key=sk-in-a-query&x=1", "sk-in-a-query", "a=b#sk-in-a-query"]
        {
            gateway.get(&format!("{path}?{query}")).await;
        }
    }
    let said = gateway.says(&["/v1/models", "/nowhere", "/v1/chat/completions", "/health/readiness"]).await;
    assert!(!said.contains("in-a-query"), "{said}");
}
