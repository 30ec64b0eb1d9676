//! A body that completes the record of its request: [`RecordedBody`].

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Body as _;

use super::Body;
use crate::{error::BodyError, record::OpenRecord};

/// A body, and the record that ends with it.
pub(super) struct RecordedBody {
    pub(super) body: Body,
    record: Box<OpenRecord>,
}

impl RecordedBody {
    pub(super) fn new(body: Body, record: Box<OpenRecord>) -> Self {
        Self { body, record }
    }

    /// Polls the next bytes, and counts them.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let data = frame.map(|frame| frame.map(|frame| frame.into_data().unwrap_or_default()));
        if let Some(Ok(data)) = &data {
            let is_content = !self.body.is_early() && self.body.outcome().is_success();
            self.record.sent(data.len(), is_content);
        }
        Poll::Ready(data)
    }
}

impl Drop for RecordedBody {
    fn drop(&mut self) {
        let is_head = self.record.is_head();
        let Some(response) = self.record.response() else { return };
        response.origin = self.body.origin().cloned();
        // Bytes that are left were not taken: the client has disconnected. The response to a HEAD has no body to take.
        let is_taken = self.body.is_end_stream() || is_head;
        response.class = (self.body.has_ended() && is_taken).then(|| self.body.outcome().class());
    }
}
