//! Windows that one replica learns and all keep.

use std::time::Duration;

use crate::ledger::{
    Lease, LedgerConfig, LimitKey, ReplicaId, Report, SyncRequest, local::state::LedgerState,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn minute() -> Report {
    Report { limit: 600, window: MINUTE, ..Report::new(LimitKey::from("requests")) }
}

fn second() -> Report {
    Report { limit: 10, window: SECOND, wider: Some(MINUTE), ..minute() }
}

struct Book(LedgerState, u64);

impl Book {
    fn sync(&mut self, replica: u64, now: u64, report: Report) -> Lease {
        self.1 += 1;
        let replica = SyncRequest::new(ReplicaId::new(replica));
        self.0.sync(&SyncRequest { seq: self.1, reports: vec![report], ..replica }, now).0.leases[0]
    }
}

/// Two replicas with half of the minute each, of which the second learns a window.
fn learned() -> Book {
    let mut book = Book(LedgerState::new(LedgerConfig::default()), 0);
    let half = Report { need: 300, want: 300, ..minute() };
    book.sync(1, 1, half.clone());
    book.sync(2, 1, half.clone());
    assert_eq!(book.sync(1, 1, Report { held: 600, ..half.clone() }).permits, 300);
    book.sync(1, 1, Report { held: 300, ..half.clone() });
    assert_eq!(book.sync(2, 1, half).permits, 300);
    let taught = Report { learned: true, need: 20, want: 20, used: 5, held: 5, ..second() };
    let lease = book.sync(2, 2, taught);
    assert_eq!(
        (lease.permits, lease.limit, lease.window, lease.epoch),
        (0, 10, SECOND, 1),
        "the other may use its part"
    );
    book
}

#[test]
fn a_window_that_one_replica_of_a_ledger_learned_closes_the_others_until_they_declare() {
    let mut book = learned();
    let lease = book.sync(1, 3, Report { held: 300, used: 100, want: 120, need: 120, ..minute() });
    assert_eq!((lease.permits, lease.window, lease.epoch), (0, SECOND, 1));
    let lease = book.sync(1, 4, Report { held: 2, used: 2, want: 12, need: 20, epoch: 1, ..second() });
    assert_eq!(lease.permits, 5, "half of ten, as both need 20");
}

#[test]
fn an_old_window_does_not_undo_a_longer_one_in_a_ledger() {
    let mut book = learned();
    let known = |epoch: u64| Report { epoch, held: 2, used: 2, want: 2, need: 2, ..second() };
    assert_eq!(book.sync(1, 3, known(1)).window, SECOND);
    // Ten clean minutes; each replica stays in touch.
    for tick in 1..600 {
        book.sync(1, 3 + tick * 1_000, known(1));
        book.sync(2, 3 + tick * 1_000, known(1));
    }
    let lease = book.sync(1, 600_002, known(1));
    assert_eq!((lease.permits, lease.window, lease.epoch), (0, MINUTE, 2));
    assert_eq!(book.sync(2, 600_003, known(1)).window, MINUTE, "a report of before");
    let lease = book.sync(1, 600_004, Report { epoch: 2, want: 50, need: 50, ..minute() });
    assert_eq!(
        (lease.permits, lease.limit),
        (480, 600),
        "two a second may be used by the other, 120 a minute"
    );
    // A refusal makes it narrower again.
    let lease = book.sync(2, 600_005, Report { learned: true, ..known(2) });
    assert_eq!((lease.window, lease.epoch), (SECOND, 3));
}

#[test]
fn a_configured_window_is_the_longest_that_a_ledger_counts_over() {
    let mut book = Book(LedgerState::new(LedgerConfig::default()), 0);
    book.sync(1, 1, minute());
    let lease = book.sync(2, 1, Report { wider: None, ..second() });
    assert_eq!((lease.window, lease.epoch), (SECOND, 1));
}

#[test]
fn the_epoch_of_a_window_survives_a_loss_of_the_ledgers_data() {
    let mut book = learned();
    book.0.clear();
    assert_eq!(book.sync(1, 3, minute()).window, MINUTE);
    let lease = book.sync(2, 3, Report { epoch: 1, ..second() });
    assert_eq!((lease.window, lease.epoch), (SECOND, 1));
}
