//! Renames and drops parameters of a request for a vendor that has them by another name or does not know them.

use std::sync::Arc;

use bytes::Bytes;

use super::{BodyFrames, Layout, ParsedRequest, RequestInfo};
use crate::config::{FallbackTarget, ParameterRules};

/// A parameter: its name, and its value as JSON text.
type Parameter = (Arc<str>, Arc<str>);

/// Returns the parameters without those that are dropped, each with its name upstream. A parameter whose new name another
/// one has already is dropped.
pub(crate) fn renamed(parameters: &[Parameter], rules: &ParameterRules) -> Vec<Parameter> {
    let is_taken = |name: &str| parameters.iter().any(|(other, _)| **other == *name);
    let renamed = parameters.iter().filter_map(|(name, value)| {
        let new = rules.new_name(name).filter(|new| *new == &**name || !is_taken(new))?;
        Some((new.into(), Arc::clone(value)))
    });
    renamed.collect()
}

impl ParsedRequest {
    /// Returns the names of the parameters, those of a fallback included.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &str> {
        let replaced = self.replaced().iter().map(|(name, _)| &**name);
        self.info.layout.keys.iter().map(|(name, _)| name).chain(replaced)
    }

    /// Returns the request with the parameters that the rules leave, or none if they change nothing.
    ///
    /// The body is written again from slices of the original, which costs some allocations for each key. Only requests with
    /// a parameter that the vendor has by another name or does not know pay for it.
    pub(crate) fn with_parameters(&self, rules: &ParameterRules) -> Option<Box<Self>> {
        if !self.parameters().any(|name| rules.changes(name)) {
            return None;
        }
        let (bytes, layout) = self.rewritten(rules);
        let fallback = self.fallback.as_deref().map(|fallback| {
            let parameters = renamed(&fallback.parameters, rules);
            Arc::new(FallbackTarget { model: Arc::clone(&fallback.model), parameters })
        });
        let info = Arc::new(RequestInfo { layout, ..RequestInfo::clone(&self.info) });
        Some(Box::new(Self { bytes, info, fallback, ..self.clone() }))
    }

    fn rewritten(&self, rules: &ParameterRules) -> (BodyFrames, Layout) {
        let old = &self.info.layout;
        let mut body = Rewrite { from: self, frames: Vec::new(), length: 0, layout: Layout::default() };
        for (name, value) in old.keys.iter() {
            let new = rules.new_name(name).filter(|new| *new == name || old.keys.last(new).is_none());
            if let Some(new) = new {
                body.member(new, value, *value == old.model);
            }
        }
        body.finish()
    }
}

/// A body that is written again.
struct Rewrite<'r> {
    from: &'r ParsedRequest,
    frames: Vec<Bytes>,
    length: usize,
    layout: Layout,
}

impl Rewrite<'_> {
    fn push(&mut self, bytes: Bytes) {
        self.length += bytes.len();
        self.frames.push(bytes);
    }

    /// Appends a member with the value at a range of the original body.
    fn member(&mut self, name: &str, value: &std::ops::Range<usize>, is_model: bool) {
        let before = if self.layout.keys.is_empty() { '{' } else { ',' };
        self.push(format!("{before}{}:", serde_json::Value::from(name)).into());
        let (start, from) = (self.length, self.from);
        let mut at = value.start;
        // The cuts within a value are trailing commas.
        for cut in from.info.layout.cuts.iter().filter(|cut| value.contains(&cut.start)) {
            from.bytes.slices(at..cut.start).for_each(|slice| self.push(slice));
            at = cut.end;
        }
        from.bytes.slices(at..value.end).for_each(|slice| self.push(slice));
        self.layout.keys.push(name, start..self.length);
        if is_model {
            self.layout.model = start..self.length;
        }
    }

    fn finish(mut self) -> (BodyFrames, Layout) {
        let end = if self.layout.keys.is_empty() { "{}" } else { "}" };
        self.push(Bytes::from_static(end.as_bytes()));
        self.layout.close = self.length - 1;
        (self.frames.into_iter().collect(), self.layout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_whose_new_name_is_taken_is_dropped() {
        let rules = ParameterRules {
            renamed: vec![("new".into(), "old".into())],
            dropped: vec!["gone".into()],
            refused: Vec::new(),
        };
        let names = |names: &[&str]| {
            let parameters: Vec<Parameter> = names.iter().map(|name| ((*name).into(), "1".into())).collect();
            renamed(&parameters, &rules).into_iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(&["new", "gone", "other"]), ["old", "other"]);
        assert_eq!(names(&["new", "old"]), ["old"]);
    }
}
