//! A body on its way in: how much of it, how fast, and what it holds of the front door's memory.

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

/// Reads a body of at most so many bytes into `reading`, and takes the room that it needs at the front door.
pub(super) async fn upload<B>(
    headers: &HeaderMap,
    body: B,
    (most, room): (usize, &Arc<Semaphore>),
    reading: &mut Reading,
) -> Result<Option<OwnedSemaphorePermit>, Error>
where
    B: HttpBody<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    // A length that was announced is judged before a byte of it is read.
    if body.size_hint().lower() > most as u64 {
        return Err(InvalidRequest::too_large(most).into());
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(InvalidRequest::encoded().into());
    }
    let mut body = std::pin::pin!(Paced::new(body));
    let mut held = Held { room, permit: None, most, total: 0 };
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll(held.total, cx)).await? {
        let frame = frame.map_err(|_| InvalidRequest::broken_off())?;
        if let Ok(data) = frame.into_data() {
            held.grow(data.len())?;
            reading.take(data);
        }
    }
    Ok(held.permit)
}

pin_project! {
    /// A body and its clock. Whoever sends a byte now and then holds a place at the front door and no more.
    ///
    /// The clock is looked at only when there is nothing to read, and its timer is moved only when it fires: most
    /// bodies have neither.
    struct Paced<B> {
        #[pin]
        body: B,
        #[pin]
        timer: Option<Sleep>,
        mark: usize,
        until: Option<Instant>,
    }
}

/// A frame, if another comes.
type Next<B> = Option<Result<Frame<Bytes>, <B as HttpBody>::Error>>;

impl<B: HttpBody<Data = Bytes>> Paced<B> {
    /// A body has so long for each [`LEAST`](Self::LEAST) bytes.
    const WITHIN: Duration = Duration::from_secs(30);
    const LEAST: usize = 1024;

    const fn new(body: B) -> Self {
        Self { body, timer: None, mark: 0, until: None }
    }

    /// What comes next; `total` bytes are there.
    fn poll(
        self: Pin<&mut Self>,
        total: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Next<B>, InvalidRequest>> {
        let mut this = self.project();
        // It need not be asked for an end that it has told.
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

/// The room that a body takes while it comes in.
struct Held<'a> {
    room: &'a Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
    most: usize,
    total: usize,
}

impl Held<'_> {
    fn grow(&mut self, by: usize) -> Result<(), Error> {
        self.total += by;
        if self.total > self.most {
            return Err(InvalidRequest::too_large(self.most).into());
        }
        let units = self.total / BUFFER_UNIT;
        let had = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if units > had {
            // A body within the limit has fewer units than a u32 counts.
            let more = u32::try_from(units - had).unwrap_or(u32::MAX);
            let more = Arc::clone(self.room).try_acquire_many_owned(more).map_err(|_| Error::Busy)?;
            match &mut self.permit {
                Some(permit) => permit.merge(more),
                None => self.permit = Some(more),
            }
        }
        Ok(())
    }
}
