//! A client's connection from its first byte to its last: [`Serving`].

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use hyper_util::server::graceful::GracefulConnection;
use pin_project_lite::pin_project;
use tokio::sync::watch;

use crate::front::paths::Draining;

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

    /// Serves this connection, which has this place; when the server leaves it ends with what is in flight.
    pub(super) fn serve<C, P>(&self, connection: C, place: P) -> impl Future<Output = ()> + use<C, P>
    where
        C: GracefulConnection<Error: fmt::Display>,
    {
        let mut told = self.told.subscribe();
        let leave = async move {
            let _told = told.changed().await;
            told // until the connection has ended
        };
        Serving { task: None, draining: self.draining.clone(), connection, leave, left: None, place }
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
    // In this order: what each poll looks at lies where the task begins, and not behind 2 KB of connection.
    #[repr(C)]
    struct Serving<C, P, L: Future> {
        // Whom `leave` wakes.
        task: Option<Waker>,
        draining: Draining,
        #[pin]
        connection: C,
        #[pin]
        leave: L,
        left: Option<L::Output>,
        place: P,
    }
}

impl<C, P, L> Future for Serving<C, P, L>
where
    C: GracefulConnection<Error: fmt::Display>,
    L: Future,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let known = this.task.as_ref().is_some_and(|task| task.will_wake(cx.waker()));
        if (!known || this.draining.has_begun()) && this.left.is_none() {
            *this.task = Some(cx.waker().clone());
            if let Poll::Ready(left) = this.leave.poll(cx) {
                *this.left = Some(left);
                this.connection.as_mut().graceful_shutdown();
            }
        }
        // A connection that breaks is its client's business; what it had in flight has been dropped.
        if let Err(error) = ready!(this.connection.poll(cx)) {
            tracing::debug!(%error, "connection ended");
        }
        Poll::Ready(())
    }
}
