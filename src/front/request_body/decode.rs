//! The decompression of a request body: [`decoded`].

#[cfg(feature = "compression")]
use std::io;

use bytes::Bytes;
use futures_util::Stream;
#[cfg(feature = "compression")]
use futures_util::StreamExt;

#[cfg(feature = "compression")]
use crate::body::decompress::Decompressed;
use crate::{body::codings::Coding, error::InvalidRequest};

/// Returns the pieces of a body without its compression. `codings` are those of its headers, or `None` if one of them is
/// unknown.
///
/// # Errors
///
/// [`InvalidRequest`] if there is not exactly one compression, or if this build reads none.
#[cfg(feature = "compression")]
pub(super) fn decoded(
    body: impl Stream<Item = Result<Bytes, InvalidRequest>> + Send + 'static,
    codings: Option<&[Coding]>,
) -> Result<impl Stream<Item = Result<Bytes, InvalidRequest>>, InvalidRequest> {
    let coding = only(codings)?;
    let frames = body.map(|frame| frame.map_err(io::Error::other));
    let undecodable = |error: io::Error| error.downcast().unwrap_or_else(|_| InvalidRequest::undecodable());
    Ok(Decompressed::new(frames, &[coding]).map(move |piece| piece.map_err(undecodable)))
}

/// Returns the only compression. Each further one would need memory of its own, and no client sends several.
#[cfg(feature = "compression")]
fn only(codings: Option<&[Coding]>) -> Result<Coding, InvalidRequest> {
    match codings {
        Some(&[coding]) => Ok(coding),
        Some(_) => Err(InvalidRequest::content_encoding(
            "The request body has several content-encodings: send one of gzip, deflate, br and zstd, or none.",
        )),
        None => Err(InvalidRequest::content_encoding(
            "The content-encoding of the request body is not supported: send gzip, deflate, br or zstd, or none.",
        )),
    }
}

/// Refuses the body.
///
/// # Errors
///
/// [`InvalidRequest`]: this build reads no compressed body.
#[cfg(not(feature = "compression"))]
pub(super) fn decoded<S>(_: S, _: Option<&[Coding]>) -> Result<S, InvalidRequest>
where
    S: Stream<Item = Result<Bytes, InvalidRequest>>,
{
    Err(InvalidRequest::content_encoding(
        "The gateway was built without `compression` and reads no content-encoding: send the request body without one.",
    ))
}
