//! The upload of a request body, with limits of its size, its speed and the memory of all buffered bodies.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body as HttpBody, Frame};
use pin_project_lite::pin_project;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep, sleep_until},
};

use super::reading::Reading;
use crate::{Error, error::InvalidRequest, front::admission::BUFFER_UNIT};

/// Reads a body of at most `max_body` bytes into `reading`. Returns the permit of the memory that the body takes of `buffered`.
///
/// # Errors
///
/// [`InvalidRequest`] if the body is too large, compressed, too slow or cut off; [`Error::Busy`] if `buffered` is used up.
pub(super) async fn upload<B>(
    headers: &HeaderMap,
    body: B,
    (max_body, buffered): (usize, &Arc<Semaphore>),
    reading: &mut Reading,
) -> Result<Option<OwnedSemaphorePermit>, Error>
where
    B: HttpBody<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    // A content-length beyond the limit is refused before a byte of the body is read.
    if body.size_hint().lower() > max_body as u64 {
        return Err(InvalidRequest::too_large(max_body).into());
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(InvalidRequest::content_encoding().into());
    }
    let mut body = std::pin::pin!(UploadBody::new(body));
    let mut buffer = BufferPermit { buffered, permit: None, max_body, total: 0 };
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll(buffer.total, cx)).await? {
        // The client has usually disconnected and does not read this.
        let frame = frame.map_err(|_| InvalidRequest::body("The request body broke off."))?;
        if let Ok(data) = frame.into_data() {
            buffer.grow(data.len())?;
            reading.take(data);
        }
    }
    Ok(buffer.permit)
}

pin_project! {
    /// A body with a minimum speed. Without it a client that sends a byte now and then would hold an admission permit
    /// for as long as it likes.
    ///
    /// The time is read only when the body is pending, and the timer is reset only when it fires: most bodies need
    /// neither.
    struct UploadBody<B> {
        #[pin]
        body: B,
        #[pin]
        timer: Option<Sleep>,
        mark: usize,
        until: Option<Instant>,
    }
}

/// The next frame, or `None` at the end of the body.
type Next<B> = Option<Result<Frame<Bytes>, <B as HttpBody>::Error>>;

impl<B: HttpBody<Data = Bytes>> UploadBody<B> {
    /// The time in which at least [`LEAST`](Self::LEAST) bytes must arrive.
    const WITHIN: Duration = Duration::from_secs(30);
    const LEAST: usize = 1024;

    const fn new(body: B) -> Self {
        Self { body, timer: None, mark: 0, until: None }
    }

    /// Polls the next frame. `total` is the number of bytes read so far.
    fn poll(
        self: Pin<&mut Self>,
        total: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Next<B>, InvalidRequest>> {
        let mut this = self.project();
        // A body that has reported its end need not be polled again.
        if this.body.is_end_stream() {
            return Poll::Ready(Ok(None));
        }
        if let Poll::Ready(next) = this.body.as_mut().poll_frame(cx) {
            return Poll::Ready(Ok(next));
        }
        let until = match *this.until {
            Some(until) if total < *this.mark + Self::LEAST => until,
            _ => {
                *this.mark = total;
                *this.until.insert(Instant::now() + Self::WITHIN)
            }
        };
        if this.timer.is_none() {
            this.timer.set(Some(sleep_until(until)));
        }
        if let Some(mut timer) = this.timer.as_pin_mut() {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() < until {
                timer.as_mut().reset(until);
                ready!(timer.poll(cx));
            }
        }
        Poll::Ready(Err(InvalidRequest::stalled(Self::LEAST, Self::WITHIN)))
    }
}

/// The memory that a body takes while it is read.
struct BufferPermit<'a> {
    buffered: &'a Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    max_body: usize,
    total: usize,
}

impl BufferPermit<'_> {
    /// Acquires the memory of `by` more bytes.
    fn grow(&mut self, by: usize) -> Result<(), Error> {
        self.total += by;
        if self.total > self.max_body {
            return Err(InvalidRequest::too_large(self.max_body).into());
        }
        let units = self.total / BUFFER_UNIT;
        let had = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if units > had {
            // The number of units of a body within the limit fits a u32.
            let more = u32::try_from(units - had).unwrap_or(u32::MAX);
            let more = Arc::clone(self.buffered).try_acquire_many_owned(more).map_err(|_| Error::Busy)?;
            match &mut self.permit {
                Some(permit) => permit.merge(more),
                None => self.permit = Some(more),
            }
        }
        Ok(())
    }
}
