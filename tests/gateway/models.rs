//! Which models there are: all of them, and one by its name.

use http::Method;
use serde_json::json;

use crate::support::{case::Case, client::request, gateway::Gateway};

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

#[tokio::test]
async fn the_list_of_models_states_their_smallest_known_limits() {
    let yaml = "model_list:\n  - {model_name: m, litellm_params: {model: openai/gpt-4o, mock_response: hi}}\n  \
                - {model_name: m, litellm_params: {model: openai/any, mock_response: hi}, \
                model_info: {max_input_tokens: 9000}}\n\
                router_settings: {model_group_alias: {mine: m}}\n";
    let gateway = Gateway::start(yaml).await;
    for id in ["m", "mine"] {
        let model = gateway.get(&format!("/v1/models/{id}")).await.json();
        let limits = (&model["mode"], &model["max_input_tokens"], &model["max_output_tokens"]);
        assert_eq!(limits, (&json!("chat"), &json!(9000), &json!(16_384)), "{model}");
    }
}

#[tokio::test]
async fn the_information_about_deployments_has_facts_and_no_secret() {
    const CANARY: &str = "c4n4ry-0a1b2c3d4e5f";
    let yaml = format!(
        "model_list:\n\
         - model_name: m\n  litellm_params: {{model: azure/mine, api_base: 'https://res.example/{CANARY}', \
         api_key: {CANARY}, rpm: 60, extra_headers: {{x-token: {CANARY}}}, extra_body: {{user: {CANARY}}}}}\n  \
         model_info: {{id: eu, base_model: azure/gpt-4o, output_cost_per_token: 0.5, supports_vision: false}}\n\
         - model_name: n\n  litellm_params: {{model: openai/unknown, api_key: {CANARY}, organization: {CANARY}}}\n\
         general_settings: {{master_key: {CANARY}, keys: [{{name: one, key: {CANARY}2}}]}}\n"
    );
    let gateway = Gateway::start(&yaml).await;
    let info = async |path, key: &str| {
        let authorization = format!("Bearer {key}");
        gateway.send(request(Method::GET, path, "", &[("authorization", &authorization)])).await
    };
    for path in ["/model/info", "/v1/model/info"] {
        let answer = info(path, CANARY).await;
        assert!(!answer.text().contains(CANARY) && !answer.text().contains("example"), "{}", answer.text());
        let data = &answer.json()["data"];
        let (first, second) = (&data[0], &data[1]);
        assert_eq!((&first["model_name"], &first["model_info"]["id"]), (&json!("m"), &json!("eu")));
        assert_eq!(first["litellm_params"], json!({"model": "azure/mine", "rpm": 60}));
        assert_eq!(first["model_info"]["max_input_tokens"], 128_000);
        assert_eq!(first["model_info"]["input_cost_per_token"], 2.5e-6);
        assert_eq!(first["model_info"]["output_cost_per_token"], 0.5);
        assert_eq!(first["model_info"]["supports_function_calling"], true);
        assert_eq!(first["model_info"].get("supports_vision"), None);
        assert_eq!(second["model_info"]["max_input_tokens"], json!(null));
    }
    assert_eq!(info("/model/info", &format!("{CANARY}2")).await.error(403)["code"], "master_key_required");
    info("/model/info", "").await.error(401);
}

#[tokio::test]
async fn groups_are_listed_with_what_is_known_of_their_deployments() {
    let keys = "master_key: sk-master, keys: [{name: one, key: sk-one, models: [m]}]";
    let case = Case::of("m: a b; pictures: c").section("general_settings", keys);
    let case = case.params("a", "rpm: 10, tpm: 100, input_cost_per_token: 0.5");
    let case = case.params("b", "rpm: 5").info("b", "max_input_tokens: 4096, supports_vision: true");
    let world = case.info("c", "mode: image_generation").start().await;
    let groups = |key| {
        let headers = [("authorization", key)];
        world.gateway.send(request(Method::GET, "/model_group/info", "", &headers))
    };
    let all = groups("Bearer sk-master").await.json();
    let group = &all["data"][0];
    assert_eq!((&group["model_group"], &group["providers"]), (&json!("m"), &json!(["openai"])));
    assert_eq!((&group["rpm"], &group["tpm"]), (&json!(15), &json!(null)));
    assert_eq!((&group["max_input_tokens"], &group["supports_vision"]), (&json!(4096), &json!(true)));
    assert_eq!(group["input_cost_per_token"], 0.5);
    assert_eq!(all["data"][1]["mode"], "image_generation");
    let own = groups("Bearer sk-one").await.json();
    assert_eq!((own["data"].as_array().unwrap().len(), &own["data"][0]["model_group"]), (1, &json!("m")));
}

#[tokio::test]
async fn routes_are_listed_with_their_methods() {
    let world = Case::of("m: a").start().await;
    let routes = world.gateway.get("/routes").await.json();
    let listed = |path: &str, method: &str| {
        let routes = routes["routes"].as_array().unwrap();
        routes.iter().any(|route| route["path"] == path && route["methods"] == json!([method]))
    };
    for (path, method) in [
        ("/v1/chat/completions", "POST"),
        ("/v1/audio/transcriptions", "POST"),
        ("/openai/deployments/{model}/images/edits", "POST"),
        ("/v1/models/{model_id}", "GET"),
        ("/health/readiness", "GET"),
        ("/v2/rerank", "POST"),
    ] {
        assert!(listed(path, method), "{method} {path}: {routes}");
    }
}

#[tokio::test]
async fn a_path_that_is_not_served_names_another_one_and_is_counted() {
    let world = Case::of("m: a").start().await;
    for (path, instead) in [
        ("/v1/batches", "call the provider itself"),
        ("/openai/v1/files/file-1", "call the provider itself"),
        ("/v1/assistants", "POST /v1/responses"),
        ("/v1/realtime", "WebSockets are not served"),
        ("/v1/images/variations", "POST /v1/images/edits"),
        ("/key/generate", "in the configuration"),
        ("/v1/other", "POST /v1/moderations"),
    ] {
        let error = world.gateway.post(path, "{}").await.error(404);
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(path) && message.contains(instead), "{message}");
    }
    let metrics = world.gateway.get("/metrics").await.text();
    assert!(metrics.contains("tollgate_rejected_requests_total{code=\"not_found\"} 7"), "{metrics}");
    world.gateway.says(&["/v1/batches", "/key/generate"]).await;
}
