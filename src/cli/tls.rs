//! The arguments of a server with TLS: [`TlsArguments`].

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use super::{BAD_CONFIG, environment, failed, files::Files};
use crate::server::Certificate;

/// The certificate of the server, with the names of LiteLLM's command.
#[derive(Debug, clap::Args)]
pub(super) struct TlsArguments {
    /// PEM file with the certificate chain of the server, which then serves TLS; each reload reads it again [default:
    /// SSL_CERTFILE_PATH]
    #[arg(long, alias = "ssl_certfile_path", value_name = "PATH")]
    ssl_certfile_path: Option<PathBuf>,
    /// PEM file with the private key of the certificate [default: SSL_KEYFILE_PATH]
    #[arg(long, alias = "ssl_keyfile_path", value_name = "PATH")]
    ssl_keyfile_path: Option<PathBuf>,
}

impl TlsArguments {
    /// Returns the certificate, or none if the server is plain. Adds its files.
    ///
    /// # Errors
    ///
    /// Returns the exit code after printing the error.
    pub(super) fn certificate(&self, files: &Files) -> Result<Option<Arc<Certificate>>, ExitCode> {
        let chain = environment::path(self.ssl_certfile_path.clone(), "SSL_CERTFILE_PATH");
        let key = environment::path(self.ssl_keyfile_path.clone(), "SSL_KEYFILE_PATH");
        let (chain, key) = match (chain, key) {
            (None, None) => return Ok(None),
            (Some(chain), Some(key)) => (chain, key),
            (None, Some(_)) => return Err(missing("--ssl-certfile-path", "SSL_CERTFILE_PATH")),
            (Some(_), None) => return Err(missing("--ssl-keyfile-path", "SSL_KEYFILE_PATH")),
        };
        files.add(&chain);
        files.add(&key);
        let certificate = Certificate::read(chain, key).map_err(|error| {
            let _failure = failed("cannot serve TLS")(error);
            ExitCode::from(BAD_CONFIG)
        })?;
        Ok(Some(Arc::new(certificate)))
    }
}

fn missing(argument: &str, variable: &str) -> ExitCode {
    eprintln!("error: TLS needs a certificate and its key: give `{argument} PATH` too, or set {variable}");
    environment::USAGE.into()
}
