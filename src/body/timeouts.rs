//! Timeouts of a response: their limits ([`AttemptTimeouts`]) and their state ([`RunningTimeouts`]).
//!
//! | timeout | starts | ends | error |
//! |---|---|---|---|
//! | first content | the attempt, when the request asks for a stream | the first content event | [`TimeoutKind::FirstContent`] |
//! | attempt | the attempt | a stream's first content; the end of any other body | [`TimeoutKind::Attempt`] |
//! | idle | each received frame | the next frame | [`TimeoutKind::Idle`] |
//! | whole | the request's arrival | the end of the body | [`BodyError::Deadline`] |
//!
//! A stream that is complete but for the end of its connection is ended by [`RunningTimeouts::end_after`], which is not an
//! error. The fifth timeout, connect, is part of the upstream client. Comments and pings restart the idle timeout; with
//! `pings_keep_alive: false` they do not, which detects a model that hangs behind a proxy that pings. They are never
//! first content. All four timeouts share one timer. It is armed for the earliest deadline and only moved when it fires
//! too early: an event costs a reading of the clock, not a timer.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use tollgate_layers::timeout::Limit;

use crate::error::{BodyError, TimeoutKind};

/// The time limits of one attempt. Each is optional.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AttemptTimeouts {
    /// The limit from the start of a streamed attempt to its first content event.
    pub first_content: Option<Limit>,
    /// The limit between two frames of a response that has begun.
    pub idle: Option<Limit>,
    /// The limit from the start of the attempt to a stream's first content, or to the end of any other body. It is
    /// checked from the response head on; before the head, the [`Timeout`](tollgate_layers::timeout) layer applies it.
    pub attempt: Option<Limit>,
    /// The deadline of the whole request. It is checked from the response head on, too.
    pub whole: Option<Instant>,
    /// True for `pings_keep_alive: false`: comments and events without content do not restart the idle timeout.
    pub ignore_pings: bool,
}

/// The state of the timeouts of one attempt.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunningTimeouts {
    last_frame: Option<Instant>,
    /// True after any frame was received.
    received: bool,
    /// True after a stream's first content.
    has_content: bool,
    ignore_pings: bool,
    first: Option<(Instant, Limit)>,
    attempt: Option<(Instant, Limit)>,
    idle: Option<Limit>,
    whole: Option<Instant>,
    hold: Option<Instant>,
    /// The time at which a complete stream ends, if its connection does not end earlier.
    end: Option<Instant>,
}

/// The deadlines of an attempt, in the order in which two at the same time count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deadline {
    End,
    FirstContent,
    Attempt,
    Idle,
    Whole,
    Hold,
}

/// The consequence of a deadline that has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The longest hold of the head has passed.
    Hold,
    /// A complete stream has ended, although its connection has not.
    End,
    /// A timeout has expired.
    Error(BodyError),
}

impl RunningTimeouts {
    pub(crate) fn start(timeouts: &AttemptTimeouts, stream: bool) -> Self {
        let now = Instant::now();
        // A limit that overflows `Instant` never expires.
        let from_now = |limit: Limit| Some((now.checked_add(limit.after)?, limit));
        Self {
            first: timeouts.first_content.filter(|_| stream).and_then(from_now),
            attempt: timeouts.attempt.and_then(from_now),
            idle: timeouts.idle,
            whole: timeouts.whole,
            ignore_pings: timeouts.ignore_pings,
            ..Self::default()
        }
    }

    /// Records a received frame. After the last one no timeout matters.
    ///
    /// The deadline of the whole request is checked here too: a client that reads slowly always finds data ready, so
    /// the timer would never be polled.
    ///
    /// # Errors
    /// [`BodyError::Deadline`] if the deadline of the whole request has passed.
    pub(crate) fn record_frame(&mut self, is_last: bool) -> Result<(), BodyError> {
        self.received = true;
        if is_last {
            return Ok(());
        }
        let now = Instant::now();
        if !self.ignore_pings {
            self.restart_idle(now);
        }
        if self.whole.is_some_and(|at| now >= at) { Err(BodyError::Deadline) } else { Ok(()) }
    }

    /// Records a frame that makes progress: more than a ping.
    pub(crate) fn progress(&mut self) {
        // Otherwise `record_frame` has restarted the idle timeout.
        if self.ignore_pings {
            self.restart_idle(Instant::now());
        }
    }

    fn restart_idle(&mut self, now: Instant) {
        self.last_frame = Some(now);
    }

    /// Returns true if any frame was received.
    pub(crate) const fn has_received(&self) -> bool {
        self.received
    }

    /// Records a stream's first content.
    pub(crate) const fn content(&mut self) {
        // Called for each event; only the first call changes anything.
        if !self.has_content {
            self.has_content = true;
            (self.first, self.attempt) = (None, None);
        }
    }

    /// Ends the limit of the first content: the response is no stream.
    pub(crate) const fn expect_whole(&mut self) {
        self.first = None;
    }

    /// Marks a plain response as committed: only the attempt limit applies, without evidence against the deployment,
    /// because from here on the client's reading speed counts too.
    pub(crate) fn plain(&mut self) {
        self.attempt = self.attempt.map(|(at, limit)| (at, limit.without_evidence()));
    }

    /// Sets the time that a complete stream has for what may follow; `None` for one that is not complete. The idle timeout
    /// shortens it and has no other effect meanwhile.
    pub(crate) fn end_after(&mut self, time: Option<Duration>) {
        let time = time.map(|time| self.idle.map_or(time, |idle| time.min(idle.after)));
        self.end = time.and_then(|time| Instant::now().checked_add(time));
    }

    /// Starts a hold of the head of at most `after`, unless a first-content limit is set.
    pub(crate) fn hold_unless_timed(&mut self, after: Duration) {
        self.hold = match self.first {
            None => Instant::now().checked_add(after),
            Some(_) => None,
        };
    }

    /// Starts a hold of the head of at most `after`.
    pub(crate) fn hold(&mut self, after: Duration) {
        self.hold = Instant::now().checked_add(after);
    }

    /// Ends the hold of the head.
    pub(crate) const fn release_hold(&mut self) {
        self.hold = None;
    }

    /// Returns the earliest deadline. Called with each event, so it makes no [`Due`] of those that have not passed.
    fn earliest(&self) -> Option<(Instant, Deadline)> {
        let idle = self.idle.zip(self.last_frame).filter(|_| self.end.is_none());
        let mut earliest: Option<(Instant, Deadline)> = None;
        for (deadline, at) in [
            (Deadline::End, self.end.map(|at| self.whole.map_or(at, |whole| at.min(whole)))),
            (Deadline::FirstContent, self.first.map(|(at, _)| at)),
            (Deadline::Attempt, self.attempt.map(|(at, _)| at)),
            (Deadline::Idle, idle.and_then(|(limit, last)| last.checked_add(limit.after))),
            (Deadline::Whole, self.whole),
            (Deadline::Hold, self.hold),
        ] {
            // Of two at the same time, the first counts.
            if let Some(at) = at
                && earliest.is_none_or(|(first, _)| at < first)
            {
                earliest = Some((at, deadline));
            }
        }
        earliest
    }

    /// Returns the consequence of a deadline that has passed.
    fn due(&self, passed: Deadline) -> Due {
        let limit = match passed {
            Deadline::FirstContent => self.first.map(|(_, limit)| (TimeoutKind::FirstContent, limit)),
            Deadline::Attempt => self.attempt.map(|(_, limit)| (TimeoutKind::Attempt, limit)),
            Deadline::Idle => self.idle.map(|limit| (TimeoutKind::Idle, limit)),
            Deadline::Whole => None,
            Deadline::End => return Due::End,
            Deadline::Hold => return Due::Hold,
        };
        Due::Error(limit.map_or(BodyError::Deadline, |(kind, limit)| BodyError::Timeout { kind, limit }))
    }

    /// Returns the consequence of the earliest deadline once it has passed.
    pub(crate) fn poll(&self, timer: &mut Timer, cx: &mut Context<'_>) -> Poll<Due> {
        let Some((at, deadline)) = self.earliest() else { return Poll::Pending };
        timer.poll_at(at, cx).map(|()| self.due(deadline))
    }

    /// Polls the first-content limit while the response head is pending. The attempt limit and the deadline are
    /// enforced by an outer [`Timeout`](tollgate_layers::timeout) then: a second timer for the same moment would be
    /// redundant.
    pub(crate) fn poll_for_head(&self, timer: &mut Timer, cx: &mut Context<'_>) -> Poll<BodyError> {
        let Some((at, limit)) = self.first else { return Poll::Pending };
        timer.poll_at(at, cx).map(|()| BodyError::Timeout { kind: TimeoutKind::FirstContent, limit })
    }
}

/// A timer that is allocated at the first poll.
#[derive(Debug, Default)]
pub(crate) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    fn poll_at(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let armed = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        loop {
            if armed.deadline() > at {
                armed.as_mut().reset(at);
            }
            if armed.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= at {
                return Poll::Ready(());
            }
            // The timer fired for an earlier deadline, which has been moved since.
            armed.as_mut().reset(at);
        }
    }
}
