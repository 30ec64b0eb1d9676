//! A configuration of 10,000 deployments. The time of such a start is a figure of the benches.

use std::{fmt::Write, time::Duration};

use tollgate::{
    config::Config,
    stack::{self, Options},
    state::State,
};

/// Returns the processor time of this thread, which other processes do not change.
fn processor_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// Returns the processor time of a start with groups of ten deployments.
fn start(deployments: usize) -> Duration {
    let mut yaml = "model_list:\n".to_owned();
    for n in 0..deployments {
        let (group, port) = (n / 10, 10_000 + n % 5_000);
        writeln!(
            yaml,
            "- {{model_name: g{group}, litellm_params: {{model: openai/m{n}, api_base: 'http://127.0.0.1:{port}/v1', api_key: k}}}}"
        )
        .unwrap();
    }
    let before = processor_time();
    let (config, _) = Config::from_yaml(&yaml, "", &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.groups.len(), deployments / 10);
    let gateway = stack::gateway(&config, &State::new().unwrap(), Options::default()).unwrap();
    let time = processor_time() - before;
    drop(gateway);
    time
}

#[tokio::test]
async fn the_work_of_a_start_grows_no_faster_than_the_number_of_deployments() {
    let (small, large) = (start(1_000), start(10_000));
    assert!(large < small * 30, "{small:?} for 1,000, {large:?} for 10,000");
}
