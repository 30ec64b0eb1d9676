//! The error of a request that no deployment of its group fits: [`PreCallError`].

use std::{fmt, sync::Arc};

use crate::{dialect::Refusal, operation::Operation};

/// The reason why no deployment is called.
#[derive(Clone, Debug)]
pub(crate) enum PreCallError {
    /// The input is longer than every context window.
    ContextWindow {
        /// The estimated input.
        tokens: u64,
        /// The largest context window.
        max: u64,
    },
    /// No deployment is in this region.
    Region(Arc<str>),
    /// No deployment has the operation.
    Operation(Operation),
}

impl PreCallError {
    /// Returns the `code` of the error object, and its `param`.
    pub(crate) const fn code_and_param(&self) -> (&'static str, &'static str) {
        match self {
            Self::ContextWindow { .. } => ("context_length_exceeded", "messages"),
            Self::Region(_) => ("region_not_served", "allowed_model_region"),
            Self::Operation(_) => ("operation_not_supported", "model"),
        }
    }
}

impl fmt::Display for PreCallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContextWindow { tokens, max } => write!(
                f,
                "This model's maximum context length is {max} tokens. The input has about {tokens} tokens: shorten it."
            ),
            Self::Region(region) => {
                let region: String = region.chars().take(100).collect();
                write!(f, "This model has no deployment in the region `{region}`.")
            }
            Self::Operation(operation) => f.write_str(&Refusal::operation(operation.as_str()).message),
        }
    }
}
