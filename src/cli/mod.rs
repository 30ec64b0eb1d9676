//! The command line: arguments, signals and exit codes. No other module prints.

mod check;
mod serve;
mod simulate;

use std::{fmt::Display, fs, path::Path, process::ExitCode};

use clap::{CommandFactory, Parser};

pub use check::summary;

use crate::config::{Config, Diagnostics};

/// The exit code for an invalid configuration: `EX_CONFIG` of sysexits.h.
const BAD_CONFIG: u8 = 78;

/// A model gateway: OpenAI-compatible, reads LiteLLM's YAML, uses all of every rate limit and exceeds none.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
struct Command {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    serve: Option<serve::Arguments>,
}

/// The subcommands; without one the gateway is served.
#[derive(Debug, clap::Subcommand)]
enum Other {
    /// Show what a configuration does under load: minutes of traffic in a second, over simulated upstreams
    Simulate(simulate::Arguments),
}

/// Runs the command line: serves, checks a configuration, or simulates one under load.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Command::parse() {
        Command { other: Some(Other::Simulate(arguments)), .. } => simulate::simulate(&arguments),
        Command { serve: Some(arguments), .. } => serve::serve(arguments),
        Command { other: None, serve: None } => {
            Ok(Command::command().print_help().map_or(ExitCode::FAILURE, |()| 2.into()))
        }
    };
    result.unwrap_or_else(|code| code)
}

/// Returns the configuration and its warnings.
///
/// # Errors
///
/// Returns the exit code after printing the errors.
fn read(path: &Path) -> Result<(Config, Diagnostics), ExitCode> {
    let text = fs::read_to_string(path);
    let path = path.display().to_string();
    let text = text.map_err(|error| {
        eprintln!("error: cannot read {path}: {error}");
        ExitCode::from(BAD_CONFIG)
    })?;
    Config::from_yaml(&text, &path, &|name| std::env::var(name).ok()).map_err(|errors| {
        eprint!("{errors}");
        ExitCode::from(BAD_CONFIG)
    })
}

/// Returns a function that prints an error and returns the exit code, for `map_err`.
fn failed<E: Display>(what: impl Display) -> impl FnOnce(E) -> ExitCode {
    move |error| {
        eprintln!("error: {what}: {error}");
        ExitCode::FAILURE
    }
}
