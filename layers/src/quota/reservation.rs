//! The charge of one call: [`Reservation`] before the call begins, [`QuotaGuard`] while it is in flight.

use super::{meters::Meters, state::Charge};
use crate::{OnComplete, Outcome};

/// The charge of a call that has not begun. The charge is refunded when this is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    held: Option<QuotaGuard>,
}

impl Reservation {
    pub(super) const fn new(meters: Meters, charge: Charge) -> Self {
        Self { held: Some(QuotaGuard { meters, charge, settled: false }) }
    }

    /// Returns the guard for the call, which begins now.
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

/// The charge of a call in flight, attached to the response; settles the meters when the response completes.
///
/// A guard that is dropped before that means a cancelled call: the slot in flight is freed, and the reserved cost counts
/// as spent.
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
