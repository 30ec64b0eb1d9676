//! Resolves LiteLLM's `callbacks`, `success_callback` and `failure_callback` to collectors of traces.

use crate::config::{
    Collector, Grade,
    collector::{NoCollector, of_callback},
    error::DiagnosticSink,
    ignored, keys,
    raw::RawConfig,
    yaml::{Key, Node, Value},
};

/// The settings that list callbacks. A service receives successes and failures, whichever of them names it.
const SETTINGS: [&str; 3] = ["callbacks", "success_callback", "failure_callback"];

/// Returns the collectors, each once. Warns of the services that nothing is sent to, and of filters.
pub(super) fn resolve(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Vec<Collector> {
    let sections = [&raw.litellm, &raw.router];
    let entries = sections.iter().flat_map(|section| SETTINGS.iter().filter_map(|name| section.entry(name)));
    let mut collectors: Vec<Collector> = Vec::new();
    for entry in entries {
        for collector in of_setting(entry, raw, sink) {
            if collectors.iter().all(|known| known.name != collector.name) {
                collectors.push(collector);
            }
        }
    }
    collectors
}

/// Returns the collectors of one setting.
fn of_setting(
    (key, node): &(Key, Node),
    raw: &RawConfig<'_>,
    sink: &mut DiagnosticSink<'_>,
) -> Vec<Collector> {
    let is_filter = |name: &&str| key.name == "callbacks" && keys::is_filter(name);
    let (filters, names): (Vec<_>, Vec<_>) = names(node).into_iter().partition(is_filter);
    if !filters.is_empty() {
        ignored::warn((key, node), Grade::Unsafe, sink);
    }
    let (mut collectors, mut lost) = (Vec::new(), Vec::new());
    for name in names {
        match of_callback(name, &|name| raw.env.get(name)) {
            Ok(collector) => collectors.push(collector),
            Err(NoCollector::OtherService) => lost.push(keys::shown_name(name).into_owned()),
            Err(NoCollector::Variable(variable)) => {
                lost.push(format!("{name} (the variable {variable} is not set, or not valid)"));
            }
        }
    }
    if !lost.is_empty() {
        let setting = key.at.last();
        let message = format!("`{setting}`: nothing is sent to these services: {}", lost.join(", "));
        sink.graded(Grade::Lost, &key.at, message);
    }
    collectors
}

/// Returns the names of a list, or the one that stands alone. Other values name no service.
fn names(node: &Node) -> Vec<&str> {
    match &node.value {
        Value::List(items) => items.iter().flat_map(names).collect(),
        Value::Text(name) => vec![name.trim()].into_iter().filter(|name| !name.is_empty()).collect(),
        _ => Vec::new(),
    }
}
