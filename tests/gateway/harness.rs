//! The harness, before it is trusted with the gateway: each promise of the scripted upstream, seen by the client.

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    answers,
    client::{Client, Over, ask},
    reply::{Gate, Part, Reply},
    upstream::{End, Upstream, pause},
};

#[tokio::test]
async fn a_scripted_upstream_gives_its_replies_in_turn_and_the_last_for_ever() {
    let upstream = Upstream::with([answers::server_error(), answers::chat("fine")]).await;
    let client = Client::new(upstream.url());
    let statuses =
        [client.chat("m", json!({})).await, client.chat("m", json!({})).await].map(|a| a.status.as_u16());
    assert_eq!(statuses, [500, 200]);
    assert_eq!(client.chat("m", json!({})).await.said(), "fine");
    assert_eq!(upstream.count(), 3);
}

#[tokio::test]
async fn a_scripted_upstream_records_the_whole_call() {
    let upstream = Upstream::start().await;
    Client::new(upstream.url()).post("/v1/chat/completions?x=1", ask("gpt", json!({"n": 2}))).await;
    let call = upstream.only();
    assert_eq!((call.method.as_str(), call.target.as_str()), ("POST", "/v1/chat/completions?x=1"));
    assert_eq!(call.header("content-type"), Some("application/json"));
    assert_eq!(call.json()["n"], 2);
    assert!(matches!(call.end().await, End::Answered(_)));
    assert_eq!((call.connection, upstream.connections()), (0, 1));
}

#[tokio::test]
async fn a_gate_holds_the_events_of_a_script_until_it_opens() {
    let gate = Gate::new();
    let script = answers::words(&["early"]).then(Part::Until(gate.clone())).and(answers::words(&["late"]));
    let upstream = Upstream::with([script]).await;
    let mut stream = Client::new(upstream.url()).stream("m", json!({})).await;
    stream.until("early").await;
    assert!(!stream.text().contains("late"));
    gate.open();
    stream.until("late").await;
    assert_eq!(stream.rest().await, Over::Cleanly);
}

#[tokio::test]
async fn a_cut_and_a_reset_break_the_body_after_what_was_said() {
    for how in [Part::Cut, Part::Reset] {
        let upstream = Upstream::with([answers::words(&["said"]).then(how.clone())]).await;
        let mut stream = Client::new(upstream.url()).stream("m", json!({})).await;
        stream.until("said").await;
        assert_eq!(stream.rest().await, Over::Broken, "{how:?}");
        assert!(matches!(upstream.only().end().await, End::Broken(_)));
    }
}

#[tokio::test]
async fn a_break_after_so_many_bytes_is_exact() {
    let whole = answers::stream(&["one", "two"]);
    let upstream = Upstream::with([whole.clone().broken_after(100, Part::Cut)]).await;
    let mut stream = Client::new(upstream.url()).stream("m", json!({})).await;
    assert_eq!(stream.rest().await, Over::Broken);
    assert_eq!(stream.seen, whole.body()[..100]);
}

/// The raw bytes that a server sends before it closes, and whether it was a reset.
async fn raw(upstream: &Upstream) -> (Vec<u8>, bool) {
    let mut socket = TcpStream::connect(("127.0.0.1", upstream.port())).await.unwrap();
    socket.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    let mut seen = Vec::new();
    let reset = socket.read_to_end(&mut seen).await.is_err();
    (seen, reset)
}

#[tokio::test]
async fn an_upstream_that_breaks_before_the_head_sends_nothing() {
    let closing = Upstream::with([Reply::nothing(Part::Cut)]).await;
    assert_eq!(raw(&closing).await, (Vec::new(), false));
    let resetting = Upstream::with([Reply::nothing(Part::Reset)]).await;
    assert_eq!(raw(&resetting).await, (Vec::new(), true));
}

#[tokio::test]
async fn a_refusing_port_refuses_at_once() {
    let upstream = Upstream::refusing();
    let refused = TcpStream::connect(("127.0.0.1", upstream.port())).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_caller_who_leaves_is_seen_to_leave() {
    for script in [answers::silence(), answers::words(&["said"]).then(Part::Hang)] {
        let upstream = Upstream::with([script]).await;
        let client = Client::new(upstream.url());
        let call = tokio::spawn(async move {
            let mut stream = client.stream("m", json!({})).await;
            stream.rest().await
        });
        let seen = upstream.call(1).await;
        call.abort();
        seen.left().await;
    }
}

#[tokio::test]
async fn a_body_of_known_length_says_so_and_can_still_break() {
    let upstream = Upstream::with([answers::chat("x"), answers::chat("x").then(pause(1))]).await;
    let client = Client::new(upstream.url());
    let length = client.chat("m", json!({})).await.header("content-length").map(str::to_owned);
    assert_eq!(length, Some(answers::chat("x").body().len().to_string()));
    let streamed = client.stream("m", json!({})).await;
    assert_eq!(streamed.status, 200);
}
