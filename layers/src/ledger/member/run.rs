//! The requests of a member: syncs, reads of events, and the last sync: [`Run`].

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
    vec,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_service::Service;

use super::{Member, state::Outgoing};
use crate::ledger::{Ledger, ListenRequest, SyncRequest};

/// The time for which a request for events waits for one.
const LISTEN_TIME: Duration = Duration::from_secs(1);

pin_project! {
    /// The future of [`Member::run`].
    #[must_use = "a member that is not polled shares nothing"]
    pub struct Run<L: Ledger, F> {
        #[pin]
        syncing: Syncing<L>,
        #[pin]
        listening: Listening<L>,
        #[pin]
        shutdown: F,
        // True after the shutdown, when only the sync in flight goes on.
        ending: bool,
        // None until there is no sync in flight.
        #[pin]
        disconnecting: Option<Disconnecting<L>>,
    }
}

impl<L: Ledger, F> Run<L, F> {
    pub(super) fn new(member: &Member, ledger: L, shutdown: F) -> Self {
        let sleep = sleep_until(Instant::now());
        let listening = Listening {
            member: member.clone(),
            ledger: ledger.clone(),
            sent: None,
            exchange: None,
            pause: None,
        };
        let syncing = Syncing { member: member.clone(), ledger, outgoing: None, exchange: None, sleep };
        Self { syncing, listening, shutdown, ending: false, disconnecting: None }
    }
}

impl<L: Ledger, F: Future<Output = ()>> Future for Run<L, F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            if let Some(disconnecting) = this.disconnecting.as_mut().as_pin_mut() {
                return disconnecting.poll(cx);
            }
            if !*this.ending {
                // Both go on for ever.
                let _: (Poll<()>, Poll<()>) =
                    (this.syncing.as_mut().poll(cx), this.listening.as_mut().poll(cx));
                ready!(this.shutdown.as_mut().poll(cx));
                *this.ending = true;
            }
            // A sync that reached the ledger after the last request would let this replica live once more, with permits that
            // nothing gives back.
            ready!(this.syncing.as_mut().poll_exchange(cx));
            let syncing = this.syncing.as_ref().project_ref();
            let requests = syncing.member.with(|state, now| state.last_requests(now)).into_iter();
            let limit = syncing.member.with(|state, _| 4 * state.config.timeout);
            let ledger = syncing.ledger.clone();
            this.disconnecting.set(Some(Disconnecting { ledger, requests, limit, exchange: None }));
        }
    }
}

pin_project! {
    /// A request to the ledger. The output is the response; `None` after an error or at the deadline.
    struct Exchange<L, R>
    where
        L: Service<R>,
    {
        ledger: L,
        request: Option<R>,
        #[pin]
        response: Option<L::Future>,
        #[pin]
        deadline: Sleep,
    }
}

impl<L: Service<R>, R> Exchange<L, R> {
    fn new(ledger: &L, request: R, deadline: Instant) -> Self
    where
        L: Clone,
    {
        let deadline = sleep_until(deadline);
        Self { ledger: ledger.clone(), request: Some(request), response: None, deadline }
    }
}

impl<L: Service<R>, R> Future for Exchange<L, R> {
    type Output = Option<L::Response>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<L::Response>> {
        let mut this = self.project();
        if this.response.is_none() {
            match this.ledger.poll_ready(cx) {
                Poll::Ready(Ok(())) => {
                    let request = this.request.take();
                    let response = request.map(|request| this.ledger.call(request));
                    this.response.set(response);
                }
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Pending => {}
            }
        }
        if let Some(response) = this.response.as_mut().as_pin_mut() {
            if let Poll::Ready(response) = response.poll(cx) {
                return Poll::Ready(response.ok());
            }
        }
        this.deadline.poll(cx).map(|()| None)
    }
}

pin_project! {
    /// Sends a sync whenever one is due.
    struct Syncing<L: Ledger> {
        member: Member,
        ledger: L,
        outgoing: Option<Outgoing>,
        #[pin]
        exchange: Option<Exchange<L, SyncRequest>>,
        #[pin]
        sleep: Sleep,
    }
}

impl<L: Ledger> Syncing<L> {
    /// Polls the sync in flight to its end, if there is one.
    fn poll_exchange(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(exchange) = this.exchange.as_mut().as_pin_mut() {
            let response = ready!(exchange.poll(cx));
            this.exchange.set(None);
            let outgoing = this.outgoing.take();
            this.member.with(|state, now| match (outgoing, response) {
                (Some(outgoing), Some(response)) => state.apply(outgoing, response, now),
                (Some(outgoing), None) => state.fail(outgoing, now),
                (None, _) => {}
            });
        }
        Poll::Ready(())
    }
}

impl<L: Ledger> Future for Syncing<L> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.as_mut().poll_exchange(cx));
            let mut this = self.as_mut().project();
            match this.member.next_request(cx) {
                Ok((request, outgoing)) => {
                    let exchange = Exchange::new(this.ledger, request, outgoing.deadline);
                    this.exchange.set(Some(exchange));
                    *this.outgoing = Some(outgoing);
                }
                Err(at) => {
                    this.sleep.as_mut().reset(at);
                    ready!(this.sleep.as_mut().poll(cx));
                }
            }
        }
    }
}

impl Member {
    /// Returns the next sync if one is due; otherwise the time at which one may be due. The task is woken by a change.
    fn next_request(&self, cx: &Context<'_>) -> Result<(SyncRequest, Outgoing), Instant> {
        self.shared.changes().waker = Some(cx.waker().clone());
        let changes = self.take_changes();
        self.with(|state, now| {
            state.note_changes(changes, now);
            state.next_request(now)
        })
    }
}

pin_project! {
    /// Reads the events of other replicas.
    struct Listening<L: Ledger> {
        member: Member,
        ledger: L,
        sent: Option<ListenRequest>,
        #[pin]
        exchange: Option<Exchange<L, ListenRequest>>,
        #[pin]
        pause: Option<Sleep>,
    }
}

impl<L: Ledger> Future for Listening<L> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            if let Some(pause) = this.pause.as_mut().as_pin_mut() {
                ready!(pause.poll(cx));
                this.pause.set(None);
            }
            if let Some(exchange) = this.exchange.as_mut().as_pin_mut() {
                let response = ready!(exchange.poll(cx));
                this.exchange.set(None);
                if let (Some(request), Some(response)) = (this.sent.take(), response) {
                    this.member.with(|state, now| state.receive(&request, response, now));
                    this.member.wake();
                } else {
                    this.pause.set(Some(sleep_until(Instant::now() + LISTEN_TIME)));
                    continue;
                }
            }
            let after = this.member.with(|state, _| state.read_to());
            let request = ListenRequest { replica: this.member.replica(), after, wait: LISTEN_TIME };
            *this.sent = Some(request);
            this.exchange.set(Some(Exchange::new(this.ledger, request, Instant::now() + 2 * LISTEN_TIME)));
        }
    }
}

pin_project! {
    /// Gives back all permits. Those that are used count for others as they come free.
    struct Disconnecting<L: Ledger> {
        ledger: L,
        requests: vec::IntoIter<SyncRequest>,
        limit: Duration,
        #[pin]
        exchange: Option<Exchange<L, SyncRequest>>,
    }
}

impl<L: Ledger> Future for Disconnecting<L> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            if let Some(exchange) = this.exchange.as_mut().as_pin_mut() {
                let response = ready!(exchange.poll(cx));
                this.exchange.set(None);
                if response.is_none() {
                    return Poll::Ready(());
                }
            }
            let Some(request) = this.requests.next() else { return Poll::Ready(()) };
            this.exchange.set(Some(Exchange::new(this.ledger, request, Instant::now() + *this.limit)));
        }
    }
}
