//! Resolves what is known about the model of a deployment: `model_info` and the prices of `litellm_params` before the
//! table of models.

use crate::config::{
    ModelFacts, ModelMode, Prices, Target,
    error::DiagnosticSink,
    raw::ModelEntry,
    read,
    yaml::{Node, Value},
};

/// Resolves the facts. The table is searched for `base_model`, else for the model of the target.
pub(super) fn resolve(
    entry: &ModelEntry,
    target: Option<&Target>,
    sink: &mut DiagnosticSink<'_>,
) -> ModelFacts {
    let info = |name| entry.info.get(name);
    let base_model = info("base_model").and_then(|node| read::text(node, sink));
    let table = target.and_then(|target| match &base_model {
        Some(base_model) => ModelFacts::find_base(target.vendor.prefix, base_model),
        None => ModelFacts::find(target.vendor.prefix, &target.model),
    });
    let table = table.unwrap_or_default();
    let mut tokens = |name| info(name).and_then(|node| read::whole(node, 1, sink));
    let (max_input, max_output) = (tokens("max_input_tokens"), tokens("max_output_tokens"));
    let mut capabilities = table.capabilities;
    for (key, node) in entry.info.entries() {
        if let Value::Bool(has) = node.value {
            capabilities.set(&key.name, has);
        }
    }
    ModelFacts {
        mode: info("mode").and_then(mode).or(table.mode),
        max_input_tokens: max_input.or(table.max_input_tokens),
        max_output_tokens: max_output.or(table.max_output_tokens),
        prices: prices(entry, sink).or(table.prices),
        capabilities,
    }
}

/// Returns the mode, or none for one of LiteLLM's that is not served.
fn mode(node: &Node) -> Option<ModelMode> {
    let Value::Text(text) = &node.value else { return None };
    ModelMode::ALL.iter().find(|(name, _)| name == text).map(|(_, mode)| *mode)
}

fn prices(entry: &ModelEntry, sink: &mut DiagnosticSink<'_>) -> Prices {
    let mut price = |name| {
        let node = entry.params.get(name).or(entry.info.get(name));
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
