//! The command line: arguments, signals and exit codes. No other module prints.

mod check;
mod environment;
mod files;
mod health;
mod listen;
mod litellm_flags;
mod log;
mod monitor;
mod reload;
#[cfg(feature = "redis")]
mod replicas;
mod rules;
mod serve;
mod simulate;
mod start;
mod tls;
#[cfg(feature = "otlp")]
mod traces;

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use clap::{
    CommandFactory, Parser,
    error::{ContextKind, ContextValue},
};
use clap_mangen::Man;

pub use check::summary;

use self::files::Files;
use crate::config::{Config, Diagnostics, schema};

/// The exit code for an invalid configuration: `EX_CONFIG` of sysexits.h.
const BAD_CONFIG: u8 = 78;

/// The name of the command.
const NAME: &str = "tollgate";

/// A model gateway: OpenAI-compatible, reads LiteLLM's YAML, uses all of every rate limit and exceeds none.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Command {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    serve: serve::Arguments,
}

/// The subcommands; without one the gateway is served.
#[derive(Debug, clap::Subcommand)]
enum Other {
    /// Show what a configuration does under load: minutes of traffic in a second, over simulated upstreams
    Simulate(Box<simulate::Arguments>),
    /// Print the JSON schema of a configuration, for editors
    Schema,
    /// Ask a running gateway if it is ready (code 0) or not (code 1), for the health check of a container
    Health(health::Arguments),
    /// Print the completions of a shell, as `tollgate completions bash > /etc/bash_completion.d/tollgate`
    Completions {
        /// Shell: bash, elvish, fish, powershell or zsh
        shell: clap_complete::Shell,
    },
    /// Print the manual page, as `tollgate man > /usr/share/man/man1/tollgate.1`
    Man,
}

/// Runs the command line: serves, checks a configuration, or simulates one under load.
#[must_use]
pub fn main() -> ExitCode {
    litellm_flags::without(std::env::args_os()).and_then(run).unwrap_or_else(|code| code)
}

fn run(arguments: Vec<OsString>) -> Result<ExitCode, ExitCode> {
    match Command::try_parse_from(arguments) {
        Ok(Command { other: Some(Other::Simulate(arguments)), .. }) => simulate::simulate(*arguments),
        Ok(Command { other: Some(Other::Health(arguments)), .. }) => health::health(arguments),
        Ok(Command { other: Some(Other::Schema), .. }) => print(format!("{:#}\n", schema()).as_bytes()),
        Ok(Command { other: Some(Other::Completions { shell }), .. }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Command::command(), NAME, &mut script);
            print(&script)
        }
        Ok(Command { other: Some(Other::Man), .. }) => {
            let mut page = Vec::new();
            Man::new(Command::command()).render(&mut page).map_err(failed("cannot write the manual page"))?;
            print(&page)
        }
        Ok(Command { other: None, serve }) => serve::serve(serve),
        Err(error) => Err(lone_path(&error).unwrap_or_else(|| error.exit())),
    }
}

/// Prints a text to the standard output, whose reader may have ended.
fn print(text: &[u8]) -> Result<ExitCode, ExitCode> {
    io::stdout().write_all(text).map_err(failed("cannot write to the standard output"))?;
    Ok(ExitCode::SUCCESS)
}

/// Reports a path that stands without `--config`, and returns the exit code. Returns none for any other error.
fn lone_path(error: &clap::Error) -> Option<ExitCode> {
    let kinds = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg];
    let word = kinds.iter().find_map(|kind| match error.get(*kind)? {
        ContextValue::String(word) => Some(word),
        _ => None,
    })?;
    let is_path = !word.starts_with('-') && (word.contains(['.', '/']) || Path::new(word).exists());
    is_path.then(|| {
        eprintln!("error: unexpected argument `{word}`: did you mean `--config {word}`?");
        environment::USAGE.into()
    })
}

/// Returns the configuration and its warnings, after printing them. Adds the files that it is read from.
///
/// # Errors
///
/// Returns the exit code after printing the errors.
fn read(path: &Path, files: &Files) -> Result<(Config, Diagnostics), ExitCode> {
    let (config, warnings) = load(path, files).map_err(|invalid| {
        invalid.print();
        ExitCode::from(BAD_CONFIG)
    })?;
    print_warnings(&warnings);
    Ok((config, warnings))
}

/// Returns true if an output is in colours: on a terminal, unless the variable `NO_COLOR` is set.
fn has_colours(output: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    output.is_terminal() && !refused
}

/// Prints diagnostics.
fn print_warnings(warnings: &Diagnostics) {
    if has_colours(&std::io::stderr()) {
        eprint!("{}", warnings.colored());
    } else {
        eprint!("{warnings}");
    }
}

/// Returns the configuration and its warnings.
fn load(path: &Path, files: &Files) -> Result<(Config, Diagnostics), InvalidFile> {
    load_with(path, &|name| std::env::var(name).ok(), files)
}

/// Returns the configuration with these variables of the environment, and its warnings.
fn load_with(
    path: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
    files: &Files,
) -> Result<(Config, Diagnostics), InvalidFile> {
    let text = files.read(path);
    let path = path.display().to_string();
    let text =
        text.map_err(|error| InvalidFile::Unreadable(format!("error: cannot read {path}: {error}\n")))?;
    let config = Config::from_files((&path, &text), variable, &|path| files.read(path));
    config.map_err(InvalidFile::Invalid)
}

/// The reason why a file is not used.
enum InvalidFile {
    /// The file cannot be read.
    Unreadable(String),
    /// The content has errors.
    Invalid(Diagnostics),
}

impl InvalidFile {
    fn print(&self) {
        match self {
            Self::Unreadable(message) => eprint!("{message}"),
            Self::Invalid(errors) => print_warnings(errors),
        }
    }
}

/// Returns a function that prints an error and returns the exit code, for `map_err`.
fn failed<E: Display>(what: impl Display) -> impl FnOnce(E) -> ExitCode {
    move |error| {
        eprintln!("error: {what}: {error}");
        ExitCode::FAILURE
    }
}
