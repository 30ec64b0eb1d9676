//! Kept connections to upstreams that die unseen: the next request is served on a new one.

use std::{net::SocketAddr, sync::Arc};

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Barrier,
    task::JoinSet,
};

use crate::support::{gateway::Gateway, upstream::read_request};

/// The way in which the peer ends a kept connection at the first byte of the next request.
#[derive(Clone, Copy, Debug)]
enum Break {
    Fin,
    Reset,
    /// After the whole request was received.
    FinAtTheEnd,
}

const CONNECTIONS: usize = 8;

/// Starts an upstream that responds once on each connection, when as many requests have arrived as there are
/// connections, and breaks the connection at the next request.
async fn upstream(how: Break) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let (all, mut connections) = (Arc::new(Barrier::new(CONNECTIONS)), JoinSet::new());
        while let Ok((socket, _)) = listener.accept().await {
            connections.spawn(serve(socket, how, Arc::clone(&all)));
        }
    });
    (address, server)
}

async fn serve(mut socket: TcpStream, how: Break, all: Arc<Barrier>) {
    read_request(&mut socket).await;
    all.wait().await;
    let body = json!({"choices": [{"message": {"role": "assistant", "content": "hello"}}]}).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all((head + &body).as_bytes()).await.unwrap();
    match how {
        Break::Fin | Break::Reset => assert_eq!(socket.read(&mut [0]).await.unwrap(), 1),
        Break::FinAtTheEnd => drop(read_request(&mut socket).await),
    }
    if matches!(how, Break::Reset) {
        socket.set_zero_linger().unwrap();
    }
}

#[tokio::test]
async fn requests_on_kept_connections_that_died_unseen_are_served_without_a_retry_or_a_cooldown() {
    for how in [Break::Fin, Break::Reset, Break::FinAtTheEnd] {
        let (address, _server) = upstream(how).await;
        let gateway = Gateway::start(&format!(
            "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/x, api_base: \"http://{address}/v1\", \
             api_key: k}}\nrouter_settings: {{num_retries: 0, allowed_fails: 0, cooldown_time: 60}}\n"
        ))
        .await;
        for wave in ["new", "kept"] {
            let responses = join_all((0..CONNECTIONS).map(|_| gateway.chat("m", json!({})))).await;
            for response in responses {
                assert_eq!(response.status, 200, "{how:?}, {wave}: {}", response.text());
                assert_eq!(response.header("x-litellm-attempted-retries"), Some("0"));
            }
        }
        let metrics = gateway.get("/metrics").await.text();
        let value = |name: &str| {
            let lines = metrics.lines().filter(|line| line.starts_with(name));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>()
        };
        let attempts = 2.0 * CONNECTIONS as f64;
        assert_eq!(value("tollgate_deployment_attempts_total"), attempts, "{how:?}: {metrics}");
        assert!(metrics.contains(&format!("class=\"success\"}} {attempts}\n")), "{how:?}: {metrics}");
        assert_eq!(value("tollgate_retry_budget_repeats_total"), 0.0, "{how:?}: {metrics}");
    }
}

#[tokio::test]
async fn requests_whose_response_is_stored_are_not_sent_again_on_a_new_connection() {
    let (address, _server) = upstream(Break::FinAtTheEnd).await;
    let gateway = Gateway::start(&format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/responses/x, api_base: \"http://{address}/v1\", \
         api_key: k}}\nrouter_settings: {{num_retries: 2, cooldown_time: 0}}\n"
    ))
    .await;
    for (store, status) in [(false, 200), (true, 502)] {
        let body = json!({"model": "m", "input": "hi", "store": store}).to_string();
        let responses = join_all((0..CONNECTIONS).map(|_| gateway.post("/v1/responses", body.clone()))).await;
        for response in responses {
            assert_eq!(response.status, status, "store: {store}: {}", response.text());
        }
    }
}
