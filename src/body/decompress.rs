//! Decompression of bodies: [`Decompressed`].
//!
//! A compressed body is read in pieces, so that all limits on what is held count decompressed bytes. The gateway requests
//! no compression; some upstreams compress all the same, and so do some clients.

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
use tokio::{
    io::{AsyncRead, BufReader},
    task::coop,
};
use tokio_util::io::{ReaderStream, StreamReader};

use super::{
    codings::{Coding, codings},
    upstream_body::UpstreamBody,
};
use crate::error::BodyError;

/// The longest piece of decompressed bytes.
const PIECE: usize = 16 * 1024;

/// The largest window of zstd that a recipient has to accept, as the power of two: 8 MB (RFC 9659).
const WINDOW: u32 = 23;

type Reader = Pin<Box<dyn AsyncRead + Send>>;

/// The bytes of a body without its compression, in pieces of at most 16 KB. An error of the compressed body is passed on;
/// any other error means that it cannot be decompressed.
pub(crate) struct Decompressed(ReaderStream<Reader>);

impl Decompressed {
    /// Returns a body without `codings`, which are in the order in which they were applied.
    pub(crate) fn new(
        frames: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        codings: &[Coding],
    ) -> Self {
        let mut reader: Reader = Box::pin(StreamReader::new(frames));
        // The last coding was applied last.
        for coding in codings.iter().rev() {
            reader = coding.decode(reader);
        }
        Self(ReaderStream::with_capacity(reader, PIECE))
    }
}

impl fmt::Debug for Decompressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decompressed")
    }
}

impl Stream for Decompressed {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        // A few bytes from a socket may be many pieces: without this one poll would take as long as all of them.
        let budget = ready!(coop::poll_proceed(cx));
        let piece = ready!(Pin::new(&mut self.0).poll_next(cx));
        budget.made_progress();
        Poll::Ready(piece)
    }
}

impl UpstreamBody {
    /// Returns the body without the compressions that `headers` name, and removes the headers that describe them. A body
    /// with an unknown compression is returned as it is.
    pub(crate) fn decompressed(self, headers: &mut HeaderMap) -> Self {
        let Some(codings) = codings(headers) else { return self };
        headers.remove(header::CONTENT_ENCODING);
        headers.remove(header::CONTENT_LENGTH);
        let frames = BodyDataStream::new(self).map(|frame| frame.map_err(io::Error::other));
        Decompressed::new(frames, &codings).into()
    }
}

/// Returns the error of the compressed body, or else that of its decompression.
pub(super) fn body_error(error: &io::Error) -> BodyError {
    let inner = error.get_ref().and_then(|error| error.downcast_ref::<BodyError>());
    inner.copied().unwrap_or(BodyError::Undecodable)
}

/// Makes a decoder read the compressed body to its end. A gzip body may have several members, and a connection can be used
/// again only after the end of its body.
macro_rules! to_the_end {
    ($decoder:expr) => {{
        let mut decoder = $decoder;
        decoder.multiple_members(true);
        Box::pin(decoder)
    }};
}

impl Coding {
    fn decode(self, reader: Reader) -> Reader {
        let reader = BufReader::with_capacity(PIECE, reader);
        match self {
            Self::Gzip => to_the_end!(GzipDecoder::new(reader)),
            Self::Zlib => to_the_end!(ZlibDecoder::new(reader)),
            Self::Brotli => to_the_end!(BrotliDecoder::new(reader)),
            Self::Zstd => {
                to_the_end!(ZstdDecoder::with_params(reader, &[DParameter::window_log_max(WINDOW)]))
            }
        }
    }
}
