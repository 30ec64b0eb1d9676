//! Long runs of all sizes, and clusters, sentinels and partitions. Each prints its figures, which docs/replicas.md has,
//! beside its assertions. `cargo test` leaves this program out, and `tests/replicas/run-full` runs it.
#![cfg(test)]

mod many;
mod partition;
mod proxy;
#[path = "../scene.rs"]
mod scene;
mod servers;
mod sizes;
#[expect(dead_code, reason = "the support of the tests of a single gateway")]
#[path = "../../gateway/support/mod.rs"]
mod support;

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use self::scene::{Report, Scene, TEN, UNEVEN};

/// The parts of the load of eight gateways: one of them has half of it.
const EIGHT: [f64; 8] = [0.51, 0.07, 0.07, 0.07, 0.07, 0.07, 0.07, 0.07];

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

/// Sends 120 % of a limit of 100 in any ten seconds, and causes a fault after so many of all the seconds. Returns the results, and
/// the number of calls that the upstream received after the fault.
async fn load_with(scene: &Scene, fault: impl Fn(), [before, all]: [f64; 2]) -> (Report, usize) {
    let start = Instant::now();
    let at = start + Duration::from_secs_f64(before);
    let fault = async {
        sleep_until(at).await;
        fault();
    };
    let (report, ()) = tokio::join!(scene.load(12.0, &UNEVEN, all), fault);
    (report, scene.received(at, 0.0, all - before))
}

/// Asserts that a limit of 100 in any ten seconds was kept, and that no call failed.
fn kept(scene: &Scene, report: &Report) {
    assert!(scene.fullest(TEN) <= 100, "{}", scene.fullest(TEN));
    assert_eq!(report.failed(), 0, "{report:?}");
}
