//! The rules by which a configuration that could be served is refused.

use super::check::left_out;
use crate::config::{Config, Diagnostics};

/// The arguments that make the command stricter or more lenient.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Rules {
    /// Refuse a configuration that leaves a deployment out
    #[arg(long)]
    pub(super) strict: bool,
    /// Start although a protection that the configuration expects is off
    #[arg(long = "accept-unsafe")]
    pub(super) lenient: bool,
}

impl Rules {
    /// Returns the beginning of the verdict on a configuration that is refused.
    pub(super) fn refusal(self, config: &Config, warnings: &Diagnostics) -> Option<&'static str> {
        if self.strict && !config.left_out.is_empty() {
            Some("does not start with --strict")
        } else if !self.lenient && warnings.unaccepted().next().is_some() {
            Some("does not start without --accept-unsafe")
        } else {
            None
        }
    }

    /// Checks a configuration.
    ///
    /// # Errors
    /// Returns the reason why it is refused.
    pub(super) fn apply(self, config: &Config, warnings: &Diagnostics) -> Result<(), String> {
        match self.refusal(config, warnings) {
            None => Ok(()),
            Some(_) if self.strict && !config.left_out.is_empty() => {
                Err(format!("{}, which --strict does not allow", left_out(config)))
            }
            Some(_) => {
                let names: Vec<_> = warnings.unaccepted().filter_map(|d| d.hazard.as_deref()).collect();
                let names = names.join(", ");
                Err(format!(
                    "the configuration expects protections that are off: {names}; remove these keys, or accept that with \
                     `general_settings: {{accept_unsafe: [{names}]}}` or with --accept-unsafe"
                ))
            }
        }
    }
}
