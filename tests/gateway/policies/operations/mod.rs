//! Policies that hold for each operation of one table: retry, fallback, context window, content policy, timeouts, broken
//! responses, clients that disconnect.
//!
//! A row states how a client calls an operation, in which dialect its deployments speak, and what it has no case for.

mod row;
mod rows;
mod streams;
mod whole;

use std::{collections::HashMap, future::Future};

use tokio::task::JoinSet;

use row::Row;

/// The `router_settings` with which one deployment may fail again and again.
const NO_COOLDOWNS: &str = "disable_cooldowns: true";

/// Holds a policy against each row of the table, all at once, and names the rows that fail.
async fn each<F>(policy: impl Fn(Row) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (mut running, mut names) = (JoinSet::new(), HashMap::new());
    for row in rows::all() {
        let name = row.name;
        names.insert(running.spawn(policy(row)).id(), name);
    }
    let mut failed = Vec::new();
    while let Some(ended) = running.join_next_with_id().await {
        failed.extend(ended.err().map(|error| names[&error.id()]));
    }
    assert!(failed.is_empty(), "failed for: {}", failed.join(", "));
}
