//! The names of LiteLLM's own parameters, and of credentials: none of them reaches an upstream.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};

use crate::support::{
    gateway::{Gateway, Start, config, run},
    upstream::{Call, Upstream},
};

/// The parameters of LiteLLM that its other names are for: OpenAI has them as well.
const OPENAI: [&str; 2] = ["model", "metadata"];

/// Settings that are served: with a value of another type they are errors.
const SERVED: [&str; 36] = [
    "additional_drop_params",
    "allowed_openai_params",
    "api_base",
    "api_key",
    "api_version",
    "azure_ad_token",
    "cache_read_input_token_cost",
    "cooldown_time",
    "custom_llm_provider",
    "daily_reset_time",
    "drop_params",
    "fallbacks",
    "headers",
    "input_cost_per_token",
    "itpm",
    "litellm_credential_name",
    "max_parallel_requests",
    "metadata",
    "mock_response",
    "model",
    "num_retries",
    "order",
    "organization",
    "otpm",
    "output_cost_per_token",
    "region_name",
    "request_timeout",
    "rpd",
    "rpm",
    "ssl_verify",
    "stream_timeout",
    "tags",
    "timeout",
    "tpd",
    "tpm",
    "weight",
];

/// Names of credentials that no list contains.
const CREDENTIALS: [&str; 12] = [
    "my_api_key",
    "openaiApiKey",
    "x-api-key",
    "hf_token",
    "accessToken",
    "db_password",
    "webhook_secret",
    "credentials_file",
    "Authorization",
    "session_cookie",
    "ssh_private_key",
    "gcs_service_account",
];

/// Parameters of servers that are neither OpenAI's nor LiteLLM's.
const OTHERS: [&str; 5] = ["top_k", "min_p", "stop_token_ids", "chat_template_kwargs", "frobnicate"];

/// Returns all names of LiteLLM's lists.
fn names() -> Vec<&'static str> {
    let names: Vec<_> = include_str!("../data/litellm_params.txt").lines().collect();
    let names: Vec<_> = names.into_iter().filter(|name| !name.starts_with('#')).collect();
    assert_eq!(names.len(), 443);
    names
}

/// Returns a configuration of a group `m` with these lines in its `litellm_params`.
fn file(url: &str, params: &str) -> String {
    format!(
        "model_list:\n  - model_name: m\n    litellm_params:\n      model: openai/x\n      api_base: {url}/v1\n      \
         api_key: k\n{params}\nrouter_settings: {{num_retries: 0}}\n"
    )
}

fn line(name: &str) -> String {
    format!("      \"{name}\": canary\n")
}

/// Returns the top-level keys that the calls had.
fn sent(calls: &[Arc<Call>]) -> BTreeSet<String> {
    let keys = |call: &Arc<Call>| call.json().as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    calls.iter().flat_map(keys).collect()
}

#[tokio::test]
async fn no_name_of_litellm_reaches_an_upstream_from_a_file() {
    let upstream = Upstream::start().await;
    let unserved: Vec<_> = names().into_iter().filter(|name| !SERVED.contains(name)).collect();
    let kept = unserved.iter().chain(&CREDENTIALS).chain(["AbCd1234EfGh5678IjKl"].iter());
    let params: String = kept.copied().chain(OTHERS).map(line).collect();
    let served = "      cooldown_time: 1\n      max_parallel_requests: 9\n      num_retries: 0\n      order: 1\n      \
                  organization: o\n      rpm: 60\n      rpd: 9000\n      tpd: 9000000\n      itpm: 60000\n      otpm: 60000\n      daily_reset_time: '07:30'\n      tpm: 60000\n      weight: 1\n      stream_timeout: 60\n      \
                  input_cost_per_token: 1\n      output_cost_per_token: 1\n      timeout: 60\n      request_timeout: 60\n      \
                  drop_params: true\n      fallbacks: [m]\n      tags: [canary]\n      additional_drop_params: [a]\n      allowed_openai_params: [b]\n";
    let yaml = file(&upstream.url(), &(params + served));
    let gateway = Start::new(&yaml).argument("--accept-unsafe").go().await;
    assert_eq!(gateway.chat("m", json!({})).await.status, 200);
    let expected = ["messages", "model"].into_iter().chain(OTHERS).map(str::to_owned);
    assert_eq!(sent(&upstream.calls()), expected.collect::<BTreeSet<_>>());

    let path = config(&yaml);
    let arguments = ["--config", path.to_str().unwrap(), "--check", "--accept-unsafe"];
    let checked = run(arguments).await;
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    // The text has the first of each kind.
    let report: Value =
        serde_json::from_str(&run(arguments.into_iter().chain(["--json"])).await.stdout).unwrap();
    let warnings = report["warnings"].as_array().unwrap().iter();
    let messages: Vec<_> = warnings.map(|warning| warning["message"].as_str().unwrap()).collect();
    for name in unserved.iter().chain(&CREDENTIALS) {
        let told = messages.iter().any(|message| message.contains(&format!("`{name}`")));
        assert!(told, "nothing is reported of {name}");
    }
    let shown = format!("{report}{}", checked.stderr);
    assert!(shown.contains("`AbCd***`") && !shown.contains("AbCd1"), "a key that is a secret");
    let others = "not parameters of OpenAI, sent upstream as they are: chat_template_kwargs, frobnicate, min_p, \
                  stop_token_ids, top_k\n";
    assert_eq!(checked.stdout.matches(others).count(), 1, "{}", checked.stdout);
}

#[tokio::test]
async fn no_name_of_litellm_reaches_an_upstream_through_a_fallback_of_the_file() {
    let upstream = Upstream::start().await;
    let names = names().into_iter().filter(|name| !OPENAI.contains(name));
    let parameters: Vec<_> = names.chain(CREDENTIALS).map(|name| format!("\"{name}\": canary")).collect();
    let yaml = format!(
        "model_list:\n  - {{model_name: m, litellm_params: {{model: openai/x, api_base: \"{url}/v1\", api_key: k}}}}\n  \
         - {{model_name: n, litellm_params: {{model: openai/y, mock_response: litellm.InternalServerError}}}}\n\
         router_settings: {{num_retries: 0, fallbacks: [{{n: [{{model: m, top_k: 4, {}}}]}}]}}\n",
        parameters.join(", "),
        url = upstream.url(),
    );
    let gateway = Gateway::start(&yaml).await;
    let response = gateway.chat("n", json!({})).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(sent(&upstream.calls()), ["messages", "model", "top_k"].map(str::to_owned).into());
}

#[tokio::test]
async fn no_name_of_litellm_reaches_an_upstream_from_a_client() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&file(&upstream.url(), "")).await;
    let names: Vec<_> = names().into_iter().filter(|name| *name != "model").chain(CREDENTIALS).collect();
    let mut refused = 0;
    for name in &names {
        for value in [json!("canary"), json!(1), json!({"api_key": {"a": "canary"}}), Value::Null] {
            let response = gateway.chat("m", json!({(*name): value})).await;
            match response.status.as_u16() {
                200 => {}
                400 => refused += 1,
                status => panic!("{name}: {status}"),
            }
        }
    }
    assert_eq!(sent(&upstream.calls()), ["messages", "metadata", "model"].map(str::to_owned).into());
    assert!(upstream.calls().iter().all(|call| call.json().get("metadata").is_none_or(Value::is_null)));
    assert!(refused > 100, "{refused} requests were refused");
    let others: Value = OTHERS.iter().map(|name| ((*name).to_owned(), json!(1))).collect();
    assert_eq!(gateway.chat("m", others).await.status, 200);
    assert!(OTHERS.iter().all(|name| sent(&upstream.calls()).contains(*name)));
}

#[tokio::test]
async fn metadata_that_openai_would_refuse_stays_in_the_gateway() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&file(&upstream.url(), "")).await;
    for (metadata, passes) in [
        (json!({"user": "a", "session": "b"}), true),
        (json!({}), true),
        (Value::Null, true),
        (json!({"tags": ["a"]}), false),
        (json!({"trace": {"id": "a"}}), false),
        (json!({"attempt": 1}), false),
        (json!({"user": null}), false),
        (json!(["a"]), false),
        (json!("a"), false),
        (json!({"text": "a".repeat(513)}), false),
    ] {
        let response = gateway.chat("m", json!({"metadata": metadata, "seed": 1})).await;
        assert_eq!(response.status, 200, "{metadata}");
        let last = upstream.calls().last().unwrap().json();
        assert_eq!(last.get("metadata"), passes.then_some(&metadata), "{metadata}");
        assert_eq!(last["seed"], 1);
    }
}
