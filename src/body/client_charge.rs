//! The handle that charges a client for a request: [`ClientCharge`].

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tollgate_layers::{OnComplete, Outcome, quota::QuotaGuard};

use crate::spend::{Budget, Spending};

/// Settles the limits and the budget of a client key, and counts its cost, to the sum of a request's attempts. A request that is cancelled is
/// charged for its attempts so far.
#[derive(Debug)]
pub(crate) struct ClientCharge {
    quota: Option<QuotaGuard>,
    spending: Arc<Spending>,
    budget: Option<Arc<Budget>>,
    /// The nanodollars of the key, for the metrics.
    of_key: Arc<AtomicU64>,
}

impl ClientCharge {
    pub(crate) fn new(
        quota: QuotaGuard,
        spending: Arc<Spending>,
        (budget, of_key): (Option<Arc<Budget>>, Arc<AtomicU64>),
    ) -> Self {
        Self { quota: Some(quota), spending, budget, of_key }
    }
}

impl OnComplete for ClientCharge {
    fn complete(mut self, outcome: &Outcome) {
        if let Some(quota) = self.quota.take() {
            quota.complete(&outcome.with_used(self.spending.tokens().or(outcome.used())));
        }
    }
}

impl Drop for ClientCharge {
    fn drop(&mut self) {
        let cost = self.spending.nanodollars();
        self.of_key.fetch_add(cost, Relaxed);
        if let Some(budget) = &self.budget {
            budget.add(cost);
        }
    }
}
