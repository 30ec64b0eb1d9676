//! What went wrong on the wire, in words that name no address.

use std::{error::Error, io, io::ErrorKind};

use tollgate_layers::timeout::Elapsed;

use super::CONNECT;
use crate::error::WireError;

/// What is known of `error`, met while `connecting` or after. On the way to a connection, TLS tells of a bad
/// certificate, or of a server that speaks no TLS, as of invalid data or of something else.
pub(super) fn wire_error(connecting: bool, error: &(dyn Error + 'static)) -> WireError {
    let mut cause = Some(error);
    let mut timed_out = false;
    let mut what = None;
    let mut unresolved = false;
    while let Some(error) = cause {
        timed_out |= error.is::<Elapsed>();
        if let Some(io) = error.downcast_ref::<io::Error>() {
            what = Some(io.kind());
        }
        // The resolver's io error has no kind; only the one that holds it tells what it is.
        unresolved |= error.to_string().starts_with("dns error");
        cause = error.source();
    }
    let what = match what {
        _ if timed_out => {
            format!("No connection to the upstream within {} s (connect clock).", CONNECT.as_secs())
        }
        _ if unresolved => "The upstream cannot be reached: its host name does not resolve.".to_owned(),
        Some(ErrorKind::InvalidData | ErrorKind::Other) if connecting => {
            "The upstream cannot be reached: TLS fails (its certificate, or it speaks none).".to_owned()
        }
        Some(kind) if connecting => format!("The upstream cannot be reached: {kind}."),
        None if connecting => "The upstream cannot be reached.".to_owned(),
        Some(kind) => format!("The connection to the upstream broke before its answer: {kind}."),
        None => "The connection to the upstream broke before its answer.".to_owned(),
    };
    WireError { sent: !connecting, timed_out, what: what.into() }
}
