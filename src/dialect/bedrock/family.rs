//! The differences between the models of Bedrock, by the names in their ids: [`Family`].

use crate::dialect::anthropic::Generation;

/// The family of a model. The id of an application inference profile names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Claude(Generation),
    /// Amazon Nova. True for those that reason.
    Nova(bool),
    /// OpenAI's open models.
    GptOss,
    /// The model behind an ARN that does not name it.
    Unknown,
    Other,
}

impl Family {
    /// Returns the family of a model: `us.anthropic.claude-sonnet-4-5-20250929-v1:0`, `amazon.nova-lite-v1:0`.
    pub(super) fn of(model: &str) -> Self {
        match model {
            _ if model.contains("claude") => Self::Claude(Generation::of(model)),
            _ if model.contains("nova-") => Self::Nova(model.contains("nova-2")),
            _ if model.contains("gpt-oss") => Self::GptOss,
            _ if model.starts_with("arn:") => Self::Unknown,
            _ => Self::Other,
        }
    }

    /// Returns true if a prompt may have marks behind which it is cached. Other models refuse them.
    pub(super) const fn has_cache(self) -> bool {
        matches!(self, Self::Claude(_) | Self::Nova(_) | Self::Unknown)
    }

    /// Returns true if the model accepts a temperature and `top_p`.
    pub(super) const fn has_sampling(self) -> bool {
        match self {
            Self::Claude(generation) => generation.has_sampling(),
            Self::Nova(_) | Self::GptOss | Self::Unknown | Self::Other => true,
        }
    }

    /// Returns true if the model is known to call a tool that it must call.
    pub(super) const fn can_be_forced(self) -> bool {
        match self {
            Self::Claude(generation) => generation.can_be_forced(),
            Self::Nova(_) => true,
            Self::GptOss | Self::Unknown | Self::Other => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_of_a_bedrock_model_is_in_its_id() {
        let profile = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-opus-4-7";
        for (model, family) in [
            ("anthropic.claude-v2", Family::Claude(Generation::of("claude-v2"))),
            (profile, Family::Claude(Generation::of("claude-opus-4-7"))),
            ("us.amazon.nova-lite-v1:0", Family::Nova(false)),
            ("amazon.nova-2-lite-v1:0", Family::Nova(true)),
            ("openai.gpt-oss-120b-1:0", Family::GptOss),
            ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1", Family::Unknown),
            ("meta.llama3-70b-instruct-v1:0", Family::Other),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }
}
