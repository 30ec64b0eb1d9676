//! Tests of the shared HTTP/2 connection: its keep-alive, and its flow control between calls.

use std::{convert::Infallible, future::pending, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::{Instant, pause, timeout},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ClientConfig, RootCertStore, crypto::ring},
    server::TlsStream,
};
use tollgate_test_support::tls::{Identity, identity};
use tower::util::BoxCloneSyncService;

use super::{KEPT, call};
use crate::deployment::upstream::{
    Upstream,
    connect::{USER_TIMEOUT, tcp},
    http2::Http2,
};

/// An HTTP/2 server over TLS, and a client that trusts its certificate.
struct Server {
    base: Uri,
    client: Http2,
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl Server {
    async fn new() -> Self {
        let Identity { acceptor, der, .. } = identity(&["h2"]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(der).unwrap();
        let trusts = ClientConfig::builder_with_provider(ring::default_provider().into());
        let trusts = trusts.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(trusts.with_no_client_auth())
            .https_only()
            .enable_http2()
            .wrap_connector(tcp(hyper_util::client::legacy::connect::HttpConnector::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://localhost:{}/", listener.local_addr().unwrap().port()).parse().unwrap();
        let client = Http2::new(BoxCloneSyncService::new(connector), KEPT);
        Self { base, client, listener, tls: acceptor }
    }

    async fn accept(&self) -> TokioIo<TlsStream<TcpStream>> {
        let (socket, _) = self.listener.accept().await.unwrap();
        TokioIo::new(self.tls.accept(socket).await.unwrap())
    }
}

#[tokio::test]
async fn an_http2_connection_to_a_silent_server_is_dead_after_the_user_timeout() {
    let server = Server::new().await;
    let received = Notify::new();
    let silent = async {
        let service = service_fn(|_: Request<Incoming>| {
            received.notify_one();
            pending::<Result<Response<Full<Bytes>>, Infallible>>()
        });
        let connection = http2::Builder::new(TokioExecutor::new());
        let mut connection = Box::pin(connection.serve_connection(server.accept().await, service));
        tokio::select! {
            ended = &mut connection => panic!("it ended: {ended:?}"),
            () = received.notified() => {}
        }
        // From here on the server reads nothing.
        pause();
        (connection, Instant::now())
    };
    let mut response = server.client.call(call(&server.base));
    let (_connection, since) = tokio::select! {
        _ = &mut response => panic!("the server sent no response"),
        connection = silent => connection,
    };
    let result = timeout(10 * USER_TIMEOUT, response).await.expect("an error");
    assert!(result.is_err());
    // The resolution of tokio's timers.
    assert!(since.elapsed() < USER_TIMEOUT + Duration::from_millis(100), "{:?}", since.elapsed());
}

#[tokio::test]
async fn an_http2_stream_that_is_not_read_does_not_block_the_others() {
    const LONG: usize = 4 * 1024 * 1024;
    let server = Server::new().await;
    let serving = async {
        let service = service_fn(|_: Request<Incoming>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(&[b'x'; LONG]))))
        });
        http2::Builder::new(TokioExecutor::new()).serve_connection(server.accept().await, service).await
    };
    let reading = async {
        let unread = join_all((0..8).map(|_| server.client.call(call(&server.base)))).await;
        assert!(unread.iter().all(Result::is_ok));
        let response = server.client.call(call(&server.base)).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes().len()
    };
    tokio::select! {
        ended = serving => panic!("it ended: {ended:?}"),
        // A failure hangs.
        length = timeout(Duration::from_secs(60), reading) => assert_eq!(length, Ok(LONG)),
    }
}

#[tokio::test]
async fn an_http2_connection_that_stops_serving_is_replaced_after_three_calls_without_a_response() {
    // A peer that permits no streams, and one that answers none.
    for streams in [0, 100] {
        let server = Server::new().await;
        let serving = async {
            let silent =
                service_fn(|_: Request<Incoming>| pending::<Result<Response<Full<Bytes>>, Infallible>>());
            let mut stopped = http2::Builder::new(TokioExecutor::new());
            stopped.max_concurrent_streams(streams);
            let stopped = stopped.serve_connection(server.accept().await, silent);
            let second = async {
                let service = service_fn(|_: Request<Incoming>| async {
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"served"))))
                });
                let connection = http2::Builder::new(TokioExecutor::new());
                connection.serve_connection(server.accept().await, service).await
            };
            tokio::join!(stopped, second)
        };
        let calling = async {
            let mut unanswered = 0;
            loop {
                let call = server.client.call(call(&server.base));
                match timeout(Duration::from_millis(1_100), call).await {
                    Ok(Ok(response)) => {
                        return (unanswered, response.into_body().collect().await.unwrap().to_bytes());
                    }
                    // A stream that was opened before the peer permitted none is refused.
                    Ok(Err(_)) => {}
                    Err(_) => unanswered += 1,
                }
            }
        };
        tokio::select! {
            ended = serving => panic!("it ended: {ended:?}"),
            result = timeout(Duration::from_secs(20), calling) => {
                assert_eq!(result.expect("a response"), (3, Bytes::from_static(b"served")));
            }
        }
    }
}
