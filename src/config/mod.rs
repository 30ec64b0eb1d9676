//! The configuration, in three pure steps: what the file says, what it means, and what was wrong with it.
//!
//! ```text
//! text --yaml--> Node tree with positions --raw--> sections --resolve--> Config
//!                                       \____________________________/
//!                                         Diagnostics: all of them, with line and column
//! ```
//!
//! The file is LiteLLM's: `model_list`, `litellm_settings`, `router_settings`, `general_settings`,
//! `environment_variables`. It is read into a tree that knows where each value stands, not straight into structs:
//! serde stops at the first wrong value, and an operator wants to see them all. Nothing here reads the process
//! environment; the caller passes it in.
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
//! Hazard: a configuration holds secrets. They are kept in types that print nothing, and a [`Diagnostic`] shows a
//! value of the file only where its key is known to be harmless.

mod error;
mod framing;
mod keys;
mod model;
mod pattern;
mod raw;
mod read;
mod resolve;
mod snippet;
mod summary;
mod vendors;
mod yaml;

pub use error::{Diagnostic, Diagnostics, Severity};
pub use framing::is_framing;
pub use model::{
    Accounting, Alias, Alternative, Clocks, Config, Deployment, ErrorCounts, ErrorName, Fallbacks, Group,
    Info, Limits, Midstream, Mock, Provider, RetryBudget, Settings, Strategy, Target,
};
pub use pattern::{Pattern, Patterns};
pub use summary::{Summary, summary};
pub use vendors::{Base, DEFAULT_API_VERSION, VENDORS, Vendor, vendor};

pub(crate) use keys::nearest;

use error::Sink;

impl Config {
    /// Reads a configuration: the text of the file, its name for messages, and the environment.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the file, at once, and the warnings with it. A file that is no YAML has one error.
    pub fn from_yaml(
        text: &str,
        file_name: &str,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Self, Diagnostics), Diagnostics> {
        let mut sink = Sink::new(text);
        let config = yaml::parse(text, &mut sink)
            .and_then(|root| raw::read(root, env, &mut sink))
            .map(|raw| resolve::resolve(&raw, &mut sink));
        let diagnostics = sink.finish(file_name);
        match config {
            Some(config) if !diagnostics.has_errors() => Ok((config, diagnostics)),
            _ => Err(diagnostics),
        }
    }
}
