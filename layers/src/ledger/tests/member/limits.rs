//! Limits that replicas share while the ledger responds.

use std::time::Duration;

use tokio::time::sleep;

use super::cluster::{Cluster, key, ms, secs};
use crate::{
    Class, OnComplete, Outcome,
    quota::{Limits, RateWindow},
};

const MINUTE: Duration = secs(60);

fn requests(limit: u64, window: RateWindow) -> Limits {
    Limits { requests: Some(limit), window: Some(window), ..Limits::default() }
}

#[tokio::test(start_paused = true)]
async fn replicas_with_uneven_load_use_the_whole_limit_and_never_more() {
    for (limit, weights) in [(1_440, vec![70, 10, 10, 10]), (480, vec![51, 7, 7, 7, 7, 7, 7, 7])] {
        let mut cluster = Cluster::new(requests(limit, RateWindow::S60)).with_replicas(weights.len());
        cluster.load((limit as f64 * 0.02, secs(180)), &weights).await;
        assert!(cluster.fullest(MINUTE) <= limit, "{}", cluster.fullest(MINUTE));
        let used = cluster.sent(60, 180);
        assert!(used * 100 >= 2 * limit * 99, "{} replicas used {used} of {}", weights.len(), 2 * limit);
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_keep_a_limit_of_a_second() {
    let mut cluster = Cluster::new(requests(600, RateWindow::S1)).with_replicas(8);
    cluster.load((12.0, secs(60)), &[51, 7, 7, 7, 7, 7, 7, 7]).await;
    assert!(cluster.fullest(secs(1)) <= 10, "{}", cluster.fullest(secs(1)));
    let used = cluster.sent(10, 60);
    assert!(used >= 470, "used {used} of 500");
}

#[tokio::test(start_paused = true)]
async fn no_replica_starves_with_fewer_permits_than_replicas() {
    let mut cluster = Cluster::new(requests(60, RateWindow::S1)).with_replicas(8);
    cluster.load((16.0, secs(60)), &[1; 8]).await;
    assert_eq!(cluster.fullest(secs(1)), 1);
    assert!(cluster.sent(0, 60) >= 55, "{}", cluster.sent(0, 60));
    let each: Vec<usize> = (0..8).map(|replica| cluster.calls_of(replica)).collect();
    assert!(each.iter().all(|calls| (4..=11).contains(calls)), "{each:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_gets_a_permit_that_another_replica_does_not_use() {
    let cluster = Cluster::new(requests(6, RateWindow::S60)).with_replicas(2);
    sleep(secs(1)).await;
    for _ in 0..6 {
        assert!(cluster.process(1).call(1).await);
    }
    assert!(!cluster.process(0).call(1).await);
    assert_eq!((cluster.calls_of(0), cluster.calls_of(1)), (0, 6));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_joins_gets_its_part() {
    let mut cluster = Cluster::new(requests(480, RateWindow::S60)).with_replicas(2);
    cluster.load((9.6, secs(120)), &[1, 1]).await;
    cluster.join();
    cluster.load((9.6, secs(120)), &[1, 1, 1]).await;
    assert!(cluster.fullest(MINUTE) <= 480);
    assert!(cluster.sent(120, 180) >= 473, "{}", cluster.sent(120, 180));
    assert!(cluster.calls_of(2) > 233, "{}", cluster.calls_of(2));
}

#[tokio::test(start_paused = true)]
async fn permits_of_a_replica_that_shuts_down_go_on_at_once() {
    let mut cluster = Cluster::new(requests(480, RateWindow::S60)).with_replicas(4);
    cluster.load((9.6, secs(120)), &[70, 10, 10, 10]).await;
    let first = cluster.processes[0].take().expect("it runs");
    first.terminate().await;
    cluster.load((9.6, secs(120)), &[0, 1, 1, 1]).await;
    assert!(cluster.fullest(MINUTE) <= 480);
    assert!(cluster.sent(120, 240) >= 950, "{}", cluster.sent(120, 240));
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_shared() {
    let limits = Limits { in_flight: Some(4), ..Limits::default() };
    let cluster = Cluster::new(limits).with_replicas(2);
    sleep(secs(1)).await;
    let (one, two) = (&cluster.process(0).meters, &cluster.process(1).meters);
    let in_flight = || one.snapshot().in_flight + two.snapshot().in_flight;
    let mut held = Vec::new();
    for _ in 0..100 {
        for meters in [one, two] {
            held.extend(meters.begin(1));
        }
        assert!(in_flight() <= 4);
        sleep(ms(10)).await;
    }
    assert_eq!(in_flight(), 4);
    held.truncate(1);
    sleep(secs(1)).await;
    // The permits that were wanted and idle are at the ledger.
    let more = [one, two].map(|meters| meters.begin(1));
    sleep(ms(30)).await;
    let again = one.begin(1);
    assert!(
        more.iter().flatten().next().is_some() || again.is_some(),
        "{:?}",
        [one, two].map(|m| m.snapshot())
    );
}

fn tokens(limit: u64) -> Limits {
    Limits { tokens: Some(limit), ..Limits::default() }
}

#[tokio::test(start_paused = true)]
async fn tokens_of_mixed_costs_are_never_exceeded() {
    let mut cluster = Cluster::new(tokens(60_000)).with_replicas(4);
    let cost =
        |random: &mut fastrand::Rng| if random.u8(..20) == 0 { 12_000 } else { random.u64(100..2_000) };
    cluster.load_with((1.2, secs(300)), &[4, 3, 2, 1], cost).await;
    assert!(cluster.fullest(MINUTE) <= 60_000, "{}", cluster.fullest(MINUTE));
    assert!(cluster.sent(60, 300) >= 4 * 50_000, "{}", cluster.sent(60, 300));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_costs_more_than_a_lease_gets_the_permits_of_all_replicas() {
    let cluster = Cluster::new(tokens(60_000)).with_replicas(4);
    sleep(secs(1)).await;
    assert!(cluster.process(1).call(45_000).await);
    assert!(!cluster.process(2).call(15_001).await);
}

#[tokio::test(start_paused = true)]
async fn a_call_gets_exactly_the_tokens_that_another_replica_leaves() {
    for (first, second) in [(45_000, 15_000), (1, 59_999), (59_999, 1), (30_000, 30_000)] {
        let cluster = Cluster::new(tokens(60_000)).with_replicas(4);
        sleep(secs(1)).await;
        assert!(cluster.process(1).call(first).await, "{first}");
        assert!(cluster.process(2).call(second).await, "{second} after {first}");
        assert!(!cluster.process(0).call(1).await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_learned_window_applies_to_all_replicas() {
    let limits = Limits { requests: Some(600), ..Limits::default() };
    let cluster = Cluster::new(limits).with_replicas(3);
    sleep(secs(1)).await;
    let meters = &cluster.process(0).meters;
    let call = meters.begin(1).expect("there are permits");
    call.complete(&Outcome::new(Class::RateLimited).with_retry_after(Some(secs(1))));
    sleep(ms(100)).await;
    for replica in 0..3 {
        assert_eq!(cluster.process(replica).meters.snapshot().window, Some(RateWindow::S1), "{replica}");
    }
    sleep(secs(2)).await;
    assert!((1..=10).contains(&cluster.leased()), "{}", cluster.leased());
    sleep(secs(620)).await;
    assert_eq!(cluster.process(2).meters.snapshot().window, Some(RateWindow::S10));
    sleep(secs(620)).await;
    assert_eq!(cluster.process(1).meters.snapshot().window, None);
    assert!(cluster.leased() <= 600);
}

#[tokio::test(start_paused = true)]
async fn the_smallest_limit_holds_while_configurations_differ() {
    let cluster = Cluster::new(requests(12, RateWindow::S60)).with_replicas(2);
    sleep(secs(1)).await;
    cluster.process(0).meters.set_limits(requests(6, RateWindow::S60));
    // The other replica is idle: the ledger lets it report.
    sleep(ms(1_100)).await;
    assert!(cluster.leased() <= 6, "{}", cluster.leased());
    let limits = cluster.process(1).member.limits();
    assert_eq!((limits[0].limit, limits[0].in_force), (12, 6));
    assert_eq!(limits[0].key.as_str(), format!("{}/requests", key()));
    cluster.process(0).meters.set_limits(requests(12, RateWindow::S60));
    sleep(secs(20)).await;
    assert_eq!(cluster.leased(), 12);
}
