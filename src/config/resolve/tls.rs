//! Resolves `ssl_verify` and `ssl_certificate`: the TLS of upstreams.

use std::path::Path;

use crate::config::{
    UpstreamTls,
    error::DiagnosticSink,
    include,
    raw::RawConfig,
    read,
    upstream_tls::Trust,
    yaml::{Location, Node, Value},
};

/// The TLS of every deployment without its own.
#[derive(Debug)]
pub(super) struct TlsDefaults {
    /// The certificate and the private key of the gateway, in PEM.
    certificate: Option<String>,
    tls: Option<UpstreamTls>,
}

impl TlsDefaults {
    /// Reads the settings, else LiteLLM's variables `SSL_VERIFY` and `SSL_CERTIFICATE`.
    pub(super) fn read(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Self {
        let of_variable = |name: &str| {
            let (at, value) = (raw.at.clone(), Value::Text(raw.env.get(name)?));
            Some(Node { at, value, hidden: false, variable: Some(name.into()) })
        };
        let node = |setting: &str, variable| {
            let node = raw.router.get(setting).or(raw.litellm.get(setting)).cloned();
            node.or_else(|| of_variable(variable))
        };
        let certificate = node("ssl_certificate", "SSL_CERTIFICATE").and_then(|node| pem(&node, sink));
        let verify = node("ssl_verify", "SSL_VERIFY");
        let trust = verify.as_ref().and_then(|node| trust(node, sink)).unwrap_or(Trust::System);
        let at = verify.map_or_else(|| raw.at.clone(), |node| node.at);
        let tls = build((&trust, certificate.as_deref()), &at, sink);
        Self { certificate, tls }
    }

    /// Returns the TLS of a deployment, which may have its own `ssl_verify`.
    pub(super) fn of_deployment(
        &self,
        own: Option<&Node>,
        sink: &mut DiagnosticSink<'_>,
    ) -> Option<UpstreamTls> {
        let Some(node) = own else { return self.tls.clone() };
        let trust = trust(node, sink)?;
        build((&trust, self.certificate.as_deref()), &node.at, sink)
    }
}

/// Returns the TLS of these settings; none if it is the default.
fn build(
    (trust, certificate): (&Trust, Option<&str>),
    at: &Location,
    sink: &mut DiagnosticSink<'_>,
) -> Option<UpstreamTls> {
    if *trust == Trust::System && certificate.is_none() {
        return None;
    }
    match UpstreamTls::new(trust, certificate) {
        Ok(tls) => Some(tls),
        Err(error) => {
            sink.error(at, format!("a file of certificates for upstreams {error}"));
            None
        }
    }
}

/// Reads `ssl_verify`: true or false, or the name of a file with the certificates of authorities.
fn trust(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<Trust> {
    let checks = match &node.value {
        Value::Bool(checks) => Some(*checks),
        Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Value::Text(_) => None,
        _ => return read::invalid(node, "true, false, or the name of a file with certificates", sink),
    };
    if checks == Some(false) {
        sink.warning(&node.at, "the certificates of upstreams are not checked: others may read the keys")
            .help("name a file with the certificate of the private authority in place of `false`");
    }
    match checks {
        Some(true) => Some(Trust::System),
        Some(false) => Some(Trust::Anything),
        None => pem(node, sink).map(Trust::Bundle),
    }
}

/// Returns the text of the file that a value names.
fn pem(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<String> {
    let name = read::text(node, sink)?;
    let read = |sink: &mut DiagnosticSink<'_>, path: &Path| sink.read(path);
    include::open_named((node, Path::new(&name)), "file of certificates", sink, read).map(|(_, text)| text)
}
