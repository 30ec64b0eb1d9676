//! How a request comes to an endpoint, at once or after a wait: [`Seek`].

use std::{
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    exhausted::Exhausted,
    group::{Pick, Taken, Want},
    reads::Reads,
    room::Ticket,
    service::Shared,
};
use crate::{Attempts, Endpoint, clock};

const MILLISECOND: Duration = Duration::from_millis(1);

pin_project! {
    /// A request on its way to an endpoint.
    #[derive(Default)]
    pub(super) struct Seek {
        ticket: Option<Ticket>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

/// What there is for one who came, or waits.
enum Turn {
    Go,
    Sleep(Instant),
}

impl Seek {
    /// Comes back with a clone that holds all it needs, written to `taken`, or with our refusal.
    pub(super) fn poll<S, Req, T, R>(
        self: Pin<&mut Self>,
        (shared, req): (&Shared<S, T, R>, &Req),
        taken: &mut Option<Taken<S>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Exhausted>>
    where
        S: Endpoint<Req>,
        R: Reads<Req>,
    {
        let mut this = self.project();
        loop {
            let Some(ticket) = this.ticket.as_ref() else {
                // A time that a server has just named may be all that we would wait: a look, not one from before that.
                let now = clock::look();
                let expires = shared.expires(req, now);
                match shared.arrive(req, (now, expires), taken) {
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
            let at = match shared.turn((req, cx.waker()), ticket, taken) {
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
        // Who has all the time in the world waits for a day.
        let expires = now + self.patience.min(Duration::from_secs(86_400));
        self.reads.deadline(req).map_or(expires, |deadline| deadline.min(expires))
    }

    fn want<'a, Req>(&self, req: &'a Req, expires: Instant) -> Want<'a, Req>
    where
        R: Reads<Req>,
    {
        Want { req, attempts: self.reads.attempts(req), kind: self.reads.kind(req), expires }
    }

    /// What there is for a newcomer. It does not overtake those who wait, and does not join them in vain.
    fn arrive<Req>(
        &self,
        req: &Req,
        (now, expires): (Instant, Instant),
        taken: &mut Option<Taken<S>>,
    ) -> Result<Turn, Exhausted>
    where
        S: Endpoint<Req>,
        R: Reads<Req>,
    {
        let room = &self.group.plan().room;
        if room.waiting() > 0 {
            let (owed, waiting) = room.queue(|queue| (queue.is_owed(now), queue.len()));
            if owed && self.hurried(req) {
                return Err(self.refuse(req, None, None));
            }
            if owed && !self.group.has_slots(req, waiting + 1, (now, expires)) {
                return Err(self.refuse(req, None, Some(expires)));
            }
            if owed {
                return Ok(Turn::Sleep(expires));
            }
        }
        match self.group.pick(&self.want(req, expires), now, taken) {
            Pick::Taken => Ok(Turn::Go),
            Pick::Later(at) => Ok(Turn::Sleep(at)),
            Pick::Never(at) => Err(self.refuse(req, None, at)),
        }
    }

    fn join<Req>(&self, req: &Req, expires: Instant) -> Option<Ticket>
    where
        S: Endpoint<Req>,
        R: Reads<Req>,
    {
        let picky = self.reads.attempts(req).is_some_and(|attempts| attempts.made() > 0);
        self.group.plan().room.join(picky, expires, self.max_queue)
    }

    /// What there is for one who waits.
    fn turn<Req>(
        &self,
        (req, waker): (&Req, &Waker),
        ticket: &Ticket,
        taken: &mut Option<Taken<S>>,
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
            let at = match self.group.pick(&self.want(req, expires), now, taken) {
                Pick::Taken => return Ok(Turn::Go),
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

    /// Whether it would take nothing but an untried endpoint that has room now.
    fn hurried<Req>(&self, req: &Req) -> bool
    where
        R: Reads<Req>,
    {
        self.reads.attempts(req).is_some_and(Attempts::untried_only)
    }

    /// `earliest` is when there may be room for a request like this at its place, where that is known.
    fn refuse<Req>(&self, req: &Req, ticket: Option<&Ticket>, earliest: Option<Instant>) -> Exhausted
    where
        S: Endpoint<Req>,
        R: Reads<Req>,
    {
        if self.hurried(req) {
            // It does not come back: what it met before is judged anew.
            return Exhausted::new(earliest.map(until));
        }
        let room = &self.group.plan().room;
        let waiting = match ticket {
            _ if room.waiting() == 0 => 0,
            Some(ticket) => ticket.ahead(),
            None => room.waiting(),
        };
        let slot = self.group.slot(req, waiting, earliest);
        Exhausted::new(slot.map(until))
    }
}

/// How long it is until then, for those who are told.
fn until(at: Instant) -> Duration {
    at.saturating_duration_since(Instant::now()).max(MILLISECOND)
}
