//! The limit on what is printed: a file with thousands of faults must not scroll away the first ones.

use std::collections::BTreeMap;

use super::error::{Diagnostic, Severity};

/// Errors of one kind that are printed. The rest of the kind is counted.
const MAX_ERRORS: usize = 20;

/// Warnings of one grade that are printed: LiteLLM has hundreds of keys of its own, and each has its own warning.
const MAX_WARNINGS: usize = 500;

/// The number of diagnostics of each kind. A kind of errors is a message without its names.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats(BTreeMap<(Severity, String), usize>);

impl Repeats {
    /// Counts a diagnostic. Returns true if it is not printed, because enough of its kind are.
    pub(super) fn exceeded(&mut self, diagnostic: &Diagnostic) -> bool {
        let severity = diagnostic.severity;
        let kind = match severity {
            Severity::Error | Severity::LeftOut => without_names(&diagnostic.message),
            Severity::Warning(_) => String::new(),
        };
        let count = self.0.entry((severity, kind)).or_default();
        *count += 1;
        *count > limit(severity)
    }

    /// Returns the kinds of which some are not printed, each with their number.
    pub(super) fn rest(&self) -> impl Iterator<Item = (Severity, &str, usize)> {
        let kinds = self.0.iter();
        kinds.filter_map(|((severity, kind), count)| {
            let rest = count.checked_sub(limit(*severity)).filter(|rest| *rest > 0)?;
            Some((*severity, &**kind, rest))
        })
    }
}

const fn limit(severity: Severity) -> usize {
    match severity {
        Severity::Error | Severity::LeftOut => MAX_ERRORS,
        Severity::Warning(_) => MAX_WARNINGS,
    }
}

/// Returns the message with an ellipsis in place of each name.
fn without_names(message: &str) -> String {
    let parts = message.split('`').enumerate();
    parts.map(|(n, part)| if n % 2 == 0 { part } else { "`…`" }).collect()
}
