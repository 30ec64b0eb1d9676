//! The body of a request to an upstream: slices of the client's body with the gateway's changes between them.
//!
//! The client's bytes are not copied and the length is known, so the upstream receives a `content-length` and hyper
//! writes all slices with one vectored write. A clone for a retry increments a reference count.
//!
//! The body differs from `http_body_util::Full` in that its data need not be contiguous, and from a stream of frames in that
//! one frame contains the whole body: HTTP/1 sends the head and the body with one write.
//!
//! ```
//! use bytes::Bytes;
//! use http_body::Body;
//! use tollgate::upstream::SplicedBody;
//!
//! let body = SplicedBody::new(vec![Bytes::from_static(b"{\"a\":"), Bytes::from_static(b"1}")]);
//! assert_eq!(body.size_hint().exact(), Some(7));
//! assert_eq!(body.to_bytes(), "{\"a\":1}");
//! ```

use std::{
    convert::Infallible,
    io::IoSlice,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// A body of known length: one frame of slices.
#[derive(Clone, Debug)]
pub struct SplicedBody {
    slices: ByteSlices,
    done: bool,
}

impl SplicedBody {
    /// Returns a body of these slices, in order.
    #[must_use]
    pub fn new(mut slices: Vec<Bytes>) -> Self {
        // A `Buf` must not return an empty chunk while bytes remain.
        slices.retain(|slice| !slice.is_empty());
        let remaining = slices.iter().map(Bytes::len).sum();
        let slices = ByteSlices { slices: slices.into(), index: 0, offset: 0, remaining };
        Self { slices, done: remaining == 0 }
    }

    /// Returns the number of bytes that are still to be sent.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.done { 0 } else { self.slices.remaining }
    }

    /// Returns the bytes that are still to be sent, in parts.
    pub(super) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.slices.rest()
    }

    /// Returns true if no byte is left to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the body in one buffer. A body of more than one slice is copied.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut slices = self.slices.clone();
        slices.copy_to_bytes(self.len())
    }
}

impl From<Bytes> for SplicedBody {
    fn from(bytes: Bytes) -> Self {
        Self::new(vec![bytes])
    }
}

impl Body for SplicedBody {
    type Data = ByteSlices;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<ByteSlices>, Infallible>>> {
        if self.done {
            return Poll::Ready(None);
        }
        self.done = true;
        Poll::Ready(Some(Ok(Frame::data(self.slices.clone()))))
    }

    fn is_end_stream(&self) -> bool {
        self.done
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}

/// A [`Buf`] over several slices.
#[derive(Clone, Debug)]
pub struct ByteSlices {
    /// The slices, none of them empty.
    slices: Arc<[Bytes]>,
    /// The current slice, and the number of its bytes that were read.
    index: usize,
    offset: usize,
    remaining: usize,
}

impl ByteSlices {
    /// Returns the unread part of each slice.
    fn rest(&self) -> impl Iterator<Item = &[u8]> {
        let slices = self.slices.get(self.index..).unwrap_or_default();
        let skip = |(index, slice)| {
            if index == 0 { &<Bytes as AsRef<[u8]>>::as_ref(slice)[self.offset..] } else { slice }
        };
        slices.iter().enumerate().map(skip)
    }
}

impl Buf for ByteSlices {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.rest().next().unwrap_or_default()
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        let filled = dst.iter_mut().zip(self.rest()).map(|(into, slice)| *into = IoSlice::new(slice));
        filled.count()
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.remaining, "cannot advance past the end: {count} of {}", self.remaining);
        self.remaining -= count;
        while let Some(slice) = self.slices.get(self.index) {
            let left = slice.len() - self.offset;
            if count < left {
                self.offset += count;
                return;
            }
            count -= left;
            self.index += 1;
            self.offset = 0;
        }
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        assert!(count <= self.remaining, "cannot read past the end: {count} of {}", self.remaining);
        let taken = match self.slices.get(self.index) {
            Some(slice) if count <= slice.len() - self.offset => {
                slice.slice(self.offset..self.offset + count)
            }
            _ => {
                let mut copy = BytesMut::with_capacity(count);
                let mut wanted = count;
                for slice in self.rest() {
                    let part = &slice[..wanted.min(slice.len())];
                    copy.extend_from_slice(part);
                    wanted -= part.len();
                }
                copy.freeze()
            }
        };
        self.advance(count);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(parts: &[&'static str]) -> SplicedBody {
        SplicedBody::new(parts.iter().map(|part| Bytes::from_static(part.as_bytes())).collect())
    }

    fn frame(body: &mut SplicedBody) -> Option<ByteSlices> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match Pin::new(body).poll_frame(&mut context) {
            Poll::Ready(frame) => frame.map(|frame| frame.unwrap().into_data().unwrap()),
            Poll::Pending => panic!("a spliced body is never pending"),
        }
    }

    #[test]
    fn a_spliced_body_is_one_frame() {
        let mut body = body(&["ab", "", "cde"]);
        let clone = body.clone();
        assert_eq!((body.len(), body.is_end_stream()), (5, false));
        let slices = frame(&mut body).unwrap();
        assert_eq!(slices.remaining(), 5);
        assert_eq!((body.len(), body.is_end_stream()), (0, true));
        assert_eq!(body.size_hint().exact(), Some(0));
        assert!(frame(&mut body).is_none());
        assert_eq!(clone.to_bytes(), "abcde", "a clone is untouched");
    }

    #[test]
    fn an_empty_spliced_body_has_ended_from_the_start() {
        let mut body = body(&["", ""]);
        assert!(body.is_empty() && body.is_end_stream());
        assert!(frame(&mut body).is_none());
        assert_eq!(body.to_bytes(), "");
    }

    #[test]
    fn a_vectored_write_of_byte_slices_contains_the_rest_from_any_offset() {
        let whole = "abcdefghi";
        for from in 0..=whole.len() {
            let mut slices = body(&["abc", "d", "efg", "hi"]).slices;
            slices.advance(from);
            let mut parts = [IoSlice::new(&[]); 8];
            let count = slices.chunks_vectored(&mut parts);
            let seen: Vec<u8> = parts[..count].iter().flat_map(|part| part.iter().copied()).collect();
            assert_eq!(seen, &whole.as_bytes()[from..]);
            assert_eq!(slices.remaining(), seen.len());
            assert_eq!(slices.chunk().is_empty(), from == whole.len());
            let mut few = [IoSlice::new(&[]); 1];
            assert_eq!(slices.chunks_vectored(&mut few), usize::from(from < whole.len()));
        }
    }

    #[test]
    fn any_part_of_byte_slices_can_be_copied() {
        for (from, count) in (0..=9).flat_map(|from| (0..=9 - from).map(move |count| (from, count))) {
            let mut slices = body(&["abc", "d", "efg", "hi"]).slices;
            slices.advance(from);
            assert_eq!(slices.copy_to_bytes(count), "abcdefghi"[from..from + count]);
            assert_eq!(slices.remaining(), 9 - from - count);
        }
    }

    #[test]
    #[should_panic(expected = "cannot advance past the end")]
    fn byte_slices_panic_beyond_the_end() {
        body(&["abc"]).slices.advance(4);
    }

    #[tokio::test]
    async fn an_upstream_receives_the_length_and_the_bytes_of_a_spliced_body_in_order() {
        use tokio::io::AsyncReadExt;

        let (client, mut server) = tokio::io::duplex(1 << 16);
        let io = hyper_util::rt::TokioIo::new(client);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let request = http::Request::post("/").body(body(&["{\"a\":", "1", "}"])).unwrap();
        let exchange = async { drop(sender.send_request(request).await) };
        let serve = async {
            let (mut seen, mut chunk) = (Vec::new(), [0; 1024]);
            while !seen.ends_with(b"}") {
                let count = server.read(&mut chunk).await.unwrap();
                assert_ne!(count, 0, "the connection ended early");
                seen.extend_from_slice(&chunk[..count]);
            }
            String::from_utf8(seen).unwrap()
        };
        let seen = tokio::select! {
            seen = serve => seen,
            _ = async { tokio::join!(exchange, connection) } => panic!("the upstream received no request"),
        };
        assert!(seen.contains("content-length: 7\r\n"), "{seen}");
        assert!(seen.ends_with("\r\n\r\n{\"a\":1}"), "{seen}");
    }
}
