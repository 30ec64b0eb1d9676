//! The handle that charges a client for a request: [`ClientCharge`].

use std::sync::Arc;

use tollgate_layers::{OnComplete, Outcome, quota::QuotaGuard};

use crate::spend::{Budget, Spending};

/// Settles the limits and the budget of a client key to the sum of a request's attempts. A request that is cancelled is
/// charged for its attempts so far.
#[derive(Debug)]
pub(crate) struct ClientCharge {
    quota: Option<QuotaGuard>,
    spending: Arc<Spending>,
    budget: Option<Arc<Budget>>,
}

impl ClientCharge {
    pub(crate) const fn new(quota: QuotaGuard, spending: Arc<Spending>, budget: Option<Arc<Budget>>) -> Self {
        Self { quota: Some(quota), spending, budget }
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
        if let Some(budget) = &self.budget {
            budget.add(self.spending.nanodollars());
        }
    }
}
