//! Clusters and sentinels.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tollgate_test_support::redis::RedisServer;

use super::{kept, print};
use crate::scene::{Ledger, Scene, TEN, TENS, UNEVEN, Yaml, on_one, until};

fn tens() -> Yaml {
    Yaml { params: TENS, ..Yaml::default() }
}

/// S8: the primary ends under load, and its copy replaces it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_failover_by_a_sentinel() {
    on_one(|program| async move {
        let [primary, _replica, sentinel] = RedisServer::start_sentinel(program).unwrap();
        let port = sentinel.port();
        let ledger = Ledger {
            router: "redis_replicas: 4".to_owned(),
            litellm: format!(
                "cache_params: {{type: redis, sentinel_nodes: [['127.0.0.1', {port}]], service_name: tollgate}}"
            ),
        };
        let mut scene = Scene::over((primary, ledger), 4, tens()).await;
        scene.together().await;
        scene.load(12.0, &UNEVEN, 12.0).await;
        scene.redis.kill().unwrap();
        let start = Instant::now();
        let report = scene.load(12.0, &UNEVEN, 20.0).await;
        print(&format!("S8 {program}"), &scene, (&report, TEN));
        println!("S8 served {} of 200", scene.received(start, 0.0, 20.0));
        kept(&scene, &report);
        for gateway in &scene.gateways {
            until(gateway, "tollgate_ledger_up", |up| up == 1.0).await;
        }
    })
    .await;
}

/// S18: a cluster of three primaries, in health and when the one with the limits ends for half a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_cluster_of_three() {
    on_one(|program| async move {
        let mut nodes = RedisServer::start_cluster_of(program, 3).unwrap();
        let node = |node: &RedisServer| format!("{{host: 127.0.0.1, port: {}}}", node.port());
        let addresses: Vec<_> = nodes.iter().map(node).collect();
        let ledger = Ledger {
            router: "redis_replicas: 4".to_owned(),
            litellm: format!(
                "cache_params: {{type: redis, redis_startup_nodes: [{}]}}",
                addresses.join(", ")
            ),
        };
        let mut scene = Scene::over((nodes.remove(0), ledger), 4, tens()).await;
        scene.together().await;
        let start = Instant::now();
        let report = scene.load(12.0, &UNEVEN, 20.0).await;
        print(&format!("S18 {program}, health"), &scene, (&report, TEN));
        kept(&scene, &report);
        let served = scene.received(start, 10.0, 10.0);
        assert!(served >= 98, "{served}");
        scene.redis.kill().unwrap();
        nodes.iter_mut().for_each(|node| node.kill().unwrap());
        let start = Instant::now();
        let report = scene.load(12.0, &UNEVEN, 30.0).await;
        print(&format!("S18 {program}, outage"), &scene, (&report, TEN));
        println!("S18 served in the outage: {} of 300", scene.received(start, 0.0, 30.0));
        kept(&scene, &report);
        for gateway in &scene.gateways {
            assert!(!gateway.said().contains("CROSSSLOT"), "{}", gateway.said());
        }
    })
    .await;
}

/// S6 with an outage of half a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn full_outage_of_the_server() {
    on_one(|program| async move {
        let mut scene = Scene::start(program, 4, TENS, "").await;
        scene.together().await;
        scene.load(12.0, &UNEVEN, 12.0).await;
        scene.redis.kill().unwrap();
        let start = Instant::now();
        let report = scene.load(12.0, &UNEVEN, 30.0).await;
        print(&format!("S6 {program}"), &scene, (&report, TEN));
        println!("S6 served in the outage: {} of 300", scene.received(start, 0.0, 30.0));
        kept(&scene, &report);
        scene.redis.restart().unwrap();
        let restarted = Instant::now();
        for gateway in &scene.gateways {
            until(gateway, "tollgate_ledger_up", |up| up == 1.0).await;
        }
        println!("S6 in step again after {:?}", restarted.elapsed());
        sleep_until(restarted + Duration::from_secs(3)).await;
        scene.together().await;
    })
    .await;
}
