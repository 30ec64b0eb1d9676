//! The address that is listened on: [`Address`].

use std::{
    fmt, fs, io,
    net::SocketAddr,
    os::unix::{fs::FileTypeExt, net::UnixStream},
    path::{Path, PathBuf},
    process::ExitCode,
};

use tokio::net::UnixListener;

use super::{environment, failed};
use crate::server::{Listener, ListenerSocket};

/// The beginning of a host that is the path of a unix socket.
pub(super) const UNIX: &str = "unix:";

/// The address that is listened on.
#[derive(Clone, Debug)]
pub(super) enum Address {
    /// An address of TCP.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl Address {
    /// Returns true if only programs on this machine reach it.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }

    /// Returns the base of the URLs of a scheme. Through a unix socket any host will do.
    pub(super) fn url(&self, scheme: &str) -> String {
        match self {
            Self::Tcp(address) => format!("{scheme}://{address}"),
            Self::Unix(_) => format!("{scheme}://localhost"),
        }
    }

    /// Removes the file of a unix socket.
    pub(super) fn remove(&self) {
        if let Self::Unix(path) = self {
            // It may have been removed already.
            let _removed = fs::remove_file(path);
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// Listens on the host and the port of the arguments or the environment, or on the unix socket that the host names, which
/// has no TLS.
///
/// # Errors
///
/// Returns the exit code after printing the error.
pub(super) async fn listen(
    host: Option<String>,
    port: Option<u16>,
    (backlog, has_tls): (u32, bool),
) -> Result<(ListenerSocket, Address), ExitCode> {
    let host = environment::host(host);
    if let Some(path) = host.strip_prefix(UNIX) {
        if has_tls {
            eprintln!(
                "error: TLS is not served on a unix socket: leave out the certificate, or listen on an address"
            );
            return Err(environment::USAGE.into());
        }
        let listener = unix(Path::new(path)).map_err(failed(format_args!("cannot listen on {host}")))?;
        return Ok((listener.into(), Address::Unix(path.into())));
    }
    let port = environment::port(port)?;
    let listener = Listener::bind(&host, port, backlog).await;
    let listener = listener.map_err(failed(format_args!("cannot listen on {host}:{port}")))?;
    let address = listener.local_addr().map_err(failed("cannot listen"))?;
    Ok((listener.into(), Address::Tcp(address)))
}

/// Listens on a unix socket. The file of a process that has ended is replaced; no other file is.
fn unix(path: &Path) -> io::Result<UnixListener> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err() {
        fs::remove_file(path)?;
    }
    UnixListener::bind(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_unix_socket_without_a_listener_is_replaced_and_another_file_is_not() {
        let path = std::env::temp_dir().join(format!("tollgate-listen-{}", std::process::id()));
        let address = Address::Unix(path.clone());
        let first = unix(&path).unwrap();
        assert_eq!(unix(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        drop(unix(&path).unwrap());
        address.remove();
        fs::write(&path, "a file").unwrap();
        assert_eq!(unix(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read_to_string(&path).unwrap(), "a file");
        address.remove();
        assert!(address.is_local() && address.to_string().starts_with("unix:/"));
    }
}
