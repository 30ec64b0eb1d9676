//! The budgets that replicas share: [`BudgetSharing`].

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::{MissedTickBehavior, interval};
use tollgate_layers::ledger::{LimitKey, ReplicaId};
use tollgate_redis::{Amount, Total, TotalsRequest};
use tower::{Service, ServiceExt};

use crate::{registry::Registry, spend::Budget};

/// The time between two exchanges. What is spent in it beyond a budget is spent.
const INTERVAL: Duration = Duration::from_secs(1);

/// Every so many exchanges all budgets are reported, in case the server has lost its data. The others have those that were
/// used since.
const ALL: u32 = 15;

/// The sharing of all budgets of a process with other replicas. Each reports what it has spent, and checks its requests
/// against the sum that it has last received. Without the server it goes on with that sum and what it spends itself.
#[derive(Debug)]
pub(crate) struct BudgetSharing<L> {
    pub(crate) registry: Registry,
    pub(crate) replica: ReplicaId,
    pub(crate) ledger: L,
}

impl<L> BudgetSharing<L>
where
    L: Service<TotalsRequest, Response = Vec<Total>> + Clone,
{
    /// Exchanges the totals until the future is dropped.
    pub(crate) async fn run(&self) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in (0..ALL).cycle() {
            ticks.tick().await;
            self.exchange(number == 0).await;
        }
    }

    /// Reports all budgets, or those that were used since the last report, and applies the totals. A failure changes
    /// nothing: the next exchange reports the same and more. Its log lines are those of the syncs.
    pub(crate) async fn exchange(&self, all: bool) {
        let (budgets, now) = (self.registry.lock().all_budgets(), SystemTime::now());
        let share = |(client, budget): (Option<Arc<str>>, Arc<Budget>)| {
            let share = budget.share(now, all)?;
            let key = key(client.as_deref(), &share.period_name());
            let amount = Amount { key, own: share.nanodollars, period: share.renewed_after };
            Some((amount, (budget, share)))
        };
        let (amounts, shares): (Vec<_>, Vec<_>) = budgets.into_iter().filter_map(share).unzip();
        if amounts.is_empty() {
            return;
        }
        let request = TotalsRequest { replica: self.replica, amounts };
        let Ok(totals) = self.ledger.clone().oneshot(request).await else { return };
        let now = SystemTime::now();
        for ((budget, share), total) in shares.iter().zip(totals) {
            budget.set_total(share, (total.sum, total.period), now);
        }
    }
}

/// Returns the key of a budget, which is the same in all replicas: of a client key, or of the gateway.
fn key(client: Option<&str>, period: &str) -> LimitKey {
    LimitKey::from(match client {
        Some(name) => format!("client:{name}:{period}"),
        None => format!("gateway:{period}"),
    })
}
