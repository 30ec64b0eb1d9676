//! A client's connection from its first byte to its last: [`Serving`].

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use hyper_util::server::graceful::GracefulConnection;
use pin_project_lite::pin_project;
use tokio::sync::watch;
use tollgate_layers::clock;

use crate::paths::Draining;

/// Tells all connections that the server leaves, and waits for the last of them.
#[derive(Debug)]
pub(super) struct Leaving {
    draining: Draining,
    told: watch::Sender<()>,
}

impl Leaving {
    pub(super) fn new(draining: Draining) -> Self {
        Self { draining, told: watch::Sender::new(()) }
    }

    /// Serves this connection; when the server leaves it ends with what is in flight.
    pub(super) fn serve<C>(&self, connection: C) -> impl Future<Output = C::Output> + use<C>
    where
        C: GracefulConnection,
    {
        let mut told = self.told.subscribe();
        let leave = async move {
            let _told = told.changed().await;
            told // until the connection has ended
        };
        Serving { connection, leave, draining: self.draining.clone(), task: None, left: None }
    }

    /// Now. Resolves when all have ended.
    pub(super) async fn leave(self) {
        // Who serves asks only from here on.
        self.draining.begin();
        let _nobody_listens = self.told.send(());
        self.told.closed().await;
    }
}

pin_project! {
    /// One client's connection.
    ///
    /// hyper-util's own asks whether the server leaves each time that the connection is polled, for each event of each
    /// stream: a lock and a few atomics. This one asks once for each task that polls it, which is then woken when the
    /// answer changes.
    struct Serving<C, L: Future> {
        #[pin]
        connection: C,
        #[pin]
        leave: L,
        draining: Draining,
        // Whom `leave` wakes.
        task: Option<Waker>,
        left: Option<L::Output>,
    }
}

impl<C, L> Future for Serving<C, L>
where
    C: GracefulConnection,
    L: Future,
{
    type Output = C::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let mut this = self.project();
        let known = this.task.as_ref().is_some_and(|task| task.will_wake(cx.waker()));
        if this.left.is_none() && (!known || this.draining.has_begun()) {
            *this.task = Some(cx.waker().clone());
            if let Poll::Ready(left) = this.leave.poll(cx) {
                *this.left = Some(left);
                this.connection.as_mut().graceful_shutdown();
            }
        }
        clock::in_one_turn(|| this.connection.poll(cx))
    }
}
