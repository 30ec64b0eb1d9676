//! SIGHUP: the file is read again, under traffic, and what is known of each deployment goes on.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::json;

use crate::support::{
    answers as say,
    gateway::{Gateway, Start, config},
    reply::Gate,
    upstream::Upstream,
};

/// Groups of one deployment each: `(group, id, parameters)` at its upstream.
fn yaml(deployments: &[(&str, &str, &str, &Upstream)]) -> String {
    let mut yaml = "model_list:\n".to_owned();
    for (group, id, params, upstream) in deployments {
        yaml += &format!(
            "  - model_name: {group}\n    litellm_params: {{model: openai/x, api_base: \"{}/v1\", api_key: k{params}}}\n    \
             model_info: {{id: {id}}}\n",
            upstream.url()
        );
    }
    yaml + "router_settings: {num_retries: 0, queue_timeout: 0, cooldown_time: 60}\n"
}

async fn start(yaml: &str) -> (PathBuf, Gateway) {
    let path = config(yaml);
    let gateway = Start::at(&path).go().await;
    (path, gateway)
}

/// Writes the file anew and waits until the gateway says this.
async fn reload(gateway: &Gateway, path: &Path, yaml: &str, says: &str) {
    std::fs::write(path, yaml).unwrap();
    gateway.signal("HUP").await;
    gateway.says(&[says]).await;
}

#[tokio::test]
async fn a_reload_adds_and_removes_groups() {
    let (a, b) = (Upstream::start().await, Upstream::start().await);
    let (path, gateway) = start(&yaml(&[("m", "a", "", &a)])).await;
    assert_eq!(gateway.chat("n", json!({})).await.status, 404);
    reload(&gateway, &path, &yaml(&[("n", "b", "", &b)]), "reloaded, serving n\n").await;
    assert_eq!(gateway.chat("n", json!({})).await.header("x-litellm-model-id"), Some("b"));
    assert_eq!(gateway.chat("m", json!({})).await.status, 404);
    assert!(gateway.get("/v1/models").await.text().contains("\"n\""));
    assert_eq!((a.count(), b.count()), (0, 1));
}

#[tokio::test]
async fn a_reload_of_a_file_that_never_ends_does_not_prevent_shutdown() {
    let upstream = Upstream::start().await;
    let (path, mut gateway) = start(&yaml(&[("m", "a", "", &upstream)])).await;
    std::fs::remove_file(&path).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(pipe.success());
    gateway.signal("HUP").await;
    // Whoever opens a pipe for writing waits until somebody reads it.
    let _pipe = tokio::task::spawn_blocking(move || std::fs::OpenOptions::new().write(true).open(path)).await;
    gateway.signal("INT").await;
    assert_eq!(gateway.end().await.code(), Some(0), "{}", gateway.said());
}

#[tokio::test]
async fn a_reload_keeps_used_quota_and_cooldowns() {
    let (a, b) = (Upstream::start().await, Upstream::with([say::unauthorized()]).await);
    let well = Upstream::start().await;
    let list = |more| {
        let ill = [("ill", "b", ", weight: 1000", &b), ("ill", "w", ", weight: 1", &well)];
        yaml(&[&[("m", "a", ", rpm: 3", &a), (more, "c", "", &well)], &ill[..]].concat())
    };
    let (path, gateway) = start(&list("before")).await;
    for _ in 0..3 {
        assert_eq!(gateway.chat("m", json!({})).await.status, 200);
    }
    assert_eq!(gateway.chat("ill", json!({})).await.status, 401);
    reload(&gateway, &path, &list("after"), "reloaded, serving m, after, ill").await;
    assert_eq!(gateway.chat("after", json!({})).await.status, 200, "the new tree serves");
    assert_eq!(gateway.chat("m", json!({})).await.status, 429, "three a minute, whichever tree asks");
    for _ in 0..3 {
        assert_eq!(gateway.chat("ill", json!({})).await.header("x-litellm-model-id"), Some("w"));
    }
    assert_eq!((a.count(), b.count()), (3, 1));
}

#[tokio::test]
async fn a_reload_with_other_limits_keeps_used_quota() {
    let a = Upstream::start().await;
    let list = |mark: &str, rpm: &str| yaml(&[("m", "a", rpm, &a), (mark, "b", "", &a)]);
    let (path, gateway) = start(&list("one", ", rpm: 2")).await;
    for _ in 0..2 {
        assert_eq!(gateway.chat("m", json!({})).await.status, 200);
    }
    let shorter = list("two", ", rpm: 2").replace("cooldown_time: 60", "cooldown_time: 9");
    reload(&gateway, &path, &shorter, "reloaded, serving m, two").await;
    assert_eq!(gateway.chat("m", json!({})).await.status, 429, "another setting changes nothing");
    reload(&gateway, &path, &list("three", ", rpm: 3"), "reloaded, serving m, three").await;
    let statuses = [gateway.chat("m", json!({})).await.status, gateway.chat("m", json!({})).await.status];
    assert_eq!(statuses.map(|status| status.as_u16()), [200, 429], "one more a minute");
}

#[tokio::test]
async fn a_reload_with_a_corrected_key_ends_the_cooldown() {
    let a = Upstream::of(|call| match call.header("authorization") {
        Some("Bearer k") => say::unauthorized(),
        _ => say::chat("a"),
    });
    let (a, b) = (a.await, Upstream::start().await);
    let list = yaml(&[("m", "a", ", weight: 1000", &a), ("m", "b", ", weight: 1", &b)]);
    let (path, gateway) = start(&list).await;
    assert_eq!(gateway.chat("m", json!({})).await.status, 401);
    assert_eq!(gateway.chat("m", json!({})).await.header("x-litellm-model-id"), Some("b"), "benched");
    let corrected = list.replacen("api_key: k", "api_key: good", 1);
    reload(&gateway, &path, &corrected, "reloaded, serving m\n").await;
    assert_eq!(gateway.chat("m", json!({})).await.header("x-litellm-model-id"), Some("a"));
}

#[tokio::test]
async fn no_request_fails_while_reloads_change_the_deployments() {
    let (a, b) = (Upstream::start().await, Upstream::start().await);
    let both = [("a", &a), ("b", &b)];
    let round = |n: usize| {
        let (id, upstream) = both[n % 2];
        let mark = format!("round-{n}");
        (yaml(&[("m", id, "", upstream), (&mark, "other", "", &a)]), format!("reloaded, serving m, {mark}\n"))
    };
    let (path, gateway) = start(&round(0).0).await;
    let (over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (client, over, served) = (gateway.client.clone(), over.clone(), served.clone());
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let answer = client.chat("m", json!({})).await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    served.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for n in 1..=10 {
        let (yaml, says) = round(n);
        reload(&gateway, &path, &yaml, &says).await;
        // Each tree has its share of the traffic.
        let enough = served.load(Ordering::SeqCst) + 8;
        let shared = async {
            while served.load(Ordering::SeqCst) < enough {
                tokio::task::yield_now().await
            }
        };
        crate::support::soon("traffic", shared).await;
    }
    over.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    assert!(a.count() > 20 && b.count() > 20, "{} and {}", a.count(), b.count());
}

#[tokio::test]
async fn a_request_in_flight_ends_at_its_deployment_after_a_reload() {
    let gate = Gate::new();
    let (a, b) = (Upstream::with([say::chat("a").held(&gate)]).await, Upstream::start().await);
    let (path, gateway) = start(&yaml(&[("m", "a", "", &a)])).await;
    let client = gateway.client.clone();
    let under_way = tokio::spawn(async move { client.chat("m", json!({})).await });
    a.call(1).await;
    reload(&gateway, &path, &yaml(&[("n", "b", "", &b)]), "reloaded, serving n\n").await;
    gate.open();
    assert_eq!(under_way.await.unwrap().said(), "a");
}

#[tokio::test]
async fn a_reload_of_a_bad_file_reports_its_line_and_changes_nothing() {
    let a = Upstream::start().await;
    let (path, gateway) = start(&yaml(&[("m", "a", "", &a)])).await;
    let bad = yaml(&[("n", "a", ", rpm: many", &a)]);
    reload(&gateway, &path, &bad, "the configuration stays as it was").await;
    gateway.says(&["`rpm` must be a whole number", "config.yaml:3:"]).await;
    assert_eq!(gateway.chat("m", json!({})).await.status, 200);
    std::fs::remove_file(&path).unwrap();
    gateway.signal("HUP").await;
    gateway.says(&["cannot read"]).await;
    assert_eq!(gateway.chat("m", json!({})).await.status, 200);
}

#[tokio::test]
async fn a_reload_with_another_master_key_refuses_the_old_one() {
    let a = Upstream::start().await;
    let locked =
        |key: &str| yaml(&[("m", "a", "", &a)]) + &format!("general_settings: {{master_key: {key}}}\n");
    let (path, gateway) = start(&yaml(&[("m", "a", "", &a)])).await;
    assert_eq!(gateway.chat("m", json!({})).await.status, 200);
    reload(&gateway, &path, &locked("tr0ub4dor"), "reloaded, serving m\n").await;
    assert_eq!(gateway.chat("m", json!({})).await.status, 401);
}

#[tokio::test]
async fn a_reload_without_a_master_key_at_a_public_address_has_a_warning() {
    let a = Upstream::start().await;
    let open = yaml(&[("m", "a", "", &a)]);
    let path = config(&format!("{open}general_settings: {{master_key: tr0ub4dor}}\n"));
    let gateway = Start::at(&path).argument("--host").argument("0.0.0.0").start().await;
    assert!(!gateway.said().contains("everyone"), "{}", gateway.said());
    reload(&gateway, &path, &open, "reloaded, serving m\n").await;
    gateway.says(&["warning: everyone who can reach 0.0.0.0:"]).await;
}

#[tokio::test]
async fn a_reload_warns_of_settings_that_need_a_restart() {
    let a = Upstream::start().await;
    let list = |mark: &str, most: &str| {
        let yaml = yaml(&[("m", "a", "", &a), (mark, "b", "", &a)]);
        yaml.replace("router_settings: {", &format!("router_settings: {{max_connections: {most}, "))
    };
    let (path, gateway) = start(&list("one", "50")).await;
    reload(&gateway, &path, &list("two", "50"), "reloaded, serving m, two").await;
    assert!(!gateway.said().contains("max_connections"), "{}", gateway.said());
    reload(&gateway, &path, &list("three", "60"), "reloaded, serving m, three").await;
    gateway.says(&["max_connections, keepalive_timeout and backlog stay as they were"]).await;
}
