//! The status page and its data: the callers that may read and operate, what the data contains, and what it does not.

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    answers as say,
    case::{Case, World},
    client::{Answer, request},
    gateway::Start,
    upstream::Upstream,
};

const MASTER: &str = "master-tr0ub4dor";
const READER: &str = "reader-c0rrect-horse";
const CLIENT: &str = "client-battery-staple";

/// Two groups, `m` of two deployments and `other` of one, and a key of each kind.
fn case() -> Case {
    let keys = format!(
        "master_key: {MASTER}, status_key: {READER}, keys: [{{name: team, key: {CLIENT}, rpm_limit: 60}}]"
    );
    Case::of("m: a b; other: c").router("num_retries: 0, queue_timeout: 0").section("general_settings", &keys)
}

async fn call(world: &World, method: Method, path: &str, key: &str) -> Answer {
    let authorization = format!("Bearer {key}");
    let headers = [("authorization", &*authorization)];
    world.gateway.send(request(method, path, "", if key.is_empty() { &[] } else { &headers })).await
}

async fn operate(world: &World, path: &str) -> Answer {
    call(world, Method::POST, path, MASTER).await
}

async fn chat(world: &World, model: &str) -> Answer {
    let headers = [("authorization", &*format!("Bearer {MASTER}"))];
    let body = crate::support::client::ask(model, json!({}));
    world.gateway.send(request(Method::POST, "/v1/chat/completions", body, &headers)).await
}

async fn data(world: &World) -> Value {
    call(world, Method::GET, "/status/data", MASTER).await.json()
}

/// Returns the entry of a deployment.
async fn deployment(world: &World, id: &str) -> Value {
    let data = data(world).await;
    let groups = data["groups"].as_array().unwrap().iter();
    let mut all = groups.flat_map(|group| group["deployments"].as_array().unwrap());
    all.find(|deployment| deployment["id"] == id).unwrap_or_else(|| panic!("no {id} in {data}")).clone()
}

#[tokio::test]
async fn the_status_page_is_for_browsers_and_other_clients_get_the_404_of_before() {
    let world = case().start().await;
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let page = world.gateway.send(request(Method::GET, "/", "", &browser)).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{policy}");
    let names = page.text();
    let files = names.split('"').filter(|name| name.starts_with("status/"));
    for file in files.collect::<std::collections::BTreeSet<_>>() {
        let file = world.gateway.get(&format!("/{file}")).await;
        assert_eq!(file.status, 200);
        assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    }
    world.gateway.get("/").await.error(404);
    world.gateway.send(request(Method::POST, "/", "", &browser)).await.error(404);
}

#[tokio::test]
async fn the_status_is_read_with_the_master_key_or_the_status_key_alone() {
    let world = case().start().await;
    let statuses = [
        (MASTER, [200, 200, 200, 200]),
        (READER, [200, 200, 401, 401]),
        (CLIENT, [403, 403, 403, 200]),
        ("", [401, 401, 401, 401]),
        ("wrong", [401, 401, 401, 401]),
    ];
    for (key, expected) in statuses {
        let calls = [
            (Method::GET, "/status/data"),
            (Method::GET, "/metrics"),
            (Method::POST, "/status/revive/a"),
            (Method::GET, "/v1/models"),
        ];
        for ((method, path), status) in calls.into_iter().zip(expected) {
            let answer = call(&world, method, path, key).await;
            assert_eq!(answer.status.as_u16(), status, "{key:?} {path}");
            if status != 200 {
                answer.error(status);
            }
        }
        let access = call(&world, Method::GET, "/status/access", key).await;
        let expected = match key {
            MASTER => "operate",
            READER => "read",
            _ => "none",
        };
        assert_eq!(access.json(), json!({"access": expected}), "{key:?}");
    }
    let may_operate = call(&world, Method::GET, "/status/data", READER).await.json()["may_operate"].clone();
    assert_eq!(may_operate, false);
}

#[tokio::test]
async fn the_status_of_a_gateway_without_keys_is_open_except_to_pages_of_other_sites() {
    let world = Case::of("m: a").start().await;
    assert_eq!(call(&world, Method::GET, "/status/data", "").await.json()["may_operate"], true);
    assert_eq!(call(&world, Method::GET, "/status/access", "").await.json(), json!({"access": "operate"}));
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)] {
        let headers = [("sec-fetch-site", site)];
        let answer = world.gateway.send(request(Method::POST, "/status/drain/a", "", &headers)).await;
        assert_eq!(answer.status.as_u16(), status, "{site}");
    }
}

#[tokio::test]
async fn the_status_shows_groups_deployments_limits_and_client_keys() {
    let world = case().params("a", "rpm: 60, tpm: 1000, max_parallel_requests: 3").start().await;
    for model in ["a", "a", "c"] {
        assert_eq!(chat(&world, model).await.status, 200);
    }
    let data = data(&world).await;
    assert_eq!((&data["draining"], &data["may_operate"]), (&json!(false), &json!(true)));
    assert_eq!(data["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(data["gateway"]["results"], json!({"success": 3}));
    assert_eq!(data["gateway"]["max_in_flight"], 16_384);
    let names: Vec<_> = data["groups"].as_array().unwrap().iter().map(|group| &group["name"]).collect();
    assert_eq!(names, ["m", "other"]);
    let a = deployment(&world, "a").await;
    assert_eq!((&a["state"], &a["model"]), (&json!("healthy"), &json!("openai/a-model")));
    assert_eq!(a["limits"]["requests"], json!({"used": 2, "limit": 60, "configured": 60}));
    assert_eq!(a["limits"]["tokens"]["configured"], 1000);
    assert_eq!(a["limits"]["parallel"], json!({"used": 0, "limit": 3, "configured": 3}));
    let bounds = data["bounds_ms"].as_array().unwrap().len();
    let counts: Vec<u64> = serde_json::from_value(a["first_content"].clone()).unwrap();
    assert_eq!((counts.len(), counts.iter().sum::<u64>()), (bounds + 1, 2));
    let key = &data["keys"][0];
    assert_eq!((&key["name"], &key["expired"]), (&json!("team"), &json!(false)));
    assert_eq!(key["requests"]["limit"], 60);
}

#[tokio::test]
async fn the_status_shows_warnings_and_deployments_that_are_left_out() {
    let yaml = "model_list:\n  - {model_name: m, litellm_params: {model: openai/x, mock_response: hi, rmp: 3}}\n  \
                - {model_name: n, litellm_params: {model: azure/y}}\n";
    let gateway = Start::new(yaml).go().await;
    let data = gateway.get("/status/data").await.json();
    assert_eq!(data["left_out"][0]["group"], "n");
    assert_eq!(data["left_out"][0]["line"], 3);
    let warnings = data["warnings"].as_array().unwrap();
    let typo = warnings.iter().find(|warning| warning["message"].as_str().unwrap().contains("rmp")).unwrap();
    assert_eq!((&typo["line"], &typo["path"]), (&json!(2), &json!("model_list[0].litellm_params.rmp")));
}

#[tokio::test]
async fn a_status_operation_drains_a_deployment_and_revives_it() {
    let world = case().start().await;
    let drained = operate(&world, "/status/drain/a").await;
    assert_eq!(drained.json(), json!({"deployment": "a", "state": "drained"}));
    for _ in 0..20 {
        assert_eq!(chat(&world, "m").await.said(), "b");
    }
    let refused = chat(&world, "a").await;
    refused.error(429);
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(deployment(&world, "a").await["state"], "drained");
    assert_eq!(operate(&world, "/status/revive/a").await.json()["state"], "healthy");
    assert_eq!(chat(&world, "a").await.said(), "a");
    assert_eq!(world.each("a"), [1]);
}

#[tokio::test]
async fn a_status_operation_begins_a_cooldown_of_the_named_length() {
    let world = case().start().await;
    let cooling = operate(&world, "/status/cool_down/a?seconds=600").await;
    assert_eq!(cooling.json()["state"], "cooling_down");
    let left = deployment(&world, "a").await["ends_in_ms"].as_u64().unwrap();
    assert!((500_000..=600_000).contains(&left), "{left}");
    for _ in 0..20 {
        assert_eq!(chat(&world, "m").await.said(), "b");
    }
    assert_eq!(chat(&world, "a").await.said(), "a", "health closes no group");
    assert_eq!(deployment(&world, "a").await["state"], "slow_start");
}

#[tokio::test]
async fn a_status_operation_that_is_not_possible_is_refused_with_the_reason() {
    let world = case().params("c", "cooldown_time: 0").start().await;
    for (path, status, code) in [
        ("/status/drain/nobody", 404, "unknown_deployment"),
        ("/status/cool_down/a?seconds=0", 400, "invalid_seconds"),
        ("/status/cool_down/c", 409, "no_cooldowns"),
    ] {
        assert_eq!(operate(&world, path).await.error(status)["code"], code, "{path}");
    }
    let answer = call(&world, Method::GET, "/status/drain/a", MASTER).await;
    answer.error(405);
    assert_eq!(answer.header("allow"), Some("POST"));
}

#[tokio::test]
async fn a_reload_ends_a_drain_and_keeps_a_cooldown() {
    let yaml = "model_list:\n\
                - {model_name: m, litellm_params: {model: openai/x, mock_response: hi}, model_info: {id: a}}\n\
                - {model_name: m, litellm_params: {model: openai/x, mock_response: hi}, model_info: {id: b}}\n";
    let path = crate::support::gateway::config(yaml);
    let gateway = Start::at(&path).go().await;
    gateway.post("/status/drain/a", "").await;
    gateway.post("/status/cool_down/b?seconds=600", "").await;
    gateway.signal("HUP").await;
    gateway.says(&["reloaded"]).await;
    let data = gateway.get("/status/data").await.json();
    let states: Vec<_> =
        data["groups"][0]["deployments"].as_array().unwrap().iter().map(|one| &one["state"]).collect();
    assert_eq!(states, ["healthy", "cooling_down"]);
}

#[tokio::test]
async fn the_status_contains_no_key_no_prompt_and_no_answer() {
    let (key, token) = ("sk-canary-upstream-1", "canary-header-2");
    let refusal = json!({"error": {"message": format!("{key} {token} said what llm are you"), "type": "t"}});
    let upstream = Upstream::with([
        say::chat("canary-answer-3"),
        crate::support::reply::Reply::bytes(500, "application/json", refusal.to_string()),
    ])
    .await;
    let yaml = format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/x, api_base: \"{}/v1\", api_key: {key}, \
         extra_headers: {{x-token: {token}}}}}\n    model_info: {{id: a}}\n\
         router_settings: {{num_retries: 0, mistake: {key}}}\n\
         general_settings: {{master_key: {MASTER}, status_key: {READER}, keys: [{{name: team, key: {CLIENT}}}]}}\n",
        upstream.url()
    );
    let gateway = Start::new(&yaml).go().await;
    let headers = [("authorization", &*format!("Bearer {MASTER}"))];
    for status in [200, 500] {
        let body = crate::support::client::ask("m", json!({}));
        let answer = gateway.send(request(Method::POST, "/v1/chat/completions", body, &headers)).await;
        assert_eq!(answer.status.as_u16(), status);
    }
    let status = gateway.send(request(Method::GET, "/status/data", "", &headers)).await.text();
    assert!(status.contains("\"unavailable\":1"), "{status}");
    assert!(status.contains("[redacted] [redacted] said [...]"), "{status}");
    let url = upstream.url();
    for canary in [key, token, "canary-answer-3", "what llm", MASTER, READER, CLIENT, &url] {
        assert!(!status.contains(canary), "{canary}: {status}");
    }
}
