//! A response with a body that is read until it can be committed or refused: [`HeldResponse`].

use std::{
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Response, StatusCode, header, response::Parts};

use super::response;
use crate::{
    body::{
        Body,
        active::{ActiveBody, Decoder, Progress},
        events::{Events, is_events},
        opening::Opening,
        plain::Plain,
        source::Source,
        timeouts::RunningTimeouts,
        upstream_body::UpstreamBody,
        watch_config::{Expected, WatchConfig},
    },
    error::{BodyError, StreamBreak},
    request,
};

/// The maximum number of bytes that are held before a response is committed.
const HOLD_LIMIT: usize = 64 * 1024;
/// The time for which a stream is held if it has no timeout for its first content: most clients and proxies wait a minute
/// for a response head.
const HOLD_TIME: Duration = Duration::from_secs(30);
/// The maximum number of bytes of an error body that are read.
const ERROR_LIMIT: usize = 1024 * 1024;
/// The time for reading an error body: short, because another deployment can be called.
const ERROR_TIME: Duration = Duration::from_secs(5);

/// A response of which the head was received.
#[derive(Debug)]
pub(super) struct HeldResponse {
    parts: Parts,
    form: ResponseForm,
    /// True for a compressed event stream, and for bytes: more of them would give no information.
    is_unread: bool,
    /// True for a content coding that is not known.
    is_encoded: bool,
    /// True if the hold time has elapsed.
    overdue: bool,
}

/// The kind of body, which determines when a response is decided.
#[derive(Debug)]
enum ResponseForm {
    Error(Box<ActiveBody<Plain>>),
    Events(Box<ActiveBody<Events>>),
    Plain(Box<ActiveBody<Plain>>),
}

impl HeldResponse {
    pub(super) fn of(
        head: Response<UpstreamBody>,
        config: &mut WatchConfig,
        mut timeouts: RunningTimeouts,
    ) -> Self {
        // The headers still contain the connection's framing, which `headers::write` removes.
        let (mut parts, mut body) = head.into_parts();
        // A status beyond 599 is not defined, and clients would not know it as a failure.
        if parts.status.as_u16() >= 600 {
            parts.status = StatusCode::BAD_GATEWAY;
        }
        let mut encoded = response::is_encoded(&parts.headers);
        if encoded {
            body = body.decompressed(&mut parts.headers);
            encoded = response::is_encoded(&parts.headers);
        }
        if config.expected == Expected::Stream && config.may_be_whole && !is_events(&parts.headers) {
            config.expected = Expected::Text;
            timeouts.expect_whole();
        }
        // Not the bytes that are expected: an error, perhaps.
        let is_text = || response::is_json(&parts.headers) || response::is_html(&parts.headers);
        if config.expected == Expected::Bytes && is_text() {
            config.expected = Expected::Text;
        }
        let is_unread = encoded && is_events(&parts.headers) || config.expected == Expected::Bytes;
        let form = if !parts.status.is_success() {
            timeouts.hold(ERROR_TIME);
            ResponseForm::Error(ActiveBody::new(Source::new(body, timeouts), Plain::new(None, true)))
        } else if config.expected == Expected::Stream && !encoded {
            timeouts.hold_unless_timed(HOLD_TIME);
            ResponseForm::Events(ActiveBody::new(Source::new(body, timeouts), Events::new(config.clone())))
        } else {
            let length = parts.headers.get(header::CONTENT_LENGTH);
            let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
            ResponseForm::Plain(ActiveBody::new(
                Source::new(body, timeouts),
                Plain::new(length, encoded || config.expected.is_any()),
            ))
        };
        Self { parts, form, is_unread, is_encoded: encoded, overdue: false }
    }

    /// Polls the body until the response can be committed or refused.
    pub(super) fn poll_decided(&mut self, config: &WatchConfig, cx: &mut Context<'_>) -> Poll<()> {
        while !self.is_decided(config) {
            let progress = match &mut self.form {
                ResponseForm::Error(active) | ResponseForm::Plain(active) => ready!(active.poll_progress(cx)),
                ResponseForm::Events(active) => ready!(active.poll_progress(cx)),
            };
            self.overdue |= progress == Progress::HoldElapsed;
        }
        Poll::Ready(())
    }

    fn is_decided(&mut self, config: &WatchConfig) -> bool {
        match &mut self.form {
            ResponseForm::Error(active) => {
                self.overdue || is_over(active) || active.content.total() >= ERROR_LIMIT as u64
            }
            ResponseForm::Plain(active) if self.is_unread && active.content.total() > 0 => true,
            ResponseForm::Plain(active) => {
                is_over(active)
                    || active.content.total() > longest_hold(config) as u64
                    || active.content.opening() == Some(Opening::Events)
            }
            ResponseForm::Events(active) => {
                let alive = active.timeouts().has_received();
                is_over(active)
                    || active.content.state().answered() && !active.content.state().is_filtered()
                    || active.content.held() > HOLD_LIMIT
                    || (self.overdue && alive)
            }
        }
    }

    /// Returns the committed response, or the error that it contains.
    pub(super) fn into_response(self, config: &WatchConfig) -> Result<request::Response, BodyError> {
        let Self { parts, form, is_encoded, .. } = self;
        match form {
            // An unrequested 1xx is invalid, and passing it on would end the client's connection.
            ResponseForm::Error(_) if parts.status.is_informational() => Err(response::wrong_form(config)),
            ResponseForm::Error(_) if parts.status.is_redirection() => Err(BodyError::Redirect),
            ResponseForm::Error(active) if is_encoded || is_unreadable(&active) => {
                Ok(response::compressed_error(parts, config))
            }
            ResponseForm::Error(mut active) => {
                let bytes = active.content.drain();
                let outcome = response::classified(&parts, &bytes, config);
                Ok(response::error(parts, bytes, outcome, config))
            }
            ResponseForm::Plain(active) if active.content.opening() == Some(Opening::Events) => {
                unrequested_stream(parts, active, config)
            }
            ResponseForm::Plain(active) => plain((parts, is_encoded), active, config),
            ResponseForm::Events(active) => events(parts, active, config),
        }
    }
}

/// Returns the maximum number of bytes of a plain response that are held. One with ids of its upstream is held as long as one
/// event: the ids may be anywhere in it.
fn longest_hold(config: &WatchConfig) -> usize {
    if config.issues_for.is_some() { config.peek.event_limit } else { HOLD_LIMIT }
}

fn is_over<C>(active: &ActiveBody<C>) -> bool {
    active.over.is_some()
}

/// Returns true if the body could not be decompressed.
fn is_unreadable<C>(active: &ActiveBody<C>) -> bool {
    matches!(active.over, Some(Err(StreamBreak::Body(BodyError::Undecodable))))
}

/// Returns the failure of a response that is an event stream although none was requested: the error in its first
/// events, if there is one.
fn unrequested_stream(
    parts: Parts,
    mut active: Box<ActiveBody<Plain>>,
    config: &WatchConfig,
) -> Result<request::Response, BodyError> {
    match Events::new(config.clone()).take(active.content.drain()) {
        Err(StreamBreak::Upstream(data, _)) => Ok(response::error_event(parts, &data, config)),
        Err(StreamBreak::Body(_)) | Ok(()) => Err(BodyError::UnrequestedStream),
    }
}

fn plain(
    (mut parts, is_encoded): (Parts, bool),
    mut active: Box<ActiveBody<Plain>>,
    config: &WatchConfig,
) -> Result<request::Response, BodyError> {
    match active.over.take() {
        Some(Ok(())) => response::complete((parts, is_encoded), active.content.drain(), config),
        Some(Err(StreamBreak::Body(error))) => Err(error),
        Some(Err(StreamBreak::Upstream(data, outcome))) => {
            Ok(response::error_in_success(parts, &data, *outcome, config))
        }
        None if active.content.opening().is_some_and(|opening| opening != Opening::Json) => {
            Err(response::wrong_form(config))
        }
        None => {
            let so_far = (config.peek.classifier.success)(&parts.headers);
            if is_events(&parts.headers) || config.expected == Expected::Bytes {
                active.timeouts().content();
            } else {
                active.timeouts().plain();
            }
            if !config.expected.is_any() {
                response::name_json(&mut parts.headers);
            }
            config.begin_charge();
            active.content.commit(config.charge.clone());
            active.commit();
            Ok(Response::from_parts(parts, Body::plain(active, so_far)).into())
        }
    }
}

fn events(
    mut parts: Parts,
    mut active: Box<ActiveBody<Events>>,
    config: &WatchConfig,
) -> Result<request::Response, BodyError> {
    let so_far = (config.peek.classifier.success)(&parts.headers);
    let state = *active.content.state();
    if active.over.is_none() || state.answered() {
        if !state.any && !is_silent_stream(&parts, &active.content) {
            return Err(BodyError::NotAStream);
        }
        response::name_events(&mut parts.headers);
        // A break after the first content is passed on to the client, even if it is known already.
        active.timeouts().release_hold();
        if let Some(Ok(())) = active.over {
            let content = &mut active.content;
            let so_far = if state.is_filtered() { response::filtered(so_far) } else { so_far };
            let outcome = content.conclude(&Ok(()), so_far);
            let body = Body::ended(content.drain(), outcome).with_tokens(state.stats().tokens);
            return Ok(Response::from_parts(parts, body).into());
        }
        config.begin_charge();
        active.commit();
        return Ok(Response::from_parts(parts, Body::events(active, so_far)).into());
    }
    match active.over.take() {
        Some(Err(StreamBreak::Upstream(data, _))) => Ok(response::error_event(parts, &data, config)),
        Some(Err(StreamBreak::Body(BodyError::Unfinished))) if !state.any => {
            response::complete((parts, false), active.content.raw(), config)
        }
        // A connection error after the terminal event does not change the content before it.
        Some(Err(StreamBreak::Body(error))) if !state.done => Err(error),
        Some(Err(StreamBreak::Body(_)) | Ok(())) | None => Err(BodyError::Empty),
    }
}

/// Returns true for a stream that has sent no event yet: comments, or blank lines under the content type of a stream.
fn is_silent_stream(parts: &Parts, content: &Events) -> bool {
    match content.opening() {
        Opening::Events => true,
        Opening::Blank => is_events(&parts.headers),
        Opening::Json | Opening::Other => false,
    }
}
