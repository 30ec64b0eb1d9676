//! Resolves what is known about the model of a deployment: `model_info` and the prices of `litellm_params`, then the file of
//! models, then the table of models.

use crate::config::{
    ModelFacts, ModelMode, Prices, Target,
    error::DiagnosticSink,
    model_table::ModelTable,
    raw::ModelEntry,
    read::{self, Section},
    yaml::{Node, Value},
};

/// Resolves the facts. File and table are searched for `base_model`, else for the model of the target.
pub(super) fn resolve(
    entry: &ModelEntry,
    (target, models): (Option<&Target>, &ModelTable),
    sink: &mut DiagnosticSink<'_>,
) -> ModelFacts {
    let base_model = entry.info.get("base_model").and_then(|node| read::text(node, sink));
    let file = target.and_then(|target| match (&base_model, target.vendor.prefix) {
        (Some(base_model), prefix) => models.find(&[base_model, &format!("{prefix}/{base_model}")]),
        (None, prefix) => models.find(&[&format!("{prefix}/{}", target.model), &target.model]),
    });
    let info = |name| entry.info.get(name).or_else(|| file.and_then(|facts| facts.get(name)));
    let table = target.and_then(|target| match &base_model {
        Some(base_model) => ModelFacts::find_base(target.vendor.prefix, base_model),
        None => ModelFacts::find(target.vendor.prefix, &target.model),
    });
    let table = table.unwrap_or_default();
    let mut tokens = |name| info(name).and_then(|node| read::whole(node, 1, sink));
    let (max_input, max_output) = (tokens("max_input_tokens"), tokens("max_output_tokens"));
    let mut capabilities = table.capabilities;
    for (key, node) in file.into_iter().flat_map(Section::entries).chain(entry.info.entries()) {
        if let Value::Bool(has) = node.value {
            capabilities.set(&key.name, has);
        }
    }
    ModelFacts {
        mode: info("mode").and_then(mode).or(table.mode),
        max_input_tokens: max_input.or(table.max_input_tokens),
        max_output_tokens: max_output.or(table.max_output_tokens),
        prices: prices((entry, file), sink).or(table.prices),
        capabilities,
    }
}

/// Returns the mode, or none for one of LiteLLM's that is not served.
fn mode(node: &Node) -> Option<ModelMode> {
    let Value::Text(text) = &node.value else { return None };
    ModelMode::ALL.iter().find(|(name, _)| name == text).map(|(_, mode)| *mode)
}

fn prices((entry, file): (&ModelEntry, Option<&Section>), sink: &mut DiagnosticSink<'_>) -> Prices {
    let mut price = |name| {
        let own = entry.params.get(name).or(entry.info.get(name));
        let node = own.or_else(|| file.and_then(|facts| facts.get(name)));
        node.and_then(|node| amount(node, sink))
    };
    Prices {
        input: price("input_cost_per_token"),
        output: price("output_cost_per_token"),
        cached: price("cache_read_input_token_cost"),
    }
}

/// Reads a price. A negative one means in some catalogues that it varies: then it is not known.
fn amount(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<f64> {
    let price = read::number(node, "a number", sink)?;
    if price < 0.0 {
        sink.harmless(&node.at, "a negative price counts as unknown");
    }
    (price >= 0.0).then_some(price)
}
