//! The limit on what is printed: a file with thousands of faults must not scroll away the first ones.

use std::collections::BTreeMap;

use super::error::{Diagnostic, Grade, Severity};

/// Diagnostics of one kind that are printed. The rest of the kind is counted.
const MAX_OF_KIND: usize = 20;

/// Unsafe warnings that are printed: the operator has to accept each.
const MAX_UNSAFE: usize = 500;

/// The number of diagnostics of each kind. A kind is a severity and a message without its names; the unsafe warnings are
/// one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats(BTreeMap<(Severity, String), usize>);

impl Repeats {
    /// Counts a diagnostic. Returns true if it is not printed, because enough of its kind are.
    pub(super) fn exceeded(&mut self, diagnostic: &Diagnostic) -> bool {
        let severity = diagnostic.severity;
        let kind = match severity {
            Severity::Warning(Grade::Unsafe) => String::new(),
            _ => without_names(&diagnostic.message),
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
        Severity::Warning(Grade::Unsafe) => MAX_UNSAFE,
        _ => MAX_OF_KIND,
    }
}

/// Returns the message with an ellipsis in place of each name.
fn without_names(message: &str) -> String {
    let parts = message.split('`').enumerate();
    parts.map(|(n, part)| if n % 2 == 0 { part } else { "`…`" }).collect()
}
