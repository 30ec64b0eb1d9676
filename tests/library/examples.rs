//! The programs of `examples/`, driven over sockets as a program that was copied from them.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, request::Parts};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use tokio::{
    net::TcpListener,
    runtime,
    sync::oneshot,
    task::JoinSet,
    time::{Instant, timeout},
};
use tollgate_layers::{BoxError, balance::Exhausted, quota::Limits};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tower::{Service, ServiceExt};

#[expect(dead_code, reason = "the program's own main is not called")]
#[path = "../../examples/axum_balance.rs"]
pub mod axum_balance_example;
#[expect(dead_code, reason = "the program's own main is not called")]
#[path = "../../examples/axum.rs"]
pub mod axum_example;
#[expect(dead_code, reason = "the program's own main is not called")]
#[path = "../../examples/custom_layer.rs"]
pub mod custom_layer_example;
#[expect(dead_code, reason = "the program's own main is not called")]
#[path = "../../examples/hyper.rs"]
pub mod hyper_example;
#[expect(dead_code, reason = "the program's own main is not called")]
#[path = "../../examples/in_process.rs"]
pub mod in_process_example;
#[expect(dead_code, reason = "the program's own main is not called")]
#[path = "../../examples/reqwest.rs"]
pub mod reqwest_example;
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
    exchange(Request::post(format!("http://{address}{path}")).body(Full::from(body)).unwrap()).await
}

/// Sends the request; the status and the text that came back.
async fn exchange(request: Request<Full<Bytes>>) -> (StatusCode, String) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = timeout(PATIENCE, client.request(request)).await.unwrap().unwrap();
    let status = answer.status();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn an_axum_application_has_a_gateway_beside_its_own_route_and_below_its_own_layers() {
    let (listener, address) = listener().await;
    let application = axum_example::application().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, application).await });
    let to = |path: &str, body: &'static str| {
        let request = Request::builder().uri(format!("http://{address}{path}")).header("x-team", "search");
        let method = if body.is_empty() { Method::GET } else { Method::POST };
        request.method(method).body(Full::from(body)).unwrap()
    };
    const CHAT: &str = r#"{"model": "greeter", "messages": []}"#;
    assert_eq!(exchange(to("/", "")).await, (StatusCode::OK, "an application of my own\n".into()));
    let (status, text) = exchange(to("/llm/v1/chat/completions", CHAT)).await;
    assert_eq!(status, 200);
    assert!(text.contains("Hello from inside axum!"), "{text}");
    assert_eq!(exchange(to("/llm/health/liveliness", "")).await.0, 200);
    assert_eq!(exchange(to("/v1/chat/completions", CHAT)).await.0, 404, "the gateway has its path only");
    let (status, text) = send(address, "/llm/v1/chat/completions", CHAT).await;
    assert_eq!((status, &*text), (StatusCode::UNAUTHORIZED, "the header x-team is missing\n"));
    server.abort();
}

#[tokio::test]
async fn a_function_in_the_process_is_a_deployment_that_responds_streams_and_falls_back() {
    let (listener, address) = listener().await;
    let application = axum::Router::new().fallback_service(in_process_example::gateway().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, application).await });
    let chat = async |body| {
        let (status, text) = send(address, "/v1/chat/completions", body).await;
        assert_eq!(status, 200, "{text}");
        text
    };
    let whole = chat(r#"{"model": "echo", "messages": [{"role": "user", "content": "one two"}]}"#).await;
    assert!(whole.contains(r#""content":"one two""#), "{whole}");
    let stream =
        chat(r#"{"model": "echo", "stream": true, "messages": [{"role": "user", "content": "one two"}]}"#)
            .await;
    assert!(stream.contains(r#""content":"one ""#) && stream.contains(r#""content":"two""#), "{stream}");
    assert!(stream.ends_with("data: [DONE]\n\n"), "{stream}");
    let spare = chat(r#"{"model": "echo", "messages": [{"role": "user", "content": ""}]}"#).await;
    assert!(spare.contains("The spare model responds."), "{spare}");
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

/// A plain server that responds with its name, or with this status while it is not healthy.
struct Plain {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    is_healthy: Arc<AtomicBool>,
}

/// Serves these responses to requests and their bodies.
async fn server<F>(tasks: &mut JoinSet<()>, respond: F) -> SocketAddr
where
    F: Fn(Parts, Bytes) -> http::Response<Full<Bytes>> + Clone + Send + Sync + 'static,
{
    let (listener, address) = listener().await;
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let respond = respond.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let respond = respond.clone();
                async move {
                    let (head, body) = request.into_parts();
                    Ok::<_, hyper::Error>(respond(head, body.collect().await?.to_bytes()))
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn plain(name: &'static str, failure: u16, tasks: &mut JoinSet<()>) -> Plain {
    let (calls, is_healthy) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
    let state = (calls.clone(), is_healthy.clone());
    let address = server(tasks, move |_, body| {
        let (calls, is_healthy) = &state;
        calls.fetch_add(1, Ordering::SeqCst);
        let mut answer =
            http::Response::new(Full::from(format!("{name} got {}", String::from_utf8_lossy(&body))));
        if !is_healthy.load(Ordering::SeqCst) {
            *answer.status_mut() = StatusCode::from_u16(failure).unwrap();
        }
        answer
    });
    Plain { address: address.await, calls, is_healthy }
}

/// The example in front of these servers.
async fn proxy(equal: Vec<SocketAddr>, larger: SocketAddr, tasks: &mut JoinSet<()>) -> SocketAddr {
    let (listener, address) = listener().await;
    tasks.spawn(async move { hyper_example::serve(listener, equal, larger).await.unwrap() });
    address
}

#[tokio::test]
async fn the_hyper_example_falls_back_to_the_larger_server() {
    let mut tasks = JoinSet::new();
    let smaller = plain("smaller", 413, &mut tasks).await;
    let larger = plain("larger", 500, &mut tasks).await;
    let address = proxy(vec![smaller.address], larger.address, &mut tasks).await;
    assert_eq!(send(address, "/any", "text").await, (StatusCode::OK, "smaller got text".into()));
    smaller.is_healthy.store(false, Ordering::SeqCst);
    assert_eq!(send(address, "/any", "text").await, (StatusCode::OK, "larger got text".into()));
    assert_eq!(smaller.calls.load(Ordering::SeqCst), 2, "what did not fit is not sent again");
    larger.is_healthy.store(false, Ordering::SeqCst);
    let (status, _) = send(address, "/any", "text").await;
    assert_eq!(status, 413, "when both fail, the first answer is the answer");
}

#[tokio::test]
async fn the_hyper_example_retries_a_server_that_is_down_and_falls_back() {
    let mut tasks = JoinSet::new();
    let (gone, nowhere) = listener().await;
    drop(gone);
    let larger = plain("larger", 500, &mut tasks).await;
    let address = proxy(vec![nowhere], larger.address, &mut tasks).await;
    assert_eq!(send(address, "/", "text").await, (StatusCode::OK, "larger got text".into()));
}

#[tokio::test]
async fn the_hyper_example_balances_equal_servers_and_goes_elsewhere_when_one_fails() {
    let mut tasks = JoinSet::new();
    let first = plain("first", 503, &mut tasks).await;
    let second = plain("second", 503, &mut tasks).await;
    let larger = plain("larger", 503, &mut tasks).await;
    let address = proxy(vec![first.address, second.address], larger.address, &mut tasks).await;
    for _ in 0..10 {
        assert_eq!(send(address, "/any", "text").await.0, 200);
    }
    let calls = |server: &Plain| server.calls.swap(0, Ordering::SeqCst);
    let [by_first, by_second, by_larger] = [&first, &second, &larger].map(calls);
    assert!(by_first > 0 && by_second > 0 && by_first + by_second == 10 && by_larger == 0);
    first.is_healthy.store(false, Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(send(address, "/any", "text").await, (StatusCode::OK, "second got text".into()));
    }
    let calls = [&first, &second, &larger].map(calls);
    assert!((1..=5).contains(&calls[0]) && calls[1] == 10 && calls[2] == 0, "{calls:?}");
}

/// A server of chats, which responds with the number and adds itself to the calls.
async fn replica(
    number: usize,
    loading: Arc<AtomicUsize>,
    calls: Arc<[AtomicUsize; 3]>,
    tasks: &mut JoinSet<()>,
) -> SocketAddr {
    server(tasks, move |head, _| {
        assert_eq!(head.headers["x-gateway"], "example");
        calls[number].fetch_add(1, Ordering::SeqCst);
        let status = if loading.load(Ordering::SeqCst) == number { 503 } else { 200 };
        let text = format!(
            r#"{{"object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"{number}"}},"finish_reason":"stop"}}]}}"#
        );
        let answer = http::Response::builder().status(status).header("content-type", "application/json");
        answer.body(Full::from(text)).unwrap()
    })
    .await
}

#[tokio::test]
async fn the_custom_layer_example_keeps_a_key_at_one_server_and_avoids_one_that_loads() {
    let (mut tasks, calls) = (JoinSet::new(), Arc::<[AtomicUsize; 3]>::default());
    let loading = Arc::new(AtomicUsize::new(usize::MAX));
    let mut servers = Vec::new();
    for number in 0..3 {
        servers.push(replica(number, loading.clone(), calls.clone(), &mut tasks).await);
    }
    let (listener, address) = listener().await;
    let application = axum::Router::new().fallback_service(custom_layer_example::gateway(servers).unwrap());
    tasks.spawn(async move { axum::serve(listener, application).await.unwrap() });
    let chat =
        r#"{"model": "chat", "prompt_cache_key": "one", "messages": [{"role": "user", "content": "hello"}]}"#;
    let counts = || calls.each_ref().map(|calls| calls.swap(0, Ordering::SeqCst));
    for _ in 0..10 {
        assert_eq!(send(address, "/v1/chat/completions", chat).await.0, 200);
    }
    let mut sorted = counts();
    let first = sorted.iter().position(|calls| *calls == 10).unwrap();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 0, 10]);
    loading.store(first, Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(send(address, "/v1/chat/completions", chat).await.0, 200);
    }
    let mut counts = counts();
    assert_eq!(counts[first], 1, "held after its refusal: {counts:?}");
    counts.sort_unstable();
    assert_eq!(counts, [0, 1, 10]);
}

/// A server as GitHub's, whose limit is used up for a second at the first call.
async fn github(calls: Arc<AtomicUsize>, tasks: &mut JoinSet<()>) -> http::Uri {
    let address = server(tasks, move |_, _| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        let answer = http::Response::builder()
            .status(if call == 0 { 403 } else { 200 })
            .header("date", "Thu, 01 Jan 2026 00:00:00 GMT")
            .header("x-ratelimit-limit", "5000")
            .header("x-ratelimit-remaining", if call == 0 { "0" } else { "4999" })
            .header("x-ratelimit-reset", "1767225601");
        answer.body(Full::from("text")).unwrap()
    });
    format!("http://{}/", address.await).parse().unwrap()
}

#[tokio::test]
async fn the_reqwest_example_waits_until_the_reset_that_the_server_reports() {
    let (mut tasks, calls) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    let uri = github(calls.clone(), &mut tasks).await;
    let client = reqwest_example::client(Limits { requests: Some(900), ..Limits::default() }, PATIENCE);
    let start = Instant::now();
    for (sent, seconds) in [(2, 1), (3, 1)] {
        let answer = client.clone().oneshot(Request::get(&uri).body(Bytes::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "text");
        assert_eq!(calls.load(Ordering::SeqCst), sent, "no call that the server would refuse");
        assert!(start.elapsed() >= Duration::from_secs(seconds), "{sent}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn the_reqwest_example_holds_a_slot_to_the_end_of_the_body() {
    let (mut tasks, calls) = (JoinSet::new(), Arc::new(AtomicUsize::new(1)));
    let uri = github(calls.clone(), &mut tasks).await;
    let client = reqwest_example::client(Limits { in_flight: Some(1), ..Limits::default() }, Duration::ZERO);
    let call = || client.clone().oneshot(Request::get(&uri).body(Bytes::new()).unwrap());
    let first = call().await.unwrap();
    assert!(call().await.unwrap_err().is::<Exhausted>());
    assert_eq!(first.into_body().collect().await.unwrap().to_bytes(), "text");
    assert_eq!(call().await.unwrap().status(), 200);
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

/// A gRPC server on a thread of its own, which responds with the text that it has received, or with a fault.
struct GrpcServer {
    address: SocketAddr,
    calls: Arc<AtomicUsize>,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl GrpcServer {
    fn start(address: SocketAddr, fault: Option<Code>) -> Self {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let answer = move |text: String| {
            counted.fetch_add(1, Ordering::SeqCst);
            fault.map_or(Ok(text), |code| Err(Status::new(code, "not now")))
        };
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // The connections end with the runtime, which `block_on` keeps until `stop` is dropped.
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::spawn(tonic_example::serve(TcpListener::from_std(listener).unwrap(), answer));
                let _ = stopped.await;
            });
        });
        Self { address, calls, stop, thread }
    }

    fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect_lazy()
    }

    /// Returns the number of calls since the last time.
    fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::SeqCst)
    }

    /// Ends the server with all its connections, and returns its address.
    fn kill(self) -> SocketAddr {
        drop(self.stop);
        self.thread.join().unwrap();
        self.address
    }
}

const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// Greets so often, one after the other, and expects a response to each.
async fn greet<S>(service: &S, times: usize)
where
    S: Service<http::Request<tonic::body::Body>, Response = tonic_example::Tracked, Error = BoxError> + Clone,
{
    for n in 0..times {
        let text = format!("good morning {n}");
        let greeted = timeout(PATIENCE, tonic_example::greet(service.clone(), &text)).await.unwrap();
        assert_eq!(greeted.unwrap(), text);
    }
}

#[tokio::test]
async fn the_tonic_example_balances_three_grpc_servers() {
    let faults = [None, Some(Code::Unavailable), Some(Code::ResourceExhausted)];
    let servers = faults.map(|fault| GrpcServer::start(ANY_PORT, fault));
    let reserve = GrpcServer::start(ANY_PORT, None);
    let service =
        tonic_example::balanced(servers.iter().map(GrpcServer::channel).collect(), reserve.channel());
    greet(&service, 30).await;
    let calls = servers.each_ref().map(GrpcServer::calls);
    assert_eq!(calls[0], 30);
    assert!((1..=3).contains(&calls[1]), "it cools down: {calls:?}");
    assert!((1..=5).contains(&calls[2]), "closed while it is full: {calls:?}");
    assert_eq!(reserve.calls(), 0);
}

#[tokio::test]
async fn the_tonic_example_lets_a_killed_server_cool_down_and_falls_back_when_all_are_gone() {
    let [first, second, third, reserve] = [(); 4].map(|()| GrpcServer::start(ANY_PORT, None));
    let channels = [&first, &second, &third].map(GrpcServer::channel);
    let service = tonic_example::balanced(channels.into(), reserve.channel());
    greet(&service, 30).await;
    let calls = [&first, &second, &third].map(GrpcServer::calls);
    assert!(calls.iter().all(|calls| *calls > 0) && calls.iter().sum::<usize>() == 30, "{calls:?}");

    let address = second.kill();
    greet(&service, 30).await;
    let second = GrpcServer::start(address, None);
    greet(&service, 30).await;
    assert_eq!(second.calls(), 0, "it still cools down, though it is there again");
    assert_eq!((first.calls() + third.calls(), reserve.calls()), (60, 0));

    for server in [first, second, third] {
        server.kill();
    }
    greet(&service, 3).await;
    assert_eq!(reserve.calls(), 3);
}

#[tokio::test]
async fn the_tonic_example_does_not_repeat_an_error_of_the_caller() {
    let server = GrpcServer::start(ANY_PORT, Some(Code::InvalidArgument));
    let service = tonic_example::balanced(vec![server.channel()], server.channel());
    let greeted = timeout(PATIENCE, tonic_example::greet(service, "good morning")).await.unwrap();
    assert_eq!(greeted.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(server.calls(), 1);
}
