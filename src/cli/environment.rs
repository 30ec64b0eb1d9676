//! Arguments that were not given, from the environment: containers and platforms set them there.

use std::{env, path::PathBuf, process::ExitCode};

/// The exit code for a wrong command line, as clap has it.
pub(super) const USAGE: u8 = 2;

/// Returns the path of the configuration: the argument, else tollgate's variable, else LiteLLM's.
///
/// # Errors
///
/// Returns the exit code after printing the error.
pub(super) fn config(argument: Option<PathBuf>) -> Result<PathBuf, ExitCode> {
    let variable = || variable("TOLLGATE_CONFIG").or_else(|| variable("CONFIG_FILE_PATH"));
    argument.or_else(|| variable().map(PathBuf::from)).ok_or_else(|| {
        eprintln!("error: there is no configuration: give `--config PATH`, or set TOLLGATE_CONFIG");
        eprintln!("\nFor more information, try '--help'.");
        USAGE.into()
    })
}

/// Returns a path: the argument, else the variable of this name.
pub(super) fn path(argument: Option<PathBuf>, name: &str) -> Option<PathBuf> {
    argument.or_else(|| variable(name).map(PathBuf::from))
}

/// Returns the host to listen on.
pub(super) fn host(argument: Option<String>) -> String {
    argument.or_else(|| variable("HOST")).unwrap_or_else(|| "127.0.0.1".to_owned())
}

/// Returns the port to listen on.
///
/// # Errors
///
/// Returns the exit code after printing the error.
pub(super) fn port(argument: Option<u16>) -> Result<u16, ExitCode> {
    match (argument, variable("PORT")) {
        (Some(port), _) => Ok(port),
        (None, None) => Ok(8000),
        (None, Some(text)) => text.parse().map_err(|_| {
            eprintln!("error: the environment variable PORT is not a port: `{text}`");
            USAGE.into()
        }),
    }
}

/// Returns the level of LiteLLM's variable `LITELLM_LOG`, for a filter.
pub(super) fn litellm_level() -> Option<&'static str> {
    match variable("LITELLM_LOG")?.to_ascii_uppercase().as_str() {
        "DEBUG" => Some("warn,tollgate=debug"),
        "INFO" => Some("warn,tollgate=info"),
        "WARNING" | "WARN" => Some("warn"),
        "ERROR" | "CRITICAL" => Some("error"),
        _ => None,
    }
}

/// Returns true if LiteLLM's variable `JSON_LOGS` is set to true.
pub(super) fn json_logs() -> bool {
    variable("JSON_LOGS").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Returns a variable of the environment without surrounding blanks. An empty one counts as unset.
pub(super) fn variable(name: &str) -> Option<String> {
    let value = env::var(name).ok()?.trim().to_owned();
    Some(value).filter(|value| !value.is_empty())
}
