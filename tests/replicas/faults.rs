//! Servers that stop, end or lose their data, and gateways that end.

use std::time::Duration;

use serde_json::json;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, sleep_until},
};

use crate::{
    scene::{Scene, TEN, TENS, UNEVEN, alone_on_one, on_one, until},
    support::{answers, client::ask, gateway::Gateway},
};

async fn after(seconds: f64) {
    sleep_until(Instant::now() + Duration::from_secs_f64(seconds)).await;
}

/// At 90 % of the limit hardly a call is refused, as random as their times are, and none waits for the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_replicas_do_not_wait_for_a_server_that_is_frozen() {
    alone_on_one(|program| async move {
        let scene = Scene::start(program, 4, "rpm: 3000, rate_window: 10", "").await;
        scene.together().await;
        scene.load(45.0, &UNEVEN, 10.0).await;
        scene.redis.signal("STOP").unwrap();
        let report = scene.load(45.0, &UNEVEN, 10.0).await;
        scene.redis.signal("CONT").unwrap();
        assert_eq!(report.failed(), 0, "{program}: {report:?}");
        assert!(report.refused * 50 <= report.asked, "{program}: {} of {}", report.refused, report.asked);
        // A request that waited for the server would wait until a sync has failed.
        let median = report.durations[report.durations.len() / 2];
        assert!(median < Duration::from_millis(250), "{program}: {median:?}");
        assert!(scene.fullest(TEN) <= 500, "{program}: {}", scene.fullest(TEN));
    })
    .await;
}

/// The leases stay where the load was: 95 % of the limit is used. The load grows during the outage, by a quarter at each replica:
/// else the chance of the times of calls would leave permits unused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_server_costs_replicas_nothing_and_four_lines() {
    alone_on_one(|program| async move {
        let mut scene = Scene::start(program, 4, "rpm: 3000, rate_window: 10", "").await;
        scene.together().await;
        scene.load(60.0, &UNEVEN, 10.0).await;
        let lines: Vec<usize> = scene.gateways.iter().map(|gateway| gateway.said().lines().count()).collect();
        scene.redis.kill().unwrap();
        let start = Instant::now();
        let report = scene.load(75.0, &UNEVEN, 15.0).await;
        assert_eq!(report.failed(), 0, "{program}: {report:?}");
        let served = scene.received(start, 0.0, 15.0);
        assert!(served >= 713, "{program}: {served} of 750");
        for gateway in &scene.gateways {
            until(gateway, "tollgate_ledger_up", |up| up == 0.0).await;
            assert_eq!(gateway.get("/health/readiness").await.status, 200, "{program}");
        }
        scene.redis.restart().unwrap();
        scene.together().await;
        // The leases of idle replicas would not grow to the whole limit for a while.
        let (report, _) = tokio::join!(scene.load(60.0, &UNEVEN, 3.0), scene.leased(500.0));
        assert_eq!(report.failed(), 0, "{program}: {report:?}");
        assert!(scene.fullest(TEN) <= 500, "{program}: {}", scene.fullest(TEN));
        for (gateway, before) in scene.gateways.iter().zip(lines) {
            let said = gateway.says(&["responds again"]).await;
            assert!(said.lines().count() - before <= 4, "{program}: {said}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_keep_a_limit_while_the_server_loses_its_data_each_second() {
    on_one(|program| async move {
        let scene = Scene::start(program, 4, TENS, "").await;
        scene.together().await;
        let losses = async {
            for _ in 0..20 {
                scene.redis.clear().unwrap();
                after(1.0).await;
            }
        };
        let (report, ()) = tokio::join!(scene.load(12.0, &UNEVEN, 20.0), losses);
        assert_eq!(report.failed(), 0, "{program}: {report:?}");
        assert!(scene.fullest(TEN) <= 100, "{program}: {}", scene.fullest(TEN));
    })
    .await;
}

/// The gateway with most of the load gives its permits back on SIGTERM, and the others use them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_shuts_down_leaves_its_part_of_a_limit_to_the_others() {
    on_one(|program| async move {
        let mut scene = Scene::start(program, 4, TENS, "").await;
        scene.together().await;
        scene.load(12.0, &UNEVEN, 10.0).await;
        let mut first = scene.gateways.remove(0);
        first.signal("TERM").await;
        assert!(first.end().await.success());
        let start = Instant::now();
        let report = scene.load(12.0, &[0.4, 0.3, 0.3], 20.0).await;
        assert_eq!(report.failed(), 0, "{program}: {report:?}");
        let served = scene.received(start, 0.0, 20.0);
        assert!(served >= 198, "{program}: {served} of 200");
        assert!(scene.fullest(TEN) <= 100, "{program}: {}", scene.fullest(TEN));
    })
    .await;
}

/// Sends a request without a wait for its response.
async fn begin_chat(gateway: &Gateway) -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    let body = ask("m", json!({}));
    let length = body.len();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json";
    let request = format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}");
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// A killed gateway gives nothing back: its slots go to the others when its lease of five seconds has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_killed_leaves_its_calls_in_flight_to_the_others() {
    on_one(|program| async move {
        let scene = Scene::start(program, 2, "max_parallel_requests: 4", "queue_timeout: 20").await;
        scene.together().await;
        scene.upstream.becomes(answers::silence());
        let [first, second] = &*scene.gateways else { panic!("two gateways") };
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(begin_chat(first).await);
        }
        scene.upstream.call(3).await;
        first.signal("KILL").await;
        let killed = Instant::now();
        scene.upstream.becomes(answers::chat("x"));
        assert_eq!(second.chat("m", json!({})).await.status, 200, "{program}");
        let freed = killed.elapsed();
        assert!(freed < Duration::from_secs(6), "{program}: {freed:?}");
    })
    .await;
}

/// Without the server a gateway starts at once with its part of the limit, and takes all of it when the server comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_starts_without_the_server_and_uses_its_part_of_a_limit() {
    alone_on_one(|program| async move {
        let mut scene = Scene::start(program, 0, TENS, "redis_replicas: 4").await;
        scene.redis.kill().unwrap();
        let start = Instant::now();
        scene.join().await;
        assert!(start.elapsed() < Duration::from_secs(1), "{program}: {:?}", start.elapsed());
        assert_eq!(scene.gateways[0].get("/health/readiness").await.status, 200, "{program}");
        scene.load(12.0, &[1.0], 8.0).await;
        let used = scene.upstream.count();
        assert!((20..=25).contains(&used), "{program}: {used} of 25");
        scene.redis.restart().unwrap();
        until(&scene.gateways[0], "tollgate_ledger_up", |up| up == 1.0).await;
        let start = Instant::now();
        scene.load(12.0, &[1.0], 13.0).await;
        let served = scene.received(start, 3.0, 10.0);
        assert!(served >= 90, "{program}: {served} of 100");
        assert!(scene.fullest(TEN) <= 100, "{program}: {}", scene.fullest(TEN));
    })
    .await;
}
