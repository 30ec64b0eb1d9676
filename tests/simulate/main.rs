//! Guarantees of the balancer, tested on complete trees over simulated upstreams. Every run is seeded and its clock
//! is paused: the figures are reproducible.
//!
//! docs/performance.md contains the full figures (ten minutes, three seeds) of `tollgate simulate`. The runs here are
//! shorter, with fewer seeds or smaller limits.
//!
//! `cargo test` leaves this program out: unoptimised it takes more than four minutes of processor time, optimised some
//! seconds. `tests/run` runs `cargo test --profile profiling --test simulate`.
#![cfg(test)]

mod replicas;

use std::time::Duration;

use tollgate::{
    config::{Config, RoutingStrategy},
    simulate::{ArrivalPattern, Outage, Report, Scenario, ServerWindow, TokenRange, Traffic, Upstreams, run},
};

const WINDOWS: [ServerWindow; 5] =
    [ServerWindow::S1, ServerWindow::S10, ServerWindow::S60, ServerWindow::Fixed, ServerWindow::Bucket];

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn config(yaml: &str) -> Config {
    Config::from_yaml(yaml, "inline.yaml", &|_| None).expect("a configuration").0
}

/// Returns a group of deployments with these limits, such as `rpm: 600`.
fn group(provider: &str, limits: &[&str]) -> Config {
    let deployments = limits.iter().zip('a'..).map(|(limits, name)| {
        let base = format!("https://{name}.example");
        format!(
            "  - model_name: chat\n    litellm_params: \
             {{model: {provider}/{name}, api_base: \"{base}\", api_key: none, {limits}}}\n"
        )
    });
    config(&format!("model_list:\n{}", deployments.collect::<String>()))
}

/// Returns four deployments with 27 requests per second in total.
fn four() -> Config {
    group("openai", &["rpm: 600", "rpm: 600", "rpm: 300", "rpm: 120"])
}

/// Returns four deployments with 11 requests per second in total, in the same proportions.
fn small() -> Config {
    group("openai", &["rpm: 240", "rpm: 240", "rpm: 120", "rpm: 60"])
}

fn scenario(per_second: f64, duration: Duration, window: ServerWindow, seed: u64) -> Scenario {
    let upstreams = Upstreams { window, ..Upstreams::default() };
    Scenario { upstreams, seed, ..Scenario::new(Traffic::new(per_second), duration) }
}

fn report(config: &Config, scenario: &Scenario) -> Report {
    run(config, scenario).expect("a run")
}

fn azure() -> Config {
    config(include_str!("../../examples/azure.yaml"))
}

#[test]
fn simulate_at_90_percent_of_the_limit_serves_all_requests_under_every_window() {
    for (window, longest) in WINDOWS.into_iter().zip([900, 600, 50, 50, 900]) {
        let report = report(&four(), &scenario(0.9 * 27.0, minutes(4), window, 1));
        let p99 = report.clients.wait(0.99);
        assert!(report.refused_per_thousand() <= 3.0, "{window:?}\n{report}");
        assert!(report.clients.success() >= 0.999, "{window:?}\n{report}");
        assert!(p99 <= Duration::from_millis(longest), "{window:?}: {p99:?}\n{report}");
    }
}

#[test]
fn simulate_at_120_percent_uses_nearly_all_of_the_limit() {
    for (window, least) in WINDOWS.into_iter().zip([0.97, 0.99, 0.99, 0.99, 0.97]) {
        let report = report(&four(), &scenario(1.2 * 27.0, minutes(3), window, 5));
        let part = report.used_limit();
        assert!(part >= least, "{window:?}: {part}\n{report}");
        assert!(report.clients.refused > 0, "{window:?}\n{report}");
        assert_eq!(
            (report.clients.without_retry_after, report.clients.failed),
            (0, 0),
            "{window:?}\n{report}"
        );
        assert!(report.refused_per_thousand() <= 5.0, "{window:?}\n{report}");
    }
}

#[test]
fn simulate_a_refused_client_that_returns_after_retry_after_is_admitted() {
    let config = small();
    for (seed, window) in (0..20).zip(WINDOWS.into_iter().cycle()) {
        // Each run ends at another moment of the minute.
        let duration = Duration::from_secs(70 + 3 * seed);
        let report = report(&config, &scenario(1.3 * 11.0, duration, window, seed));
        let returned = report.returned.expect("one is refused soon, at thirty percent too much");
        let waited = returned.waited.expect("it is served");
        assert!(waited <= Duration::from_millis(5), "{window:?}, {seed}: {returned:?}\n{report}");
    }
}

#[test]
fn simulate_a_client_refused_when_windows_grew_is_admitted_after_retry_after() {
    let config = small();
    // After ten minutes without a refusal each deployment gets more calls than before, and refuses once.
    for (window, seconds, seed) in [
        (ServerWindow::S1, 600, 2),
        (ServerWindow::S10, 602, 2),
        (ServerWindow::S10, 606, 1),
        (ServerWindow::S10, 604, 3),
        (ServerWindow::Bucket, 600, 1),
    ] {
        let report = report(&config, &scenario(1.3 * 11.0, Duration::from_secs(seconds), window, seed));
        let returned = report.returned.expect("one is refused soon, at thirty percent too much");
        let waited = returned.waited.expect("it is served");
        assert!(waited <= Duration::from_millis(5), "{window:?}, {seconds}, {seed}: {returned:?}\n{report}");
        assert!(
            returned.retry_after <= Duration::from_secs(6),
            "{window:?}, {seconds}, {seed}: {returned:?}"
        );
    }
}

#[test]
fn simulate_an_hour_has_at_most_one_learned_refusal_in_ten_minutes() {
    // With limits as small as these, Poisson arrivals at 90 % would at times exceed the queue.
    let report = report(&small(), &scenario(0.8 * 11.0, minutes(60), ServerWindow::S1, 3));
    for row in &report.deployments {
        // Refusals are looked for at each arrival, and recorded in whole seconds.
        let close = row.learned_refusals.windows(2).any(|pair| pair[1] - pair[0] < 598);
        assert!(
            !close && row.learned_refusals.len() <= 6,
            "{}: {:?}\n{report}",
            row.model,
            row.learned_refusals
        );
        assert!(!row.learned_refusals.is_empty(), "{}: nothing was learned\n{report}", row.model);
    }
    assert!(report.refused_per_thousand() <= 3.0, "{report}");
    assert!(report.clients.success() >= 0.999, "{report}");
}

#[test]
fn simulate_the_owners_configuration_serves_1440_even_requests_a_minute() {
    let mut scenario = scenario(24.0, minutes(20), ServerWindow::S60, 1);
    scenario.traffic.pattern = ArrivalPattern::Even;
    no_refusal(&report(&azure(), &scenario));
}

#[test]
fn simulate_the_owners_configuration_serves_1380_random_requests_a_minute() {
    // At 95 % some seeds have a minute with more requests than the limit and the queue allow; no gateway can serve
    // those.
    no_refusal(&report(&azure(), &scenario(23.0, minutes(10), ServerWindow::Fixed, 1)));
}

fn no_refusal(report: &Report) {
    assert!(report.deployments.iter().all(|row| row.sent() > 0 && row.refused() == 0), "{report}");
    assert_eq!(report.clients.served, report.clients.requests, "{report}");
}

#[test]
fn simulate_uses_all_tokens_however_the_server_counts_them() {
    for provider in ["azure", "openai"] {
        let config = group(provider, &["tpm: 600000", "tpm: 300000"]);
        let mut scenario = scenario(4.0, minutes(10), ServerWindow::S60, 7);
        scenario.traffic.prompt = TokenRange::between(10, 8_000);
        scenario.traffic.output = TokenRange::between(16, 4_096);
        let report = report(&config, &scenario);
        for row in &report.deployments {
            let used = row.utilisation().expect("it has a limit");
            assert!((0.95..=1.0).contains(&used), "{provider}, {}: {used}\n{report}", row.model);
            assert_eq!((row.meters.reserved, row.meters.in_flight), (0, 0), "{provider}\n{report}");
        }
        assert!(report.refused_per_thousand() <= 5.0, "{provider}\n{report}");
        assert_eq!(report.clients.failed, 0, "{provider}\n{report}");
    }
}

/// Returns the fraction of all calls within `seconds` that went to the deployment `which`.
fn share(report: &Report, which: usize, seconds: std::ops::Range<usize>) -> f64 {
    let sent =
        |row: usize| report.deployments[row].seconds[seconds.clone()].iter().map(|s| s.sent).sum::<u32>();
    f64::from(sent(which)) / f64::from((0..report.deployments.len()).map(sent).sum::<u32>())
}

#[test]
fn simulate_a_slow_deployment_gets_a_smaller_share_until_it_recovers() {
    let config = group("openai", &["rpm: 600", "rpm: 600", "rpm: 600"]);
    let mut scenario = scenario(15.0, minutes(2), ServerWindow::S60, 4);
    let slow: Outage = "chat/2@40-60x10".parse().expect("an outage");
    scenario.upstreams.outages.push(slow);
    let report = report(&config, &scenario);
    let fair = 1.0 / 3.0;
    assert!((0.8 * fair..1.2 * fair).contains(&share(&report, 1, 10..40)), "{report}");
    assert!(share(&report, 1, 43..60) < 0.4 * fair, "{}\n{report}", share(&report, 1, 43..60));
    assert!(share(&report, 1, 90..120) > 0.8 * fair, "{}\n{report}", share(&report, 1, 90..120));
    for row in 0..3 {
        assert!(share(&report, row, 43..60) > 0.0, "{report}");
    }
    assert_eq!(report.clients.served, report.clients.requests, "{report}");
}

#[test]
fn simulate_an_outage_of_one_deployment_fails_no_request() {
    let config = group("openai", &["rpm: 600", "rpm: 600", "rpm: 600"]);
    let mut scenario = scenario(12.0, minutes(2), ServerWindow::S60, 4);
    scenario.upstreams.outages.push("chat/1@30-60".parse().expect("an outage"));
    let report = report(&config, &scenario);
    assert!(report.deployments[0].failed() > 0, "{report}");
    assert_eq!(report.clients.served, report.clients.requests, "{report}");
    let calls =
        |from: usize| report.deployments[0].seconds[from..from + 20].iter().map(|s| s.sent).sum::<u32>();
    assert!(calls(35) < 20 && calls(95) > 60, "{} and {}\n{report}", calls(35), calls(95));
}

#[test]
fn simulate_simple_shuffle_keeps_the_limits() {
    let mut config = four();
    config.settings.strategy = RoutingStrategy::SimpleShuffle;
    let report = report(&config, &scenario(0.9 * 27.0, minutes(2), ServerWindow::S60, 2));
    assert!(report.clients.success() >= 0.999, "{report}");
    assert_eq!(report.refused_per_thousand(), 0.0, "{report}");
}

#[test]
fn simulate_the_same_seed_gives_the_same_report() {
    let once =
        |seed| report(&four(), &scenario(30.0, Duration::from_secs(20), ServerWindow::S1, seed)).to_string();
    assert_eq!(once(1), once(1));
    assert_ne!(once(1), once(2));
}

#[test]
fn simulate_reports_what_it_cannot_simulate() {
    let mut scenario = scenario(1.0, minutes(1), ServerWindow::S60, 1);
    scenario.traffic.group = Some("unknown".to_owned());
    assert!(run(&four(), &scenario).is_err());
    scenario.traffic.group = None;
    scenario.upstreams.outages.push("chat/9@0-1".parse().expect("an outage"));
    let error = run(&four(), &scenario).expect_err("there is no ninth");
    assert!(error.to_string().contains("chat/9"), "{error}");
    for wrong in ["chat/1", "1@0-9", "chat/1@9-3", "chat/1@1-2x0.5", "chat/1@a-b"] {
        assert!(wrong.parse::<Outage>().is_err(), "{wrong}");
    }
}

#[test]
fn simulate_reports_name_deployments_of_one_model_by_their_ids() {
    let config = config(
        "model_list:\n- &one {model_name: chat, litellm_params: {model: openai/gpt-4o, api_key: none}}\n- *one\n",
    );
    let shown = report(&config, &scenario(1.0, minutes(1), ServerWindow::S60, 1)).to_string();
    let ids: Vec<_> = config.groups[0].deployments.iter().map(|deployment| &*deployment.id).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
    let table = shown.lines().skip(1).take_while(|line| !line.is_empty());
    let named: Vec<_> = table.filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(named, ids, "{shown}");
}

#[test]
fn simulate_names_the_known_groups_when_a_group_does_not_exist() {
    let mut scenario = scenario(1.0, minutes(1), ServerWindow::S60, 1);
    scenario.traffic.group = Some("caht".to_owned());
    let error = run(&four(), &scenario).expect_err("no such group").to_string();
    assert_eq!(error, "there is no group `caht`; the groups are `chat`");
}
