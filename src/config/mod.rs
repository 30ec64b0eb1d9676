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

mod aws_credentials;
mod budget;
pub(crate) mod calendar;
mod client_key;
pub(crate) mod collector;
mod credentials;
mod error;
mod framing;
mod google;
mod id_key;
mod ignored;
mod include;
mod key_file;
mod keys;
mod model;
mod model_table;
mod models;
mod organizations;
mod pattern;
mod provider;
mod raw;
mod read;
mod repeats;
mod replicas;
mod resolve;
mod schema;
mod snippet;
mod tags;
#[cfg(test)]
mod tests;
mod upstream_tls;
mod vendors;
mod yaml;

pub use aws_credentials::AwsCredentials;
pub use budget::{BudgetLimit, BudgetPeriod};
pub use client_key::{ClientKey, KeyDigest};
pub use collector::{Collector, OtlpProtocol};
pub use error::{Diagnostic, Diagnostics, Grade, Severity};
pub use framing::is_framing;
pub use google::{GoogleCredential, GoogleGrant};
pub use id_key::IdKey;
pub use model::{
    Alias, Config, Deployment, ErrorCounts, ErrorName, FallbackTarget, Fallbacks, Group, LeftOut,
    ListenerSettings, LogSettings, Midstream, MockResponse, ModelInfo, ParameterRules, RateLimits,
    RetryBudget, RoutingStrategy, Settings, Target, Timeouts, TokenAccounting, Unserved,
};
pub use models::{Capabilities, ModelFacts, ModelMode, Prices};
pub use pattern::{Pattern, Patterns};
pub use provider::{Provider, Publisher};
pub use replicas::{RedisAddress, RedisServer, ReplicaSettings};
pub use schema::schema;
pub use tags::TagRules;
pub use upstream_tls::UpstreamTls;
pub use vendors::{BaseUrl, DEFAULT_API_VERSION, VENDORS, Vendor, vendor};

pub(crate) use keys::{KeyAction, is_openai, key_action, nearest, shown_name};

use std::{io, path::Path};

use error::DiagnosticSink;

impl Config {
    /// Reads a configuration that includes no other file. `text` is the content of the file, `file_name` its name in
    /// messages, `env` looks up an environment variable.
    ///
    /// # Errors
    ///
    /// Returns all errors and warnings of the file together. Invalid YAML is a single error.
    pub fn from_yaml(
        text: &str,
        file_name: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        Self::from_files((file_name, text), env, &|_| Err(io::ErrorKind::Unsupported.into()))
    }

    /// Reads a configuration from a file and from those that it includes. `open` returns the content of a file; relative
    /// names of included files are resolved against the file that names them.
    ///
    /// ```
    /// use tollgate::config::Config;
    ///
    /// let main = "include: [models.yaml]\ngeneral_settings: {master_key: secret}\n";
    /// let models = "model_list: [{model_name: chat, litellm_params: {model: gpt-4o, api_key: k}}]";
    /// let open = |path: &std::path::Path| {
    ///     assert_eq!(path, std::path::Path::new("/etc/tollgate/models.yaml"));
    ///     Ok(models.to_owned())
    /// };
    /// let (config, _) = Config::from_files(("/etc/tollgate/config.yaml", main), &|_| None, &open)?;
    /// assert_eq!(&*config.groups[0].name, "chat");
    /// # Ok::<(), tollgate::config::Diagnostics>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns all errors and warnings of the files together.
    pub fn from_files(
        file: (&str, &str),
        env: &dyn Fn(&str) -> Option<String>,
        open: &dyn Fn(&Path) -> io::Result<String>,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut sink = DiagnosticSink::new(file, open);
        let config = yaml::parse(0, &mut sink)
            .and_then(|root| raw::read(root, env, &mut sink))
            .map(|raw| resolve::resolve(raw, &mut sink));
        let diagnostics = sink.finish();
        match config {
            Some(config) if !diagnostics.has_errors() => {
                let warnings = diagnostics.warnings().cloned().collect();
                Ok((Self { warnings, ..config }, diagnostics))
            }
            _ => Err(diagnostics),
        }
    }
}
