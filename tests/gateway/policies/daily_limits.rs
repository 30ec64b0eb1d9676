//! Limits of a deployment per day, and by direction.

use serde_json::json;

use crate::support::case::Case;

#[tokio::test]
async fn a_deployment_takes_no_more_requests_than_its_day_allows() {
    let world = Case::of("m: a").params("a", "rpd: 2").router("num_retries: 0").start().await;
    assert_eq!(world.statuses(3).await, [200, 200, 429]);
    let refused = world.ask().await;
    let after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(after <= 86_400, "{after}");
    assert_eq!(world.calls("a"), 2);
}

#[tokio::test]
async fn a_day_that_is_used_up_leaves_the_work_to_other_deployments() {
    let world = Case::of("m: a b").params("a", "rpd: 1, order: 1").params("b", "order: 2").start().await;
    for _ in 0..4 {
        assert_eq!(world.ask().await.status, 200);
    }
    assert_eq!((world.calls("a"), world.calls("b")), (1, 3));
}

#[tokio::test]
async fn the_output_of_a_deployment_has_a_limit_of_its_own() {
    let world = Case::of("m: a").params("a", "otpm: 100").router("num_retries: 0").start().await;
    assert_eq!(world.ask_with(json!({"max_tokens": 90})).await.status, 200);
    assert_eq!(world.ask_with(json!({"max_tokens": 99})).await.status, 429);
    let metrics = world.gateway.get("/metrics").await.text();
    assert!(metrics.contains("kind=\"output_tokens\"} 100"), "{metrics}");
}
