//! Totals on a real server.

use std::time::Duration;

use tokio::time::sleep;
use tollgate_layers::ledger::{LimitKey, ReplicaId};
use tollgate_test_support::redis::{RedisServer, programs};
use tower::ServiceExt;

use super::service::ledger;
use crate::{Amount, RedisLedger, Total, TotalsRequest};

const HOUR: Duration = Duration::from_secs(3600);

fn amount(key: &str, own: u64, period: Option<Duration>) -> Amount {
    Amount { key: LimitKey::from(key), own, period }
}

async fn report(ledger: &RedisLedger, replica: u64, amounts: Vec<Amount>) -> Vec<Total> {
    let request = TotalsRequest { replica: ReplicaId::new(replica), amounts };
    ledger.clone().oneshot(request).await.expect("a response")
}

#[tokio::test]
async fn a_total_is_the_sum_of_the_last_amounts_of_all_replicas() {
    for program in programs() {
        let server = RedisServer::start(program).expect("the server starts");
        let ledger = ledger(&server);
        let mut sums = Vec::new();
        for (replica, own) in [(1, 0), (1, 5), (2, 7), (1, 5), (1, 3), (2, 1 << 52), (3, 0)] {
            let [total] = report(&ledger, replica, vec![amount("a", own, None)]).await[..] else {
                panic!("one total")
            };
            assert_eq!(total.period, None, "{program}");
            sums.push(total.sum);
        }
        let last = (1 << 52) + 5;
        assert_eq!(sums, [0, 5, 12, 12, 12, last, last], "{program}");
    }
}

#[tokio::test]
async fn the_period_of_a_total_is_that_of_its_first_amount_and_ends_it() {
    for program in programs() {
        let server = RedisServer::start(program).expect("the server starts");
        let ledger = ledger(&server);
        let first = report(&ledger, 1, vec![amount("a", 5, Some(HOUR)), amount("b", 0, Some(HOUR))]).await;
        assert!(first[0].period.is_some_and(|rest| rest <= HOUR && rest > HOUR / 2), "{program}: {first:?}");
        assert_eq!(first[1], Total { sum: 0, period: None }, "nothing begins a period of its own");
        let second = report(&ledger, 2, vec![amount("a", 6, Some(2 * HOUR))]).await;
        assert!(second[0].sum == 11 && second[0].period <= first[0].period, "{program}: {second:?}");
        let short = Duration::from_millis(30);
        report(&ledger, 1, vec![amount("c", 9, Some(short))]).await;
        let mut tries = 0;
        while report(&ledger, 2, vec![amount("c", 0, None)]).await[0].sum > 0 {
            tries += 1;
            assert!(tries < 100, "{program}: the period does not end");
            sleep(short).await;
        }
    }
}

#[tokio::test]
async fn totals_are_more_than_one_script_call_takes() {
    for program in programs() {
        let server = RedisServer::start(program).expect("the server starts");
        let ledger = ledger(&server);
        let amounts = || (0..100).map(|n| amount(&format!("key {n}"), n, None)).collect();
        report(&ledger, 1, amounts()).await;
        let totals = report(&ledger, 2, amounts()).await;
        let sums: Vec<u64> = totals.iter().map(|total| total.sum).collect();
        assert_eq!(sums, (0..100).map(|n| 2 * n).collect::<Vec<_>>(), "{program}");
    }
}
