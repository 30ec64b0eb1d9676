//! Five seconds of `benches/failover.rs`, and the recovery from a whole outage, over real sockets.
#![cfg(test)]

#[expect(dead_code, reason = "the program's own main and its sums are not called")]
#[path = "../benches/failover.rs"]
pub mod scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_one_of_three_is_always_down() {
    let mut scene = scene::Scene::new().await.unwrap();
    // Less than the program asks: this one is not optimised, and shares its machine.
    let report = scene.rotate(200, 5).await.unwrap();
    assert_eq!((report.asked, report.failed), (1_000, 0), "{report:?}");
    assert!(report.repeats > 0, "somebody was killed: {report:?}");
    assert!(report.repeats <= 1_000 / 5 + 50 + 100, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_outage_is_not_fed_and_is_over_when_it_is_over() {
    let mut scene = scene::Scene::new().await.unwrap();
    let report = scene.steady(100, 2, false).await.unwrap();
    assert_eq!((report.asked, report.failed), (200, 200), "{report:?}");
    assert!(report.repeats <= 200 / 5 + 20 + 100, "{report:?}");
    let report = scene.steady(100, 2, true).await.unwrap();
    assert_eq!((report.asked, report.failed), (200, 0), "{report:?}");
}
