//! Messages for connection errors, without addresses: [`connect_error`] and [`call_error`].

use std::{error::Error, io, io::ErrorKind, iter};

use tollgate_layers::timeout::Elapsed;

use super::{CONNECT_TIMEOUT, proxy::TunnelError};
use crate::error::TransportError;

/// `EMFILE` and `ENFILE` on every Unix: the process, or the machine, has reached its limit of open files.
const FILE_LIMIT_ERRORS: [i32; 2] = [24, 23];

/// The facts found in an error and its sources.
#[derive(Default)]
struct Diagnosis {
    kind: Option<ErrorKind>,
    timed_out: bool,
    unresolved: bool,
    /// The failure of a proxy.
    tunnel: Option<String>,
    /// The resource that this machine has run out of.
    exhausted: Option<&'static str>,
    /// The reason why the response is not valid HTTP.
    protocol: Option<&'static str>,
}

impl Diagnosis {
    fn of(error: &(dyn Error + 'static)) -> Self {
        let mut diagnosis = Self::default();
        for error in iter::successors(Some(error), |&error| error.source()) {
            diagnosis.timed_out |= error.is::<Elapsed>();
            // The resolver's io error has no kind; only the text of its wrapper shows the cause.
            diagnosis.unresolved |= error.to_string().starts_with("dns error");
            if let Some(tunnel) = error.downcast_ref::<TunnelError>() {
                diagnosis.tunnel = Some(tunnel.to_string());
            }
            if let Some(io) = error.downcast_ref::<io::Error>() {
                diagnosis.kind = Some(io.kind());
                diagnosis.exhausted = diagnosis.exhausted.or_else(|| exhausted_resource(io));
            }
            if let Some(hyper) = error.downcast_ref::<hyper::Error>() {
                diagnosis.protocol = diagnosis.protocol.or_else(|| protocol_error(hyper));
            }
        }
        diagnosis
    }
}

fn exhausted_resource(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        _ if error.raw_os_error().is_some_and(|code| FILE_LIMIT_ERRORS.contains(&code)) => {
            Some("open files (ulimit -n)")
        }
        ErrorKind::AddrNotAvailable => Some("local ports"),
        ErrorKind::OutOfMemory => Some("memory"),
        _ => None,
    }
}

fn protocol_error(error: &hyper::Error) -> Option<&'static str> {
    match error {
        _ if error.is_parse_too_large() => Some("the head of its response is too long"),
        _ if error.is_parse() => Some("its response is not HTTP"),
        _ => None,
    }
}

/// Returns the error of a failed dial. TLS reports a bad certificate, or a server without TLS, as invalid data or as
/// another error.
pub(super) fn connect_error(error: &(dyn Error + 'static)) -> TransportError {
    let diagnosis = Diagnosis::of(error);
    // The timeout of one address may run out before that of all.
    let timed_out = diagnosis.timed_out || diagnosis.kind == Some(ErrorKind::TimedOut);
    let what = match (diagnosis.exhausted, diagnosis.kind) {
        (Some(what), _) => format!("The upstream was not called: this machine is out of {what}."),
        _ if timed_out => {
            format!("No connection to the upstream within {} s (connect timeout).", CONNECT_TIMEOUT.as_secs())
        }
        _ if diagnosis.tunnel.is_some() => {
            format!("The upstream cannot be reached: {}.", diagnosis.tunnel.unwrap_or_default())
        }
        _ if diagnosis.unresolved => {
            "The upstream cannot be reached: its host name does not resolve.".to_owned()
        }
        (_, Some(ErrorKind::InvalidData | ErrorKind::Other)) => {
            "The upstream cannot be reached: TLS fails (its certificate, or it speaks none).".to_owned()
        }
        (_, Some(kind)) => format!("The upstream cannot be reached: {kind}."),
        (_, None) => "The upstream cannot be reached.".to_owned(),
    };
    TransportError {
        sent: false,
        timed_out,
        evidence: diagnosis.exhausted.is_none(),
        stale: false,
        what: what.into(),
    }
}

/// Returns the error of a connection that broke before the response head.
pub(super) fn call_error(error: &(dyn Error + 'static)) -> TransportError {
    let diagnosis = Diagnosis::of(error);
    let what = match (diagnosis.protocol, diagnosis.kind) {
        (Some(protocol), _) => format!("The upstream cannot be understood: {protocol}."),
        (_, Some(kind)) => format!("The connection to the upstream broke before its response: {kind}."),
        (_, None) => "The connection to the upstream broke before its response.".to_owned(),
    };
    TransportError {
        sent: true,
        timed_out: diagnosis.timed_out,
        evidence: true,
        stale: false,
        what: what.into(),
    }
}
