//! The memory after many reloads, each with other deployments: what no tree uses is dropped.
//!
//! A program of its own, because it measures the memory of its process.
#![cfg(test)]

use std::{fmt::Write, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tollgate::{config::Config, stack, state::State};
use tollgate_test_support::memory::resident;
use tower::ServiceExt;

const DEPLOYMENTS: usize = 300;

/// A configuration of deployments that no other reload has.
fn config(reload: usize) -> Config {
    let mut yaml = "model_list:\n".to_owned();
    for n in 0..DEPLOYMENTS {
        writeln!(
            yaml,
            "  - model_name: group-{reload}-{}\n    litellm_params: {{model: openai/m, api_base: \"http://10.{reload}.0.{}/v1\", \
             api_key: k, rpm: 60, tpm: 60000}}\n    model_info: {{id: id-{reload}-{n}}}",
            n / 3,
            n % 250
        )
        .unwrap();
    }
    Config::from_yaml(&yaml, "config.yaml", &|_| None).unwrap().0
}

#[tokio::test]
async fn reloads_with_other_deployments_end_with_the_memory_and_the_metrics_of_the_first() {
    let state = State::new().unwrap().with_grace(Duration::ZERO);
    let gateway = stack::gateway(&config(0), &state, stack::Options::default()).unwrap();
    let mut after_the_first = 0;
    for reload in 1..=60 {
        gateway.replace(&stack::gateway(&config(reload), &state, stack::Options::default()).unwrap());
        state.prune();
        // The first reloads hold two trees and fill the allocator's caches.
        if reload == 2 {
            after_the_first = resident("self").unwrap();
        }
    }
    let grown = resident("self").unwrap() as f64 / after_the_first as f64;
    assert!(grown < 1.1, "{grown} of the memory after the first reloads");

    let request = Request::get("/metrics").body(Full::<Bytes>::default()).unwrap();
    let scrape = gateway.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let scrape = String::from_utf8(scrape.into()).unwrap();
    assert!(scrape.contains("id-60-0") && !scrape.contains("id-59-0"));
    assert!(scrape.len() < 2_000_000, "{} bytes", scrape.len());
}
