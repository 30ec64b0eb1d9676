//! TLS towards upstreams, where the file changes it: [`UpstreamTls`].

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use hyper_rustls::ConfigBuilderExt;
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WantsClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

/// The certificates that an upstream may present.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Trust {
    /// Certificates that an authority of the system, or else of Mozilla's list, has signed.
    System,
    /// Certificates that an authority in this PEM text has signed.
    Bundle(String),
    /// Any certificate.
    Anything,
}

/// TLS towards an upstream that differs from the default: `ssl_verify` and `ssl_certificate`.
#[derive(Clone)]
pub struct UpstreamTls {
    pub(crate) config: Arc<ClientConfig>,
    /// A hash over the settings. Equal settings share connections.
    fingerprint: u64,
}

impl UpstreamTls {
    /// Returns the TLS with these trusted certificates, and with the client's own certificate chain and private key in one
    /// PEM text.
    ///
    /// # Errors
    ///
    /// The reason why a text cannot be used.
    pub(super) fn new(trust: &Trust, certificate: Option<&str>) -> Result<Self, TlsError> {
        let trusting = trusting(trust)?;
        let config = match certificate {
            None => trusting.with_no_client_auth(),
            Some(pem) => {
                let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| TlsError::NoKey)?;
                trusting.with_client_auth_cert(certificates(pem)?, key).map_err(TlsError::Mismatch)?
            }
        };
        let mut hasher = DefaultHasher::new();
        (trust, certificate).hash(&mut hasher);
        Ok(Self { config: Arc::new(config), fingerprint: hasher.finish() })
    }

    /// Returns the TLS that accepts any certificate.
    ///
    /// # Errors
    ///
    /// If rustls refuses its own default protocol versions, which would be a bug of the build.
    pub(crate) fn unverified() -> Result<Self, TlsError> {
        Self::new(&Trust::Anything, None)
    }
}

impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Eq for UpstreamTls {}

impl Hash for UpstreamTls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fingerprint.hash(state);
    }
}

impl fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamTls")
    }
}

/// The reason why a file with certificates cannot be used. It contains nothing of the file.
#[derive(Debug)]
pub(crate) enum TlsError {
    NoCertificate,
    NoKey,
    Mismatch(Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("contains no valid certificate in PEM form"),
            Self::NoKey => f.write_str("contains no private key in PEM form"),
            Self::Mismatch(error) => write!(f, "cannot be used: {error}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// Returns a configuration that trusts these certificates.
fn trusting(trust: &Trust) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = || {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        builder.with_safe_default_protocol_versions().map_err(TlsError::Mismatch)
    };
    Ok(match trust {
        Trust::System => match builder()?.with_native_roots() {
            Ok(trusting) => trusting,
            Err(_) => builder()?.with_webpki_roots(),
        },
        Trust::Bundle(pem) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(pem)?);
            if roots.is_empty() {
                return Err(TlsError::NoCertificate);
            }
            builder()?.with_root_certificates(roots)
        }
        Trust::Anything => {
            let verifier = Arc::new(NoVerification(Arc::clone(&provider)));
            builder()?.dangerous().with_custom_certificate_verifier(verifier)
        }
    })
}

/// Returns the certificates of a PEM text.
fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(TlsError::NoCertificate)
}

/// Accepts every certificate whose key the server has.
#[derive(Debug)]
struct NoVerification(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
