//! The command `tollgate health`: asks a running gateway if it is ready, for containers that have no other HTTP client.

use std::{process::ExitCode, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tollgate_layers::BoxError;

use super::{environment, failed};

/// The maximum time of the request.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The arguments of `tollgate health`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Host of the gateway [default: 127.0.0.1]
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// Port of the gateway [default: PORT, else 8000]
    #[arg(long)]
    port: Option<u16>,
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
    let asked = runtime.block_on(async { timeout(TIMEOUT, ask(&arguments.host, port)).await });
    let (status, body) = asked
        .map_err(BoxError::from)
        .and_then(|asked| asked)
        .map_err(failed(format_args!("no answer from {}:{port}", arguments.host)))?;
    println!("{status} {}", String::from_utf8_lossy(&body));
    Ok(if status == StatusCode::OK { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn ask(host: &str, port: u16) -> Result<(StatusCode, Bytes), BoxError> {
    let stream = TcpStream::connect((host, port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get("/health/readiness").header(header::HOST, format!("{host}:{port}"));
    let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes()))
}
