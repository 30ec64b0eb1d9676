//! The file of models that `general_settings.model_table` names: facts that replace those of the table of models.

use std::{collections::BTreeMap, path::Path};

use super::{
    error::DiagnosticSink,
    include,
    read::{self, Section},
    yaml::{self, Node},
};

/// The models of the file, by name. The form is that of LiteLLM's file of prices and context windows.
#[derive(Debug, Default)]
pub(super) struct ModelTable(BTreeMap<String, Section>);

impl ModelTable {
    /// Reads the file, if the settings name one.
    pub(super) fn load(general: &Section, sink: &mut DiagnosticSink<'_>) -> Self {
        let node = general.get("model_table").filter(|node| !node.is_null());
        node.and_then(|node| Self::read(node, sink)).unwrap_or_default()
    }

    fn read(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<Self> {
        let name = read::text(node, sink)?;
        let named = (node, Path::new(&name));
        let (_, file) = include::open_named(named, "table of models", sink, DiagnosticSink::open)?;
        let root = yaml::parse(file, sink)?;
        let models = read::map(&root, sink)?.iter();
        let of = |node: &Node, sink: &mut DiagnosticSink<'_>| Section::of(node.clone(), "a model", sink);
        Some(Self(models.map(|(key, node)| (key.name.clone(), of(node, sink))).collect()))
    }

    /// Returns the facts of the first of these names that the file has.
    pub(super) fn find(&self, names: &[&str]) -> Option<&Section> {
        names.iter().find_map(|name| self.0.get(*name))
    }
}
