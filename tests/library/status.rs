//! The status and the metrics of a large configuration.

use std::fmt::Write as _;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use serde_json::Value;
use tokio_test::{assert_pending, task};
use tollgate::{config::Config, stack, state::State};
use tower::ServiceExt;

/// Returns the response of a gateway with 10,000 deployments, which the first poll does not render.
async fn rendered(path: &str) -> Bytes {
    let mut yaml = "model_list:\n".to_owned();
    for n in 0..10_000 {
        let group = n / 100;
        _ = writeln!(
            yaml,
            "- {{model_name: g{group}, litellm_params: {{model: openai/m, mock_response: hi, rpm: 60}}, model_info: {{id: d{n}}}}}"
        );
    }
    let (config, _) = Config::from_yaml(&yaml, "test.yaml", &|_| None).unwrap();
    let gateway = stack::gateway(&config, &State::new().unwrap(), stack::Options::default()).unwrap();
    let request = http::Request::get(path).body(Empty::<Bytes>::new()).unwrap();
    let mut call = task::spawn(gateway.oneshot(request));
    assert_pending!(call.poll());
    call.await.unwrap().into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test(start_paused = true)]
async fn the_status_of_10_000_deployments_is_not_rendered_by_the_worker() {
    let data: Value = serde_json::from_slice(&rendered("/status/data").await).unwrap();
    let groups = data["groups"].as_array().unwrap();
    let deployments: usize = groups.iter().map(|group| group["deployments"].as_array().unwrap().len()).sum();
    assert_eq!((groups.len(), deployments), (100, 10_000));
}

#[tokio::test(start_paused = true)]
async fn the_metrics_of_10_000_deployments_are_not_rendered_by_the_worker() {
    let text = String::from_utf8(rendered("/metrics").await.to_vec()).unwrap();
    let series = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    assert_eq!(series("tollgate_deployment_cooling_down{"), 10_000);
    assert_eq!(series("tollgate_group_queue_length{"), 100);
    // None was called, and one that was never called has at most twelve series.
    assert!(series("tollgate_deployment_") <= 120_000, "{}", series("tollgate_deployment_"));
}
