//! The ids of deployments: configured, or hashed from the parameters.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use ring::digest::{SHA256, digest};

use crate::config::{
    error::DiagnosticSink,
    keys,
    raw::ModelEntry,
    read,
    yaml::{Location, Node, Value},
};

/// Returns the id of each entry. Configured ids are assigned first, since only they can clash.
pub(super) fn assign(entries: &mut [ModelEntry], sink: &mut DiagnosticSink<'_>) -> Vec<Arc<str>> {
    let mut taken: BTreeMap<Arc<str>, Location> = BTreeMap::new();
    let mut ids: Vec<Option<Arc<str>>> = Vec::new();
    for entry in &mut *entries {
        let (id, error) = sink.deployment(|sink| unique(entry.info.get("id")?, &mut taken, sink));
        entry.error = entry.error.take().or(error);
        ids.push(id);
    }
    let mut free = UnusedIds { taken: taken.into_keys().collect(), next: HashMap::new() };
    entries
        .iter()
        .zip(ids)
        .map(|(entry, written)| written.unwrap_or_else(|| free.take(hash(entry, |_| true))))
        .collect()
}

/// The parameters that distinguish the upstreams of limits: those of the address and the account, without secrets.
const ADDRESS: [&str; 8] = [
    "model",
    "custom_llm_provider",
    "api_base",
    "base_url",
    "api_version",
    "organization",
    "vertex_project",
    "vertex_location",
];

/// Returns the key by which replicas share the limits of each entry: its configured id, or a hash of the parameters that
/// distinguish its upstream. It does not change with a limit: while a new one is rolled out, old and new replicas would
/// otherwise count separately, and use it twice.
pub(super) fn limit_keys(entries: &[ModelEntry], ids: &[Arc<str>]) -> Vec<Arc<str>> {
    let is_written = |entry: &ModelEntry| entry.info.get("id").is_some();
    let written = entries.iter().zip(ids).filter(|(entry, _)| is_written(entry));
    let mut free = UnusedIds { taken: written.map(|(_, id)| id.clone()).collect(), next: HashMap::new() };
    let key = |(entry, id): (&ModelEntry, &Arc<str>)| {
        if is_written(entry) { id.clone() } else { free.take(hash(entry, |key| ADDRESS.contains(&key))) }
    };
    entries.iter().zip(ids).map(key).collect()
}

/// Returns a configured id, unless an earlier entry has it.
fn unique(
    node: &Node,
    taken: &mut BTreeMap<Arc<str>, Location>,
    sink: &mut DiagnosticSink<'_>,
) -> Option<Arc<str>> {
    let id = written(node, sink)?;
    if let Some(at) = taken.get(&id) {
        let (id, place) = (keys::redact(&id), sink.place(at));
        sink.error(&node.at, format!("the id `{id}` is already used")).help(format!("{place} uses it too"));
        return None;
    }
    taken.insert(id.clone(), node.at.clone());
    Some(id)
}

fn written(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<Arc<str>> {
    match &node.value {
        Value::Number(n) => Some(n.to_string().into()),
        _ => read::text(node, sink).map(Into::into),
    }
}

/// The ids that are not taken yet.
struct UnusedIds {
    taken: HashSet<Arc<str>>,
    /// The next number to append to an id that several entries share; equal entries are numbered in file order.
    next: HashMap<String, usize>,
}

impl UnusedIds {
    fn take(&mut self, id: String) -> Arc<str> {
        let next = self.next.entry(id.clone()).or_insert(1);
        let mut candidate = id.clone();
        loop {
            if *next > 1 {
                candidate = format!("{id}-{next}");
            }
            *next += 1;
            // A configured id may look like a generated one.
            if !self.taken.contains(candidate.as_str()) {
                let id: Arc<str> = candidate.into();
                self.taken.insert(Arc::clone(&id));
                return id;
            }
        }
    }
}

/// Returns a hash over the group's name and the `used` parameters as written, in any order, without secrets. The id, and the
/// state of the deployment that is stored under it, survive a new key and a reformatted file.
fn hash(entry: &ModelEntry, used: impl Fn(&str) -> bool) -> String {
    let params = entry.params.entries().filter(|(key, _)| used(&key.name) && !is_secret(&key.name));
    let params: BTreeMap<_, _> = params.map(|(key, node)| (&*key.name, as_written(node))).collect();
    short_hash(&serde_json::to_string(&(&entry.name.as_deref(), params)).unwrap_or_default())
}

/// Returns the first 64 bits of a hash, in hexadecimal digits: enough that two deployments do not collide by chance.
pub(super) fn short_hash(text: &str) -> String {
    let bytes = digest(&SHA256, text.as_bytes()).as_ref().first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(bytes))
}

fn is_secret(key: &str) -> bool {
    keys::is_secret(key) || key.contains("headers")
}

/// Returns the value with `os.environ/NAME` unexpanded and the keys of maps sorted.
fn as_written(node: &Node) -> serde_json::Value {
    match (&node.value, &node.variable) {
        (_, Some(name)) => format!("os.environ/{name}").into(),
        (Value::List(items), None) => items.iter().map(as_written).collect(),
        (Value::Map(entries), None) => {
            let kept = entries.iter().filter(|(key, _)| !is_secret(&key.name));
            kept.map(|(key, node)| (key.name.clone(), as_written(node))).collect()
        }
        _ => node.json(),
    }
}
