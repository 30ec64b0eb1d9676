//! Truthful streams, through the whole gateway: what each fault leads to, what is counted, what is left behind.

mod backpressure;
mod faults;
mod leaving;
mod midstream;
mod plain;
mod usage;

use crate::support::{case::World, client::Client};

/// Returns the value of the metrics line with this beginning.
async fn counter(world: &World, line: &str) -> i64 {
    // By a client of its own: who counts what stays open leaves nothing open.
    let text = Client::new(world.gateway.base_url()).get("/metrics").await.text();
    let value =
        text.lines().find_map(|known| known.strip_prefix(line)?.trim_start_matches("{}").trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {line:?} in:\n{text}"))
}

/// Returns the number of failed attempts at this deployment.
async fn failures(world: &World, group: &str, deployment: &str) -> i64 {
    let start = format!("tollgate_deployment_attempts_total{{group=\"{group}\",deployment=\"{deployment}\",");
    let text = world.gateway.get("/metrics").await.text();
    let counts = text.lines().filter(|line| line.starts_with(&start));
    let failed = counts.filter(|line| !line.contains("\"success\"") && !line.contains("\"cancelled\""));
    failed.map(|line| line.rsplit_once(' ').unwrap().1.parse::<i64>().unwrap()).sum()
}
