//! Resolves `redis_*`, `cache_params` and LiteLLM's variables `REDIS_*`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use secrecy::SecretString;
use serde_json::Value as Json;

use super::id::short_hash;
use crate::config::{
    RedisAddress, RedisServer, ReplicaSettings,
    error::DiagnosticSink,
    raw::RawConfig,
    read::{self, Section},
    yaml::{Node, Value},
};

const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;
const HEARTBEAT: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(5);
const ISOLATED: [(&str, bool); 2] = [("keep", false), ("stop", true)];

/// The places of a setting: a key of `router_settings`, one of `cache_params`, and a variable, in this order.
struct Places<'r, 'e> {
    raw: &'r RawConfig<'e>,
    /// Empty unless it is of the type `redis`.
    cache: Section,
}

/// Returns the settings if the file names Redis. The variables alone do not count: one that is set by accident would
/// change the meaning of the limits.
pub(super) fn resolve(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Option<ReplicaSettings> {
    let replicas = raw.read("redis_replicas", sink, |node, sink| read::whole(node, 1, sink));
    let stops = raw.read("when_isolated", sink, |node, sink| read::choice(node, &ISOLATED, sink));
    let own_namespace = raw.read("redis_namespace", sink, namespace);
    let [heartbeat, lease] = times(raw, sink);
    let db = raw.read("redis_db", sink, |node, sink| read::whole::<u32>(node, 0, sink));
    let places = Places { raw, cache: cache(raw, sink) };
    if !places.are_named() {
        return None;
    }
    let cached = places.cache.get("namespace").and_then(|node| namespace(node, sink));
    let ssl = places.cache.get("ssl").and_then(|node| read::boolean(node, sink));
    let ssl_variable = || raw.env.get("REDIS_SSL").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let mut secret = |names| places.text(names, sink).map(SecretString::from);
    let username = secret(("redis_username", "username", "REDIS_USERNAME"));
    let password = secret(("redis_password", "password", "REDIS_PASSWORD"));
    let sentinel_password = secret(("", "sentinel_password", "REDIS_SENTINEL_PASSWORD"));
    Some(ReplicaSettings {
        server: places.server(sink)?,
        username,
        password,
        sentinel_password,
        tls: ssl.unwrap_or_else(ssl_variable),
        db: db.unwrap_or_default(),
        namespace: own_namespace.or(cached).unwrap_or_else(|| hash_of_groups(raw)),
        replicas: replicas.unwrap_or(1),
        stops_when_isolated: stops.unwrap_or_default(),
        heartbeat,
        lease,
    })
}

/// Returns the heartbeat and the lease. A replica that could miss no heartbeat would lose its permits by a single delay.
fn times(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> [Duration; 2] {
    let [heartbeat, lease] = [("heartbeat", HEARTBEAT), ("lease", LEASE)]
        .map(|(name, default)| raw.read(name, sink, read::positive_seconds).unwrap_or(default));
    if lease < heartbeat * 2 {
        sink.error(&raw.at, "`lease` must be at least twice the `heartbeat`")
            .help("a lease of five heartbeats is the default");
    }
    [heartbeat, lease]
}

impl Places<'_, '_> {
    fn are_named(&self) -> bool {
        self.cache.is_map() || ["redis_url", "redis_host"].iter().any(|name| self.router(name).is_some())
    }

    /// Returns an entry of `router_settings` that is not empty. LiteLLM takes an empty one for none.
    fn router(&self, name: &str) -> Option<&Node> {
        let is_empty = |node: &Node| matches!(&node.value, Value::Text(text) if text.trim().is_empty());
        self.raw.router.get(name).filter(|node| !is_empty(node))
    }

    /// Returns the text of a setting in the first place that has it.
    fn text(
        &self,
        (own, cached, variable): (&str, &str, &str),
        sink: &mut DiagnosticSink<'_>,
    ) -> Option<String> {
        let node = self.router(own).or_else(|| self.cache.get(cached));
        node.map_or_else(|| self.raw.env.get(variable), |node| text_or_number(node, sink))
    }

    /// Returns the server: that of the file before those of the variables, and as in LiteLLM a URL before a cluster, sentinels
    /// and a single host.
    fn server(&self, sink: &mut DiagnosticSink<'_>) -> Option<RedisServer> {
        let cached = |name| self.cache.get(name);
        if let Some(url) = self.router("redis_url").or_else(|| cached("url")) {
            return read::text(url, sink).map(|url| RedisServer::Url(url.into()));
        }
        if let Some(nodes) = cached("redis_startup_nodes") {
            return nodes_of(&nodes.json(), PORT)
                .map(RedisServer::Cluster)
                .or_else(|| invalid_nodes(nodes, sink));
        }
        if let Some(nodes) = cached("sentinel_nodes") {
            let sentinels = nodes_of(&nodes.json(), SENTINEL_PORT).or_else(|| invalid_nodes(nodes, sink))?;
            return self.sentinel(sentinels, sink);
        }
        if self.router("redis_host").is_none() && cached("host").is_none() {
            if let Some(url) = self.raw.env.get("REDIS_URL") {
                return Some(RedisServer::Url(url.into()));
            }
            if let Some(nodes) = self.nodes("REDIS_CLUSTER_NODES", PORT) {
                return Some(RedisServer::Cluster(nodes));
            }
            if let Some(sentinels) = self.nodes("REDIS_SENTINEL_NODES", SENTINEL_PORT) {
                return self.sentinel(sentinels, sink);
            }
        }
        self.single(sink)
    }

    fn single(&self, sink: &mut DiagnosticSink<'_>) -> Option<RedisServer> {
        let host = self.text(("redis_host", "host", "REDIS_HOST"), sink);
        let port = self.text(("redis_port", "port", "REDIS_PORT"), sink);
        let port = port.map_or(Some(PORT), |port| port.trim().parse().ok());
        let Some(port) = port else {
            sink.error(&self.raw.at, "the port of Redis is not a number of at most 65535")
                .help("correct `redis_port`, or the variable `REDIS_PORT`");
            return None;
        };
        Some(RedisServer::Single(RedisAddress { host: host.unwrap_or_else(|| "localhost".into()), port }))
    }

    fn sentinel(&self, sentinels: Vec<RedisAddress>, sink: &mut DiagnosticSink<'_>) -> Option<RedisServer> {
        let Some(service_name) = self.text(("", "service_name", "REDIS_SERVICE_NAME"), sink) else {
            sink.error(&self.raw.at, "the sentinels of Redis need the name of the server")
                .help("write it as `service_name` below `cache_params`, or set `REDIS_SERVICE_NAME`");
            return None;
        };
        Some(RedisServer::Sentinel { sentinels, service_name })
    }

    /// Returns the nodes in a variable, a list as JSON.
    fn nodes(&self, variable: &str, port: u16) -> Option<Vec<RedisAddress>> {
        nodes_of(&serde_json::from_str(&self.raw.env.get(variable)?).ok()?, port)
    }
}

/// Returns `cache_params` if they are of the type `redis`, which is LiteLLM's default.
fn cache(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Section {
    let Some(node) = raw.litellm.get("cache_params") else { return Section::default() };
    let section = Section::of(node.clone(), "`cache_params`", sink);
    let is_redis =
        section.get("type").is_some_and(|kind| matches!(&kind.value, Value::Text(kind) if kind == "redis"));
    if is_redis { section } else { Section::default() }
}

fn text_or_number(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<String> {
    match &node.value {
        Value::Number(number) => Some(number.to_string()),
        _ => read::text(node, sink),
    }
}

/// Reads a namespace. It becomes the hash tag of all keys, so that it has no braces.
fn namespace(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<Arc<str>> {
    let text = read::text(node, sink)?;
    if text.contains(['{', '}']) {
        return read::invalid(node, "a string without braces", sink);
    }
    Some(text.into())
}

/// Returns the addresses of a list of `{host, port}` or `[host, port]`.
fn nodes_of(nodes: &Json, port: u16) -> Option<Vec<RedisAddress>> {
    let field = |node: &Json, name: &str, index: usize| node.get(name).or_else(|| node.get(index)).cloned();
    let address = |node: &Json| {
        let host = field(node, "host", 0)?.as_str()?.to_owned();
        let port = match field(node, "port", 1) {
            Some(Json::String(port)) => port.parse().ok()?,
            Some(port) => u16::try_from(port.as_u64()?).ok()?,
            None => port,
        };
        Some(RedisAddress { host, port })
    };
    nodes.as_array()?.iter().map(address).collect::<Option<Vec<_>>>().filter(|nodes| !nodes.is_empty())
}

fn invalid_nodes<T>(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<T> {
    read::invalid(node, "a list of nodes, each with `host` and `port`", sink)
}

/// Returns a namespace that two gateways with different groups do not share by accident.
fn hash_of_groups(raw: &RawConfig<'_>) -> Arc<str> {
    let names: BTreeSet<&str> = raw.entries.iter().filter_map(|entry| entry.name.as_deref()).collect();
    short_hash(&serde_json::to_string(&names).unwrap_or_default()).into()
}
