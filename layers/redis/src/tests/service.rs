//! The ledger as a tower service on a real server.

use std::time::Duration;

use redis::IntoConnectionInfo;
use tokio::time::{Instant, timeout};
use tollgate_layers::ledger::{
    Event, EventId, Ledger, LimitKey, ListenRequest, ReplicaId, Report, SyncRequest,
};
use tollgate_test_support::redis::{RedisServer, programs};
use tower::ServiceExt;

use crate::{RedisLedger, RedisLedgerConfig, RedisLedgerError, Servers};

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn ledger(server: &RedisServer) -> RedisLedger {
    let servers = Servers::single(&server.url()).expect("a valid URL");
    RedisLedger::new(servers, RedisLedgerConfig::new("tests"))
}

fn request(replica: u64, seq: u64, limits: usize) -> SyncRequest {
    let report = |n: usize| Report {
        limit: 600,
        window: 60 * SECOND,
        want: 10,
        need: 10,
        cost: 1,
        ..Report::new(LimitKey::from(format!("limit {n}")))
    };
    let reports = (0..limits).map(report).collect();
    SyncRequest { seq, reports, ..SyncRequest::new(ReplicaId::new(replica)) }
}

#[tokio::test]
async fn a_redis_ledger_leases_more_limits_than_one_script_call_takes() {
    fn is_ledger(_: &impl Ledger) {}
    for program in programs() {
        let server = RedisServer::start(program).expect("the server starts");
        let ledger = ledger(&server);
        is_ledger(&ledger);
        let first = ledger.clone().oneshot(request(1, 1, 100)).await.expect("a response");
        assert_eq!((first.replicas, first.leases.len()), (1, 100));
        assert!(first.leases.iter().all(|lease| lease.permits == 600), "{program}: {first:?}");
        let second = ledger.oneshot(request(2, 1, 100)).await.expect("a response");
        assert_eq!((second.replicas, second.generation), (2, first.generation));
        assert!(second.leases.iter().all(|lease| lease.permits == 0 && lease.spare), "{program}: {second:?}");
    }
}

#[tokio::test]
async fn a_redis_ledger_delivers_events_to_a_waiting_listener() {
    for program in programs() {
        let server = RedisServer::start(program).expect("the server starts");
        let (sender, listener) = (ledger(&server), ledger(&server));
        let listen = |replica| ListenRequest {
            replica: ReplicaId::new(replica),
            after: EventId::default(),
            wait: 60 * SECOND,
        };
        let other = tokio::spawn(listener.clone().oneshot(listen(2)));
        let event = Event::Recovered { key: LimitKey::from("an endpoint") };
        let publish = SyncRequest { events: vec![event.clone()], ..request(1, 1, 0) };
        sender.clone().oneshot(publish).await.expect("a response");
        let response =
            timeout(10 * SECOND, other).await.expect("at once").expect("no panic").expect("a response");
        assert_eq!(response.events, [event], "{program}");
        let own = ListenRequest { wait: Duration::from_millis(20), ..listen(1) };
        let response = sender.oneshot(own).await.expect("a response");
        assert_eq!(response.events, [], "its own event is for the others");
        let next = ListenRequest { wait: Duration::ZERO, after: response.last, ..listen(2) };
        assert_eq!(listener.oneshot(next).await.expect("a response").events, []);
    }
}

#[tokio::test]
async fn a_redis_ledger_connects_again_after_a_restart_and_knows_of_the_loss() {
    for program in programs() {
        let mut server = RedisServer::start(program).expect("the server starts");
        let ledger = ledger(&server);
        let first = ledger.clone().oneshot(request(1, 1, 1)).await.expect("a response");
        server.kill().expect("it runs");
        let failure = ledger.clone().oneshot(request(1, 2, 1)).await.expect_err("no server");
        assert!(matches!(failure, RedisLedgerError::Server(_)), "{failure}");
        server.restart().expect("it starts");
        let second = ledger.oneshot(request(1, 3, 1)).await.expect("a response");
        assert!(second.generation > first.generation, "{program}");
    }
}

#[tokio::test]
async fn a_redis_ledger_does_not_wait_for_a_server_that_has_stopped() {
    for program in programs() {
        let server = RedisServer::start(program).expect("the server starts");
        let ledger = ledger(&server);
        ledger.clone().oneshot(request(1, 1, 1)).await.expect("a response");
        let client = redis::Client::open(server.url()).expect("a valid URL");
        let mut connection = client.get_connection().expect("a connection");
        redis::cmd("CLIENT").arg("PAUSE").arg(2_000).exec(&mut connection).expect("a pause");
        let start = Instant::now();
        let failure = ledger.clone().oneshot(request(1, 2, 1)).await.expect_err("no response");
        assert!(matches!(failure, RedisLedgerError::TimedOut), "{failure}");
        assert!(start.elapsed() < 2 * SECOND, "{program}: {:?}", start.elapsed());
        drop((ledger, server));
    }
}

#[tokio::test]
async fn a_redis_ledger_describes_its_server() {
    let names = [("redis-server", "Redis "), ("valkey-server", "Valkey ")];
    for (program, name) in names.into_iter().filter(|(program, _)| programs().contains(program)) {
        let server = RedisServer::start(program).expect("the server starts");
        let info = ledger(&server).info().await.expect("a response");
        assert!(info.version.starts_with(name), "{info:?}");
        assert_eq!(info.eviction.as_deref(), Some("noeviction"));
    }
}

#[tokio::test]
async fn a_redis_ledger_has_all_keys_in_one_slot_of_a_cluster() {
    for program in programs() {
        let server = RedisServer::start_cluster(program).expect("the server starts");
        let nodes = vec![server.cluster_url().into_connection_info().expect("a valid URL")];
        let ledger = RedisLedger::new(Servers::Cluster(nodes), RedisLedgerConfig::new("tests"));
        let response = ledger.clone().oneshot(request(1, 1, 40)).await.expect("a response");
        assert_eq!((response.replicas, response.leases.len()), (1, 40), "{program}");
        let event = Event::Recovered { key: LimitKey::from("an endpoint") };
        let publish = SyncRequest { events: vec![event.clone()], ..request(1, 2, 0) };
        ledger.clone().oneshot(publish).await.expect("a response");
        let listen = ListenRequest { replica: ReplicaId::new(2), after: EventId::default(), wait: SECOND };
        let heard = ledger.clone().oneshot(listen).await.expect("a response");
        assert_eq!(heard.events, [event], "{program}");
        let next = ListenRequest { wait: Duration::from_millis(50), after: heard.last, ..listen };
        assert_eq!(ledger.oneshot(next).await.expect("a response").events, [], "{program}");
    }
}
