//! TLS towards clients, and the watch of the files: a certificate and a configuration that change under load.

use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::{net::TcpStream, process::Command, task::JoinSet};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, ServerName},
    },
};
use tollgate_test_support::tls::{Identity, identity};

use crate::support::{
    answers as say,
    gateway::{Gateway, Start, directory, run},
    reply::{Gate, Part},
    upstream::Upstream,
};

/// The files of a certificate.
struct Files {
    chain: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(identity: &Identity) -> Self {
        let directory = directory();
        let files = Self { chain: directory.join("chain.pem"), key: directory.join("key.pem") };
        files.write(identity);
        files
    }

    fn write(&self, identity: &Identity) {
        std::fs::write(&self.chain, &identity.pem).unwrap();
        std::fs::write(&self.key, &identity.key).unwrap();
    }

    /// Returns a gateway with this certificate before its start.
    fn gateway(&self, upstream: &Upstream) -> Start {
        Start::new(&yaml(upstream, "m"))
            .argument("--ssl_certfile_path")
            .argument(self.chain.to_str().unwrap())
            .argument("--ssl-keyfile-path")
            .argument(self.key.to_str().unwrap())
    }
}

fn yaml(upstream: &Upstream, group: &str) -> String {
    format!(
        "model_list: [{{model_name: {group}, litellm_params: {{model: openai/m, api_key: k, api_base: '{}/v1'}}}}]",
        upstream.url()
    )
}

/// Connects, trusts these certificates, and offers these protocols.
async fn connect(
    port: u16,
    roots: &[CertificateDer<'static>],
    protocols: &[&str],
) -> (TlsStream<TcpStream>, CertificateDer<'static>) {
    let mut store = RootCertStore::empty();
    roots.iter().for_each(|root| store.add(root.clone()).unwrap());
    let config = ClientConfig::builder_with_provider(ring::default_provider().into());
    let config = config.with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(store).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned();
    (stream, shown)
}

/// Returns a chat with these additions.
fn ask(uri: &str, more: Value) -> Request<Full<Bytes>> {
    let request = Request::post(uri).header("host", "localhost").header("content-type", "application/json");
    request.body(Full::from(crate::support::client::ask("m", more))).unwrap()
}

/// Sends a chat over a new connection that trusts these certificates. Returns the status and the certificate of the server.
async fn chat(port: u16, roots: &[CertificateDer<'static>]) -> (StatusCode, CertificateDer<'static>) {
    let (stream, shown) = connect(port, roots, &[]).await;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(ask("/v1/chat/completions", json!({}))).await.unwrap();
    let status = response.status();
    response.into_body().collect().await.unwrap();
    (status, shown)
}

#[tokio::test]
async fn curl_calls_a_gateway_with_tls() {
    let (upstream, identity) = (Upstream::start().await, identity(&[]).unwrap());
    let files = Files::new(&identity);
    let gateway = files.gateway(&upstream).go().await;
    gateway.says(&[&format!("base URL  https://127.0.0.1:{}/v1", gateway.port)]).await;
    let curl = |url: String| {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "20", "--cacert"]).arg(&files.chain);
        curl.args(["--data", r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#]).arg(url);
        async move { curl.output().await.unwrap() }
    };
    let path = format!("localhost:{}/v1/chat/completions", gateway.port);
    let served = curl(format!("https://{path}")).await;
    let text = String::from_utf8(served.stdout).unwrap();
    assert!(text.contains("\"choices\""), "{text}{}", String::from_utf8_lossy(&served.stderr));
    let port = gateway.port.to_string();
    for (arguments, code) in
        [(&["health", "--port", &port, "--tls"][..], 0), (&["health", "--port", &port], 1)]
    {
        let health = run(arguments).await;
        assert_eq!(health.code, Some(code), "{}{}", health.stdout, health.stderr);
    }
    let plain = curl(format!("http://{path}")).await;
    assert!(!plain.status.success() && upstream.count() == 1, "{}", String::from_utf8_lossy(&plain.stdout));
}

#[tokio::test]
async fn a_client_that_chooses_http_2_has_all_requests_on_one_connection_and_may_cancel_each() {
    let gate = Gate::new();
    let held = say::role().and(say::words(&["one"])).then(Part::Until(gate.clone()));
    let held = held.and(say::words(&["two"])).and(say::finish()).and(say::done());
    let upstream = Upstream::with([held]).await;
    let identity = identity(&[]).unwrap();
    let mut gateway = Files::new(&identity).gateway(&upstream).go().await;
    let (stream, _) = connect(gateway.port, &[identity.der], &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.unwrap();
    let connection = tokio::spawn(connection);
    let url = format!("https://localhost:{}/v1/chat/completions", gateway.port);
    let mut begin = async || {
        let response = sender.send_request(ask(&url, json!({"stream": true}))).await.unwrap();
        assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_2));
        let mut body = response.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(String::from_utf8_lossy(&first).contains("data: "));
        body
    };
    let (first, second) = (begin().await, begin().await);
    drop(first);
    upstream.call(1).await.left().await;
    // A shutdown waits for the other, whose connection ends then.
    gateway.signal("INT").await;
    gateway.says(&["finishing what is in flight"]).await;
    gate.open();
    let rest = second.collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&rest).ends_with("data: [DONE]\n\n"));
    assert_eq!(gateway.end().await.code(), Some(0));
    connection.await.unwrap().unwrap();
}

/// Chats over new connections until they are ended.
struct Load {
    ends: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    clients: JoinSet<()>,
}

impl Load {
    fn start(port: u16, roots: Vec<CertificateDer<'static>>) -> Self {
        let (ends, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut clients = JoinSet::new();
        for _ in 0..4 {
            let (ends, served, roots) = (Arc::clone(&ends), Arc::clone(&served), roots.clone());
            clients.spawn(async move {
                while !ends.load(Ordering::SeqCst) {
                    assert_eq!(chat(port, &roots).await.0, 200);
                    served.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self { ends, served, clients }
    }

    /// Ends the load. Returns the number of chats, none of which has failed.
    async fn end(mut self) -> usize {
        self.ends.store(true, Ordering::SeqCst);
        while let Some(ended) = self.clients.join_next().await {
            ended.unwrap();
        }
        self.served.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_certificate_is_replaced_under_load_without_a_failed_request() {
    let (upstream, old, new) = (Upstream::start().await, identity(&[]).unwrap(), identity(&[]).unwrap());
    let files = Files::new(&old);
    let gateway = files.gateway(&upstream).go().await;
    let roots = vec![old.der.clone(), new.der.clone()];
    assert_eq!(chat(gateway.port, &roots).await, (StatusCode::OK, old.der.clone()));
    let load = Load::start(gateway.port, roots.clone());
    // A key that does not match its certificate changes nothing.
    std::fs::write(&files.key, &new.key).unwrap();
    gateway.signal("HUP").await;
    gateway.says(&["the certificate stays as it was"]).await;
    assert_eq!(chat(gateway.port, &roots).await.1, old.der);
    files.write(&new);
    gateway.signal("HUP").await;
    while chat(gateway.port, &roots).await.1 != new.der {}
    assert!(load.end().await > 0);
}

#[tokio::test]
async fn a_watched_configuration_is_reloaded_when_its_link_is_swapped_under_load() {
    let (upstream, old) = (Upstream::start().await, identity(&[]).unwrap());
    let (files, volume) = (Files::new(&old), directory());
    // The files of a ConfigMap: `config.yaml` leads to `..data/config.yaml`, and `..data` to the present version.
    let version = |name: &str, group: &str| {
        std::fs::create_dir(volume.join(name)).unwrap();
        let both = format!("{}\n", yaml(&upstream, "m")).replace(
            "model_list: [",
            &format!(
                "model_list: [{{model_name: {group}, litellm_params: {{model: openai/m, api_key: k}}}}, "
            ),
        );
        std::fs::write(volume.join(name).join("config.yaml"), both).unwrap();
        symlink(name, volume.join("..next")).unwrap();
        std::fs::rename(volume.join("..next"), volume.join("..data")).unwrap();
    };
    version("..1", "before");
    symlink("..data/config.yaml", volume.join("config.yaml")).unwrap();
    let start = Start::at(&volume.join("config.yaml")).argument("--watch");
    let start = start.env("SSL_CERTFILE_PATH", path(&files.chain)).env("SSL_KEYFILE_PATH", path(&files.key));
    let gateway = start.go().await;
    let load = Load::start(gateway.port, vec![old.der.clone()]);
    version("..2", "after");
    gateway.says(&["reloaded, serving after, m"]).await;
    assert!(load.end().await > 0);
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_explained() {
    let (one, other) = (identity(&[]).unwrap(), identity(&[]).unwrap());
    let files = Files::new(&one);
    let config = crate::support::gateway::config("model_list: []\n");
    let start = |chain: &Path, key: Option<&Path>| {
        let mut arguments = vec!["--config", path(&config), "--ssl_certfile_path", path(chain)];
        key.iter().for_each(|key| arguments.extend(["--ssl_keyfile_path", path(key)]));
        let arguments = arguments.into_iter().map(str::to_owned).collect::<Vec<_>>();
        async move { run(arguments).await }
    };
    let alone = start(&files.chain, None).await;
    assert_eq!(alone.code, Some(2));
    assert!(alone.stderr.contains("give `--ssl-keyfile-path PATH` too"), "{}", alone.stderr);
    let empty = start(&config, Some(&files.key)).await;
    assert_eq!(empty.code, Some(78));
    assert!(empty.stderr.contains("contains no certificate or private key in PEM form"), "{}", empty.stderr);
    std::fs::write(&files.key, &other.key).unwrap();
    let unmatched = start(&files.chain, Some(&files.key)).await;
    assert_eq!(unmatched.code, Some(78));
    assert!(unmatched.stderr.contains("the certificate and its key cannot be used"), "{}", unmatched.stderr);
    files.write(&one);
    let files = [path(&files.chain), "--ssl_keyfile_path", path(&files.key)];
    let unix =
        [&["--config", path(&config), "--host", "unix:/nonexistent", "--ssl_certfile_path"][..], &files];
    let unix = run(unix.concat()).await;
    assert_eq!(unix.code, Some(2));
    assert!(unix.stderr.contains("TLS is not served on a unix socket"), "{}", unix.stderr);
    let key = Some(Path::new(files[2]));
    let missing = start(Path::new("/nonexistent/chain.pem"), key).await;
    assert!(missing.stderr.contains("/nonexistent/chain.pem cannot be read"), "{}", missing.stderr);
}

/// A plain client of a gateway with TLS waits for nothing.
#[tokio::test]
async fn a_client_that_speaks_no_tls_is_disconnected_and_others_are_served() {
    let (upstream, identity) = (Upstream::start().await, identity(&[]).unwrap());
    let gateway: Gateway = Files::new(&identity).gateway(&upstream).go().await;
    let (ready, mut plain) =
        (b"GET / HTTP/1.1\r\n\r\n", TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap());
    tokio::io::AsyncWriteExt::write_all(&mut plain, ready).await.unwrap();
    let mut rest = Vec::new();
    // The server may end it with a reset.
    let _read = tokio::io::AsyncReadExt::read_to_end(&mut plain, &mut rest).await;
    assert!(!rest.starts_with(b"HTTP"));
    assert_eq!(chat(gateway.port, std::slice::from_ref(&identity.der)).await.0, 200);
}
