//! Clusters and sentinels.

use tokio::time::Instant;
use tollgate_test_support::redis::RedisServer;

use super::{kept, load_with, print};
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
        let scene = Scene::over((primary, ledger), 4, tens()).await;
        scene.together().await;
        let end = || scene.redis.signal("KILL").unwrap();
        let (report, served) = load_with(&scene, end, [12.0, 32.0]).await;
        print(&format!("S8 {program}"), &scene, (&report, TEN));
        println!("S8 served {served} of 200");
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
        let scene = Scene::over((nodes.remove(0), ledger), 4, tens()).await;
        scene.together().await;
        let start = Instant::now();
        let end = || [&scene.redis].into_iter().chain(&nodes).for_each(|node| node.signal("KILL").unwrap());
        let (report, served) = load_with(&scene, end, [20.0, 50.0]).await;
        print(&format!("S18 {program}"), &scene, (&report, TEN));
        kept(&scene, &report);
        println!("S18 served in the outage: {served} of 300");
        let served = scene.received(start, 10.0, 10.0);
        assert!(served >= 98, "{served}");
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
        let end = || scene.redis.signal("KILL").unwrap();
        let (report, served) = load_with(&scene, end, [12.0, 42.0]).await;
        print(&format!("S6 {program}"), &scene, (&report, TEN));
        println!("S6 served in the outage: {served} of 300");
        kept(&scene, &report);
        scene.redis.kill().unwrap();
        scene.redis.restart().unwrap();
        let restarted = Instant::now();
        for gateway in &scene.gateways {
            until(gateway, "tollgate_ledger_up", |up| up == 1.0).await;
        }
        let in_touch = restarted.elapsed();
        let (_, leased) = tokio::join!(scene.load(12.0, &UNEVEN, 3.0), scene.leased(100.0));
        println!("S6 in touch again after {in_touch:?}, and all is leased after {leased:?} more");
        scene.together().await;
    })
    .await;
}
