//! A TLS server with a certificate of its own.

use std::sync::Arc;

use rcgen::CertifiedKey;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

/// A certificate for `localhost` that no authority has signed, and an acceptor that shows it.
pub struct Identity {
    /// Accepts connections.
    pub acceptor: TlsAcceptor,
    /// The certificate in PEM.
    pub pem: String,
    /// The private key of the certificate in PEM.
    pub key: String,
    /// The certificate in DER.
    pub der: CertificateDer<'static>,
}

/// Makes a certificate and an acceptor that offers these ALPN protocols.
///
/// # Errors
/// None on a machine with a source of random numbers.
pub fn identity(protocols: &[&str]) -> Result<Identity, Box<dyn std::error::Error + Send + Sync>> {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".into()])?;
    let pem_of_key = signing_key.serialize_pem();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let tls = ServerConfig::builder_with_provider(ring::default_provider().into());
    let tls = tls.with_safe_default_protocol_versions()?.with_no_client_auth();
    let mut tls = tls.with_single_cert(vec![cert.der().clone()], key)?;
    tls.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    Ok(Identity { acceptor, pem: cert.pem(), key: pem_of_key, der: cert.der().clone() })
}
