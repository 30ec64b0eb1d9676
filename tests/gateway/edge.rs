//! Where clients come in: how long a head may be.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{gateway::Gateway, soon};

const QUIET: &str = "model_list:\n  - model_name: m\n    litellm_params: {model: openai/x, api_base: \"http://127.0.0.1:9/v1\", api_key: k}\n";

/// Sends these bytes and reads what comes back until the connection is closed.
async fn raw(port: u16, request: &str) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon("the end of the answer", socket.read_to_string(&mut answer)).await.unwrap();
    answer
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
async fn a_head_of_60_kb_is_served_and_one_beyond_64_kb_is_refused() {
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
