//! Tests of the rules of the ledger, one for each.

use std::time::Duration;

use super::world::{LEASE_TIME, World};
use crate::ledger::{
    AGES, Event, Lease, LedgerConfig, LimitKey, ListenRequest, ReplicaId, Report, SyncRequest,
};
use crate::ledger::{EventId, local::state::LedgerState};

/// The reports of replicas that are written by hand.
struct Book {
    state: LedgerState,
    now: u64,
    seq: u64,
}

const KEY: &str = "tokens";

fn tokens(limit: u64) -> Report {
    Report { limit, window: Duration::from_secs(60), ..Report::new(LimitKey::from(KEY)) }
}

impl Book {
    fn new() -> Self {
        Self { state: LedgerState::new(LedgerConfig::default()), now: 1, seq: 0 }
    }

    fn sync(&mut self, replica: u64, report: Report) -> Lease {
        self.seq += 1;
        let request =
            SyncRequest { seq: self.seq, reports: vec![report], ..SyncRequest::new(ReplicaId::new(replica)) };
        self.state.sync(&request, self.now).0.leases[0]
    }

    fn due(&self, replica: u64) -> usize {
        let request = ListenRequest {
            replica: ReplicaId::new(replica),
            after: EventId::default(),
            wait: Duration::ZERO,
        };
        let due = Event::SyncDue { key: LimitKey::from(KEY) };
        self.state.events.read(&request, self.now).events.iter().filter(|event| **event == due).count()
    }
}

#[test]
fn a_ledger_deals_spare_permits_by_need() {
    let mut book = Book::new();
    book.sync(1, Report { need: 30, want: 30, ..tokens(100) });
    book.sync(2, Report { need: 10, want: 10, ..tokens(100) });
    // 60 are spare. The weights are 30 + 100 / 20 and 10 + 100 / 20.
    assert_eq!(book.sync(1, Report { held: 100, need: 30, want: 30, ..tokens(100) }).permits, 72);
    book.sync(1, Report { held: 72, need: 30, want: 30, ..tokens(100) });
    assert_eq!(book.sync(2, Report { need: 10, want: 10, ..tokens(100) }).permits, 28);
}

#[test]
fn a_ledger_divides_scarce_permits_by_need_and_the_rest_by_time_of_waiting() {
    let mut book = Book::new();
    let wants = |need: u64| Report { need, want: need, cost: 1, ..tokens(10) };
    assert_eq!(book.sync(1, wants(30)).permits, 10);
    book.now += 1;
    assert_eq!(
        book.sync(2, wants(15)),
        Lease { permits: 0, limit: 10, window: Duration::from_secs(60), epoch: 0, wanted: true, spare: true }
    );
    assert_eq!(book.due(1), 1, "the first has more than its share");
    // 30 of 45 are 6.7 of 10, 15 are 3.3: the first waits longer and gets the rest.
    let lease = book.sync(1, Report { held: 10, ..wants(30) });
    assert_eq!((lease.permits, lease.wanted), (7, true));
    book.sync(1, Report { held: 7, ..wants(30) });
    assert_eq!(book.due(2), 1, "permits are free");
    assert_eq!(book.sync(2, wants(15)).permits, 3);
}

#[test]
fn a_ledger_does_not_grant_beyond_the_target_while_another_replica_waits_below_its_own() {
    let mut book = Book::new();
    let wants = |held: u64| Report { held, need: 100, want: 100, cost: 1, ..tokens(100) };
    book.sync(1, wants(0));
    book.now += 1;
    book.sync(2, wants(0));
    assert_eq!(book.sync(1, wants(100)).permits, 50);
    // What comes back is kept for the other one, however often the first asks.
    for _ in 0..5 {
        assert_eq!(book.sync(1, wants(50)).permits, 50);
    }
    assert_eq!(book.sync(2, wants(0)).permits, 50);
}

#[test]
fn a_ledger_ignores_a_report_that_comes_after_a_later_one() {
    let mut book = Book::new();
    let report = |held: u64, want: u64| Report { held, need: want, want, ..tokens(100) };
    let late = SyncRequest { seq: 1, reports: vec![report(0, 100)], ..SyncRequest::new(ReplicaId::new(1)) };
    book.seq = 1;
    assert_eq!(book.sync(1, report(0, 40)).permits, 100);
    book.sync(2, report(0, 60));
    // The late report declares that nothing is held.
    assert_eq!(book.state.sync(&late, book.now).0.leases[0].permits, 100);
    assert_eq!(book.sync(2, report(0, 60)).permits, 0);
}

#[test]
fn a_ledger_keeps_what_comes_back_for_an_expensive_call_that_has_waited_longest() {
    let mut book = Book::new();
    let small =
        |held: u64| Report { held, used: held, need: 900, want: held + 10, cost: 10, ..tokens(1_000) };
    let large = |held: u64| Report { held, need: 800, want: 800, cost: 800, ..tokens(1_000) };
    assert_eq!(book.sync(1, Report { want: 1_000, ..small(0) }).permits, 1_000);
    book.now += 1;
    assert_eq!(book.sync(2, large(0)).permits, 0);
    // The first one's tokens come free. It does not get them again, although its calls are small and it syncs more often.
    for (used, held) in [(700, 0), (500, 0), (200, 0)] {
        book.now += 10;
        assert_eq!(book.sync(1, small(used)).permits, 200);
        assert_eq!(book.sync(2, large(held)).permits, 1_000 - used, "{used} are used by the first");
    }
    // With its turn over, the large call waits as all do.
    assert_eq!(book.sync(2, Report { used: 800, want: 1_600, need: 1_600, ..large(800) }).permits, 640);
}

#[test]
fn a_silent_replica_of_a_ledger_is_not_counted_and_its_permits_age() {
    let mut world = World::new(2, 12, 60_000);
    world.sync(0);
    world.arrive(0, 6);
    world.sync(0);
    world.kill(0);
    world.arrive(1, 12);
    let mut last = world.sync(1).map_or(0, |response| response.leases[0].permits);
    let mut grants = Vec::new();
    for second in 1..=70 {
        world.advance(1_000);
        world.sync(1);
        assert!(world.sum() <= 12);
        let lease = world.replicas[1].lease.max(world.replicas[1].used());
        if lease > last {
            grants.push((second, lease));
        }
        last = lease;
    }
    // Its six used permits are free after 60 s, and six that it may have used in the 5 s of its lease after 65 s.
    assert_eq!(grants, [(60, 6), (65, 12)]);
}

/// A twelfth of the window with its margin is longer than the lease: permits come free within it, and are used again.
#[test]
fn permits_that_a_silent_replica_may_have_used_again_stay_locked() {
    let mut book = Book::new();
    let window = Duration::from_millis(60_140);
    let report = |held: u64, want: u64| Report { window, held, need: want, want, ..tokens(100) };
    let mut ages = [0; AGES];
    ages[0] = 100;
    book.sync(1, Report { used: 100, ages, ..report(100, 100) });
    for second in 1..=64 {
        book.now += 1_000;
        assert_eq!(book.sync(2, report(0, 100)).permits, 0, "after {second} s");
    }
    book.now += 2_000;
    assert_eq!(book.sync(2, report(0, 100)).permits, 100);
}

#[test]
fn a_replica_that_shuts_down_gives_its_free_permits_back_at_once() {
    let mut world = World::new(2, 12, 60_000);
    world.sync(0);
    world.arrive(0, 6);
    world.sync(0);
    world.leave(0);
    world.deliver(0, false);
    world.arrive(1, 12);
    assert_eq!(world.sync(1).map(|response| (response.leases[0].permits, response.replicas)), Some((6, 1)));
    world.advance(60_000);
    world.sync(1);
    assert_eq!(world.replicas[1].admitted, 12);
}

#[test]
fn an_outage_of_a_ledger_is_not_the_silence_of_its_replicas() {
    let mut book = Book::new();
    let report = |held: u64, want: u64| Report { held, need: want, want, ..tokens(100) };
    book.sync(1, report(0, 50));
    book.sync(1, report(50, 50));
    book.now += 60_000;
    assert_eq!(book.sync(2, report(0, 80)).permits, 0, "the first holds its part, and the rest by need");
    book.now += LEASE_TIME;
    assert_eq!(book.sync(2, report(0, 80)).permits, 0);
}

#[test]
fn a_new_ledger_does_not_wait_and_one_that_lost_its_data_waits_for_the_grace() {
    let mut world = World::new(3, 10, 60_000);
    world.arrive(0, 20);
    world.sync(0);
    assert_eq!(world.replicas[0].lease, 10, "a cold start does not wait");
    world.ledger.clear();
    world.sync(0);
    world.arrive(1, 20);
    world.sync(1);
    assert_eq!((world.replicas[0].lease, world.replicas[1].lease), (10, 0));
    assert_eq!(world.replicas[0].generation, world.replicas[1].generation);
}
