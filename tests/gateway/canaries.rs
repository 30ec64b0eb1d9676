//! Keys of twenty shapes in every place where a key may stand: none is printed, logged or sent to a client.

use http::Method;
use serde_json::json;

use crate::support::{
    client::{ask, request},
    gateway::{Finished, Start, command, config},
    reply::Reply,
    soon,
    upstream::Upstream,
};

const SHAPES: [&str; 20] = [
    "sk-canary1234567890abcdefghij",
    "sk-proj-Canary_9xYz-Q2w3E4r5T6y7U8i9O0p",
    "sk-ant-api03-canaryAbCdEfGhIjKlMnOpQrStUv",
    "sk-or-v1-00c4n4ry00c4n4ry00c4n4ry00c4n4ry",
    "AIzaSyCanary0123456789abcdefghijklmnop",
    "AKIACANARY0123456789",
    "ghp_canary0123456789abcdefghijklmnopqr",
    "github_pat_11CANARY0_abcdefghijklmnop",
    "hf_canaryAbCdEfGhIjKlMnOpQrStUvWxYz",
    "gsk_canary0123456789abcdefghijklmnopqr",
    "xai-canary0123456789abcdefghijklmnop",
    "nvapi-canary0123456789abcdefghijklmn",
    "eyJjYW5hcnkiOiIxIn0.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
    "xoxb-canary-123456789012-abcdefghijkl",
    "glpat-canaryAbCdEfGhIjKl",
    "c4na4y00-e29b-41d4-a716-446655440000",
    "c0ffee00c0ffee00c0ffee00c0ffee00",
    "Y2FuYXJ5LWtleS13aXRoLXBhZGRpbmc9PQ==",
    "correct-horse-battery-staple",
    "pa$$w0rd!Canary%2026",
];

/// Returns a file with the key in every place, and one that it includes.
fn files(key: &str, upstream: &str) -> (String, String) {
    let deployment = |params: &str| {
        format!(
            "- {{model_name: g, litellm_params: {{{}{params}}}}}\n",
            if params.starts_with("model:") { "" } else { "model: openai/m, " }
        )
    };
    let list: String = [
        format!("api_key: '{key}', api_base: '{upstream}/v1', headers: {{x-token: '{key}'}}"),
        format!("api_key: k, extra_headers: {{Authorization: 'Bearer {key}'}}, api_base: '{upstream}/v1'"),
        format!("api_base: 'https://h.example/v1?key={key}', api_key: '{key}'"),
        format!("api_base: 'https://me:{key}@h.example/v1'"),
        format!("api_base: '{key}'"),
        format!("azure_ad_token: '{key}', api_key: 3, api_ky: '{key}', my_secret: '{key}'"),
        format!("langsmith_api_key: '{key}', aws_secret_access_key: '{key}', vertex_credentials: '{key}'"),
        format!("model: bedrock/m, aws_access_key_id: '{key}', aws_secret_access_key: '{key}', aws_session_token: '{key}'"),
        format!("model: bedrock/m, aws_access_key_id: '{key}', aws_bedrock_runtime_endpoint: '{key}'"),
        format!("api_key: ['{key}'], extra_body: {{hf_token: '{key}', password: '{key}'}}, headers: '{key}'"),
        "litellm_credential_name: shared".to_owned(),
        "api_key: os.environ/CANARY, rpm: os.environ/CANARY, timeout: os.environ/MY_KEY".to_owned(),
        format!("client_secret: '{key}', tenant_id: '{key}', organization: ['{key}', 'o']"),
    ]
    .iter()
    .map(|params| deployment(params))
    .collect();
    let main = format!(
        "include: [more.yaml]\nenvironment_variables: {{MY_KEY: '{key}', OTHER: ['{key}']}}\n\
         credential_list: [{{credential_name: shared, credential_values: {{api_key: '{key}'}}}}, {{credential_values: {{api_key: '{key}'}}}}]\n\
         model_list:\n{list}\
         litellm_settings: {{langfuse_secret: '{key}', cache_params: {{password: '{key}'}}, num_retries: 0}}\n\
         router_settings: {{redis_password: '{key}', redis_url: 'redis://u:{key}@h', default_litellm_params: {{my_token: '{key}'}}}}\n\
         general_settings: {{master_key: '{key}', database_url: 'postgres://u:{key}@h/d', salt_key: '{key}', mster_key: '{key}'}}\n"
    );
    (
        main,
        format!(
            "model_list:\n{}callback_settings: {{x_api_key: '{key}'}}\n",
            deployment(&format!("api_key: '{key}', rpm: x"))
        ),
    )
}

async fn run_with(key: &str, arguments: &[&str]) -> Finished {
    let mut command = command();
    command.args(arguments).env("CANARY", key).env("OPENAI_API_KEY", key);
    let output = soon("the end of the command", command.output()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Finished { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[tokio::test]
async fn no_key_is_in_the_output_of_a_check() {
    for key in SHAPES {
        let (main, more) = files(key, "http://127.0.0.1:9");
        // Without the two errors the summary is printed too.
        let without_errors = main.replace(&format!(", OTHER: ['{key}']"), "");
        let without_errors =
            without_errors.replace(&format!(", {{credential_values: {{api_key: '{key}'}}}}"), "");
        for (text, has_summary) in [(main, false), (without_errors, true)] {
            let path = config(&text);
            std::fs::write(path.with_file_name("more.yaml"), &more).unwrap();
            let path = path.to_str().unwrap();
            for arguments in [&["-c", path, "--check"][..], &["-c", path, "--check", "--json"]] {
                let ended = run_with(key, arguments).await;
                let printed = format!("{}{}", ended.stdout, ended.stderr);
                assert!(printed.contains("deployments are left out") == has_summary, "{key}: {printed}");
                assert!(!printed.contains(&key[..12]), "{key}: {printed}");
            }
        }
    }
    assert!(!run_with(SHAPES[0], &["schema"]).await.stdout.contains("canary"));
}

#[tokio::test]
async fn no_key_is_in_the_logs_at_trace_level_or_in_a_response() {
    for key in SHAPES {
        let refusal =
            json!({"error": {"message": format!("the key {key} is wrong"), "code": "invalid_api_key"}});
        let upstream = Upstream::with([Reply::bytes(401, "application/json", refusal.to_string())]).await;
        let (main, more) = files(key, &upstream.url());
        let main = main.replace(&format!(", OTHER: ['{key}']"), "");
        let main = main.replace(&format!(", {{credential_values: {{api_key: '{key}'}}}}"), "");
        // An unsafe warning stops the start.
        let main = main.replace(&format!(", mster_key: '{key}'"), "");
        let path = config(&main);
        std::fs::write(path.with_file_name("more.yaml"), &more).unwrap();
        let gateway = Start::at(&path).env("RUST_LOG", "trace").env("CANARY", key).go().await;
        let bearer = format!("Bearer {key}");
        let headers = [("authorization", &*bearer), ("x-api-key", key)];
        let chat = request(Method::POST, "/v1/chat/completions", ask("g", json!({})), &headers);
        let answer = gateway.client.send(chat).await;
        let told = format!("{} {:?}", answer.text(), answer.headers);
        assert!(!told.contains(&key[..12]), "{key}: {told}");
        let metrics = request(Method::GET, "/metrics", String::new(), &headers);
        assert!(!gateway.client.send(metrics).await.text().contains(&key[..12]), "{key}");
        let said = gateway.said();
        assert!(said.contains("listening on") && !said.contains(&key[..12]), "{key}: {said}");
    }
}
