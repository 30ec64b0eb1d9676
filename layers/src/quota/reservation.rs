//! What a call has taken: [`Reservation`] before it is made, [`Held`] from then on.

use super::{meters::Meters, state::Taken};
use crate::{OnComplete, Outcome};

/// Taken for a call that is not made yet. Dropped, all of it goes back.
#[derive(Debug)]
pub(super) struct Reservation {
    held: Option<Held>,
}

impl Reservation {
    pub(super) const fn new(meters: Meters, taken: Taken) -> Self {
        Self { held: Some(Held { meters, taken, heard: false }) }
    }

    /// The call is made now.
    pub(super) fn spend(mut self) -> Option<Held> {
        self.held.take()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(mut held) = self.held.take() {
            held.heard = true;
            held.meters.change(|state, _| state.refund(&held.taken));
        }
    }
}

/// What a call that was made holds until its answer has ended: fastened to the answer, it settles the meters.
///
/// Dropped unheard, the call was cancelled: its place in flight is free again, and what it reserved is spent.
#[derive(Debug)]
pub struct Held {
    meters: Meters,
    taken: Taken,
    heard: bool,
}

impl OnComplete for Held {
    fn complete(mut self, outcome: &Outcome) {
        self.heard = true;
        self.meters.ended(&self.taken, outcome);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.heard {
            self.meters.change(|state, _| state.landed(&self.taken));
        }
    }
}
