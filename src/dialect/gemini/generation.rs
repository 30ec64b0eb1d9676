//! The differences between Gemini's models, by the version in their names: [`Generation`].

use serde::Serialize;

use crate::dialect::conversation::Effort;

/// The version of a model. A name without one counts as the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation {
    version: (u32, u32),
    is_flash: bool,
}

/// The thinking of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Thinking {
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_budget: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking_level: Option<&'static str>,
    include_thoughts: bool,
}

impl Generation {
    /// Returns the generation of a model: `gemini-2.5-flash`, `gemini-3-pro-preview`.
    pub(super) fn of(model: &str) -> Self {
        let after = model.rfind("gemini-").map_or("", |at| &model[at + "gemini-".len()..]);
        let version = after.split('-').next().unwrap_or_default();
        let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
        let version = major.parse().map_or((u32::MAX, 0), |major| (major, minor.parse().unwrap_or(0)));
        Self { version, is_flash: after.contains("flash") }
    }

    /// Returns true if calls of tools need the signature of the thinking before them.
    pub(super) const fn needs_signatures(self) -> bool {
        self.version.0 >= 3
    }

    /// Returns the thinking for an effort. Models before 2.5 do not think.
    pub(super) const fn thinking(self, effort: Effort) -> Option<Thinking> {
        let include_thoughts = !matches!(effort, Effort::None);
        let (thinking_budget, thinking_level) = match self.version {
            (3.., _) => (None, Some(self.level(effort))),
            (2, 5..) => (Some(self.budget(effort)), None),
            _ => return None,
        };
        Some(Thinking { thinking_budget, thinking_level, include_thoughts })
    }

    /// Returns the level for an effort. Pro has two at 3.0, and cannot be without thinking.
    const fn level(self, effort: Effort) -> &'static str {
        match effort {
            Effort::None | Effort::Minimal if self.is_flash => "minimal",
            Effort::None | Effort::Minimal | Effort::Low => "low",
            Effort::Medium if self.is_flash || self.version.0 > 3 || self.version.1 > 0 => "medium",
            Effort::Medium | Effort::High | Effort::XHigh | Effort::Max => "high",
        }
    }

    /// Returns LiteLLM's budgets. Pro has at least 128 tokens.
    const fn budget(self, effort: Effort) -> u32 {
        match effort {
            Effort::None if self.is_flash => 0,
            Effort::None => 128,
            Effort::Minimal => 512,
            Effort::Low => 1024,
            Effort::Medium => 2048,
            Effort::High => 4096,
            Effort::XHigh => 8192,
            Effort::Max => 16_384,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generation_of_a_gemini_model_is_in_its_name() {
        for (model, version, is_flash) in [
            ("gemini-2.5-flash-lite", (2, 5), true),
            ("gemini-3-pro-preview", (3, 0), false),
            ("gemini-3.1-pro", (3, 1), false),
            ("gemini-1.5-pro-002", (1, 5), false),
            ("gemini-flash-latest", (u32::MAX, 0), true),
            ("learnlm", (u32::MAX, 0), false),
        ] {
            assert_eq!(Generation::of(model), Generation { version, is_flash }, "{model}");
        }
    }

    #[test]
    fn the_thinking_of_a_gemini_model_is_a_budget_or_a_level() {
        let thinking = |model, effort| {
            let thinking = Generation::of(model).thinking(effort)?;
            Some((thinking.thinking_budget, thinking.thinking_level, thinking.include_thoughts))
        };
        for (model, effort, wanted) in [
            ("gemini-2.0-flash", Effort::High, None),
            ("gemini-2.5-flash", Effort::None, Some((Some(0), None, false))),
            ("gemini-2.5-pro", Effort::None, Some((Some(128), None, false))),
            ("gemini-2.5-pro", Effort::High, Some((Some(4096), None, true))),
            ("gemini-3-pro-preview", Effort::Medium, Some((None, Some("high"), true))),
            ("gemini-3.1-pro-preview", Effort::Medium, Some((None, Some("medium"), true))),
            ("gemini-3-flash-preview", Effort::Minimal, Some((None, Some("minimal"), true))),
            ("gemini-3-pro-preview", Effort::None, Some((None, Some("low"), false))),
        ] {
            assert_eq!(thinking(model, effort), wanted, "{model} {effort:?}");
        }
    }
}
