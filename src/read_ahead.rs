//! Large uploads in few system calls, small buffers otherwise: [`ReadAhead`].
//!
//! hyper reads at most as much at once as its buffer holds, and that buffer is small here, because the same bound
//! holds for what waits to be written to a slow reader. A prompt of 120 KB would take fifteen reads. So while an
//! upload fills every read, more is read than was asked for; the memory is given back as soon as the socket is empty.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// As much as Linux' loopback and common receive buffers hand over at once.
const AHEAD: usize = 64 * 1024;

/// A connection that is read ahead of its reader while it has more than the reader takes.
#[derive(Debug)]
pub(crate) struct ReadAhead<T> {
    inner: T,
    ahead: Vec<u8>,
    /// What of `ahead` was read and not yet taken.
    start: usize,
    end: usize,
    /// The last read was filled to the brim: there is more.
    brimming: bool,
}

impl<T> ReadAhead<T> {
    /// Nothing is read ahead yet.
    pub(crate) const fn new(inner: T) -> Self {
        Self { inner, ahead: Vec::new(), start: 0, end: 0, brimming: false }
    }

    fn take(&mut self, into: &mut ReadBuf<'_>) {
        let much = into.remaining().min(self.end - self.start);
        into.put_slice(&self.ahead[self.start..self.start + much]);
        self.start += much;
    }

    fn let_go(&mut self) {
        self.ahead = Vec::new();
        self.brimming = false;
    }
}

impl<T: AsyncRead + Unpin> ReadAhead<T> {
    fn poll_direct(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.remaining();
        ready!(Pin::new(&mut self.inner).poll_read(cx, into))?;
        self.brimming = before > 0 && into.remaining() == 0;
        Poll::Ready(Ok(()))
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ahead.resize(AHEAD, 0);
        let mut ahead = ReadBuf::new(&mut self.ahead);
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut ahead);
        (self.start, self.end) = (0, ahead.filled().len());
        if !matches!(polled, Poll::Ready(Ok(()))) {
            self.let_go();
        }
        polled
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for ReadAhead<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.start == this.end {
            if !this.brimming || into.remaining() >= AHEAD {
                return this.poll_direct(cx, into);
            }
            ready!(this.poll_ahead(cx))?;
        }
        this.take(into);
        if this.start == this.end && this.end < AHEAD {
            // The socket was emptied.
            this.let_go();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for ReadAhead<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Counts how often it is read.
    struct Counted<T>(T, usize);

    impl<T: AsyncRead + Unpin> AsyncRead for Counted<T> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            into: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            self.1 += 1;
            Pin::new(&mut self.0).poll_read(cx, into)
        }
    }

    #[tokio::test]
    async fn a_large_upload_takes_few_reads_and_no_byte_is_lost() {
        let sent: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        let mut ahead = ReadAhead::new(Counted(&sent[..], 0));
        let mut got = Vec::new();
        let mut piece = [0; 8 * 1024];
        loop {
            match ahead.read(&mut piece).await.unwrap() {
                0 => break,
                much => got.extend_from_slice(&piece[..much]),
            }
        }
        assert_eq!(got, sent);
        // The first of 8 KB, five of 64 KB, and those that find the end.
        assert!(ahead.inner.1 <= 8, "{} reads", ahead.inner.1);
        assert_eq!(ahead.ahead.capacity(), 0, "the memory is given back");
    }

    #[tokio::test]
    async fn what_comes_little_by_little_is_not_buffered() {
        let (mut client, server) = tokio::io::duplex(1024);
        let mut ahead = ReadAhead::new(server);
        let mut piece = [0; 8 * 1024];
        for word in ["one", "two"] {
            client.write_all(word.as_bytes()).await.unwrap();
            let much = ahead.read(&mut piece).await.unwrap();
            assert_eq!(&piece[..much], word.as_bytes());
            assert_eq!(ahead.ahead.capacity(), 0);
        }
    }
}
