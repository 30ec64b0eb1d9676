//! Resolves budgets: `max_budget` and `budget_duration` of the whole gateway, or of a client key.

use crate::config::{
    BudgetLimit, BudgetPeriod,
    error::DiagnosticSink,
    raw::RawConfig,
    read::{self, Section},
    yaml::{Key, Node},
};

/// Returns the budget of a client key. A budget of zero is spent from the start.
pub(super) fn of_key(entry: &Section, sink: &mut DiagnosticSink<'_>) -> Option<BudgetLimit> {
    budget((entry.get("max_budget"), entry.entry("budget_duration")), sink)
}

/// Returns the budget of the whole gateway. As in LiteLLM, zero means that there is none.
pub(super) fn of_gateway(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> Option<BudgetLimit> {
    let sections = [&raw.litellm, &raw.general];
    let max = sections.iter().find_map(|section| section.get("max_budget"));
    let duration = sections.iter().find_map(|section| section.entry("budget_duration"));
    // Some files have a period for the budgets of LiteLLM's virtual keys only.
    let duration = duration.filter(|_| max.is_some());
    budget((max, duration), sink).filter(|budget| budget.max > 0.0)
}

/// Returns a budget. A period without a limit is one that was forgotten.
fn budget(
    (max, duration): (Option<&Node>, Option<&(Key, Node)>),
    sink: &mut DiagnosticSink<'_>,
) -> Option<BudgetLimit> {
    const MUST: &str = "a number with a unit, such as 12h, 1d, 7d, 30d or 1mo";
    let period = duration.filter(|(_, node)| !node.is_null()).and_then(|(_, node)| {
        let text = read::text(node, sink)?;
        BudgetPeriod::parse(text.trim()).or_else(|| read::invalid(node, MUST, sink))
    });
    match (max, duration) {
        (Some(node), _) => Some(BudgetLimit { max: read::amount(node, sink)?, period }),
        (None, Some((key, node))) if !node.is_null() => {
            sink.error(&key.at, "`budget_duration` has no effect without a `max_budget`")
                .help("write `max_budget` with the limit in dollars");
            None
        }
        (None, _) => None,
    }
}
