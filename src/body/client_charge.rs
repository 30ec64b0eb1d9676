//! The handle that charges a client and the gateway for a request: [`ClientCharge`].

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tollgate_layers::{OnComplete, Outcome, quota::QuotaGuard};

use crate::spend::{Budget, Spending};

/// Settles the limits of a client key, its budget and that of the gateway to the sum of a request's attempts, and counts
/// the cost of the key. A request that is cancelled is
/// charged for its attempts so far.
#[derive(Debug)]
pub(crate) struct ClientCharge {
    quota: Option<QuotaGuard>,
    spending: Arc<Spending>,
    budgets: [Option<Arc<Budget>>; 2],
    /// The nanodollars of the key, for the metrics.
    of_key: Option<Arc<AtomicU64>>,
}

impl ClientCharge {
    pub(crate) fn new(
        quota: Option<QuotaGuard>,
        spending: Arc<Spending>,
        (budgets, of_key): ([Option<Arc<Budget>>; 2], Option<Arc<AtomicU64>>),
    ) -> Self {
        Self { quota, spending, budgets, of_key }
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
        if let Some(of_key) = &self.of_key {
            of_key.fetch_add(cost, Relaxed);
        }
        for budget in self.budgets.iter().flatten() {
            budget.add(cost);
        }
    }
}
