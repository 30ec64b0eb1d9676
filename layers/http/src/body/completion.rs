//! The handles of a body, and the outcome that they are notified of: [`Completion`].

use std::{fmt, mem};

use tollgate_layers::{OnComplete, Outcome};

/// [`OnComplete`] of a handle whose type is not known.
trait Handle {
    fn complete(self: Box<Self>, outcome: &Outcome);
}

impl<H: OnComplete> Handle for H {
    fn complete(self: Box<Self>, outcome: &Outcome) {
        OnComplete::complete(*self, outcome);
    }
}

/// The outcome of a response, and the handles that are notified of it once.
pub(super) struct Completion {
    outcome: Outcome,
    state: State,
    handles: Vec<Box<dyn Handle + Send + Sync>>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// More of the body is to come.
    Open,
    /// All data has been received. hyper drops a body of known length then, without polling for its end.
    Received(Outcome),
    /// The outcome is final.
    Settled,
}

impl Completion {
    /// Returns the completion of a response with this outcome so far.
    pub(super) const fn new(outcome: Outcome) -> Self {
        Self { outcome, state: State::Open, handles: Vec::new() }
    }

    /// Returns the outcome, or the outcome so far.
    pub(super) const fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    pub(super) const fn is_settled(&self) -> bool {
        matches!(self.state, State::Settled)
    }

    /// Attaches a handle, which is notified at once if the outcome is final.
    pub(super) fn attach<H: OnComplete + Send + Sync + 'static>(&mut self, handle: H) {
        if self.is_settled() {
            OnComplete::complete(handle, &self.outcome);
        } else {
            self.handles.push(Box::new(handle));
        }
    }

    /// Records that all data has been received: the outcome is this one unless more follows. A response that is not a
    /// success without its trailers, as one of gRPC, has not been received yet.
    pub(super) fn received(&mut self, outcome: Outcome) {
        if !self.is_settled() && outcome.is_success() {
            self.state = State::Received(outcome);
        }
    }

    /// Stores the final outcome and notifies the handles, the innermost first. Does nothing after the first time.
    pub(super) fn settle(&mut self, outcome: Outcome) {
        if self.is_settled() {
            return;
        }
        self.state = State::Settled;
        self.outcome = outcome;
        mem::take(&mut self.handles).into_iter().for_each(|handle| handle.complete(&outcome));
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        if let State::Received(outcome) = self.state {
            self.settle(outcome);
        }
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion")
            .field("outcome", &self.outcome)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
