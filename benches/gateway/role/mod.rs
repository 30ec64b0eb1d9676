//! The sides that are this same program, started again as a process of its own.

pub(crate) mod floor;
mod script;
pub(crate) mod upstream;

use std::{io::Read, net::SocketAddr};

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::Result;

/// Plays the role that the arguments name, until whoever started it is gone.
pub(crate) fn play(arguments: &[String]) -> Result<()> {
    leave_with_parent();
    match arguments {
        [role] if role == "upstream" => {
            // One thread, so that it never takes more than the core it is pinned to.
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(upstream::serve())
        }
        [role, certificate, protocol] if role == "upstream" => {
            let serve = upstream::serve_tls(certificate, protocol);
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve)
        }
        [role, to] if role == "floor" => {
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(floor::serve(to))
        }
        _ => Err(format!("no such role: {arguments:?}").into()),
    }
}

/// The parent holds the other end of our standard input: when it ends, however it ends, so do we.
fn leave_with_parent() {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        let ended = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(i32::from(ended.is_err()));
    });
}

/// Binds any free port and says which, in the words that tollgate uses.
async fn listen() -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    // As tollgate's, so that bursts of connections are compared alike.
    let listener = socket.listen(4096)?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(listener)
}

/// The next connection, or none when that accept failed.
async fn accept(listener: &TcpListener) -> Option<TcpStream> {
    let (stream, _) = listener.accept().await.ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}

/// Serves one connection to its end.
async fn connection<S, B>(stream: TcpStream, service: S)
where
    S: hyper::service::Service<http::Request<hyper::body::Incoming>, Response = http::Response<B>>,
    S::Error: Into<tollgate_layers::BoxError>,
    B: http_body::Body + 'static,
    B::Error: Into<tollgate_layers::BoxError>,
{
    // A connection that breaks shows as a failed answer on the side that counts.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
