//! Resolves tag routing: `enable_tag_filtering` and the tags of deployments.

use std::sync::Arc;

use crate::config::{
    Group, TagRules,
    error::DiagnosticSink,
    raw::{ModelEntry, RawConfig},
    read,
};

/// Returns the `tags` of a deployment.
pub(super) fn of(entry: &ModelEntry, sink: &mut DiagnosticSink<'_>) -> Vec<Arc<str>> {
    let Some(list) = entry.params.get("tags").and_then(|node| read::list(node, sink)) else {
        return Vec::new();
    };
    list.iter().filter_map(|node| read::text(node, sink)).map(Into::into).collect()
}

/// Sets the rules of each group for which tag filtering is on: by the settings, or by one of its deployments.
pub(super) fn resolve(raw: &RawConfig<'_>, groups: &mut [Group], sink: &mut DiagnosticSink<'_>) {
    let everywhere = raw.read("enable_tag_filtering", sink, read::boolean).unwrap_or_default();
    let match_any = raw.read("tag_filtering_match_any", sink, read::boolean).unwrap_or(true);
    let prefix = raw.read("tag_routing_prefix", sink, read::text).unwrap_or_default();
    for group in groups {
        if everywhere || group.deployments.iter().any(|d| d.info.tag_filtering) {
            let tags = group.deployments.iter().map(|d| d.tags.iter().cloned());
            group.tags = Some(Arc::new(TagRules::new(match_any, &prefix, tags)));
        }
    }
}
