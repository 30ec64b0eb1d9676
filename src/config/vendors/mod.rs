//! The vendors: the prefixes that `model` may have, one row each in [`VENDORS`].
//!
//! Most vendors use OpenAI's dialect and differ in their URL and in the names of their environment variables, which
//! are those of LiteLLM. Some have a parameter by another name, or do not know some of OpenAI's; `drop_params` decides
//! about the latter. All other parameters are passed on unchanged.

mod parameters;
mod shared;
mod table;
mod unserved;

pub(super) use shared::{AZURE_CLAUDE, VERTEX_CLAUDE, VERTEX_OPEN};
pub use table::VENDORS;
pub(super) use unserved::reason_unserved;

use super::Provider;

/// A vendor: a row of [`VENDORS`].
#[derive(Debug, PartialEq, Eq)]
pub struct Vendor {
    /// The prefix of `model`: the part before the slash.
    pub prefix: &'static str,
    /// The dialect.
    pub provider: Provider,
    /// The base URL.
    pub base: BaseUrl,
    /// The environment variables that may override the base URL; the first that is set is used.
    pub base_variables: &'static [&'static str],
    /// The environment variables that may contain the key; the first that is set is used.
    pub key_variables: &'static [&'static str],
    /// True if the vendor's servers usually need no key.
    pub keyless: bool,
    /// True if the vendor's own servers have OpenAI's Responses.
    pub responses: bool,
    /// True if the vendor's servers, or some of them, have OpenAI's text completions. Otherwise they become chats.
    pub completions: bool,
    /// True if the vendor has embeddings alone.
    pub embeddings_only: bool,
    /// True if `stream_options.include_usage` is supported. Most vendors without it report the usage of a stream
    /// unasked.
    pub supports_include_usage: bool,
    /// The prefix of a model name that has no slash.
    pub model_prefix: &'static str,
    /// The functions of the vendor that its OpenAI-compatible API does not have, as a clause; empty if there are none.
    pub lost: &'static str,
    /// The parameters that have another name at the vendor: OpenAI's name, and the vendor's.
    pub renamed: &'static [(&'static str, &'static str)],
    /// The parameters of OpenAI that the vendor does not know, in groups.
    pub unknown: &'static [&'static [&'static str]],
}

/// The `api-version` for Azure if none is configured; LiteLLM's default.
pub const DEFAULT_API_VERSION: &str = "2025-02-01-preview";

/// The base URL of a vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseUrl {
    /// A public URL, the same for every customer.
    Public(&'static str),
    /// A URL that each customer configures, with an example.
    SelfHosted(&'static str),
    /// A public URL that contains the region of AWS, between these parts.
    Regional(&'static str, &'static str),
    /// A public URL that contains the value of an environment variable: the account.
    Account {
        /// The part before the account.
        before: &'static str,
        /// The variable.
        variable: &'static str,
        /// The part after the account.
        after: &'static str,
    },
    /// A public URL that contains the location and the project, which `vertex_location` and `vertex_project` set.
    Vertex,
}

/// Returns a vendor with a public URL and OpenAI's dialect.
const fn public(
    (prefix, base): (&'static str, &'static str),
    base_variables: &'static [&'static str],
    key_variables: &'static [&'static str],
) -> Vendor {
    Vendor {
        prefix,
        provider: Provider::OpenAi,
        base: BaseUrl::Public(base),
        base_variables,
        key_variables,
        keyless: false,
        responses: false,
        completions: true,
        embeddings_only: false,
        supports_include_usage: true,
        model_prefix: "",
        lost: "",
        renamed: &[],
        unknown: &[],
    }
}

/// Returns a vendor with servers that the customer runs.
const fn self_hosted(
    (prefix, example): (&'static str, &'static str),
    base_variables: &'static [&'static str],
    key_variables: &'static [&'static str],
) -> Vendor {
    Vendor { base: BaseUrl::SelfHosted(example), ..public((prefix, ""), base_variables, key_variables) }
}

/// Returns a vendor with the account in its URL.
const fn account(
    (prefix, before, variable, after): (&'static str, &'static str, &'static str, &'static str),
    base_variables: &'static [&'static str],
    key_variables: &'static [&'static str],
) -> Vendor {
    let base = BaseUrl::Account { before, variable, after };
    Vendor { base, ..public((prefix, ""), base_variables, key_variables) }
}

impl Vendor {
    const fn keyless(self) -> Self {
        Self { keyless: true, ..self }
    }

    const fn with_responses(self) -> Self {
        Self { responses: true, ..self }
    }

    const fn without_completions(self) -> Self {
        Self { completions: false, ..self }
    }

    const fn with_embeddings_only(self) -> Self {
        Self { embeddings_only: true, completions: false, ..self }
    }

    const fn without_usage(self) -> Self {
        Self { supports_include_usage: false, ..self }
    }

    const fn speaking(self, provider: Provider) -> Self {
        Self { provider, ..self }
    }

    const fn renaming(self, renamed: &'static [(&'static str, &'static str)]) -> Self {
        Self { renamed, ..self }
    }

    const fn not_knowing(self, unknown: &'static [&'static [&'static str]]) -> Self {
        Self { unknown, ..self }
    }

    const fn losing(self, lost: &'static str) -> Self {
        Self { lost, ..self }
    }

    /// Returns the host of the public URL, if there is one.
    pub(crate) fn public_host(&self) -> Option<&'static str> {
        let BaseUrl::Public(base) = self.base else { return None };
        base.split_once("://").and_then(|(_, rest)| rest.split(['/', ':']).next())
    }
}

/// Returns the vendor of a model name without a prefix, as in LiteLLM: by the names of the vendors' own models.
pub(super) fn vendor_of_bare(name: &str) -> Option<&'static Vendor> {
    let reasoning = name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let family = FAMILIES.iter().find(|(family, _)| name.starts_with(family)).map(|(_, prefix)| *prefix);
    vendor(if reasoning { "openai" } else { family? })
}

/// The beginnings of model names, each with the prefix of its vendor.
const FAMILIES: &[(&str, &str)] = &[
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("text-embedding-", "openai"),
    ("ft:gpt-", "openai"),
    ("davinci-002", "openai"),
    ("babbage-002", "openai"),
    ("dall-e-", "openai"),
    ("whisper-", "openai"),
    ("tts-", "openai"),
    ("omni-moderation-", "openai"),
    ("claude-", "anthropic"),
    ("gemini-", "gemini"),
    ("anthropic.claude-", "bedrock"),
    ("us.anthropic.claude-", "bedrock"),
    ("amazon.nova-", "bedrock"),
    ("us.amazon.nova-", "bedrock"),
    ("meta.llama", "bedrock"),
    ("command-", "cohere"),
    ("mistral-", "mistral"),
    ("deepseek-", "deepseek"),
];

/// Returns the vendor with this prefix.
#[must_use]
pub fn vendor(prefix: &str) -> Option<&'static Vendor> {
    // LiteLLM's older name.
    let prefix = if prefix == "vertex_ai_beta" { "vertex_ai" } else { prefix };
    VENDORS.iter().find(|vendor| vendor.prefix == prefix)
}
