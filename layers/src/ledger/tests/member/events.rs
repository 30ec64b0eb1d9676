//! Server holds and cooldowns that replicas share.

use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt, service_fn};

use super::cluster::{Cluster, ms, secs};
use crate::{
    BoxError, Class, OnComplete, Outcome,
    cooldown::{CooldownLayer, EndpointHealth, HealthState},
    ledger::LimitKey,
    quota::{Account, Limits, Meters},
};

fn limits() -> Limits {
    Limits { requests: Some(600), ..Limits::default() }
}

fn refuse(meters: &Meters) {
    let call = meters.begin(1).expect("it has permits");
    call.complete(&Outcome::new(Class::RateLimited).with_retry_after(Some(secs(30))));
}

async fn fail(health: &EndpointHealth, times: usize) {
    let classify = |_: Result<&u16, &BoxError>| Outcome::new(Class::Unavailable);
    let backend = service_fn(|()| std::future::ready(Ok::<u16, BoxError>(500)));
    let service = CooldownLayer::new(health.clone(), classify).layer(backend);
    for _ in 0..times {
        assert!(service.clone().oneshot(()).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_hold_closes_the_endpoint_in_all_replicas() {
    let cluster = Cluster::new(limits()).with_replicas(3);
    sleep(secs(1)).await;
    refuse(&cluster.process(0).meters);
    sleep(ms(30)).await;
    for replica in 1..3 {
        let closed_for = cluster.process(replica).meters.snapshot().closed_for.expect("it is closed");
        assert!(closed_for > secs(29) && closed_for <= secs(30), "{closed_for:?}");
    }
    sleep(secs(30)).await;
    assert_eq!(cluster.process(1).meters.snapshot().closed_for, None);
}

#[tokio::test(start_paused = true)]
async fn a_used_up_account_closes_in_all_replicas() {
    let cluster = Cluster::new(limits()).with_replicas(2);
    let accounts = [0, 1].map(|replica| {
        let account = Account::new(|_| true);
        cluster.process(replica).member.share_account(&LimitKey::from("account"), &account);
        account
    });
    let meters = Meters::new(Limits { account: Some(accounts[0].clone()), ..limits() });
    sleep(secs(1)).await;
    refuse(&meters);
    sleep(ms(10)).await;
    assert!(accounts[1].closed_until().expect("it is closed") > Instant::now() + secs(29));
}

#[tokio::test(start_paused = true)]
async fn a_cooldown_begins_and_ends_in_all_replicas_and_one_of_them_probes_first() {
    let cluster = Cluster::new(limits()).with_replicas(3);
    let health = |replica: usize| &cluster.process(replica).health;
    let state = |replica: usize| health(replica).snapshot().state;
    sleep(secs(2)).await;
    assert!(health(0).cool_down(secs(5)));
    sleep(ms(10)).await;
    assert!((0..3).all(|replica| state(replica) == HealthState::CoolingDown));
    sleep(secs(5)).await;
    let half_open = (0..3).filter(|replica| state(*replica) == HealthState::HalfOpen).count();
    assert_eq!(half_open, 1);
    health(0).revive();
    sleep(ms(10)).await;
    assert!((0..3).all(|replica| state(replica) == HealthState::SlowStart));
}

#[tokio::test(start_paused = true)]
async fn the_other_replicas_do_not_probe_while_one_does() {
    let cluster = Cluster::new(limits()).with_replicas(3);
    let state = |replica: usize| cluster.process(replica).health.snapshot().state;
    sleep(secs(2)).await;
    assert!(cluster.process(0).health.cool_down(secs(5)));
    sleep(secs(5)).await;
    let backend = service_fn(|()| async {
        sleep(secs(3)).await;
        Ok::<u16, BoxError>(200)
    });
    let classify = |_: Result<&u16, &BoxError>| Outcome::new(Class::Success);
    let health = cluster.process(0).health.clone();
    let probe = tokio::spawn(CooldownLayer::new(health, classify).layer(backend).oneshot(()));
    for _ in 0..29 {
        sleep(ms(100)).await;
        let states = [0, 1, 2].map(state);
        assert_eq!(states, [HealthState::Probing, HealthState::CoolingDown, HealthState::CoolingDown]);
    }
    assert!(probe.await.is_ok_and(|response| response.is_ok()));
    sleep(ms(10)).await;
    assert!((0..3).all(|replica| state(replica) == HealthState::SlowStart));
}

#[tokio::test(start_paused = true)]
async fn the_failures_at_other_replicas_count() {
    let cluster = Cluster::new(limits()).with_replicas(2);
    sleep(secs(2)).await;
    fail(&cluster.process(0).health, 3).await;
    assert_eq!(cluster.process(0).health.snapshot().state, HealthState::Healthy);
    sleep(secs(3)).await;
    fail(&cluster.process(1).health, 1).await;
    assert_eq!(cluster.process(1).health.snapshot().state, HealthState::CoolingDown);
    sleep(ms(10)).await;
    assert_eq!(cluster.process(0).health.snapshot().state, HealthState::CoolingDown);
}
