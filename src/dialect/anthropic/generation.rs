//! The differences between Anthropic's models, by the version in their names: [`Generation`].

/// The version of a model. A name without one, such as that of a proxy, counts as the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dialect) struct Generation {
    version: (u32, u32),
    /// True for Haiku, the only family that can be forced to call a tool in each version.
    is_haiku: bool,
    /// True for Fable and Mythos, which always think.
    always_thinks: bool,
}

impl Generation {
    /// Returns the generation of a model: `claude-opus-4-5-20251101`, `claude-3-7-sonnet-latest`.
    pub(in crate::dialect) fn of(model: &str) -> Self {
        let after = model.rfind("claude-").map_or("", |at| &model[at + "claude-".len()..]);
        // A date is no version.
        let number = |word: &str| word.parse().ok().filter(|_| word.len() < 3);
        let mut numbers = after.split(['-', '.', '@', '_']).map(number).skip_while(Option::is_none);
        let major = numbers.next().flatten();
        let minor = numbers.next().flatten().unwrap_or(0);
        let named = |family: &str| after.contains(family);
        Self {
            version: major.map_or((u32::MAX, 0), |major| (major, minor)),
            is_haiku: named("haiku"),
            always_thinks: named("fable") || named("mythos"),
        }
    }

    /// Returns true if the output can have a JSON schema.
    pub(super) const fn has_format(self) -> bool {
        self.is_from(4, 5)
    }

    /// Returns true if the model decides by itself how long to think, within an effort.
    pub(super) const fn has_effort(self) -> bool {
        self.is_from(4, 6)
    }

    /// Returns true if the model can think at all.
    pub(super) const fn thinks(self) -> bool {
        self.is_from(3, 7)
    }

    /// Returns true if the model has the effort between high and the maximum.
    pub(super) const fn has_extra_high_effort(self) -> bool {
        self.is_from(4, 7)
    }

    /// Returns true if the model thinks unless it is told not to.
    pub(super) const fn can_be_told_not_to_think(self) -> bool {
        self.is_from(5, 0) && !self.always_thinks && (self.is_haiku || !self.is_from(5, 1))
    }

    /// Returns true if the model accepts a temperature, `top_p` and `top_k`.
    pub(in crate::dialect) const fn has_sampling(self) -> bool {
        !self.is_from(4, 7) && !self.always_thinks
    }

    /// Returns true if the model can be forced to call a tool while it does not think.
    pub(in crate::dialect) const fn can_be_forced(self) -> bool {
        self.is_haiku || !self.is_from(5, 1)
    }

    /// Returns the largest output, in tokens, for a model whose own limit is not known.
    pub(super) const fn max_tokens(self) -> u64 {
        match self.version {
            (4.., 5..) | (5.., _) => 64_000,
            (4, _) => 32_000,
            (3, 5..) => 8192,
            _ => 4096,
        }
    }

    const fn is_from(self, major: u32, minor: u32) -> bool {
        self.version.0 > major || self.version.0 == major && self.version.1 >= minor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generation_of_a_model_is_in_its_name() {
        for (model, version) in [
            ("claude-opus-4-5-20251101", (4, 5)),
            ("claude-3-7-sonnet-latest", (3, 7)),
            ("claude-3-5-haiku-20241022", (3, 5)),
            ("claude-3-opus-20240229", (3, 0)),
            ("claude-sonnet-4-20250514", (4, 0)),
            ("claude-sonnet-5", (5, 0)),
            ("claude-fable-5-1", (5, 1)),
            ("claude-haiku-4-5@20251001", (4, 5)),
            ("anthropic.claude-sonnet-4-5-20250929-v1:0", (4, 5)),
            ("claude-2.1", (2, 1)),
            ("claude-mythos-preview", (u32::MAX, 0)),
            ("my-proxy", (u32::MAX, 0)),
        ] {
            assert_eq!(Generation::of(model).version, version, "{model}");
        }
    }

    /// The flags are those of LiteLLM 1.110's `model_prices_and_context_window.json`.
    #[test]
    fn the_features_of_a_generation_are_those_of_its_models() {
        let features = |model| {
            let it = Generation::of(model);
            [
                it.has_format(),
                it.has_effort(),
                it.has_sampling(),
                it.can_be_forced(),
                it.can_be_told_not_to_think(),
            ]
        };
        for (model, wanted) in [
            ("claude-3-7-sonnet-20250219", [false, false, true, true, false]),
            ("claude-opus-4-5", [true, false, true, true, false]),
            ("claude-sonnet-4-6", [true, true, true, true, false]),
            ("claude-opus-4-7-20260416", [true, true, false, true, false]),
            ("claude-sonnet-5", [true, true, false, true, true]),
            ("claude-haiku-5-5", [true, true, false, true, true]),
            ("claude-opus-5-5", [true, true, false, false, false]),
            ("claude-fable-5", [true, true, false, true, false]),
            ("claude-fable-5-1", [true, true, false, false, false]),
        ] {
            assert_eq!(features(model), wanted, "{model}");
        }
    }
}
