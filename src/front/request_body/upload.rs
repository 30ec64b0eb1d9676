//! The upload of a request body, with limits of its size, its speed and the memory of all buffered bodies.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body as HttpBody, Frame};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{memory::BodyShare, reading::Reading};
use crate::{Error, error::InvalidRequest};

/// Reads a body of at most `max_body` bytes into `reading`. `share` acquires the memory for it.
///
/// # Errors
///
/// [`InvalidRequest`] if the body is too large, compressed, too slow or cut off; [`Error::Busy`] if the memory is used up.
pub(super) async fn upload<B>(
    headers: &HeaderMap,
    body: B,
    (max_body, share): (usize, &mut BodyShare<'_>),
    reading: &mut Reading,
) -> Result<(), Error>
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
    while let Some(data) = std::future::poll_fn(|cx| next(body.as_mut(), share, cx)).await? {
        if share.bytes() + data.len() > max_body {
            return Err(InvalidRequest::too_large(max_body).into());
        }
        share.grow(data.len()).await?;
        reading.take(data);
    }
    Ok(())
}

/// Polls the data of the next frame, or `None` at the end of the body.
fn next<B: HttpBody<Data = Bytes>>(
    body: Pin<&mut UploadBody<B>>,
    share: &mut BodyShare<'_>,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, InvalidRequest>> {
    let Poll::Ready(frame) = body.poll(share.bytes(), cx) else {
        return if share.must_give_way(cx) {
            Poll::Ready(Err(InvalidRequest::slowest()))
        } else {
            Poll::Pending
        };
    };
    Poll::Ready(match frame? {
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        // The client has usually disconnected and does not read this.
        Some(Err(_)) => Err(InvalidRequest::body("The request body broke off.")),
        None => Ok(None),
    })
}

pin_project! {
    /// A body with a minimum speed and a maximum duration. Without them a client that sends a byte now and then would hold
    /// an admission permit and memory for as long as it likes.
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

    const fn new(body: B) -> Self {
        Self { body, timer: None, mark: 0, until: None, end: None }
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
                let now = Instant::now();
                let end = *this.end.get_or_insert(now + Self::DURATION);
                *this.mark = total;
                *this.until.insert(end.min(now + Self::WITHIN))
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
        Poll::Ready(Err(match *this.end {
            Some(end) if end <= until => InvalidRequest::upload_timeout(Self::DURATION),
            Some(_) | None => InvalidRequest::stalled(Self::LEAST, Self::WITHIN),
        }))
    }
}
