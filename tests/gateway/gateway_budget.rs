//! `max_budget`: the budget of the whole gateway.

use http::Method;
use serde_json::json;

use crate::support::{
    case::Case,
    client::{ask, request},
};

/// A call of this group costs 0.0021 dollars: 12 tokens of input and 9 of output.
fn case() -> Case {
    Case::of("m: a")
        .params("a", "input_cost_per_token: 0.0001, output_cost_per_token: 0.0001")
        .router("num_retries: 0")
}

#[tokio::test]
async fn a_spent_budget_of_the_gateway_refuses_every_request_until_it_is_renewed() {
    let world = case().settings("max_budget: 0.005, budget_duration: 1h").start().await;
    assert_eq!(world.statuses(3).await, [200; 3]);
    let refused = world.ask().await;
    let error = refused.error(429);
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("insufficient_quota"), &json!("insufficient_quota"))
    );
    assert!(
        error["message"].as_str().unwrap().starts_with("The gateway has spent its budget of $0.005."),
        "{error}"
    );
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((3_500..=3_600).contains(&after), "{after}");
    assert_eq!(world.calls("a"), 3);
    let metrics = world.gateway.get("/metrics").await.text();
    assert!(metrics.contains("tollgate_budget_limit_dollars 0.005"), "{metrics}");
    assert!(metrics.contains("tollgate_budget_spent_dollars 0.00"), "{metrics}");
    let status = world.gateway.get("/status/data").await.json();
    let budget = &status["gateway"]["budget"];
    assert_eq!(budget["max"], 0.005);
    assert!(budget["spent"].as_f64().unwrap() >= 0.005, "{budget}");
    assert!(budget["renewed_in_ms"].as_u64().unwrap() <= 3_600_000, "{budget}");
}

#[tokio::test]
async fn the_budget_of_the_gateway_counts_client_keys_and_survives_a_reload() {
    let general = "master_key: tr0ub4dor, keys: [{name: one, key: first}], max_budget: 0.004";
    let world = case().section("general_settings", general).start().await;
    let headers = [("authorization", "Bearer first")];
    let chat = || request(Method::POST, "/v1/chat/completions", ask("m", json!({})), &headers);
    for status in [200, 200, 429] {
        assert_eq!(world.gateway.send(chat()).await.status, status);
    }
    world.gateway.signal("HUP").await;
    world.gateway.says(&["reloaded, serving m\n"]).await;
    assert_eq!(world.gateway.send(chat()).await.status, 429);
}

#[tokio::test]
async fn a_budget_of_zero_is_none() {
    let world = case().settings("max_budget: 0.0, budget_duration: 30d").start().await;
    assert_eq!(world.statuses(3).await, [200; 3]);
    assert!(!world.gateway.get("/metrics").await.text().contains("tollgate_budget_"));
}
