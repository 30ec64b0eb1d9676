//! The body of a request to an upstream: slices of what the client sent, with what we wrote between them.
//!
//! Nothing is copied and the length is known, so the upstream gets a `content-length` and hyper writes all slices
//! with one vectored write. Whoever tries again clones a count.
//!
//! It differs from `http_body_util::Full` in that its data need not be contiguous, and from a stream of frames in
//! that one frame holds everything: h1 sends the head and the whole body in one go.
//!
//! ```
//! use bytes::Bytes;
//! use http_body::Body;
//! use tollgate::upstream::SplicedBody;
//!
//! let payload = SplicedBody::new(vec![Bytes::from_static(b"{\"a\":"), Bytes::from_static(b"1}")]);
//! assert_eq!(payload.size_hint().exact(), Some(7));
//! assert_eq!(payload.to_bytes(), "{\"a\":1}");
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

/// A body that is known from end to end: one frame of slices.
#[derive(Clone, Debug)]
pub struct SplicedBody {
    slices: ByteSlices,
    done: bool,
}

impl SplicedBody {
    /// The slices, one behind the other.
    #[must_use]
    pub fn new(mut slices: Vec<Bytes>) -> Self {
        // A `Buf` must not show an empty chunk while something remains.
        slices.retain(|slice| !slice.is_empty());
        let remaining = slices.iter().map(Bytes::len).sum();
        let slices = ByteSlices { slices: slices.into(), index: 0, offset: 0, remaining };
        Self { slices, done: remaining == 0 }
    }

    /// How many bytes are still to be sent.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.done { 0 } else { self.slices.remaining }
    }

    /// Whether nothing is left to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of it in one piece: a copy, unless it is one slice.
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

/// Bytes that lie in several places, to be read as one.
#[derive(Clone, Debug)]
pub struct ByteSlices {
    /// None is empty.
    slices: Arc<[Bytes]>,
    /// The slice that is read now, and how much of it has been.
    index: usize,
    offset: usize,
    remaining: usize,
}

impl ByteSlices {
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

    fn payload(parts: &[&'static str]) -> SplicedBody {
        SplicedBody::new(parts.iter().map(|part| Bytes::from_static(part.as_bytes())).collect())
    }

    fn frame(payload: &mut SplicedBody) -> Option<ByteSlices> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match Pin::new(payload).poll_frame(&mut context) {
            Poll::Ready(frame) => frame.map(|frame| frame.unwrap().into_data().unwrap()),
            Poll::Pending => panic!("a payload never waits"),
        }
    }

    #[test]
    fn one_frame_holds_everything_and_then_the_body_has_ended() {
        let mut payload = payload(&["ab", "", "cde"]);
        let again = payload.clone();
        assert_eq!((payload.len(), payload.is_end_stream()), (5, false));
        let slices = frame(&mut payload).unwrap();
        assert_eq!(slices.remaining(), 5);
        assert_eq!((payload.len(), payload.is_end_stream()), (0, true));
        assert_eq!(payload.size_hint().exact(), Some(0));
        assert!(frame(&mut payload).is_none());
        assert_eq!(again.to_bytes(), "abcde", "a clone is untouched");
    }

    #[test]
    fn an_empty_body_has_ended_from_the_start() {
        let mut payload = payload(&["", ""]);
        assert!(payload.is_empty() && payload.is_end_stream());
        assert!(frame(&mut payload).is_none());
        assert_eq!(payload.to_bytes(), "");
    }

    #[test]
    fn a_vectored_write_sees_every_slice_from_any_place() {
        let whole = "abcdefghi";
        for from in 0..=whole.len() {
            let mut slices = payload(&["abc", "d", "efg", "hi"]).slices;
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
    fn any_part_can_be_copied_out() {
        for (from, count) in (0..=9).flat_map(|from| (0..=9 - from).map(move |count| (from, count))) {
            let mut slices = payload(&["abc", "d", "efg", "hi"]).slices;
            slices.advance(from);
            assert_eq!(slices.copy_to_bytes(count), "abcdefghi"[from..from + count]);
            assert_eq!(slices.remaining(), 9 - from - count);
        }
    }

    #[test]
    #[should_panic(expected = "cannot advance past the end")]
    fn nobody_reads_past_the_end() {
        payload(&["abc"]).slices.advance(4);
    }

    #[tokio::test]
    async fn an_upstream_gets_the_length_and_the_bytes_in_order() {
        use tokio::io::AsyncReadExt;

        let (client, mut server) = tokio::io::duplex(1 << 16);
        let io = hyper_util::rt::TokioIo::new(client);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        let request = http::Request::post("/").body(payload(&["{\"a\":", "1", "}"])).unwrap();
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
            _ = async { tokio::join!(exchange, connection) } => panic!("nobody answered"),
        };
        assert!(seen.contains("content-length: 7\r\n"), "{seen}");
        assert!(seen.ends_with("\r\n\r\n{\"a\":1}"), "{seen}");
    }
}
