//! `credential_list`: parameters that deployments share by the name of a credential.

use std::collections::BTreeMap;

use super::{error::DiagnosticSink, read, read::Section, yaml::Node};

/// The values of the credentials, by name.
#[derive(Debug, Default)]
pub(super) struct Credentials(BTreeMap<String, Section>);

impl Credentials {
    /// Removes the section and returns its credentials.
    pub(super) fn take(root: &mut Section, sink: &mut DiagnosticSink<'_>) -> Self {
        let Some((_, list)) = root.take("credential_list").filter(|(_, node)| !node.is_null()) else {
            return Self::default();
        };
        let items = read::list(&list, sink).unwrap_or_default();
        Self(items.iter().filter_map(|item| credential(item, sink)).collect())
    }

    /// Adds the values of the credential that the parameters of a deployment name. Own parameters take precedence.
    pub(super) fn apply(&self, params: &mut Section, sink: &mut DiagnosticSink<'_>) {
        let Some(node) = params.get("litellm_credential_name") else { return };
        let Some(name) = read::text(node, sink) else { return };
        match self.0.get(&name) {
            Some(values) => values.entries().for_each(|entry| params.add_missing(entry)),
            None => {
                sink.error(&node.at, "`credential_list` has no credential of this name")
                    .help("a credential is `{credential_name: NAME, credential_values: {api_key: ..}}`");
            }
        }
    }
}

fn credential(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<(String, Section)> {
    let mut credential = Section::of(node.clone(), "a credential", sink);
    let values = credential.take_section("credential_values", sink);
    let Some(name) = credential.get("credential_name") else {
        sink.error(&node.at, "the credential has no `credential_name`")
            .help("deployments name it as `litellm_credential_name`");
        return None;
    };
    Some((read::text(name, sink)?, values))
}
