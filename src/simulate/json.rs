//! The report as JSON, for programs.

use serde_json::{Value, json};

use super::{Report, report::DeploymentReport};

impl Report {
    /// Returns the report as JSON. Times are in seconds.
    #[must_use]
    pub fn json(&self) -> Value {
        let clients = &self.clients;
        json!({
            "seconds": self.duration.as_secs_f64(),
            "clients": {
                "requests": clients.requests,
                "served": clients.served,
                "refused": clients.refused,
                "refused_without_retry_after": clients.without_retry_after,
                "failed": clients.failed,
                "wait_p50": clients.wait(0.5).as_secs_f64(),
                "wait_p99": clients.wait(0.99).as_secs_f64(),
            },
            "refused_per_thousand_calls": self.refused_per_thousand(),
            "returned": self.returned.map(|visit| json!({
                "retry_after": visit.retry_after.as_secs_f64(),
                "waited": visit.waited.map(|waited| waited.as_secs_f64()),
            })),
            "deployments": self.deployments.iter().map(deployment).collect::<Vec<_>>(),
        })
    }
}

fn deployment(row: &DeploymentReport) -> Value {
    let each = |of: fn(&super::SecondStats) -> u32| row.seconds.iter().map(of).collect::<Vec<_>>();
    json!({
        "group": &*row.group,
        "id": &*row.id,
        "model": &*row.model,
        "rpm": row.rpm,
        "tpm": row.tpm,
        "sent": row.sent(),
        "refused": row.refused(),
        "failed": row.failed(),
        "utilisation": row.utilisation(),
        "learned_refusals": row.learned_refusals,
        "each_second": {
            "sent": each(|second| second.sent),
            "refused": each(|second| second.refused),
            "failed": each(|second| second.failed),
        },
    })
}
