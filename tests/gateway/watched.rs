//! What an operator looks at: the counters, and the list of models.

use serde_json::json;

use crate::support::{answers as say, case::Case, reply::Gate};

#[tokio::test]
async fn a_full_house_can_still_be_looked_into() {
    let gate = Gate::new();
    let case = Case::of("m: a").always("a", say::chat("a").held(&gate)).router("max_in_flight: 1");
    let world = case.start().await;
    let client = world.gateway.client.clone();
    let inside = tokio::spawn(async move { client.chat("m", json!({})).await });
    world.upstream("a").call(1).await;
    world.ask().await.error(503);
    for path in ["/metrics", "/v1/models", "/v1/models/m"] {
        assert_eq!(world.gateway.get(path).await.status, 200, "{path}");
    }
    gate.open();
    assert_eq!(inside.await.unwrap().said(), "a");
}
