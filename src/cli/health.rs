//! The command `tollgate health`: asks a running gateway if it is ready, for containers that have no other HTTP client.

use std::{process::ExitCode, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tollgate_layers::BoxError;

use super::{environment, failed, listen::UNIX};
use crate::config::UpstreamTls;

/// The maximum time of the request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The arguments of `tollgate health`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Host of the gateway, or unix:PATH
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port of the gateway [default: PORT, else 8000]
    #[arg(long)]
    port: Option<u16>,
    /// Use TLS, without a check of the certificate [default: if SSL_CERTFILE_PATH is set]
    #[arg(long)]
    tls: bool,
}

/// Requests `/health/readiness`. Ends with 0 if the gateway is ready, and with 1 otherwise.
///
/// # Errors
///
/// Returns the exit code after printing the error.
pub(super) fn health(arguments: Arguments) -> Result<ExitCode, ExitCode> {
    let port = environment::port(arguments.port)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(failed("cannot start the runtime"))?;
    let host = &*arguments.host;
    let has_tls = arguments.tls || environment::path(None, "SSL_CERTFILE_PATH").is_some();
    let address = if host.starts_with(UNIX) { host.to_owned() } else { format!("{host}:{port}") };
    let asked = runtime.block_on(async { timeout(TIMEOUT, ask((host, port), has_tls)).await });
    let (status, body) = asked
        .map_err(BoxError::from)
        .and_then(|asked| asked)
        .map_err(failed(format_args!("no answer from {address}")))?;
    println!("{status} {}", String::from_utf8_lossy(&body));
    Ok(if status == StatusCode::OK { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Asks the gateway at this address.
async fn ask((host, port): (&str, u16), has_tls: bool) -> Result<(StatusCode, Bytes), BoxError> {
    if let Some(path) = host.strip_prefix(UNIX) {
        return request(UnixStream::connect(path).await?, "localhost").await;
    }
    let stream = TcpStream::connect((host, port)).await?;
    if !has_tls {
        return request(stream, host).await;
    }
    let tls = TlsConnector::from(UpstreamTls::unverified()?.config);
    request(tls.connect(ServerName::try_from(host.to_owned())?, stream).await?, host).await
}

async fn request<T>(stream: T, host: &str) -> Result<(StatusCode, Bytes), BoxError>
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/health/readiness").header(header::HOST, host);
    let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}
