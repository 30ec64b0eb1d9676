//! Keys of protections that are not served: they stop the start and a reload unless they are accepted.

use serde_json::json;

use crate::support::gateway::{Start, config, run};

const MODEL: &str =
    "model_list:\n  - {model_name: m, litellm_params: {model: openai/x, mock_response: hello}}\n";

#[tokio::test]
async fn an_unsafe_key_stops_the_start_unless_it_is_accepted() {
    let bad = format!("{MODEL}guardrails: [{{guardrail_name: pii}}]\n");
    let path = config(&bad);
    let path = path.to_str().unwrap();
    let refused = run(["-c", path, "--port", "0"]).await;
    assert_eq!(refused.code, Some(78));
    for said in [
        "warning[unsafe]: `guardrails` is not supported yet: requests and responses are not filtered",
        "config.yaml:3:1",
        "accept_unsafe: [guardrails]",
        "--accept-unsafe",
    ] {
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
    let accepted = format!("{bad}general_settings: {{accept_unsafe: [guardrails]}}\n");
    let accepted_path = config(&accepted);
    let verdict = "no deployment is left out; 1 unsafe";
    for (arguments, code, starts) in [
        (&["-c", path, "--check"][..], 78, "does not start without --accept-unsafe"),
        (&["-c", path, "--check", "--accept-unsafe"], 0, "starts"),
        (&["-c", accepted_path.to_str().unwrap(), "--check"], 0, "starts"),
    ] {
        let ended = run(arguments).await;
        assert_eq!(
            (ended.code, ended.stdout.lines().last()),
            (Some(code), Some(&*format!("{starts}; {verdict}")))
        );
    }
    for start in [Start::new(&bad).argument("--accept-unsafe"), Start::new(&accepted)] {
        assert_eq!(start.go().await.chat("m", json!({})).await.said(), "hello");
    }
}

#[tokio::test]
async fn a_reload_with_an_unsafe_key_changes_nothing() {
    let path = config(MODEL);
    let gateway = Start::at(&path).go().await;
    let unsafe_key = "general_settings: {allowed_ips: [10.0.0.1]}\n";
    std::fs::write(&path, format!("{}{unsafe_key}", MODEL.replace("hello", "changed"))).unwrap();
    gateway.signal("HUP").await;
    gateway.says(&["protections that are off: allowed_ips", "the configuration stays as it was"]).await;
    assert_eq!(gateway.chat("m", json!({})).await.said(), "hello");
    let accepted = unsafe_key.replace("]}", "], accept_unsafe: [allowed_ips]}");
    std::fs::write(&path, format!("{}{accepted}", MODEL.replace("hello", "changed"))).unwrap();
    gateway.signal("HUP").await;
    gateway.says(&["reloaded, serving m"]).await;
    assert_eq!(gateway.chat("m", json!({})).await.said(), "changed");
}
