//! The upload of a request body, with limits of its size, its speed and the memory of all buffered bodies.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::Stream;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{decode::decoded, memory::BodyShare};
use crate::{Error, body::codings::codings, error::InvalidRequest};

/// The reader of a body whose pieces arrive one by one.
pub(super) trait Pieces {
    /// Reads the next piece.
    fn take(&mut self, piece: Bytes);
}

/// Reads a body of at most `max_body` bytes into `reading`, without its content-encoding. `share` acquires the memory for it.
///
/// # Errors
///
/// [`InvalidRequest`] if the body is too large before or after its decompression, in a coding that is not read, damaged,
/// too slow or cut off; [`Error::Busy`] if the memory is used up.
pub(super) async fn upload<B>(
    headers: &HeaderMap,
    body: B,
    (max_body, share): (usize, &mut BodyShare<'_>),
    reading: &mut impl Pieces,
) -> Result<(), Error>
where
    B: HttpBody<Data = Bytes> + Send + 'static,
{
    // A content-length beyond the limit is refused before a byte of the body is read.
    if body.size_hint().lower() > max_body as u64 {
        return Err(InvalidRequest::too_large(max_body).into());
    }
    let codings = codings(headers);
    if codings.as_ref().is_some_and(Vec::is_empty) {
        return collect(pin!(UploadBody::new(body, max_body)), (max_body, share), reading).await;
    }
    // Boxed, because such bodies are rare and their decoders large: the future of every request would be as large.
    let decoded = async {
        let body = pin!(decoded(UploadBody::new(body, max_body), codings.as_deref())?);
        collect(body, (max_body, share), reading).await
    };
    Box::pin(decoded).await
}

/// Reads all pieces of a body.
async fn collect(
    mut body: Pin<&mut impl Stream<Item = Result<Bytes, InvalidRequest>>>,
    (max_body, share): (usize, &mut BodyShare<'_>),
    reading: &mut impl Pieces,
) -> Result<(), Error> {
    while let Some(piece) = poll_fn(|cx| next(body.as_mut(), share, cx)).await {
        let piece = piece?;
        if share.bytes() + piece.len() > max_body {
            return Err(InvalidRequest::too_large(max_body).into());
        }
        if !share.try_grow(piece.len()) {
            share.wait().await?;
        }
        reading.take(piece);
    }
    Ok(())
}

/// Polls the next piece of a body, which may have to give way to others.
fn next<S>(body: Pin<&mut S>, share: &mut BodyShare<'_>, cx: &mut Context<'_>) -> Poll<Option<S::Item>>
where
    S: Stream<Item = Result<Bytes, InvalidRequest>>,
{
    match body.poll_next(cx) {
        Poll::Pending if share.must_give_way(cx) => Poll::Ready(Some(Err(InvalidRequest::slowest()))),
        poll => poll,
    }
}

pin_project! {
    /// A body with a maximum size, a minimum speed and a maximum duration, as it is sent. Without the latter two a client
    /// that sends a byte now and then would hold an admission permit and memory for as long as it likes.
    ///
    /// The time is read only when the body is pending, and the timer is reset only when it fires: most bodies need
    /// neither.
    struct UploadBody<B> {
        #[pin]
        body: B,
        // Boxed, because most bodies need none, and the future of every request has room for it.
        timer: Option<Pin<Box<Sleep>>>,
        max_body: usize,
        // The number of bytes that were received, and its value when the present period began.
        received: usize,
        mark: usize,
        until: Option<Instant>,
        // The end of the maximum duration, which begins with the first wait for the client.
        end: Option<Instant>,
    }
}

/// The next frame, or `None` at the end of the body.
type Next<B> = Option<Result<Frame<Bytes>, <B as HttpBody>::Error>>;

impl<B: HttpBody<Data = Bytes>> UploadBody<B> {
    /// The time in which at least [`LEAST`](Self::LEAST) bytes must arrive.
    const WITHIN: Duration = Duration::from_secs(30);
    const LEAST: usize = 1024;

    /// The maximum duration of the upload.
    const DURATION: Duration = Duration::from_secs(300);

    const fn new(body: B, max_body: usize) -> Self {
        Self { body, timer: None, max_body, received: 0, mark: 0, until: None, end: None }
    }

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Next<B>, InvalidRequest>> {
        let mut this = self.project();
        // A body that has reported its end need not be polled again.
        if this.body.is_end_stream() {
            return Poll::Ready(Ok(None));
        }
        if let Poll::Ready(next) = this.body.as_mut().poll_frame(cx) {
            return Poll::Ready(Ok(next));
        }
        let until = match *this.until {
            Some(until) if *this.received < *this.mark + Self::LEAST => until,
            _ => {
                let now = Instant::now();
                let end = *this.end.get_or_insert(now + Self::DURATION);
                *this.mark = *this.received;
                *this.until.insert(end.min(now + Self::WITHIN))
            }
        };
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        ready!(timer.as_mut().poll(cx));
        if timer.deadline() < until {
            timer.as_mut().reset(until);
            ready!(timer.as_mut().poll(cx));
        }
        Poll::Ready(Err(match *this.end {
            Some(end) if end <= until => InvalidRequest::upload_timeout(Self::DURATION),
            Some(_) | None => InvalidRequest::stalled(Self::LEAST, Self::WITHIN),
        }))
    }

    /// Counts received bytes.
    fn count(self: Pin<&mut Self>, bytes: usize) -> Result<(), InvalidRequest> {
        let this = self.project();
        *this.received += bytes;
        if *this.received > *this.max_body {
            return Err(InvalidRequest::too_large(*this.max_body));
        }
        Ok(())
    }
}

impl<B: HttpBody<Data = Bytes>> Stream for UploadBody<B> {
    type Item = Result<Bytes, InvalidRequest>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while let Some(frame) = ready!(self.as_mut().poll_frame(cx))? {
            // The client has usually disconnected and does not read this.
            let frame = frame.map_err(|_| InvalidRequest::body("The request body broke off."))?;
            if let Ok(data) = frame.into_data() {
                self.as_mut().count(data.len())?;
                return Poll::Ready(Some(Ok(data)));
            }
        }
        Poll::Ready(None)
    }
}
