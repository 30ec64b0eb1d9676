//! S10: the gateway with most of the load cannot reach the server, and the others can.

use tollgate_test_support::redis::RedisServer;

use super::{print, proxy::Proxy};
use crate::scene::{Ledger, Scene, TEN, TENS, UNEVEN, Yaml, on_one, until};

/// Runs a partition of so many seconds. Returns the number of calls in the fullest window.
async fn partition(program: &'static str, settings: &'static str, seconds: f64) -> usize {
    let redis = RedisServer::start(program).unwrap();
    let proxy = Proxy::start(redis.socket()).await;
    let ledger = Ledger { router: format!("redis_url: '{}'", redis.url()), ..Ledger::default() };
    let yaml = Yaml { params: TENS, settings, ..Yaml::default() };
    let mut scene = Scene::over((redis, ledger), 0, yaml).await;
    let own = Ledger { router: format!("redis_url: '{}'", proxy.url()), ..Ledger::default() };
    let others = std::mem::replace(&mut scene.ledger, own);
    scene.join().await;
    scene.ledger = others;
    for _ in 0..3 {
        scene.join().await;
    }
    scene.together().await;
    scene.load(12.0, &UNEVEN, 12.0).await;
    proxy.cut(true);
    let report = scene.load(12.0, &UNEVEN, seconds).await;
    print(&format!("S10 {program}, {seconds} s, {settings}"), &scene, (&report, TEN));
    proxy.cut(false);
    until(&scene.gateways[0], "tollgate_ledger_up", |up| up == 1.0).await;
    scene.load(12.0, &UNEVEN, 12.0).await;
    scene.fullest(TEN)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_partitions_of_one_replica() {
    on_one(|program| async move {
        assert!(partition(program, "when_isolated: keep", 4.0).await <= 100);
        assert!(partition(program, "when_isolated: stop", 30.0).await <= 100);
        let fullest = partition(program, "when_isolated: keep", 30.0).await;
        println!("S10 a partition of 30 s with `keep`: {fullest} of 100 in the fullest window");
    })
    .await;
}
