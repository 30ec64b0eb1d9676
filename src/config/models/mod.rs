//! The table of models: context windows, prices and capabilities of the models that LiteLLM knows, [`ModelFacts::find`].
//!
//! The table is a sorted text in the program, written by `generate.py`. A search reads a dozen of its lines; nothing is
//! built from it at the start. Prices for long inputs, batches and other tiers are not in it.

use std::cmp::Ordering;

use serde::Serialize;

/// The models, a line each, sorted by name.
const TABLE: &str = include_str!("table.tsv");

/// The number of columns of a line.
const COLUMNS: usize = 10;

/// The names of the capabilities, from the lowest bit of [`Capabilities`] on.
const CAPABILITIES: [&str; 17] = [
    "supports_function_calling",
    "supports_parallel_function_calling",
    "supports_tool_choice",
    "supports_vision",
    "supports_pdf_input",
    "supports_audio_input",
    "supports_audio_output",
    "supports_video_input",
    "supports_embedding_image_input",
    "supports_reasoning",
    "supports_response_schema",
    "supports_system_messages",
    "supports_prompt_caching",
    "supports_assistant_prefill",
    "supports_web_search",
    "supports_url_context",
    "supports_computer_use",
];

/// The known facts of a model: from the file, else from the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFacts {
    /// The operation that the model is for.
    pub mode: Option<ModelMode>,
    /// The largest input, in tokens.
    pub max_input_tokens: Option<u64>,
    /// The largest output, in tokens.
    pub max_output_tokens: Option<u64>,
    /// The prices.
    pub prices: Prices,
    /// The capabilities.
    pub capabilities: Capabilities,
}

/// The operation that a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelMode {
    /// Chat completions.
    Chat,
    /// Text completions.
    Completion,
    /// Embeddings.
    Embedding,
    /// Responses.
    Responses,
    /// Moderations.
    Moderation,
    /// Reranking.
    Rerank,
    /// Images.
    ImageGeneration,
    /// Edits of images.
    ImageEdit,
    /// Transcriptions and translations of speech.
    AudioTranscription,
    /// Speech.
    AudioSpeech,
}

impl ModelMode {
    /// All modes, by name.
    pub const ALL: [(&str, Self); 10] = [
        ("chat", Self::Chat),
        ("completion", Self::Completion),
        ("embedding", Self::Embedding),
        ("responses", Self::Responses),
        ("moderation", Self::Moderation),
        ("rerank", Self::Rerank),
        ("image_generation", Self::ImageGeneration),
        ("image_edit", Self::ImageEdit),
        ("audio_transcription", Self::AudioTranscription),
        ("audio_speech", Self::AudioSpeech),
    ];
}

/// The prices of a model, in dollars per token.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prices {
    /// `input_cost_per_token`.
    pub input: Option<f64>,
    /// `output_cost_per_token`.
    pub output: Option<f64>,
    /// `cache_read_input_token_cost`: the price of input that the provider has in its cache.
    pub cached: Option<f64>,
}

impl Prices {
    /// Returns these prices, and those of `other` where one is not known.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            input: self.input.or(other.input),
            output: self.output.or(other.output),
            cached: self.cached.or(other.cached),
        }
    }

    /// Returns the price of a token of input and one of output, by which deployments are compared.
    #[must_use]
    pub fn sum(&self) -> Option<f64> {
        match (self.input, self.output) {
            (None, None) => None,
            (input, output) => Some(input.unwrap_or_default() + output.unwrap_or_default()),
        }
    }
}

/// The capabilities of a model, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u32);

impl Capabilities {
    /// Returns the names of the capabilities, such as `supports_vision`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        CAPABILITIES
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 >> bit & 1 == 1)
            .map(|(_, name)| name)
    }

    /// Adds or removes the capability of this name. Another name changes nothing.
    pub fn set(&mut self, name: &str, has: bool) {
        let Some(bit) = CAPABILITIES.iter().position(|known| *known == name) else { return };
        self.0 = self.0 & !(1 << bit) | u32::from(has) << bit;
    }
}

impl ModelFacts {
    /// Returns the facts of a model of a vendor, by the prefix of the vendor: under the name with the prefix, or under the
    /// plain name if the table has it for this vendor.
    #[must_use]
    pub fn find(prefix: &str, model: &str) -> Option<Self> {
        // Models of several publishers at one vendor have the publisher behind its name: `vertex_ai-language-models`.
        let is_own = |name: &str| {
            name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let own = || row(model).filter(|row| is_own(row.provider()));
        row(&format!("{prefix}/{model}")).or_else(own).map(Row::facts)
    }

    /// Returns the facts of the model that `model_info.base_model` names, with or without the prefix of a vendor.
    #[must_use]
    pub fn find_base(prefix: &str, base_model: &str) -> Option<Self> {
        row(base_model).or_else(|| row(&format!("{prefix}/{base_model}"))).map(Row::facts)
    }
}

/// A line of the table.
#[derive(Clone, Copy)]
struct Row(&'static str);

impl Row {
    fn columns(self) -> [&'static str; COLUMNS] {
        let mut columns = [""; COLUMNS];
        columns.iter_mut().zip(self.0.split('\t')).for_each(|(column, text)| *column = text);
        columns
    }

    fn provider(self) -> &'static str {
        self.columns()[1]
    }

    fn facts(self) -> ModelFacts {
        let columns = self.columns();
        let number = |at: usize| columns[at].parse().ok();
        let per_token = |at: usize| columns[at].parse::<f64>().ok().map(|price| price / 1e6);
        ModelFacts {
            mode: match columns[2] {
                "c" => Some(ModelMode::Chat),
                "t" => Some(ModelMode::Completion),
                "e" => Some(ModelMode::Embedding),
                "r" => Some(ModelMode::Responses),
                "m" => Some(ModelMode::Moderation),
                "k" => Some(ModelMode::Rerank),
                "i" => Some(ModelMode::ImageGeneration),
                "d" => Some(ModelMode::ImageEdit),
                "a" => Some(ModelMode::AudioTranscription),
                "s" => Some(ModelMode::AudioSpeech),
                _ => None,
            },
            max_input_tokens: number(3),
            max_output_tokens: number(4),
            prices: Prices { input: per_token(5), output: per_token(6), cached: per_token(7) },
            capabilities: Capabilities(u32::from_str_radix(columns[9], 16).unwrap_or_default()),
        }
    }
}

/// Returns the line of a name by binary search.
fn row(name: &str) -> Option<Row> {
    let (mut from, mut to) = (0, TABLE.len());
    while from < to {
        let middle = usize::midpoint(from, to);
        let start = memchr::memrchr(b'\n', &TABLE.as_bytes()[from..middle]).map_or(from, |at| from + at + 1);
        let line = before(b'\n', &TABLE[start..]);
        match before(b'\t', line).cmp(name) {
            Ordering::Less => from = start + line.len() + 1,
            Ordering::Greater => to = start,
            Ordering::Equal => return Some(Row(line)),
        }
    }
    None
}

/// Returns the part of a text before an ASCII character, or the whole text.
fn before(end: u8, text: &str) -> &str {
    memchr::memchr(end, text.as_bytes()).map_or(text, |at| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of models.
    fn lines() -> impl Iterator<Item = &'static str> {
        TABLE.lines().filter(|line| !line.starts_with('#'))
    }

    #[test]
    fn the_table_of_models_is_sorted_complete_and_small() {
        assert!(TABLE.lines().is_sorted() && TABLE.len() < 1_000_000, "{}", TABLE.len());
        assert!(lines().count() > 3_000);
        for line in lines() {
            let columns: Vec<_> = line.split('\t').collect();
            assert_eq!(columns.len(), COLUMNS, "{line}");
            assert!(row(columns[0]).is_some_and(|row| row.0 == line), "{line}");
            let facts = Row(line).facts();
            assert!(facts.mode.is_some(), "{line}");
            let number = |at: usize| columns[at].is_empty() || columns[at].parse::<f64>().is_ok();
            assert!((3..9).all(number) && facts.capabilities.0 < 1 << CAPABILITIES.len(), "{line}");
        }
    }

    #[test]
    fn a_model_is_found_by_its_vendor() {
        let facts = ModelFacts::find("openai", "gpt-4o").unwrap();
        assert_eq!((facts.max_input_tokens, facts.max_output_tokens), (Some(128_000), Some(16_384)));
        assert_eq!((facts.mode, facts.prices.sum()), (Some(ModelMode::Chat), Some(1.25e-5)));
        assert_eq!(facts.prices.cached, Some(1.25e-6));
        assert!(facts.capabilities.names().any(|name| name == "supports_vision"));
        assert!(
            ModelFacts::find("azure", "gpt-4o").is_some()
                && ModelFacts::find("deepseek", "deepseek-chat").is_some()
        );
        for (prefix, model) in
            [("openai", ""), ("openai", "claude-sonnet-4-5"), ("lm_studio", "gpt-4o"), ("z", "z")]
        {
            assert_eq!(ModelFacts::find(prefix, model), None, "{prefix}/{model}");
        }
        assert_eq!(ModelFacts::find_base("azure", "gpt-4o"), ModelFacts::find("openai", "gpt-4o"));
        assert_eq!(ModelFacts::find_base("openai", "azure/gpt-4o"), ModelFacts::find("azure", "gpt-4o"));
    }

    #[test]
    fn a_capability_is_set_by_its_name() {
        let mut capabilities = Capabilities::default();
        capabilities.set("supports_vision", true);
        capabilities.set("supports_telepathy", true);
        assert_eq!(capabilities.names().collect::<Vec<_>>(), ["supports_vision"]);
        capabilities.set("supports_vision", false);
        assert_eq!(capabilities, Capabilities::default());
    }
}
