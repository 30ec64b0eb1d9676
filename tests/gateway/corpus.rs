//! Configurations as people write them: each file starts, leaves nothing out, and serves each of its groups.

use std::collections::BTreeSet;

use http::Method;
use serde_json::json;
use tollgate::config::{Config, VENDORS};

use crate::support::{
    client::{ask, request},
    gateway::Start,
    upstream::Upstream,
};

/// The files, in which `UPSTREAM` stands for the URL of the scripted upstream.
const FILES: [(&str, &str); 5] = [
    ("hosted", include_str!("../data/configurations/hosted.yaml")),
    ("local", include_str!("../data/configurations/local.yaml")),
    ("azure", include_str!("../data/configurations/azure.yaml")),
    ("bare_names", include_str!("../data/configurations/bare_names.yaml")),
    ("team", include_str!("../data/configurations/team.yaml")),
];

fn read(name: &str, text: &str) -> Config {
    let (config, _) = Config::from_yaml(text, name, &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.left_out, [], "{name}");
    config
}

#[test]
fn every_vendor_has_a_case_among_the_configurations() {
    let configs = FILES.map(|(name, text)| read(name, &text.replace("UPSTREAM", "http://127.0.0.1:9")));
    let deployments = configs.iter().flat_map(|config| &config.groups).flat_map(|group| &group.deployments);
    let covered: BTreeSet<_> = deployments.map(|deployment| deployment.target.vendor.prefix).collect();
    let missing: Vec<_> =
        VENDORS.iter().map(|vendor| vendor.prefix).filter(|prefix| !covered.contains(prefix)).collect();
    assert_eq!(missing, [""; 0]);
}

#[tokio::test]
async fn every_configuration_serves_each_of_its_groups() {
    for (name, text) in FILES {
        let upstream = Upstream::start().await;
        let text = text.replace("UPSTREAM", &upstream.url());
        let config = read(name, &text);
        let gateway = Start::new(&text).argument("--strict").go().await;
        let key = [("authorization", "Bearer sk-team")];
        for (n, group) in config.groups.iter().enumerate() {
            let model = group.name.replace('*', "some-model");
            let chat = request(Method::POST, "/v1/chat/completions", ask(&model, json!({})), &key);
            let answer = gateway.client.send(chat).await;
            assert_eq!(answer.status, 200, "{name}: {model}: {}", answer.text());
            let call = upstream.call(n + 1).await;
            assert!(call.target.contains("/chat/completions"), "{name}: {model}: {}", call.target);
            let target = &group.deployments[0].target;
            let sent = call.header("authorization").or(call.header("api-key"));
            assert_eq!(sent.is_some(), target.key.is_some(), "{name}: {model}");
        }
        assert_eq!(upstream.count(), config.groups.len(), "{name}");
    }
}
