//! What a call has taken: [`Reservation`] before it is made, [`QuotaGuard`] from then on.

use super::{meters::Meters, state::Charge};
use crate::{OnComplete, Outcome};

/// Taken for a call that is not made yet. Dropped, all of it goes back.
#[derive(Debug)]
pub(super) struct Reservation {
    held: Option<QuotaGuard>,
}

impl Reservation {
    pub(super) const fn new(meters: Meters, charge: Charge) -> Self {
        Self { held: Some(QuotaGuard { meters, charge, settled: false }) }
    }

    /// The call is made now.
    pub(super) fn spend(mut self) -> Option<QuotaGuard> {
        self.held.take()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(mut held) = self.held.take() {
            held.settled = true;
            held.meters.change(|state, _| state.refund(&held.charge));
        }
    }
}

/// What a call that was made holds until its answer has ended: fastened to the answer, it settles the meters.
///
/// Dropped unheard, the call was cancelled: its place in flight is free again, and what it reserved is spent.
#[derive(Debug)]
pub struct QuotaGuard {
    meters: Meters,
    charge: Charge,
    settled: bool,
}

impl OnComplete for QuotaGuard {
    fn complete(mut self, outcome: &Outcome) {
        self.settled = true;
        self.meters.completed(&self.charge, outcome);
    }
}

impl Drop for QuotaGuard {
    fn drop(&mut self) {
        if !self.settled {
            self.meters.change(|state, _| state.finished(&self.charge));
        }
    }
}
