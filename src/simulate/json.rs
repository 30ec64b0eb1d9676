//! The report as JSON, for programs.

use serde_json::{Value, json};

use super::{
    Report,
    report::{DeploymentReport, ReplicaReport, ReplicasReport},
};

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
            "replicas": self.replicas.as_ref().map(replicas),
            "deployments": self.deployments.iter().map(deployment).collect::<Vec<_>>(),
        })
    }
}

fn replicas(report: &ReplicasReport) -> Value {
    let replica = |replica: &ReplicaReport| {
        json!({
            "load": replica.load,
            "killed": replica.killed.map(|at| at.as_secs_f64()),
            "requests": replica.requests,
            "served": replica.served,
            "refused": replica.refused,
            "failed": replica.failed,
        })
    };
    json!({
        "each": report.each.iter().map(replica).collect::<Vec<_>>(),
        "ledger_requests": report.ledger_requests,
        "clock_windows": report.clock_windows.map(|counted| json!({
            "window": counted.window.as_secs_f64(),
            "fullest_window": counted.fullest,
            "used": counted.used,
        })),
    })
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
        "fullest_window": row.fullest,
        "learned_refusals": row.learned_refusals,
        "each_second": {
            "sent": each(|second| second.sent),
            "refused": each(|second| second.refused),
            "failed": each(|second| second.failed),
        },
    })
}
