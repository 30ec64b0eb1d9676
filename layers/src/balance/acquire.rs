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
use crate::{Attempts, Endpoint, clock};

const MILLISECOND: Duration = Duration::from_millis(1);

pin_project! {
    /// A request on its way to an endpoint.
    #[derive(Default)]
    pub(super) struct Acquire {
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
                let now = clock::look();
                let expires = shared.expires(req, now);
                match shared.arrive(req, (now, expires), picked) {
                    Ok(Turn::Go) => return Poll::Ready(Ok(())),
                    Ok(Turn::Sleep(_)) => {}
                    Err(exhausted) => return Poll::Ready(Err(exhausted)),
                }
                *this.ticket = shared.join(req, expires);
                if this.ticket.is_none() {
                    return Poll::Ready(Err(shared.refuse(req, None, None)));
                }
                continue;
            };
            let at = match shared.turn((req, cx.waker()), ticket, picked) {
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
        let expires = now + self.patience.min(Duration::from_secs(86_400));
        self.reads.deadline(req).map_or(expires, |deadline| deadline.min(expires))
    }

    fn want<'a, Req>(&self, req: &'a Req, expires: Instant) -> PickRequest<'a, Req>
    where
        R: Reads<Req>,
    {
        PickRequest { req, attempts: self.reads.attempts(req), kind: self.reads.kind(req), expires }
    }

    /// Decides for a newcomer. It does not overtake the requests that wait, and does not join them in vain.
    fn arrive<Req>(
        &self,
        req: &Req,
        (now, expires): (Instant, Instant),
        picked: &mut Option<Picked<S>>,
    ) -> Result<Turn, Exhausted>
    where
        S: Endpoint<Req>,
        R: Reads<Req>,
    {
        if let Some(waiting) = self.queue.owed(now) {
            if self.takes_untried_only(req) {
                return Err(self.refuse(req, None, None));
            }
            let in_time = has_slots(self.picker.endpoints(), req, waiting + 1, (now, expires));
            return if in_time {
                Ok(Turn::Sleep(expires))
            } else {
                Err(self.refuse(req, None, Some(expires)))
            };
        }
        match self.picker.pick(&self.want(req, expires), now, picked) {
            Pick::Picked => Ok(Turn::Go),
            Pick::Later(at) => Ok(Turn::Sleep(at)),
            Pick::Never(at) => Err(self.refuse(req, None, at)),
        }
    }

    fn join<Req>(&self, req: &Req, expires: Instant) -> Option<Ticket>
    where
        R: Reads<Req>,
    {
        let excludes = self.reads.attempts(req).is_some_and(|attempts| attempts.made() > 0);
        self.queue.join(excludes, expires, self.max_queue)
    }

    /// Decides for a request that waits.
    fn turn<Req>(
        &self,
        (req, waker): (&Req, &Waker),
        ticket: &Ticket,
        picked: &mut Option<Picked<S>>,
    ) -> Result<Turn, Exhausted>
    where
        S: Endpoint<Req>,
        R: Reads<Req>,
    {
        let expires = ticket.expires;
        loop {
            let now = Instant::now();
            if let Err(until) = ticket.turn(now, waker) {
                if now >= expires {
                    return Err(self.refuse(req, Some(ticket), None));
                }
                return Ok(Turn::Sleep((until + MILLISECOND).min(expires)));
            }
            let at = match self.picker.pick(&self.want(req, expires), now, picked) {
                Pick::Picked => return Ok(Turn::Go),
                Pick::Later(at) => at.max(now + MILLISECOND),
                Pick::Never(at) => return Err(self.refuse(req, Some(ticket), at)),
            };
            if now >= expires {
                return Err(self.refuse(req, Some(ticket), Some(at)));
            }
            if ticket.none_before(at).is_ok() {
                return Ok(Turn::Sleep(at.min(expires)));
            }
        }
    }

    /// Whether the request accepts nothing but an untried endpoint with capacity now.
    fn takes_untried_only<Req>(&self, req: &Req) -> bool
    where
        R: Reads<Req>,
    {
        self.reads.attempts(req).is_some_and(Attempts::untried_only)
    }

    /// Refuses a request. `earliest` is the time at which there may be capacity for one like it at its place, where that
    /// is known.
    fn refuse<Req>(&self, req: &Req, ticket: Option<&Ticket>, earliest: Option<Instant>) -> Exhausted
    where
        S: Endpoint<Req>,
        R: Reads<Req>,
    {
        if self.takes_untried_only(req) {
            // It does not come back: the answer before it is judged again.
            return Exhausted::new(earliest.map(until));
        }
        let waiting = match ticket {
            _ if self.queue.len() == 0 => 0,
            Some(ticket) => ticket.ahead(),
            None => self.queue.len(),
        };
        Exhausted::new(next_slot(self.picker.endpoints(), req, waiting, earliest).map(until))
    }
}

/// Returns how long it is until then, at least a millisecond.
fn until(at: Instant) -> Duration {
    at.saturating_duration_since(Instant::now()).max(MILLISECOND)
}
