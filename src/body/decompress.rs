//! Decompression of a response's body: [`UpstreamBody::decompressed`].
//!
//! The gateway requests no compression. A body that is compressed all the same is read in pieces, so that all limits on
//! what is held count decompressed bytes.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_compression::{
    tokio::bufread::{BrotliDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder},
    zstd::DParameter,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, header};
use http_body_util::BodyDataStream;
use tokio::io::{AsyncRead, BufReader};
use tokio_util::io::{ReaderStream, StreamReader};

use super::upstream_body::{UpstreamBody, is_identity};
use crate::error::BodyError;

/// The longest piece of decompressed bytes.
const PIECE: usize = 16 * 1024;

/// The largest window of zstd that a recipient has to accept, as the power of two: 8 MB (RFC 9659).
const WINDOW: u32 = 23;

type Reader = Pin<Box<dyn AsyncRead + Send>>;

/// A body without its compression.
pub(super) struct Decompressed(ReaderStream<Reader>);

impl fmt::Debug for Decompressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decompressed")
    }
}

impl UpstreamBody {
    /// Returns the body without the compressions that `headers` name, and removes the headers that describe them. A body
    /// with an unknown compression is returned as it is.
    pub(crate) fn decompressed(self, headers: &mut HeaderMap) -> Self {
        let Some(codings) = codings(headers) else { return self };
        let frames = BodyDataStream::new(self).map(|frame| frame.map_err(io::Error::other));
        let mut reader: Reader = Box::pin(StreamReader::new(frames));
        // The last coding was applied last.
        for coding in codings.iter().rev() {
            reader = coding.decode(reader);
        }
        headers.remove(header::CONTENT_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
        Decompressed(ReaderStream::with_capacity(reader, PIECE)).into()
    }
}

impl Decompressed {
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let piece = ready!(Pin::new(&mut self.0).poll_next(cx));
        Poll::Ready(piece.map(|piece| piece.map_err(|error| body_error(&error))))
    }
}

/// Returns the error of the compressed body, or else that of its decompression.
fn body_error(error: &io::Error) -> BodyError {
    let inner = error.get_ref().and_then(|error| error.downcast_ref::<BodyError>());
    inner.copied().unwrap_or(BodyError::Undecodable)
}

/// A compression that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Zlib,
    Brotli,
    Zstd,
}

impl Coding {
    /// Returns the compression of this name (RFC 9110, section 8.4.1).
    fn of(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "deflate" => Some(Self::Zlib),
            "br" => Some(Self::Brotli),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    fn decode(self, reader: Reader) -> Reader {
        let reader = BufReader::with_capacity(PIECE, reader);
        match self {
            Self::Gzip => {
                let mut decoder = GzipDecoder::new(reader);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
            Self::Zlib => Box::pin(ZlibDecoder::new(reader)),
            Self::Brotli => Box::pin(BrotliDecoder::new(reader)),
            Self::Zstd => {
                let mut decoder = ZstdDecoder::with_params(reader, &[DParameter::window_log_max(WINDOW)]);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
        }
    }
}

/// Returns the compressions in the order in which they were applied, or `None` if one of them is unknown.
fn codings(headers: &HeaderMap) -> Option<Vec<Coding>> {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let texts: Vec<_> = values.map(|value| value.to_str().ok()).collect::<Option<_>>()?;
    let names = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    names.filter(|name| !is_identity(name)).map(Coding::of).collect()
}
