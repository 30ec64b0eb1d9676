//! The settings by which replicas share their limits.

use secrecy::ExposeSecret;

use super::{CANARY, errors_of, read, read_with};
use crate::config::{Config, RedisAddress, RedisServer, ReplicaSettings};

const MODEL: &str = "model_list: [{model_name: g, litellm_params: {model: openai/m}}]\n";

fn settings(sections: &str, env: &[(&str, &str)]) -> Option<ReplicaSettings> {
    read_with(&format!("{MODEL}{sections}"), env).expect("a valid file").0.settings.replicas
}

fn address(host: &str, port: u16) -> RedisAddress {
    RedisAddress { host: host.into(), port }
}

#[test]
fn replicas_share_limits_only_if_the_file_names_redis() {
    let env = [("REDIS_URL", "redis://elsewhere"), ("REDIS_HOST", "elsewhere")];
    assert!(settings("router_settings: {redis_replicas: 3}", &env).is_none());
    assert!(settings("litellm_settings: {cache_params: {type: local}}", &env).is_none());
    assert!(settings("router_settings: {redis_host: '', redis_url: ' '}", &env).is_none());
    assert!(settings("litellm_settings: {cache_params: {type: redis}}", &env).is_some());
}

#[test]
fn the_server_of_replicas_is_in_the_file_or_in_litellms_variables() {
    let server =
        |sections: &str, env: &[(&str, &str)]| settings(sections, env).expect("Redis is named").server;
    let single = |server| match server {
        RedisServer::Single(address) => address,
        _ => panic!("not a single server"),
    };
    let env = [("REDIS_PORT", "7000"), ("REDIS_URL", "redis://elsewhere")];
    assert_eq!(single(server("router_settings: {redis_host: h}", &env)), address("h", 7000));
    assert_eq!(single(server("router_settings: {redis_host: h, redis_port: 1}", &env)), address("h", 1));
    let cached = "litellm_settings: {cache_params: {type: redis, host: h, port: '2'}}";
    assert_eq!(single(server(cached, &env)), address("h", 2));
    assert!(matches!(server("litellm_settings: {cache_params: {type: redis}}", &env), RedisServer::Url(url)
        if url.expose_secret() == "redis://elsewhere"));
    let nodes = "litellm_settings: {cache_params: {type: redis, redis_startup_nodes: [{host: a, port: 1}, {host: b}]}}";
    assert!(matches!(server(nodes, &env), RedisServer::Cluster(nodes)
        if nodes == [address("a", 1), address("b", 6379)]));
    let env = [("REDIS_SENTINEL_NODES", r#"[["s", 5]]"#), ("REDIS_SERVICE_NAME", "main")];
    let sentinel = server("litellm_settings: {cache_params: {type: redis}}", &env);
    assert!(matches!(sentinel, RedisServer::Sentinel { sentinels, service_name }
        if sentinels == [address("s", 5)] && service_name == "main"));
}

#[test]
fn the_password_of_redis_is_in_no_output() {
    let text =
        format!("{MODEL}router_settings: {{redis_url: 'redis://:{CANARY}@h', redis_password: {CANARY}}}\n");
    let (config, warnings) = read(&text);
    let settings = config.settings.replicas.expect("Redis is named");
    assert!(settings.password.is_some_and(|password| password.expose_secret() == CANARY));
    assert!(!warnings.contains(CANARY), "{warnings}");
    let (config, _) = read(&text);
    assert!(!format!("{config:?}").contains(CANARY));
}

#[test]
fn the_namespace_of_replicas_is_that_of_the_groups_unless_it_is_set() {
    let named = |sections| settings(sections, &[]).expect("Redis is named").namespace;
    let hash = named("router_settings: {redis_host: h}");
    assert_eq!((hash.len(), &hash), (16, &named("router_settings: {redis_host: other, redis_db: 3}")));
    assert_eq!(&*named("litellm_settings: {cache_params: {type: redis, namespace: n}}"), "n");
    assert_eq!(&*named("router_settings: {redis_host: h, redis_namespace: own}"), "own");
}

#[test]
fn the_lease_of_replicas_is_at_least_two_heartbeats() {
    let times = |sections| {
        let settings = settings(sections, &[]).expect("Redis is named");
        (settings.heartbeat.as_secs_f64(), settings.lease.as_secs_f64())
    };
    assert_eq!(times("router_settings: {redis_host: h}"), (1.0, 5.0));
    assert_eq!(times("router_settings: {redis_host: h, heartbeat: 0.5, lease: 1}"), (0.5, 1.0));
    let short = format!("{MODEL}router_settings: {{redis_host: h, heartbeat: 3}}");
    let errors = errors_of(&short, &[]).to_string();
    assert!(errors.contains("`lease` must be at least twice the `heartbeat`"), "{errors}");
}

fn limit_keys(entries: &str) -> Vec<String> {
    let (config, _): (Config, _) = read(&format!("model_list: [{entries}]\n"));
    config.groups.iter().flat_map(|group| &group.deployments).map(|d| d.limit_key.to_string()).collect()
}

#[test]
fn the_key_of_shared_limits_does_not_change_with_a_limit_or_a_credential() {
    let one =
        |params: &str| limit_keys(&format!("{{model_name: g, litellm_params: {{{params}}}}}")).remove(0);
    let key = one("model: openai/m, rpm: 6, api_key: a");
    assert_eq!(key, one("model: openai/m, rpm: 12, tpm: 9, weight: 2, timeout: 1, api_key: b"));
    assert_ne!(key, one("model: openai/m, rpm: 6, api_base: 'http://h'"));
    assert_ne!(key, one("model: openai/other, rpm: 6"));
    let vertex = |location: &str| {
        one(&format!("model: vertex_ai/gemini-x, vertex_project: p, headers: {{Authorization: b}}{location}"))
    };
    assert_ne!(vertex(", vertex_location: eu"), vertex(", vertex_location: us"));
    let entry = "{model_name: g, litellm_params: {model: openai/m}}";
    assert_eq!(limit_keys(&format!("{entry}, {entry}"))[1], format!("{key}-2"));
    let with_id = "{model_name: g, litellm_params: {model: openai/m}, model_info: {id: mine}}";
    assert_eq!(limit_keys(with_id), ["mine"]);
}
