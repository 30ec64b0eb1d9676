//! Replicas that share limits through a ledger, with its faults and theirs. docs/replicas.md has the figures of longer runs.

use tollgate::simulate::{Kill, LedgerOutage, ReplicaLoads, Replicas};

use super::*;

/// The loads of four gateways: one of them has most of it.
const UNEVEN: &str = "70,10,10,10";

/// Returns a run of four replicas at this part of a limit of 600 requests in any minute.
fn shared(load: f64, duration: Duration, faults: Replicas) -> Report {
    let config = group("openai", &["rpm: 600, rate_window: 60"]);
    let replicas = Some(Replicas { loads: UNEVEN.parse().expect("four loads"), ..faults });
    report(&config, &Scenario { replicas, ..scenario(load * 10.0, duration, ServerWindow::S60, 3) })
}

/// Returns the number of calls that the upstream received in these seconds.
fn received(report: &Report, seconds: std::ops::Range<usize>) -> u32 {
    report.deployments[0].seconds[seconds].iter().map(|second| second.sent).sum()
}

fn kept_the_limit(report: &Report) {
    assert!(report.fullest().expect("the upstream counts") <= 1.0, "{report}");
    assert_eq!(report.deployments[0].refused(), 0, "{report}");
}

#[test]
fn simulate_replicas_use_all_of_a_limit_and_no_more() {
    let report = shared(1.2, minutes(4), Replicas::default());
    kept_the_limit(&report);
    assert!(received(&report, 60..240) >= 1_790, "{} of 1,800\n{report}", received(&report, 60..240));
    assert_eq!(report.clients.failed, 0, "{report}");
    let replicas = report.replicas.as_ref().expect("four");
    let counted = replicas.clock_windows.expect("the window slides");
    assert!(counted.fullest.expect("the window slides") > 1.03, "{report}");
    assert!(replicas.each[0].requests > 5 * replicas.each[1].requests, "{report}");
    let shown = report.to_string();
    assert!(shown.contains("counted in clock windows of 60 s"), "{shown}");
}

#[test]
fn simulate_replicas_at_90_percent_of_a_limit_wait_for_nothing() {
    let report = shared(0.9, minutes(3), Replicas::default());
    kept_the_limit(&report);
    assert_eq!(report.clients.wait(0.5), Duration::ZERO, "{report}");
    assert_eq!(report.clients.failed, 0, "{report}");
}

#[test]
fn simulate_an_outage_of_the_ledger_costs_replicas_nothing() {
    let outage = LedgerOutage { from: minutes(2), until: minutes(3) };
    let report = shared(1.2, minutes(4), Replicas { ledger_outages: vec![outage], ..Replicas::default() });
    kept_the_limit(&report);
    assert!(received(&report, 120..180) >= 585, "{} of 600\n{report}", received(&report, 120..180));
    assert!(received(&report, 180..240) >= 585, "{} of 600\n{report}", received(&report, 180..240));
    let counted = report.replicas.as_ref().and_then(|replicas| replicas.clock_windows?.fullest);
    assert!(counted.expect("the window slides") > 1.15, "each counts alone\n{report}");
}

#[test]
fn simulate_a_killed_replica_leaves_its_permits_to_the_others() {
    let kill = Kill { replica: 1, at: minutes(2) };
    let report = shared(1.2, minutes(5), Replicas { kills: vec![kill], ..Replicas::default() });
    kept_the_limit(&report);
    let served = received(&report, 120..240);
    assert!(served >= 1_140, "{served} of 1,200\n{report}");
    let first = &report.replicas.as_ref().expect("four").each[0];
    assert!(first.killed == Some(minutes(2)) && first.failed > 0, "{report}");
    assert_eq!(report.clients.failed, first.failed, "{report}");
}

#[test]
fn simulate_fewer_permits_than_replicas_go_to_each_in_its_turn() {
    let config = group("openai", &["rpm: 6, rate_window: 60"]);
    let replicas = Some(Replicas { loads: ReplicaLoads::equal(8), ..Replicas::default() });
    let report = report(&config, &Scenario { replicas, ..scenario(0.5, minutes(30), ServerWindow::S60, 3) });
    kept_the_limit(&report);
    assert!(report.used_limit() >= 0.93, "{report}");
    for replica in &report.replicas.as_ref().expect("eight").each {
        assert!((10..=40).contains(&replica.served), "{report}");
    }
}

#[test]
fn simulate_replicas_with_the_same_seed_gives_the_same_report() {
    let once = |seed| {
        let replicas = Some(Replicas { loads: ReplicaLoads::equal(3), ..Replicas::default() });
        let scenario = scenario(30.0, Duration::from_secs(20), ServerWindow::S1, seed);
        report(&four(), &Scenario { replicas, ..scenario }).json()
    };
    assert_eq!(once(1), once(1));
    assert_ne!(once(1), once(2));
}

#[test]
fn simulate_reports_replicas_that_it_cannot_kill() {
    let error = |replicas: &[usize]| {
        let kills = replicas.iter().map(|replica| Kill { replica: *replica, at: minutes(1) }).collect();
        let replicas = Some(Replicas { loads: ReplicaLoads::equal(2), kills, ..Replicas::default() });
        let scenario = Scenario { replicas, ..scenario(1.0, minutes(1), ServerWindow::S60, 1) };
        run(&four(), &scenario).expect_err("an invalid kill").to_string()
    };
    assert_eq!(error(&[3]), "there is no replica 3: the replicas are 1 to 2");
    assert_eq!(error(&[1, 2]), "all replicas are killed: at least one must remain");
}
