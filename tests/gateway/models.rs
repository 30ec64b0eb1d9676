//! Which models there are: all of them, and one by its name.

use serde_json::json;

use crate::support::{case::Case, gateway::Gateway};

#[tokio::test]
async fn the_models_are_the_groups_and_the_shown_aliases() {
    let case =
        Case::of("m: a; n: b").router("model_group_alias: {mine: m, secret: {model: m, hidden: true}}");
    let world = case.start().await;
    for path in ["/v1/models", "/models"] {
        let json = world.gateway.get(path).await.json();
        assert_eq!(json["object"], "list");
        let models = json["data"].as_array().unwrap();
        let mut ids: Vec<_> = models.iter().map(|model| model["id"].as_str().unwrap()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["m", "mine", "n"]);
        assert!(
            models
                .iter()
                .all(|m| m["object"] == "model" && m["created"].is_number() && m["owned_by"].is_string())
        );
    }
    assert_eq!(world.ask_with(json!({"model": "secret"})).await.said(), "a", "hidden, but there");
}

#[tokio::test]
async fn each_model_that_is_listed_can_be_asked_for_by_its_name() {
    let case = Case::of("m: a; org/m 2: b").router("model_group_alias: {secret: {model: m, hidden: true}}");
    let world = case.start().await;
    for (path, id) in [
        ("/v1/models/m", "m"),
        ("/models/m", "m"),
        ("/models/org/m%202", "org/m 2"),
        ("/v1/models/org%2Fm%202", "org/m 2"),
    ] {
        let answer = world.gateway.get(path).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["id"]), (200, &json!(id)), "{path}");
    }
    for path in ["/v1/models/secret", "/v1/models/a", "/v1/models/%", "/v1/models/m/"] {
        assert_eq!(world.gateway.get(path).await.error(404)["code"], "model_not_found", "{path}");
    }
    world.gateway.post("/v1/models/m", "{}").await.error(405);
}

#[tokio::test]
async fn the_list_of_models_needs_the_master_key() {
    let yaml = "model_list:\n  - model_name: m\n    litellm_params: {model: openai/x, mock_response: hello}\n\
                general_settings: {master_key: tr0ub4dor}\n";
    let gateway = Gateway::start(yaml).await;
    for path in ["/v1/models", "/v1/models/m"] {
        gateway.get(path).await.error(401);
    }
}
