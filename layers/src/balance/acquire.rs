//! How a request gets an endpoint, at once or after a wait: [`Acquire`].

use std::{
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    exhausted::Exhausted,
    forecast::{has_slots, next_slot},
    picker::{Pick, PickRequest, Picked},
    queue::Ticket,
    service::{Reads, Shared},
};
use crate::{Endpoint, attempts::Directive};

const MILLISECOND: Duration = Duration::from_millis(1);

pin_project! {
    /// A request on its way to an endpoint.
    pub(super) struct Acquire {
        directive: Directive,
        ticket: Option<Ticket>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

/// What a request does next.
enum Turn {
    Go,
    Sleep(Instant),
}

impl Acquire {
    pub(super) const fn new(directive: Directive) -> Self {
        Self { directive, ticket: None, sleep: None }
    }

    /// Completes with a clone that holds all it needs, written to `picked`, or with a refusal.
    pub(super) fn poll<S, Req, T, R>(
        self: Pin<&mut Self>,
        (shared, req): (&Shared<S, T, R>, &Req),
        picked: &mut Option<Picked<S>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Exhausted>>
    where
        S: Endpoint<Req>,
        R: Reads<Req>,
    {
        let mut this = self.project();
        loop {
            let Some(ticket) = this.ticket.as_ref() else {
                // A time that a server has just named may be all that the request would wait: a look, not an older one.
                let now = Instant::now();
                let want = shared.want(req, *this.directive, shared.expires(req, now));
                match shared.arrive(&want, now, picked) {
                    Ok(Turn::Go) => return Poll::Ready(Ok(())),
                    Ok(Turn::Sleep(_)) => {}
                    Err(exhausted) => return Poll::Ready(Err(exhausted)),
                }
                *this.ticket = shared.join(&want);
                if this.ticket.is_none() {
                    return Poll::Ready(Err(shared.refuse(&want, None, None)));
                }
                continue;
            };
            let want = shared.want(req, *this.directive, ticket.expires);
            let at = match shared.turn((&want, cx.waker()), ticket, picked) {
                Ok(Turn::Sleep(at)) => at,
                Ok(Turn::Go) => {
                    *this.ticket = None;
                    return Poll::Ready(Ok(()));
                }
                Err(exhausted) => {
                    *this.ticket = None;
                    return Poll::Ready(Err(exhausted));
                }
            };
            match this.sleep.as_mut().as_pin_mut() {
                Some(sleep) if sleep.deadline() == at => {}
                Some(sleep) => sleep.reset(at),
                None => this.sleep.set(Some(sleep_until(at))),
            }
            if let Some(sleep) = this.sleep.as_mut().as_pin_mut() {
                ready!(sleep.poll(cx));
            }
        }
    }
}

impl<S, T, R> Shared<S, T, R> {
    fn expires<Req>(&self, req: &Req, now: Instant) -> Instant
    where
        R: Reads<Req>,
    {
        // A wait without a bound is a day.
        let expires = now + self.max_wait.min(Duration::from_secs(86_400));
        self.reads.deadline(req).map_or(expires, |deadline| deadline.min(expires))
    }

    fn want<'a, Req>(&self, req: &'a Req, directive: Directive, expires: Instant) -> PickRequest<'a, Req>
    where
        R: Reads<Req>,
    {
        let (attempts, kind) = (self.reads.attempts(req), self.reads.kind(req));
        PickRequest { req, attempts, directive, kind, expires }
    }

    /// Decides for a newcomer. It does not overtake the requests that wait, and does not join them in vain.
    fn arrive<Req>(
        &self,
        want: &PickRequest<'_, Req>,
        now: Instant,
        picked: &mut Option<Picked<S>>,
    ) -> Result<Turn, Exhausted>
    where
        S: Endpoint<Req>,
    {
        if let Some(waiting) = self.queue.owed(now) {
            if want.directive == Directive::Untried {
                return Err(self.refuse(want, None, None));
            }
            let in_time = has_slots(self.picker.endpoints(), want.req, waiting + 1, (now, want.expires));
            return if in_time {
                Ok(Turn::Sleep(want.expires))
            } else {
                Err(self.refuse(want, None, Some(want.expires)))
            };
        }
        match self.picker.pick(want, now, picked) {
            Pick::Picked => Ok(Turn::Go),
            Pick::Later(at) => Ok(Turn::Sleep(at)),
            Pick::Never(at) => Err(self.refuse(want, None, at)),
        }
    }

    fn join<Req>(&self, want: &PickRequest<'_, Req>) -> Option<Ticket> {
        let excludes = want.attempts.is_some_and(|attempts| attempts.made() > 0);
        self.queue.join(excludes, want.expires, self.max_queue)
    }

    /// Decides for a request that waits.
    fn turn<Req>(
        &self,
        (want, waker): (&PickRequest<'_, Req>, &Waker),
        ticket: &Ticket,
        picked: &mut Option<Picked<S>>,
    ) -> Result<Turn, Exhausted>
    where
        S: Endpoint<Req>,
    {
        let expires = want.expires;
        loop {
            let now = Instant::now();
            if let Err(until) = ticket.turn(now, waker) {
                if now >= expires {
                    return Err(self.refuse(want, Some(ticket), None));
                }
                return Ok(Turn::Sleep((until + MILLISECOND).min(expires)));
            }
            let at = match self.picker.pick(want, now, picked) {
                Pick::Picked => return Ok(Turn::Go),
                Pick::Later(at) => at.max(now + MILLISECOND),
                Pick::Never(at) => return Err(self.refuse(want, Some(ticket), at)),
            };
            if now >= expires {
                return Err(self.refuse(want, Some(ticket), Some(at)));
            }
            if ticket.none_before(at).is_ok() {
                return Ok(Turn::Sleep(at.min(expires)));
            }
        }
    }

    /// Refuses a request. `earliest` is the time at which there may be capacity for one like it at its place, where that
    /// is known.
    fn refuse<Req>(
        &self,
        want: &PickRequest<'_, Req>,
        ticket: Option<&Ticket>,
        earliest: Option<Instant>,
    ) -> Exhausted
    where
        S: Endpoint<Req>,
    {
        if want.directive == Directive::Untried {
            // It does not come back: the answer before it is judged again.
            return Exhausted::new(earliest.map(until));
        }
        let waiting = match ticket {
            _ if self.queue.len() == 0 => 0,
            Some(ticket) => ticket.ahead(),
            None => self.queue.len(),
        };
        Exhausted::new(next_slot(self.picker.endpoints(), want.req, waiting, earliest).map(until))
    }
}

/// Returns how long it is until then, at least a millisecond.
fn until(at: Instant) -> Duration {
    at.saturating_duration_since(Instant::now()).max(MILLISECOND)
}
