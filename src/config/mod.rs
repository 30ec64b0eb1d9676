//! Configuration of the gateway: reads a LiteLLM-style YAML file into a checked [`Config`] in three pure steps.
//!
//! ```text
//! text --yaml--> Node tree with positions --raw--> sections --resolve--> Config
//!                                       \____________________________/
//!                                         Diagnostics: all of them, with line and column
//! ```
//!
//! The file format is LiteLLM's: `model_list`, `litellm_settings`, `router_settings`, `general_settings`,
//! `environment_variables`. The text is first parsed into a tree that records the position of each value, not
//! directly into structs: serde stops at the first invalid value, and the operator wants to see all errors. This
//! module never reads the process environment; the caller passes a lookup function.
//!
//! ```
//! use tollgate::config::Config;
//!
//! let text = "
//! model_list:
//!   - model_name: chat
//!     litellm_params: {model: openai/gpt-4o, rmp: 6}
//! ";
//! let (config, warnings) = Config::from_yaml(text, "config.yaml", &|_| None)?;
//! assert_eq!(&*config.groups[0].name, "chat");
//! assert!(warnings.to_string().contains("did you mean `rpm`?"));
//! # Ok::<(), tollgate::config::Diagnostics>(())
//! ```
//!
//! Hazard: a configuration contains secrets. They are stored in types that print nothing, and a [`Diagnostic`] shows
//! a value of the file only if its key is known to hold no secret.

mod client_key;
mod error;
mod framing;
mod ignored;
mod keys;
mod model;
mod pattern;
mod raw;
mod read;
mod repeats;
mod resolve;
mod snippet;
#[cfg(test)]
mod tests;
mod vendors;
mod yaml;

pub use client_key::{ClientKey, KeyDigest};
pub use error::{Diagnostic, Diagnostics, Grade, Severity};
pub use framing::is_framing;
pub use model::{
    Alias, Config, Deployment, ErrorCounts, ErrorName, FallbackTarget, Fallbacks, Group, LeftOut,
    ListenerSettings, Midstream, MockResponse, ModelInfo, ParameterRules, Provider, RateLimits, RetryBudget,
    RoutingStrategy, Settings, Target, Timeouts, TokenAccounting, Unserved,
};
pub use pattern::{Pattern, Patterns};
pub use vendors::{BaseUrl, DEFAULT_API_VERSION, VENDORS, Vendor, vendor};

pub(crate) use keys::{KeyAction, is_openai, key_action, nearest};

use error::DiagnosticSink;

impl Config {
    /// Reads a configuration. `text` is the content of the file, `file_name` its name in messages, `env` looks up an
    /// environment variable.
    ///
    /// # Errors
    ///
    /// Returns all errors and warnings of the file together. Invalid YAML is a single error.
    pub fn from_yaml(
        text: &str,
        file_name: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut sink = DiagnosticSink::new(text);
        let config = yaml::parse(text, &mut sink)
            .and_then(|root| raw::read(root, env, &mut sink))
            .map(|raw| resolve::resolve(raw, &mut sink));
        let diagnostics = sink.finish(file_name);
        match config {
            Some(config) if !diagnostics.has_errors() => Ok((config, diagnostics)),
            _ => Err(diagnostics),
        }
    }
}
