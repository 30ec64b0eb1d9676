//! Limits that replicas share while the ledger or a replica fails.

use tokio::time::sleep;

use super::cluster::{Cluster, key, ms, secs};
use crate::{
    Class, OnComplete, Outcome,
    ledger::{LimitKey, WhenIsolated},
    quota::{Limits, Meters, RateWindow},
};

const WEIGHTS: [u32; 4] = [70, 10, 10, 10];

fn limits() -> Limits {
    Limits { requests: Some(480), window: Some(RateWindow::S60), ..Limits::default() }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_ledger_costs_nothing() {
    let mut cluster = Cluster::new(limits()).with_replicas(4);
    cluster.load((9.6, secs(180)), &WEIGHTS).await;
    cluster.network.cut(0..4);
    cluster.load((9.6, secs(60)), &WEIGHTS).await;
    assert!(!cluster.process(0).member.snapshot().in_touch);
    cluster.network.cut([]);
    cluster.load((9.6, secs(60)), &WEIGHTS).await;
    assert!(cluster.process(0).member.snapshot().in_touch);
    assert!(cluster.fullest(secs(60)) <= 480, "{}", cluster.fullest(secs(60)));
    assert!(cluster.sent(180, 240) >= 465, "{}", cluster.sent(180, 240));
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_loses_its_data_again_and_again_costs_nothing() {
    let mut cluster = Cluster::new(limits()).with_replicas(4);
    cluster.load((9.6, secs(120)), &WEIGHTS).await;
    for _ in 0..20 {
        cluster.ledger.clear();
        cluster.load((9.6, secs(1)), &WEIGHTS).await;
    }
    cluster.load((9.6, secs(60)), &WEIGHTS).await;
    assert!(cluster.fullest(secs(60)) <= 480, "{}", cluster.fullest(secs(60)));
    assert!(cluster.sent(120, 180) >= 465, "{}", cluster.sent(120, 180));
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_loses_one_limit_asks_all_replicas_for_it() {
    let mut cluster = Cluster::new(limits()).with_replicas(2);
    sleep(secs(60)).await;
    cluster.load((9.6, secs(30)), &[1, 0]).await;
    // The second replica has permits that it does not use, and nothing to report.
    let idle = cluster.process(1).meters.snapshot().request_lease;
    assert!(idle > Some(0), "{idle:?}");
    cluster.ledger.evict(&LimitKey::from(format!("{}/requests", key())));
    cluster.load((9.6, secs(30)), &[1, 0]).await;
    cluster.load((9.6, secs(60)), &[1, 1]).await;
    assert!(cluster.fullest(secs(60)) <= 480, "{}", cluster.fullest(secs(60)));
    assert!(cluster.leased() <= 480, "{}", cluster.leased());
    assert!(cluster.sent(120, 180) >= 465, "{}", cluster.sent(120, 180));
}

#[tokio::test(start_paused = true)]
async fn the_permits_of_a_killed_replica_return_as_they_come_free() {
    let mut cluster = Cluster::new(limits()).with_replicas(4);
    cluster.load((9.6, secs(180)), &WEIGHTS).await;
    cluster.processes[0] = None;
    cluster.load((9.6, secs(120)), &[0, 1, 1, 1]).await;
    assert!(cluster.fullest(secs(60)) <= 480, "{}", cluster.fullest(secs(60)));
    assert!(cluster.sent(180, 300) >= 912, "{}", cluster.sent(180, 300));
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_is_unreachable_at_the_start_leaves_each_replica_its_part() {
    let mut cluster = Cluster::new(limits());
    cluster.config.replicas = 4;
    cluster.network.cut([0]);
    cluster.join();
    sleep(ms(250)).await;
    assert_eq!(cluster.process(0).meters.snapshot().request_lease, Some(0), "the ledger may respond yet");
    sleep(ms(10)).await;
    assert_eq!(cluster.process(0).meters.snapshot().request_lease, Some(120));
    // Limits that are added meanwhile do not wait for a response either.
    let meters = Meters::new(limits());
    cluster.process(0).member.share(&LimitKey::from("another"), &meters);
    assert_eq!(meters.snapshot().request_lease, Some(120));
    cluster.network.cut([]);
    sleep(secs(20)).await;
    assert_eq!(cluster.process(0).meters.snapshot().request_lease, Some(480));
}

#[tokio::test(start_paused = true)]
async fn an_isolated_replica_reduces_its_lease_once_the_backend_refuses_it() {
    let cluster = Cluster::new(limits()).with_replicas(2);
    let lease = || cluster.process(0).meters.snapshot().request_lease.expect("it is shared");
    sleep(secs(1)).await;
    for _ in 0..300 {
        assert!(cluster.process(0).call(1).await);
    }
    sleep(secs(1)).await;
    assert!(lease() > 300, "{}", lease());
    cluster.network.cut([0]);
    let refuse = || {
        let call = cluster.process(0).meters.begin(1).expect("it has permits");
        call.complete(&Outcome::new(Class::RateLimited).with_retry_after(Some(ms(1))));
    };
    sleep(secs(2)).await;
    refuse();
    assert!(lease() > 300, "within the lease time a refusal shows nothing");
    sleep(secs(10)).await;
    refuse();
    assert_eq!(lease(), 240);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_was_isolated_gives_back_what_others_took_over() {
    let mut cluster = Cluster::new(limits()).with_replicas(2);
    sleep(secs(300)).await;
    cluster.network.cut([0]);
    cluster.load((9.6, secs(120)), &[0, 1]).await;
    assert!(cluster.leased() > 480, "the other has taken over: {}", cluster.leased());
    cluster.network.cut([]);
    sleep(secs(3)).await;
    assert!(cluster.leased() <= 480, "{}", cluster.leased());
}

#[tokio::test(start_paused = true)]
async fn a_call_after_an_outage_gets_a_permit_that_another_replica_does_not_use() {
    let few = Limits { requests: Some(6), ..limits() };
    let cluster = Cluster::new(few).with_replicas(2);
    sleep(secs(60)).await;
    let lease = cluster.process(0).meters.snapshot().request_lease.expect("it is shared");
    for _ in 0..lease {
        assert!(cluster.process(0).call(1).await);
    }
    sleep(secs(30)).await;
    cluster.network.cut(0..2);
    sleep(secs(2)).await;
    cluster.network.cut([]);
    sleep(secs(2)).await;
    assert!(lease < 6 && cluster.process(0).call(1).await);
}

#[tokio::test(start_paused = true)]
async fn an_isolated_replica_that_must_not_exceed_a_limit_stops() {
    let mut cluster = Cluster::new(limits()).when_isolated(WhenIsolated::Stop).with_replicas(4);
    cluster.load((9.6, secs(120)), &WEIGHTS).await;
    cluster.network.cut([0]);
    cluster.load((9.6, secs(4)), &WEIGHTS).await;
    assert!(cluster.process(0).meters.snapshot().request_lease > Some(0));
    cluster.load((9.6, secs(90)), &WEIGHTS).await;
    assert_eq!(cluster.process(0).meters.snapshot().request_lease, Some(0));
    cluster.network.cut([]);
    cluster.load((9.6, secs(60)), &WEIGHTS).await;
    assert!(cluster.process(0).meters.snapshot().request_lease > Some(0));
    assert!(cluster.fullest(secs(60)) <= 480, "{}", cluster.fullest(secs(60)));
}

#[tokio::test(start_paused = true)]
async fn permits_of_dropped_meters_go_back() {
    let cluster = Cluster::new(limits()).with_replicas(2);
    sleep(secs(1)).await;
    let removed = Meters::new(limits());
    let name = LimitKey::from("removed");
    let (one, two) = (cluster.process(0), cluster.process(1));
    one.member.share(&name, &removed);
    sleep(secs(1)).await;
    assert_eq!(removed.snapshot().request_lease, Some(480));
    drop(removed);
    let other = Meters::new(limits());
    two.member.share(&name, &other);
    sleep(secs(90)).await;
    // A call that finds no permit asks for one.
    assert!(other.begin(1).is_none());
    sleep(ms(50)).await;
    assert!(other.begin(1).is_some());
}
