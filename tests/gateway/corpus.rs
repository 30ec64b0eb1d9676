//! Configurations as people write them: each file starts, leaves nothing out, and serves each of its groups.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Value, json};
use tollgate::config::{Config, Provider, Publisher, VENDORS, Vendor};

use crate::support::{
    answers,
    client::{ask, request},
    gateway::{Start, run},
    reply::Reply,
    upstream::Upstream,
};

/// The files, in which `UPSTREAM` stands for the URL of the scripted upstream.
const FILES: [(&str, &str); 6] = [
    ("hosted", include_str!("../data/configurations/hosted.yaml")),
    ("local", include_str!("../data/configurations/local.yaml")),
    ("azure", include_str!("../data/configurations/azure.yaml")),
    ("bare_names", include_str!("../data/configurations/bare_names.yaml")),
    ("team", include_str!("../data/configurations/team.yaml")),
    ("everything", include_str!("../data/configurations/everything.yaml")),
];

/// The path of the endpoint of access tokens in the files.
const TOKEN: &str = "/token";

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

/// Returns a response in the dialect of a route.
fn speaks(route: &str) -> Reply {
    let content = json!({"parts": [{"text": "hello"}]});
    if route.contains("/v1/messages") {
        let content = json!([{"type": "text", "text": "hello"}]);
        return Reply::json(200, &json!({"type": "message", "content": content, "stop_reason": "end_turn"}));
    }
    if route.contains(":generateContent") {
        return Reply::json(200, &json!({"candidates": [{"content": content, "finishReason": "STOP"}]}));
    }
    if route.contains("/converse") {
        let message = json!({"message": {"content": [{"text": "hello"}]}});
        return Reply::json(200, &json!({"output": message, "stopReason": "end_turn"}));
    }
    if route.contains("/api/chat") {
        return Reply::json(200, &json!({"model": "m", "message": {"content": "hello"}, "done": true}));
    }
    if route == TOKEN {
        return Reply::json(200, &json!({"access_token": "t", "expires_in": 3600}));
    }
    if route.contains("/embeddings") {
        return answers::embedding();
    }
    answers::chat("hello")
}

/// Returns the route of chats in the dialect of a vendor, or that of embeddings if it has no chats.
const fn route(vendor: &Vendor) -> &'static str {
    match vendor.provider {
        _ if vendor.embeddings_only => "/embeddings",
        Provider::Anthropic(_) => "/v1/messages",
        Provider::Gemini | Provider::Vertex(Publisher::Google) => ":generateContent",
        Provider::Ollama => "/api/chat",
        Provider::Bedrock => "/converse",
        _ => "/chat/completions",
    }
}

/// Collects the names of properties in a JSON schema: those that are served, and by section those that are not.
fn properties(
    schema: &Value,
    section: &str,
    served: &mut BTreeSet<String>,
    unserved: &mut Vec<(String, String)>,
) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if property["deprecated"] == true {
            unserved.push((section.to_owned(), name.clone()));
        } else {
            served.insert(name.clone());
            let nested = [property, &property["anyOf"][0], &property["anyOf"][0]["items"]];
            nested.into_iter().for_each(|nested| properties(nested, name, served, unserved));
        }
    }
}

#[tokio::test]
async fn every_key_has_a_case() {
    let schema: Value = serde_json::from_str(&run(["schema"]).await.stdout).unwrap();
    let (mut served, mut unserved) = (BTreeSet::new(), Vec::new());
    properties(&schema, "", &mut served, &mut unserved);
    let written = |name: &&String| {
        let key = format!("{name}:");
        let mut keys = FILES.iter().flat_map(|(_, text)| text.split(['{', ' ', ',', '\n']));
        keys.any(|word| word == key)
    };
    let missing: Vec<_> = served.iter().filter(|name| !written(name)).collect();
    assert_eq!(missing, [""; 0], "add them to everything.yaml");
    assert!(unserved.len() > 700, "{}", unserved.len());
    for (section, name) in unserved {
        let line = format!("\"{name}\": canary");
        let deployment = "model_name: g, litellm_params: {model: openai/m, api_key: k";
        let text = match &*section {
            "" => format!("model_list: [{{{deployment}}}}}]\n{line}\n"),
            "litellm_params" => format!("model_list: [{{{deployment}, {line}}}}}]\n"),
            "model_info" => format!("model_list: [{{{deployment}}}, model_info: {{{line}}}}}]\n"),
            "credential_values" => continue,
            _ => format!("model_list: [{{{deployment}}}}}]\n{section}: {{{line}}}\n"),
        };
        // Some are errors: an alternative to the master key, without one.
        let read = Config::from_yaml(&text, "", &|_| None);
        let said = read.map(|(_, warnings)| warnings).unwrap_or_else(|errors| errors).to_string();
        let grades = ["[unsafe]", "[lost]", "[harmless]", "error: "];
        assert!(grades.iter().any(|grade| said.contains(grade)), "{text}: {said}");
    }
}

#[tokio::test]
async fn every_configuration_serves_each_of_its_groups() {
    for (name, text) in FILES {
        let upstream = Upstream::of(|call| speaks(&call.target)).await;
        let text = text.replace("UPSTREAM", &upstream.url());
        let config = read(name, &text);
        let gateway = Start::new(&text).argument("--strict").go().await;
        let key = [("authorization", "Bearer sk-team")];
        for (n, group) in config.groups.iter().enumerate() {
            let model = group.name.replace('*', "some-model");
            let target = &group.deployments[0].target;
            let has_chats = !target.vendor.embeddings_only;
            let (path, body) = match has_chats {
                true => ("/v1/chat/completions", ask(&model, json!({}))),
                false => ("/v1/embeddings", json!({"model": model, "input": "hello"}).to_string()),
            };
            let answer = gateway.client.send(request(Method::POST, path, body, &key)).await;
            assert_eq!(answer.status, 200, "{name}: {model}: {}", answer.text());
            assert!(!has_chats || answer.said() == "hello", "{name}: {model}");
            let calls = upstream.calls();
            let call = calls.iter().filter(|call| call.target != TOKEN).nth(n).unwrap();
            let route = route(target.vendor);
            assert!(call.target.contains(route), "{name}: {model}: {}", call.target);
            let names = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];
            let sent = names.iter().find_map(|name| call.header(name));
            let has_key = target.key.is_some() || target.google.is_some() || target.aws.is_some();
            assert_eq!(sent.is_some(), has_key, "{name}: {model}");
        }
        let calls = upstream.calls();
        let chats = calls.iter().filter(|call| call.target != TOKEN).count();
        assert_eq!(chats, config.groups.len(), "{name}");
    }
}
