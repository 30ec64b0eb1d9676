//! The clocks of an answer: [`AttemptTimeouts`], and how they run.
//!
//! | clock | starts | ends | fault |
//! |---|---|---|---|
//! | first content | the attempt, when it asks for a stream | the first content event | [`TimeoutKind::FirstContent`] |
//! | attempt | the attempt | a stream's first content; the end of any other body | [`TimeoutKind::Attempt`] |
//! | idle | each sign of life | the next | [`TimeoutKind::Idle`] |
//! | whole | the request's arrival | the end of the body | [`BodyError::Deadline`] |
//!
//! The fifth clock, connect, is the upstream client's. Comments and pings are life, so they move the idle clock (not with
//! `pings_keep_alive: false`, which finds models that are stuck behind a proxy that pings); they are never first content. All four run on one timer, armed for the first that is due and only moved when it fires
//! too early: an event costs a look at the clock, not a timer.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use tollgate_layers::timeout::Limit;

use crate::error::{BodyError, TimeoutKind};

/// How long an upstream may stay silent once it has sent the terminal event: the answer is there, only the end of the
/// connection's body is missing.
const LINGER: Duration = Duration::from_secs(1);

/// What limits one attempt. Each may be absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AttemptTimeouts {
    /// From the start of a streamed attempt to its first content event.
    pub first_content: Option<Limit>,
    /// Between two signs of life of an answer that has begun.
    pub idle: Option<Limit>,
    /// From the start of the attempt to a stream's first content, or to the end of any other body. Looked at from the
    /// head on: before it, that is what the [`Timeout`](tollgate_layers::timeout) layer is for.
    pub attempt: Option<Limit>,
    /// When the whole request must be done. Looked at from the head on, too.
    pub whole: Option<Instant>,
    /// `pings_keep_alive: false`: comments and events that say nothing are no sign of life for the idle clock.
    pub ignore_pings: bool,
}

/// The clocks of one attempt, running.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunningTimeouts {
    last_life: Option<Instant>,
    /// Bytes came, whatever they were.
    alive: bool,
    /// A stream's first content came.
    answered: bool,
    ignore_pings: bool,
    first: Option<(Instant, Limit)>,
    attempt: Option<(Instant, Limit)>,
    idle: Option<Limit>,
    whole: Option<Instant>,
    hold: Option<Instant>,
}

/// What is due first, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The head was held long enough.
    Hold,
    /// Too late.
    Error(BodyError),
}

impl RunningTimeouts {
    pub(crate) fn start(timeouts: &AttemptTimeouts, stream: bool) -> Self {
        let now = Instant::now();
        // A limit too long to be a time is none.
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

    /// Bytes came: in time, if not later than the whole should have taken. Who takes little at a time finds something
    /// whenever they look, so that the timer is never asked.
    pub(crate) fn life(&mut self) -> Result<(), BodyError> {
        let now = Instant::now();
        self.alive = true;
        if !self.ignore_pings {
            self.lives(now);
        }
        if self.whole.is_some_and(|at| now >= at) { Err(BodyError::Deadline) } else { Ok(()) }
    }

    /// What came says something.
    pub(crate) fn progress(&mut self) {
        // Where every byte is life, that was noted when it came.
        if self.ignore_pings {
            self.lives(Instant::now());
        }
    }

    fn lives(&mut self, now: Instant) {
        self.last_life = Some(now);
    }

    /// Whether any came.
    pub(crate) const fn has_received(&self) -> bool {
        self.alive
    }

    /// A stream's first content came.
    pub(crate) const fn content(&mut self) {
        // Told with each event, and only the first time there is anything to write.
        if !self.answered {
            self.answered = true;
            (self.first, self.attempt) = (None, None);
        }
    }

    /// A plain answer is committed, whatever was asked for: only the attempt bounds it, and how long that takes is from
    /// now on the client's doing as well.
    pub(crate) fn plain(&mut self) {
        self.first = None;
        self.attempt = self.attempt.map(|(at, limit)| (at, limit.without_evidence()));
    }

    /// The terminal event came.
    pub(crate) fn done(&mut self) {
        let linger = Limit::of(LINGER).without_evidence();
        self.idle = Some(self.idle.filter(|idle| idle.after < LINGER).unwrap_or(linger));
    }

    /// Until first content comes, tells when this much time has passed; unless a clock for first content runs.
    pub(crate) fn hold_unless_timed(&mut self, after: Duration) {
        self.hold = match self.first {
            None => Instant::now().checked_add(after),
            Some(_) => None,
        };
    }

    /// Tells when this much time has passed.
    pub(crate) fn hold(&mut self, after: Duration) {
        self.hold = Instant::now().checked_add(after);
    }

    /// The head is not held any longer.
    pub(crate) const fn release_hold(&mut self) {
        self.hold = None;
    }

    fn due(&self) -> Option<(Instant, Due)> {
        let clock = |clock, (at, limit)| (at, Due::Error(BodyError::Timeout { clock, limit }));
        let idle = self.idle.zip(self.last_life);
        let idle = idle.and_then(|(limit, last)| Some((last.checked_add(limit.after)?, limit)));
        [
            self.first.map(|first| clock(TimeoutKind::FirstContent, first)),
            self.attempt.map(|attempt| clock(TimeoutKind::Attempt, attempt)),
            idle.map(|idle| clock(TimeoutKind::Idle, idle)),
            self.whole.map(|at| (at, Due::Error(BodyError::Deadline))),
            self.hold.map(|at| (at, Due::Hold)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }

    /// Waits for the first that is due.
    pub(crate) fn poll(&self, timer: &mut Timer, cx: &mut Context<'_>) -> Poll<Due> {
        let Some((at, due)) = self.due() else { return Poll::Pending };
        timer.poll_at(at, cx).map(|()| due)
    }

    /// The same while the head is awaited, when the attempt and the whole are the business of a
    /// [`Timeout`](tollgate_layers::timeout) further out: two timers for one moment would be one too many.
    pub(crate) fn poll_for_head(&self, timer: &mut Timer, cx: &mut Context<'_>) -> Poll<BodyError> {
        let Some((at, limit)) = self.first else { return Poll::Pending };
        timer.poll_at(at, cx).map(|()| BodyError::Timeout { clock: TimeoutKind::FirstContent, limit })
    }
}

/// One timer, made when it is first polled.
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
            // Fired for what was due before: there has been life since.
            armed.as_mut().reset(at);
        }
    }
}
