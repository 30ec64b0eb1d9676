//! `enable_pre_call_checks`: the deployments that a request fits.

use serde_json::json;

use crate::support::case::Case;

/// A group of two deployments with different windows and regions, and a larger group.
fn case() -> Case {
    Case::of("m: small large; huge: other")
        .info("small", "max_input_tokens: 100")
        .info("large", "max_input_tokens: 1000")
        .params("small", "region_name: eu")
        .params("large", "region_name: us")
        .router("enable_pre_call_checks: true, num_retries: 0")
}

/// Returns a parameter that adds so many tokens to the estimate.
fn tokens(count: usize) -> serde_json::Value {
    json!({"suffix": "x".repeat(4 * count)})
}

#[tokio::test]
async fn a_pre_call_check_sends_an_input_only_where_it_fits() {
    let world = case().start().await;
    for _ in 0..10 {
        assert_eq!(world.ask_with(tokens(500)).await.said(), "large");
    }
    for _ in 0..10 {
        world.ask_with(tokens(1)).await;
    }
    assert!(world.calls("small") > 0, "an input that fits goes to both");
    let error = world.ask_with(tokens(2000)).await.error(400);
    assert_eq!((&error["code"], &error["param"]), (&json!("context_length_exceeded"), &json!("messages")));
    assert!(error["message"].as_str().unwrap().contains("maximum context length is 1000 tokens"), "{error}");
    assert_eq!(world.calls("other"), 0);
}

#[tokio::test]
async fn an_input_that_fits_no_deployment_takes_the_context_window_fallback() {
    let world = case().settings("context_window_fallbacks: [{m: [huge]}]").start().await;
    assert_eq!(world.ask_with(tokens(2000)).await.said(), "other");
    assert_eq!(world.calls("small large"), 0);
}

#[tokio::test]
async fn a_pre_call_check_sends_a_request_only_to_its_region() {
    let world = case().start().await;
    for (region, name) in [("eu", "small"), ("us", "large")] {
        for _ in 0..5 {
            assert_eq!(world.ask_with(json!({"allowed_model_region": region})).await.said(), name);
        }
    }
    assert_eq!(world.upstream("small").calls()[0].json().get("allowed_model_region"), None);
    let error = world.ask_with(json!({"allowed_model_region": "mars"})).await.error(400);
    assert_eq!(
        (&error["code"], &error["param"]),
        (&json!("region_not_served"), &json!("allowed_model_region"))
    );
    world.ask_with(json!({"allowed_model_region": 7})).await.error(400);
}

#[tokio::test]
async fn without_pre_call_checks_an_input_of_any_length_is_sent() {
    let world = Case::of("m: a").info("a", "max_input_tokens: 10").start().await;
    assert_eq!(world.ask_with(tokens(2000)).await.said(), "a");
}
