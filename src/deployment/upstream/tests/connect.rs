//! Tests of the connector: socket options, and the connect timeout of several addresses.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
};

use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{HttpConnector, dns::Name};
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::{pause, timeout},
};
use tower::{ServiceExt, service_fn};

use crate::deployment::upstream::connect::{CONNECT_TIMEOUT, KEEPALIVE_TIME, USER_TIMEOUT, connector, tcp};

#[tokio::test]
async fn an_upstream_connection_has_tcp_keepalive_and_user_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let connected = connector(false, Default::default()).unwrap().oneshot(uri).await.unwrap();
    let MaybeHttpsStream::Http(socket) = &connected else { panic!("TLS for an http URL") };
    let socket = SockRef::from(socket.inner());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_TIME);
    let probes = socket.tcp_keepalive_interval().unwrap() * socket.tcp_keepalive_retries().unwrap();
    assert_eq!(KEEPALIVE_TIME + probes, USER_TIMEOUT);
    #[cfg(target_os = "linux")]
    assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
}

/// Makes connections to the address hang: its accept queue of one is full while the returned sockets live.
#[cfg(target_os = "linux")]
async fn unresponsive(address: SocketAddr) -> (TcpListener, TcpStream) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(0).unwrap();
    let first = TcpStream::connect(address).await.unwrap();
    (listener, first)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_unresponsive_address_leaves_time_to_connect_to_the_next() {
    let healthy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = healthy.local_addr().unwrap();
    let other = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), address.port()));
    let _sockets = unresponsive(other).await;
    let resolver =
        service_fn(move |_: Name| async move { Ok::<_, Infallible>([other, address].into_iter()) });
    pause();
    let uri = format!("http://two.test:{}", address.port()).parse().unwrap();
    let connecting = tcp(HttpConnector::new_with_resolver(resolver)).oneshot(uri);
    let connected =
        timeout(CONNECT_TIMEOUT * 2 / 3, connecting).await.expect("time is left for TLS").unwrap();
    assert_eq!(connected.inner().peer_addr().unwrap(), address);
}
