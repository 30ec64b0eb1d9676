//! The acquisition of an endpoint for a request, at once or after a wait in the queue: [`Acquire`].

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
    queue::QueueTicket,
    service::{RequestReader, Shared},
};
use crate::{Attempts, Endpoint, attempts::Directive};

const MILLISECOND: Duration = Duration::from_millis(1);

pin_project! {
    /// The state of a request that does not have an endpoint yet.
    pub(super) struct Acquire {
        directive: Directive,
        ticket: Option<QueueTicket>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

/// The next action of a request without an endpoint.
enum Step {
    /// Call the picked endpoint.
    Call,
    /// Sleep until this time, then try again.
    Sleep(Instant),
}

impl Acquire {
    pub(super) const fn new(directive: Directive) -> Self {
        Self { directive, ticket: None, sleep: None }
    }

    /// Polls for an endpoint. Completes when a clone with a reservation was written to `picked`.
    ///
    /// # Errors
    /// [`Exhausted`] if no endpoint has capacity in time.
    #[inline]
    pub(super) fn poll<S, Req, T, R>(
        self: Pin<&mut Self>,
        (shared, req, attempts): (&Shared<S, T, R>, &Req, Option<&Attempts>),
        picked: &mut Option<Picked<S>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Exhausted>>
    where
        S: Endpoint<Req>,
        R: RequestReader<Req>,
    {
        let mut this = self.project();
        loop {
            let Some(ticket) = this.ticket.as_ref() else {
                // The current time, not the time of an earlier read: a server may just have named a time that is exactly as far
                // away as the request may wait.
                let now = Instant::now();
                let request = shared.pick_request((req, attempts), *this.directive, shared.expires(req, now));
                match shared.enter(&request, now, picked) {
                    Ok(None) => return Poll::Ready(Ok(())),
                    Ok(ticket) => *this.ticket = ticket,
                    Err(exhausted) => return Poll::Ready(Err(exhausted)),
                }
                continue;
            };
            let request = shared.pick_request((req, attempts), *this.directive, ticket.expires);
            let at = match shared.try_queued((&request, cx.waker()), ticket, picked) {
                Ok(Step::Sleep(at)) => at,
                Ok(Step::Call) => {
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
        R: RequestReader<Req>,
    {
        // An unlimited wait is limited to a day, so that the addition cannot overflow.
        let expires = now + self.max_wait.min(Duration::from_secs(86_400));
        self.reader.deadline(req).map_or(expires, |deadline| deadline.min(expires))
    }

    fn pick_request<'a, Req>(
        &self,
        (req, attempts): (&'a Req, Option<&'a Attempts>),
        directive: Directive,
        expires: Instant,
    ) -> PickRequest<'a, Req>
    where
        R: RequestReader<Req>,
    {
        let (attempts, kind) = (self.reader.attempts(req).or(attempts), self.reader.kind(req));
        PickRequest { req, attempts, directive, kind, expires }
    }

    /// Decides for a request that arrives. It does not overtake the requests in the queue, and joins them only if it is
    /// likely to be served in time.
    fn arrive<Req>(
        &self,
        request: &PickRequest<'_, Req>,
        now: Instant,
        picked: &mut Option<Picked<S>>,
    ) -> Result<Step, Exhausted>
    where
        S: Endpoint<Req>,
    {
        if let Some(waiting) = self.queue.waiting_before(now) {
            if request.directive == Directive::Untried {
                return Err(self.refuse(request, None, None));
            }
            let period = (now, request.expires);
            let in_time = has_slots(self.picker.group().endpoints(), request.req, waiting + 1, period);
            return if in_time {
                Ok(Step::Sleep(request.expires))
            } else {
                Err(self.refuse(request, None, Some(request.expires)))
            };
        }
        match self.picker.pick(request, now, picked) {
            Pick::Picked => Ok(Step::Call),
            Pick::Later(at) => Ok(Step::Sleep(at)),
            Pick::Never(at) => Err(self.refuse(request, None, at)),
        }
    }

    /// Picks for a request that arrives, or lets it join the queue: without a ticket the endpoint is in `picked`.
    /// The endpoints learn of demand that they cannot meet at once.
    fn enter<Req>(
        &self,
        request: &PickRequest<'_, Req>,
        now: Instant,
        picked: &mut Option<Picked<S>>,
    ) -> Result<Option<QueueTicket>, Exhausted>
    where
        S: Endpoint<Req>,
    {
        let arrived = self.arrive(request, now, picked);
        if matches!(arrived, Ok(Step::Call)) {
            return Ok(None);
        }
        self.picker.group().endpoints().for_each(|endpoint| endpoint.record_unmet(request.req));
        arrived?;
        self.join(request).map_or_else(|| Err(self.refuse(request, None, None)), |ticket| Ok(Some(ticket)))
    }

    fn join<Req>(&self, request: &PickRequest<'_, Req>) -> Option<QueueTicket> {
        let excludes = request.attempts.is_some_and(|attempts| attempts.made() > 0);
        self.queue.join(excludes, request.expires, self.max_queue)
    }

    /// Decides for a request in the queue.
    fn try_queued<Req>(
        &self,
        (request, waker): (&PickRequest<'_, Req>, &Waker),
        ticket: &QueueTicket,
        picked: &mut Option<Picked<S>>,
    ) -> Result<Step, Exhausted>
    where
        S: Endpoint<Req>,
    {
        let expires = request.expires;
        loop {
            let now = Instant::now();
            if let Err(until) = ticket.try_next(now, waker) {
                if now >= expires {
                    return Err(self.refuse(request, Some(ticket), None));
                }
                return Ok(Step::Sleep((until + MILLISECOND).min(expires)));
            }
            let at = match self.picker.pick(request, now, picked) {
                Pick::Picked => return Ok(Step::Call),
                Pick::Later(at) => at.max(now + MILLISECOND),
                Pick::Never(at) => return Err(self.refuse(request, Some(ticket), at)),
            };
            if now >= expires {
                return Err(self.refuse(request, Some(ticket), Some(at)));
            }
            if ticket.none_before(at).is_ok() {
                return Ok(Step::Sleep(at.min(expires)));
            }
        }
    }

    /// Returns the refusal of a request. `earliest` is the time at which there may be capacity for this request at its
    /// position in the queue, if known.
    fn refuse<Req>(
        &self,
        request: &PickRequest<'_, Req>,
        ticket: Option<&QueueTicket>,
        earliest: Option<Instant>,
    ) -> Exhausted
    where
        S: Endpoint<Req>,
    {
        if request.directive == Directive::Untried {
            // A retry that accepts only untried endpoints does not wait: the previous response is returned instead.
            return earliest.map_or(Exhausted::NO_ENDPOINT, Exhausted::at);
        }
        let waiting = match ticket {
            _ if self.queue.len() == 0 => 0,
            Some(ticket) => ticket.ahead(),
            None => self.queue.len(),
        };
        let group = self.picker.group();
        next_slot(group.endpoints(), request.req, waiting, earliest)
            .map_or(Exhausted::NO_ENDPOINT, Exhausted::at)
    }
}
