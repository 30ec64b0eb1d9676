//! Upstreams over TLS: who is trusted, what is spoken, and that connections are kept there too.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};
use tollgate_test_support::tls::{Identity, identity};

use crate::support::gateway::{Gateway, Start, directory};

/// A server with a certificate for `localhost` that nobody has signed.
struct Server {
    port: u16,
    certificate: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start() -> Self {
        let Identity { acceptor, pem, .. } = identity(&["h2", "http/1.1"]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, connections) = (listener.local_addr().unwrap().port(), Arc::default());
        tokio::spawn(serve(listener, acceptor, Arc::clone(&connections)));
        Self { port, certificate: pem, connections }
    }

    /// A gateway in front of it that trusts `roots`, a file's text.
    async fn behind(&self, more: &str, roots: &str) -> Gateway {
        self.gateway(more, roots).go().await
    }

    /// Such a gateway before its start.
    fn gateway(&self, more: &str, roots: &str) -> Start {
        let file = directory().join("roots.pem");
        std::fs::write(&file, roots).unwrap();
        let yaml = format!(
            "model_list: [{{model_name: m, litellm_params: {{model: openai/m, api_key: sk-of-the-test, \
             api_base: 'https://localhost:{}/v1'{more}}}}}]",
            self.port
        );
        Start::new(&yaml).env("SSL_CERT_FILE", file.to_str().unwrap())
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, connections: Arc<AtomicUsize>) {
    while let Ok((socket, _)) = listener.accept().await {
        let (tls, connections) = (tls.clone(), Arc::clone(&connections));
        tokio::spawn(async move {
            // A client that does not trust us hangs up in the handshake.
            let Ok(socket) = tls.accept(socket).await else { return };
            connections.fetch_add(1, Ordering::SeqCst);
            let server = auto::Builder::new(TokioExecutor::new());
            // It ends with its client.
            let _ended = server.serve_connection(TokioIo::new(socket), service_fn(answer)).await;
        });
    }
}

/// Says what was spoken, and to whom.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<bytes::Bytes>>, Infallible> {
    let host = request.headers().get("host").map(|host| host.to_str().unwrap());
    let said = format!("{:?} {}", request.version(), host.or(request.uri().host()).unwrap());
    let body = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": said}}]});
    let answer = Response::builder().header("content-type", "application/json");
    Ok(answer.body(Full::from(body.to_string())).unwrap())
}

#[tokio::test]
async fn native_tls_roots_are_trusted_and_a_connection_serves_many() {
    let server = Server::start().await;
    let gateway = server.behind("", &server.certificate).await;
    for _ in 0..3 {
        let said = gateway.chat("m", json!({})).await.said();
        assert_eq!(said, format!("HTTP/1.1 localhost:{}", server.port));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn ssl_verify_names_the_authority_of_a_deployment_or_switches_the_check_off() {
    let (server, other) = (Server::start().await, Server::start().await);
    let file = directory().join("authority.pem");
    std::fs::write(&file, &server.certificate).unwrap();
    for (verify, status) in [
        (format!(", ssl_verify: '{}'", file.to_str().unwrap()), 200),
        (", ssl_verify: false".to_owned(), 200),
        (", ssl_verify: 'False', http2: true".to_owned(), 200),
        (", ssl_verify: true".to_owned(), 502),
        (String::new(), 502),
    ] {
        // The roots of the process are those of another server.
        let gateway = server.behind(&verify, &other.certificate).await;
        let answer = gateway.chat("m", json!({"num_retries": 0})).await;
        assert_eq!(answer.status.as_u16() == 200, status == 200, "{verify}: {}", answer.text());
        let warned = gateway.said().contains("the certificates of upstreams are not checked");
        assert_eq!(warned, verify.to_lowercase().contains("false"), "{verify}");
    }
    let gateway = server.gateway("", &other.certificate).env("SSL_VERIFY", file.to_str().unwrap()).go().await;
    assert_eq!(gateway.chat("m", json!({})).await.status, 200);
    let bad = directory().join("bad.pem");
    std::fs::write(&bad, "not a certificate").unwrap();
    let gateway =
        server.behind(&format!(", ssl_verify: '{}'", bad.to_str().unwrap()), &other.certificate).await;
    gateway.says(&["a file of certificates for upstreams contains no valid certificate in PEM form"]).await;
}

#[tokio::test]
async fn ssl_certificate_is_presented_to_a_server_that_asks_for_one() {
    let (own, client) = (identity(&[]).unwrap(), identity(&[]).unwrap());
    let mut roots = RootCertStore::empty();
    roots.add(client.der.clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_client_cert_verifier(verifier.build().unwrap());
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![own.der], key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, connections) = (listener.local_addr().unwrap().port(), Arc::default());
    tokio::spawn(serve(listener, acceptor, Arc::clone(&connections)));
    let server = Server { port, certificate: own.pem, connections };
    let file = directory().join("client.pem");
    std::fs::write(&file, client.pem + &client.key).unwrap();
    let start = server.gateway("", &server.certificate).env("SSL_CERTIFICATE", file.to_str().unwrap());
    assert_eq!(start.go().await.chat("m", json!({})).await.status, 200);
    let without = server.behind("", &server.certificate).await;
    assert_ne!(without.chat("m", json!({"num_retries": 0})).await.status, 200);
}

#[tokio::test]
async fn http2_is_spoken_where_a_deployment_asks_for_it_and_the_server_offers_it() {
    let server = Server::start().await;
    let gateway = server.behind(", http2: true", &server.certificate).await;
    for _ in 0..3 {
        assert_eq!(gateway.chat("m", json!({})).await.said(), "HTTP/2.0 localhost");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_unsigned_tls_certificate_is_not_trusted() {
    let server = Server::start().await;
    let another = Server::start().await;
    let gateway = server.behind("", &another.certificate).await;
    let error = gateway.chat("m", json!({})).await.error(502);
    assert_eq!(error["code"], "upstream_unreachable");
    assert!(error["message"].as_str().unwrap().contains("its certificate"), "{error}");
    assert_eq!(server.connections(), 0);
}

/// A proxy that opens tunnels for one user, and the heads of the requests that it has received.
struct Proxy {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, heads) = (listener.local_addr().unwrap().port(), Arc::<Mutex<Vec<_>>>::default());
        let received = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(tunnel(BufReader::new(socket), Arc::clone(&received)));
            }
        });
        Self { port, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Opens a tunnel if the request has the credentials `user:pass`.
async fn tunnel(mut client: BufReader<TcpStream>, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        client.read_line(&mut head).await.unwrap();
    }
    heads.lock().unwrap().push(head.clone());
    let to = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap();
    if !head.to_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnz\r\n") {
        client.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await.unwrap();
        return;
    }
    let mut server = TcpStream::connect(to).await.unwrap();
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
    // Either side may end it.
    let _ended = copy_bidirectional(&mut client, &mut server).await;
}

#[tokio::test]
async fn an_https_upstream_is_reached_through_the_proxy_of_the_environment() {
    let (server, proxy) = (Server::start().await, Proxy::start().await);
    let start = server.gateway("", &server.certificate);
    let gateway = start.env("HTTPS_PROXY", format!("http://user:pass@127.0.0.1:{}", proxy.port)).go().await;
    for _ in 0..3 {
        let said = gateway.chat("m", json!({})).await.said();
        assert_eq!(said, format!("HTTP/1.1 localhost:{}", server.port));
    }
    let [head] = &*proxy.heads() else { panic!("{:?}", proxy.heads()) };
    assert!(head.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", server.port)), "{head}");
    assert!(!head.contains("sk-of-the-test"), "{head}");
}

#[tokio::test]
async fn a_host_of_no_proxy_is_connected_to_directly() {
    let (server, proxy) = (Server::start().await, Proxy::start().await);
    let start = server.gateway("", &server.certificate).env("NO_PROXY", "example.com,localhost");
    let gateway = start.env("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port)).go().await;
    gateway.chat("m", json!({})).await.said();
    assert_eq!((server.connections(), proxy.heads().len()), (1, 0));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_in_the_error_without_its_credentials() {
    let (server, proxy) = (Server::start().await, Proxy::start().await);
    let start = server.gateway("", &server.certificate);
    let gateway = start.env("HTTPS_PROXY", format!("http://user:wrong@127.0.0.1:{}", proxy.port)).go().await;
    let error = gateway.chat("m", json!({})).await.error(502);
    let message = error["message"].as_str().unwrap();
    assert_eq!(error["code"], "upstream_unreachable");
    assert!(message.contains("the proxy of HTTPS_PROXY opened no connection"), "{error}");
    assert!(!message.contains("wrong"), "{error}");
    assert_eq!(server.connections(), 0);
}
