//! A gateway without a ledger.

use serde_json::Value;
use tollgate_test_support::redis::{RedisServer, programs};

use crate::support::gateway::{Start, config, run};

const MODEL: &str =
    "model_list: [{model_name: m, litellm_params: {model: openai/m, mock_response: hello, rpm: 6}}]\n";

/// LiteLLM's variables do not make a replica: a file that names no server opens no connection to one.
#[tokio::test]
async fn a_gateway_without_replicas_does_not_connect_to_a_server() {
    let Some(program) = programs().into_iter().next() else { return };
    let server = RedisServer::start(program).unwrap();
    let alone = Start::new(MODEL).env("REDIS_URL", server.url()).go().await;
    assert_eq!(alone.chat("m", serde_json::json!({})).await.status, 200);
    let text = alone.get("/metrics").await.text();
    assert!(!text.contains("tollgate_ledger") && !text.contains("tollgate_deployment_lease{"), "{text}");
    assert_eq!(server.connections().unwrap(), 1, "that of this question");
    let yaml = format!("{MODEL}router_settings: {{redis_url: '{}'}}\n", server.url());
    let replica = Start::new(&yaml).go().await;
    crate::scene::until(&replica, "tollgate_ledger_up", |up| up == 1.0).await;
    assert!(server.connections().unwrap() > 1);
}

#[tokio::test]
async fn a_check_reports_the_server_of_replicas_and_starts_without_it() {
    for program in programs() {
        let mut server = RedisServer::start(program).unwrap();
        let path = config(&format!(
            "{MODEL}router_settings: {{redis_url: '{}', redis_replicas: 4}}\n",
            server.url()
        ));
        let path = path.to_str().unwrap();
        let checked = run(["--config", path, "--check"]).await;
        let name = if program == "redis-server" { "replicas: Redis " } else { "replicas: Valkey " };
        assert!(checked.code == Some(0) && checked.stdout.contains(name), "{program}: {checked:?}");
        let report = json(path).await;
        assert!(report["version"].as_str().is_some_and(|version| name.contains(&version[..5])), "{report}");
        assert_eq!(
            (&report["may_evict_limits"], &report["error"]),
            (&false.into(), &Value::Null),
            "{report}"
        );
        server.kill().unwrap();
        let checked = run(["--config", path, "--check"]).await;
        assert!(
            checked.code == Some(0) && checked.stdout.contains("1/4 of each limit"),
            "{program}: {checked:?}"
        );
        let report = json(path).await;
        assert!(report["error"].is_string() && report["version"].is_null(), "{report}");
        assert_eq!(report["expected"], 4, "{report}");
    }
}

/// Returns the part about replicas of a check as JSON.
async fn json(path: &str) -> Value {
    let checked = run(["--config", path, "--check", "--json"]).await;
    let mut report: Value = serde_json::from_str(&checked.stdout).unwrap();
    report["replicas"].take()
}
