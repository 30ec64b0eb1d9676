//! The certificate of a server with TLS, which is replaced while the server runs: [`Certificate`].

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use tokio_rustls::TlsAcceptor;

/// The name of HTTP/2 in ALPN.
pub(super) const HTTP2: &[u8] = b"h2";

/// The certificate chain and the private key of a server, read from two PEM files.
///
/// Connections keep the certificate of their handshake; [`reload`](Self::reload) sets that of later ones.
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    acceptor: Mutex<TlsAcceptor>,
}

impl Certificate {
    /// Reads a certificate chain, with the certificate of the server first, and its private key (PKCS #8, PKCS #1 or SEC1).
    ///
    /// # Errors
    ///
    /// [`CertificateError`] if a file cannot be read or contains no certificate or key, or if the two do not match.
    pub fn read(chain: PathBuf, key: PathBuf) -> Result<Self, CertificateError> {
        let acceptor = Mutex::new(acceptor(&chain, &key)?);
        Ok(Self { chain, key, acceptor })
    }

    /// Reads both files again.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] as from [`read`](Self::read). The certificate then stays as it was.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let acceptor = acceptor(&self.chain, &self.key)?;
        *self.acceptor.lock().unwrap_or_else(PoisonError::into_inner) = acceptor;
        Ok(())
    }

    /// Returns the acceptor of new connections.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("chain", &self.chain).finish_non_exhaustive()
    }
}

fn acceptor(chain: &Path, key: &Path) -> Result<TlsAcceptor, CertificateError> {
    let certificates = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| CertificateError::file(chain, &error))?;
    if certificates.is_empty() {
        return Err(CertificateError::file(chain, &pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| CertificateError::file(key, &error))?;
    let config = ServerConfig::builder_with_provider(ring::default_provider().into());
    let config = config.with_safe_default_protocol_versions().map_err(CertificateError::tls)?;
    let config = config.with_no_client_auth().with_single_cert(certificates, key);
    let mut config = config.map_err(CertificateError::tls)?;
    config.alpn_protocols = vec![HTTP2.to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The reason why a certificate cannot be used. It contains nothing of the files.
#[derive(Debug)]
pub struct CertificateError(String);

impl CertificateError {
    fn file(path: &Path, error: &pem::Error) -> Self {
        let path = path.display();
        Self(match error {
            pem::Error::Io(error) => format!("{path} cannot be read: {error}"),
            pem::Error::NoItemsFound => format!("{path} contains no certificate or private key in PEM form"),
            _ => format!("{path} is not valid PEM"),
        })
    }

    fn tls(error: rustls::Error) -> Self {
        Self(format!("the certificate and its key cannot be used: {error}"))
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CertificateError {}
