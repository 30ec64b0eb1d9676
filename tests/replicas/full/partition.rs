//! S10: the gateway with most of the load cannot reach the server, and the others can.

use std::time::Duration;

use tollgate_test_support::redis::RedisServer;

use super::{print, proxy::Proxy};
use crate::scene::{Ledger, Scene, TEN, TENS, UNEVEN, Yaml, on_one, until};

/// Runs a partition of so many seconds, at a limit that is counted over a window. Returns the number of calls in the fullest
/// window.
async fn partition(
    program: &'static str,
    settings: &'static str,
    seconds: f64,
    (params, window, limit): (&'static str, Duration, f64),
) -> usize {
    let redis = RedisServer::start(program).unwrap();
    let proxy = Proxy::start(redis.socket()).await;
    let ledger = Ledger { router: format!("redis_url: '{}'", redis.url()), ..Ledger::default() };
    let yaml = Yaml { params, settings, ..Yaml::default() };
    let mut scene = Scene::over((redis, ledger), 0, yaml).await;
    let own = Ledger { router: format!("redis_url: '{}'", proxy.url()), ..Ledger::default() };
    let others = std::mem::replace(&mut scene.ledger, own);
    scene.join().await;
    scene.ledger = others;
    for _ in 0..3 {
        scene.join().await;
    }
    scene.together().await;
    let before = window.as_secs_f64() + 2.0;
    scene.load(12.0, &UNEVEN, before).await;
    proxy.cut(true);
    let report = scene.load(12.0, &UNEVEN, seconds).await;
    print(&format!("S10 {program}, {seconds} s, {settings}"), &scene, (&report, window));
    proxy.cut(false);
    until(&scene.gateways[0], "tollgate_ledger_up", |up| up == 1.0).await;
    let (_, leased) = tokio::join!(scene.load(12.0, &UNEVEN, before), scene.leased(limit));
    let fullest = scene.fullest(window);
    println!(
        "S10 {seconds} s, {settings}: {fullest} of {limit} in the fullest window; all is leased after {leased:?}"
    );
    fullest
}

const TEN_SECONDS: (&str, Duration, f64) = (TENS, TEN, 100.0);
const MINUTE: (&str, Duration, f64) = ("rpm: 600, rate_window: 60", Duration::from_secs(60), 600.0);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_partitions_of_one_replica() {
    on_one(|program| async move {
        assert!(partition(program, "when_isolated: keep", 4.0, TEN_SECONDS).await <= 100);
        assert!(partition(program, "when_isolated: stop", 30.0, TEN_SECONDS).await <= 100);
        // The others want 0.6 calls a second more than they have, and take as many of the isolated replica's permits.
        assert!(partition(program, "when_isolated: keep", 30.0, MINUTE).await <= 615);
        // Three windows: the others have all of the limit in the second.
        partition(program, "when_isolated: keep", 30.0, TEN_SECONDS).await;
    })
    .await;
}
