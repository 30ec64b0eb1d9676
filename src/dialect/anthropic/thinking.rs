//! The thinking of a request: by a budget of tokens, or by an effort.

use serde::Serialize;

use super::generation::Generation;
use crate::dialect::conversation::{Content, Conversation, Effort, Role};

/// The smallest budget that the API accepts.
const LEAST_BUDGET: u64 = 1024;

/// The thinking of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::dialect) enum Thinking {
    Enabled {
        budget_tokens: u64,
    },
    /// The model decides. Its thinking is returned only if that is requested.
    Adaptive {
        display: &'static str,
    },
    Disabled,
}

impl Thinking {
    /// Returns the thinking for the effort of a request; none if the model's own default is meant, or the model cannot
    /// think.
    pub(in crate::dialect) fn of(conversation: &Conversation<'_>, generation: Generation) -> Option<Self> {
        let effort = conversation.effort?;
        if effort == Effort::None {
            return generation.can_be_told_not_to_think().then_some(Self::Disabled);
        }
        if generation.has_effort() {
            return Some(Self::Adaptive { display: "summarized" });
        }
        let room = conversation.max_tokens.map_or(u64::MAX, |most| most.saturating_sub(1));
        let budget_tokens = budget(effort).min(room);
        let fits = generation.thinks() && budget_tokens >= LEAST_BUDGET && !lacks_thinking(conversation);
        fits.then_some(Self::Enabled { budget_tokens })
    }

    /// Returns true if the model thinks.
    pub(in crate::dialect) const fn is_on(self) -> bool {
        !matches!(self, Self::Disabled)
    }

    /// Returns the number of tokens that the thinking may take.
    pub(super) const fn budget(self) -> u64 {
        match self {
            Self::Enabled { budget_tokens } => budget_tokens,
            Self::Adaptive { .. } | Self::Disabled => 0,
        }
    }
}

/// Returns LiteLLM's budgets.
const fn budget(effort: Effort) -> u64 {
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => 1024,
        Effort::Medium => 2048,
        Effort::High => 4096,
        Effort::XHigh => 8192,
        Effort::Max => 16_384,
    }
}

/// Returns the effort in Anthropic's words, for a model that has one.
pub(in crate::dialect) const fn effort(effort: Effort, generation: Generation) -> Option<&'static str> {
    if !generation.has_effort() {
        return None;
    }
    Some(match effort {
        Effort::None => return None,
        Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::XHigh if generation.has_extra_high_effort() => "xhigh",
        Effort::XHigh | Effort::Max => "max",
    })
}

/// Returns true if the last turn of the assistant called a tool and its thinking is gone, as clients that do not know it do
/// not send it back. The API then refuses to go on with a budget.
fn lacks_thinking(conversation: &Conversation<'_>) -> bool {
    let last = conversation.turns.iter().rev().find(|turn| turn.role == Role::Assistant);
    last.is_some_and(|turn| {
        let mut contents = turn.parts.iter().map(|part| &part.content);
        let calls = contents.clone().any(|content| matches!(content, Content::ToolCall { .. }));
        let is_thinking = |content: &Content<'_>| match content {
            Content::Thinking { signature, .. } => !signature.is_empty(),
            content => matches!(content, Content::RedactedThinking(_)),
        };
        calls && !contents.any(is_thinking)
    })
}
