//! Long runs of all sizes, and clusters, sentinels and partitions. `tests/replicas/run-full` starts them: each prints its
//! figures, which docs/replicas.md has, beside its assertions. Without the variable they are left out.

mod partition;
mod proxy;
mod servers;
mod sizes;

use std::time::Duration;

use crate::{
    limits::TEN,
    scene::{Report, Scene},
};

/// The environment variable that lets these tests run.
const VARIABLE: &str = "TOLLGATE_REPLICAS_FULL";

/// The parts of the load of eight gateways: one of them has half of it.
const EIGHT: [f64; 8] = [0.51, 0.07, 0.07, 0.07, 0.07, 0.07, 0.07, 0.07];

fn is_left_out() -> bool {
    std::env::var_os(VARIABLE).is_none()
}

/// Prints the figures of a load.
fn print(name: &str, scene: &Scene, (report, window): (&Report, Duration)) {
    let quantile = |part: usize| {
        let last = report.durations.len().saturating_sub(1);
        report.durations.get(last * part / 100).copied().unwrap_or_default()
    };
    println!(
        "{name}: {} asked, {} served, {} refused, {} failed; fullest window {}; p50 {:?}, p99 {:?}",
        report.asked,
        report.served,
        report.refused,
        report.failed(),
        scene.fullest(window),
        quantile(50),
        quantile(99),
    );
}

/// Asserts that a limit of 100 in any ten seconds was kept, and that no call failed.
fn kept(scene: &Scene, report: &Report) {
    assert!(scene.fullest(TEN) <= 100, "{}", scene.fullest(TEN));
    assert_eq!(report.failed(), 0, "{report:?}");
}
