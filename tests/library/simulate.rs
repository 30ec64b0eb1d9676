//! What the balancer promises, shown on whole trees over simulated upstreams. Every run is seeded and its clock is
//! paused: the figures are the same each time.
//!
//! The full figures (ten minutes, three seeds) stand in the README, made by `tollgate simulate`; here the same runs are
//! shorter, with fewer seeds or with smaller limits, so that a debug build is through in a minute.

use std::time::Duration;

use tollgate::{
    config::{Config, RoutingStrategy},
    simulate::{Pattern, Report, Scenario, Tokens, Traffic, Trouble, Upstreams, Window, run},
};

const WINDOWS: [Window; 5] = [Window::S1, Window::S10, Window::S60, Window::Fixed, Window::Bucket];

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

fn config(yaml: &str) -> Config {
    Config::from_yaml(yaml, "inline.yaml", &|_| None).expect("a configuration").0
}

/// One group over deployments of these limits: `rpm: 600` and the like.
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

/// 27 requests a second in all.
fn four() -> Config {
    group("openai", &["rpm: 600", "rpm: 600", "rpm: 300", "rpm: 120"])
}

/// 11 a second, in the same steps.
fn small() -> Config {
    group("openai", &["rpm: 240", "rpm: 240", "rpm: 120", "rpm: 60"])
}

fn scenario(per_second: f64, lasts: Duration, window: Window, seed: u64) -> Scenario {
    let upstreams = Upstreams { window, ..Upstreams::default() };
    Scenario { upstreams, seed, ..Scenario::new(Traffic::new(per_second), lasts) }
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
        assert!(report.refused_in_a_thousand() <= 3.0, "{window:?}\n{report}");
        assert!(report.clients.success() >= 0.999, "{window:?}\n{report}");
        assert!(p99 <= Duration::from_millis(longest), "{window:?}: {p99:?}\n{report}");
    }
}

#[test]
fn simulate_at_120_percent_uses_nearly_all_of_the_limit() {
    for (window, least) in WINDOWS.into_iter().zip([0.97, 0.99, 0.99, 0.99, 0.97]) {
        let report = report(&four(), &scenario(1.2 * 27.0, minutes(3), window, 5));
        let part = report.part_of_the_limit();
        assert!(part >= least, "{window:?}: {part}\n{report}");
        assert!(report.clients.refused > 0, "{window:?}\n{report}");
        assert_eq!((report.clients.untold, report.clients.failed), (0, 0), "{window:?}\n{report}");
        assert!(report.refused_in_a_thousand() <= 5.0, "{window:?}\n{report}");
    }
}

#[test]
fn simulate_a_refused_client_that_returns_after_retry_after_is_admitted() {
    let config = small();
    for (seed, window) in (0..20).zip(WINDOWS.into_iter().cycle()) {
        // Each at another moment of the minute.
        let lasts = Duration::from_secs(70 + 3 * seed);
        let report = report(&config, &scenario(1.3 * 11.0, lasts, window, seed));
        let returned = report.returned.expect("one is refused soon, at thirty percent too much");
        let waited = returned.waited.expect("it is served");
        assert!(waited <= Duration::from_millis(5), "{window:?}, {seed}: {returned:?}\n{report}");
    }
}

#[test]
fn simulate_a_client_refused_when_windows_grew_is_admitted_after_retry_after() {
    let config = small();
    // After ten clean minutes each deployment is asked for more than before, and refuses once.
    for (window, seconds, seed) in [
        (Window::S1, 600, 2),
        (Window::S10, 602, 2),
        (Window::S10, 606, 1),
        (Window::S10, 604, 3),
        (Window::Bucket, 600, 1),
    ] {
        let report = report(&config, &scenario(1.3 * 11.0, Duration::from_secs(seconds), window, seed));
        let returned = report.returned.expect("one is refused soon, at thirty percent too much");
        let waited = returned.waited.expect("it is served");
        assert!(waited <= Duration::from_millis(5), "{window:?}, {seconds}, {seed}: {returned:?}\n{report}");
        assert!(returned.told <= Duration::from_secs(6), "{window:?}, {seconds}, {seed}: {returned:?}");
    }
}

#[test]
fn simulate_an_hour_has_at_most_one_learned_refusal_in_ten_minutes() {
    // Of limits as small as these, Poisson arrivals at 90 % would at times want more than the queue holds.
    let report = report(&small(), &scenario(0.8 * 11.0, minutes(60), Window::S1, 3));
    for row in &report.deployments {
        // They are looked for when a request comes, and written down in whole seconds.
        let close = row.lessons.windows(2).any(|pair| pair[1] - pair[0] < 598);
        assert!(!close && row.lessons.len() <= 6, "{}: {:?}\n{report}", row.model, row.lessons);
        assert!(!row.lessons.is_empty(), "{}: nothing was learned\n{report}", row.model);
    }
    assert!(report.refused_in_a_thousand() <= 3.0, "{report}");
    assert!(report.clients.success() >= 0.999, "{report}");
}

#[test]
fn simulate_the_owners_configuration_serves_1440_even_requests_a_minute() {
    let mut scenario = scenario(24.0, minutes(20), Window::S60, 1);
    scenario.traffic.pattern = Pattern::Even;
    no_refusal(&report(&azure(), &scenario));
}

#[test]
fn simulate_the_owners_configuration_serves_1380_random_requests_a_minute() {
    // At 95 % some seeds ask in one minute for more than the limit and the queue can hold; no gateway serves those.
    no_refusal(&report(&azure(), &scenario(23.0, minutes(10), Window::Fixed, 1)));
}

fn no_refusal(report: &Report) {
    assert!(report.deployments.iter().all(|row| row.sent() > 0 && row.refused() == 0), "{report}");
    assert_eq!(report.clients.served, report.clients.asked, "{report}");
}

#[test]
fn simulate_uses_all_tokens_however_the_server_counts_them() {
    for provider in ["azure", "openai"] {
        let config = group(provider, &["tpm: 600000", "tpm: 300000"]);
        let mut scenario = scenario(4.0, minutes(10), Window::S60, 7);
        scenario.traffic.prompt = Tokens::between(10, 8_000);
        scenario.traffic.output = Tokens::between(16, 4_096);
        let report = report(&config, &scenario);
        for row in &report.deployments {
            let used = row.utilisation().expect("it has a limit");
            assert!((0.95..=1.0).contains(&used), "{provider}, {}: {used}\n{report}", row.model);
            assert_eq!((row.meters.reserved, row.meters.in_flight), (0, 0), "{provider}\n{report}");
        }
        assert!(report.refused_in_a_thousand() <= 5.0, "{provider}\n{report}");
        assert_eq!(report.clients.failed, 0, "{provider}\n{report}");
    }
}

/// What part of all calls from one second to another this deployment had.
fn share(report: &Report, which: usize, seconds: std::ops::Range<usize>) -> f64 {
    let sent =
        |row: usize| report.deployments[row].seconds[seconds.clone()].iter().map(|s| s.sent).sum::<u32>();
    f64::from(sent(which)) / f64::from((0..report.deployments.len()).map(sent).sum::<u32>())
}

#[test]
fn simulate_a_slow_deployment_gets_a_smaller_share_until_it_recovers() {
    let config = group("openai", &["rpm: 600", "rpm: 600", "rpm: 600"]);
    let mut scenario = scenario(15.0, minutes(2), Window::S60, 4);
    let slow: Trouble = "chat/2@40-60x10".parse().expect("a trouble");
    scenario.upstreams.troubles.push(slow);
    let report = report(&config, &scenario);
    let fair = 1.0 / 3.0;
    assert!((0.8 * fair..1.2 * fair).contains(&share(&report, 1, 10..40)), "{report}");
    assert!(share(&report, 1, 43..60) < 0.4 * fair, "{}\n{report}", share(&report, 1, 43..60));
    assert!(share(&report, 1, 90..120) > 0.8 * fair, "{}\n{report}", share(&report, 1, 90..120));
    for row in 0..3 {
        assert!(share(&report, row, 43..60) > 0.0, "{report}");
    }
    assert_eq!(report.clients.served, report.clients.asked, "{report}");
}

#[test]
fn simulate_an_outage_of_one_deployment_fails_no_request() {
    let config = group("openai", &["rpm: 600", "rpm: 600", "rpm: 600"]);
    let mut scenario = scenario(12.0, minutes(2), Window::S60, 4);
    scenario.upstreams.troubles.push("chat/1@30-60".parse().expect("a trouble"));
    let report = report(&config, &scenario);
    assert!(report.deployments[0].failed() > 0, "{report}");
    assert_eq!(report.clients.served, report.clients.asked, "{report}");
    let calls =
        |from: usize| report.deployments[0].seconds[from..from + 20].iter().map(|s| s.sent).sum::<u32>();
    assert!(calls(35) < 20 && calls(95) > 60, "{} and {}\n{report}", calls(35), calls(95));
}

#[test]
fn simulate_simple_shuffle_keeps_the_limits() {
    let mut config = four();
    config.settings.strategy = RoutingStrategy::SimpleShuffle;
    let report = report(&config, &scenario(0.9 * 27.0, minutes(2), Window::S60, 2));
    assert!(report.clients.success() >= 0.999, "{report}");
    assert_eq!(report.refused_in_a_thousand(), 0.0, "{report}");
}

#[test]
fn simulate_the_same_seed_gives_the_same_report() {
    let once = |seed| report(&four(), &scenario(30.0, Duration::from_secs(20), Window::S1, seed)).to_string();
    assert_eq!(once(1), once(1));
    assert_ne!(once(1), once(2));
}

#[test]
fn simulate_reports_what_it_cannot_simulate() {
    let mut scenario = scenario(1.0, minutes(1), Window::S60, 1);
    scenario.traffic.group = Some("nobody".to_owned());
    assert!(run(&four(), &scenario).is_err());
    scenario.traffic.group = None;
    scenario.upstreams.troubles.push("chat/9@0-1".parse().expect("a trouble"));
    let error = run(&four(), &scenario).expect_err("there is no ninth");
    assert!(error.to_string().contains("chat/9"), "{error}");
    for wrong in ["chat/1", "1@0-9", "chat/1@9-3", "chat/1@1-2x0.5", "chat/1@a-b"] {
        assert!(wrong.parse::<Trouble>().is_err(), "{wrong}");
    }
}

#[test]
fn simulate_reports_number_deployments_of_one_model() {
    let report = report(
        &config(
            "model_list:\n- &one {model_name: chat, litellm_params: {model: openai/gpt-4o, api_key: none}}\n- *one\n",
        ),
        &scenario(1.0, minutes(1), Window::S60, 1),
    );
    let shown = report.to_string();
    assert!(shown.contains("chat/1 gpt-4o ") && shown.contains("chat/2 gpt-4o "), "{shown}");
}

#[test]
fn simulate_names_the_known_groups_when_a_group_does_not_exist() {
    let mut scenario = scenario(1.0, minutes(1), Window::S60, 1);
    scenario.traffic.group = Some("caht".to_owned());
    let error = run(&four(), &scenario).expect_err("no such group").to_string();
    assert_eq!(error, "there is no group `caht`; the groups are `chat`");
}
