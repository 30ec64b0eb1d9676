//! The status of a large configuration.

use std::fmt::Write as _;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use serde_json::Value;
use tokio_test::{assert_pending, task};
use tollgate::{config::Config, stack, state::State};
use tower::ServiceExt;

#[tokio::test(start_paused = true)]
async fn the_status_of_10_000_deployments_is_not_rendered_by_the_worker() {
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
    let request = http::Request::get("/status/data").body(Empty::<Bytes>::new()).unwrap();
    let mut call = task::spawn(gateway.oneshot(request));
    assert_pending!(call.poll());
    let body = call.await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let data: Value = serde_json::from_slice(&body).unwrap();
    let groups = data["groups"].as_array().unwrap();
    let deployments: usize = groups.iter().map(|group| group["deployments"].as_array().unwrap().len()).sum();
    assert_eq!((groups.len(), deployments), (100, 10_000));
}
