//! The programs of `examples/`, driven over sockets as a program that was copied from them.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpListener, task::JoinSet, time::timeout};
use tower::{Service, ServiceExt};

#[expect(dead_code, reason = "the program's own main is not called")]
#[path = "../../examples/axum_balance.rs"]
pub mod axum_balance_example;
#[expect(dead_code, reason = "the program's own main is not called")]
#[path = "../../examples/axum.rs"]
pub mod axum_example;
#[expect(dead_code, reason = "the program's own main is not called")]
#[path = "../../examples/hyper.rs"]
pub mod hyper_example;
#[expect(dead_code, reason = "the program's own main is not called")]
#[path = "../../examples/tonic.rs"]
pub mod tonic_example;

const PATIENCE: Duration = Duration::from_secs(20);

/// A listener on a port of its own.
async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Sends `body` to this address; the status and the text that came back.
async fn send(address: SocketAddr, path: &str, body: &'static str) -> (StatusCode, String) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request =
        Request::post(format!("http://{address}{path}")).body(Full::<bytes::Bytes>::from(body)).unwrap();
    let answer = timeout(PATIENCE, client.request(request)).await.unwrap().unwrap();
    let status = answer.status();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn an_axum_application_has_a_gateway_beside_its_own_route() {
    let (listener, address) = listener().await;
    let application = axum_example::application().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, application).await });
    let client: Client<_, Full<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let own = client.get(format!("http://{address}/").parse().unwrap()).await.unwrap();
    assert_eq!(own.into_body().collect().await.unwrap().to_bytes(), "an application of my own\n");
    let body = r#"{"model": "greeter", "messages": []}"#;
    let (status, text) = send(address, "/v1/chat/completions", body).await;
    assert_eq!(status, 200);
    assert!(text.contains("Hello from inside axum!"), "{text}");
    server.abort();
}

#[tokio::test]
async fn an_axum_handler_calls_three_backends_within_their_limits_and_then_the_fallback() {
    let (listener, address) = listener().await;
    let application = axum_balance_example::application();
    let server = tokio::spawn(async move { axum::serve(listener, application).await });
    let mut calls = HashMap::new();
    for _ in 0..25 {
        let (status, text) = send(address, "/", "hello").await;
        assert_eq!(status, 200, "{text}");
        *calls.entry(text).or_insert(0) += 1;
    }
    let wanted = [("a", 10), ("c", 10), ("standby", 5)];
    assert_eq!(calls, wanted.map(|(name, calls)| (format!("{name} received hello\n"), calls)).into());
    server.abort();
}

/// A plain server that tells its name, or fails with this status; what it has counted.
struct Plain {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    well: Arc<AtomicBool>,
}

async fn plain(name: &'static str, ill: u16, well: bool, tasks: &mut JoinSet<()>) -> Plain {
    let (listener, address) = listener().await;
    let (calls, well) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(well)));
    let state = (calls.clone(), well.clone());
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let state = state.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let (calls, well) = state.clone();
                async move {
                    calls.fetch_add(1, Ordering::SeqCst);
                    let body = request.into_body().collect().await?.to_bytes();
                    let text = format!("{name} got {}", String::from_utf8_lossy(&body));
                    let mut answer = http::Response::new(Full::<bytes::Bytes>::from(text));
                    if !well.load(Ordering::SeqCst) {
                        *answer.status_mut() = StatusCode::from_u16(ill).unwrap();
                    }
                    Ok::<_, hyper::Error>(answer)
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Plain { address, calls, well }
}

/// The example in front of these two.
async fn both(smaller: SocketAddr, larger: SocketAddr, tasks: &mut JoinSet<()>) -> SocketAddr {
    let (listener, address) = listener().await;
    tasks.spawn(async move { hyper_example::serve(listener, smaller, larger).await.unwrap() });
    address
}

#[tokio::test]
async fn the_hyper_example_balances_two_servers_and_falls_back_to_the_larger() {
    let mut tasks = JoinSet::new();
    let smaller = plain("smaller", 413, true, &mut tasks).await;
    let larger = plain("larger", 500, true, &mut tasks).await;
    let address = both(smaller.address, larger.address, &mut tasks).await;
    assert_eq!(send(address, "/any", "text").await, (StatusCode::OK, "smaller got text".into()));
    smaller.well.store(false, Ordering::SeqCst);
    assert_eq!(send(address, "/any", "text").await, (StatusCode::OK, "larger got text".into()));
    assert_eq!(smaller.calls.load(Ordering::SeqCst), 2, "what did not fit is not sent again");
    larger.well.store(false, Ordering::SeqCst);
    let (status, _) = send(address, "/any", "text").await;
    assert_eq!(status, 413, "when both fail, the first answer is the answer");
}

#[tokio::test]
async fn the_hyper_example_retries_a_server_that_is_down_and_falls_back() {
    let mut tasks = JoinSet::new();
    let (gone, nowhere) = listener().await;
    drop(gone);
    let larger = plain("larger", 500, true, &mut tasks).await;
    let address = both(nowhere, larger.address, &mut tasks).await;
    assert_eq!(send(address, "/", "text").await, (StatusCode::OK, "larger got text".into()));
}

#[tokio::test]
async fn the_tonic_example_balances_three_grpc_servers() {
    use tonic::{Code, Status, transport::Endpoint};
    use tonic_example::{Greeting, greeter, serve};

    let mut tasks = JoinSet::new();
    let faults = [None, Some(Code::Unavailable), Some(Code::ResourceExhausted)];
    let calls: Vec<_> = faults.iter().map(|_| Arc::new(AtomicUsize::new(0))).collect();
    let mut channels = Vec::new();
    for (fault, calls) in faults.into_iter().zip(calls.clone()) {
        let (listener, address) = listener().await;
        channels.push(Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy());
        tasks.spawn(async move {
            let answer = move |greeting: Greeting| {
                calls.fetch_add(1, Ordering::SeqCst);
                fault.map_or(Ok(greeting), |code| Err(Status::new(code, "not now")))
            };
            serve(listener, answer).await.unwrap();
        });
    }
    let mut greeter = greeter(channels);
    for n in 0..30 {
        let greeting = Greeting { text: format!("good morning {n}") };
        let call = greeter.ready().await.unwrap().call((greeting.clone(), Arc::default()));
        assert_eq!(timeout(PATIENCE, call).await.unwrap().unwrap(), greeting);
    }
    let calls: Vec<_> = calls.iter().map(|calls| calls.load(Ordering::SeqCst)).collect();
    assert_eq!(calls[0], 30);
    assert!((1..=3).contains(&calls[1]), "benched after three failures: {calls:?}");
    assert!((1..=5).contains(&calls[2]), "closed while it is full: {calls:?}");
}

#[tokio::test]
async fn the_tonic_example_does_not_retry_an_error_of_the_caller() {
    use tonic::{Code, Status, transport::Endpoint};
    use tonic_example::{Greeting, greeter, serve};

    let (listener, address) = listener().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let server = tokio::spawn(serve(listener, move |_: Greeting| {
        counted.fetch_add(1, Ordering::SeqCst);
        Err(Status::new(Code::InvalidArgument, "no words"))
    }));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
    let call = greeter([channel]).oneshot((Greeting::default(), Arc::default()));
    let error = timeout(PATIENCE, call).await.unwrap().unwrap_err();
    assert_eq!(error.downcast_ref::<Status>().map(Status::code), Some(Code::InvalidArgument));
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    server.abort();
}
