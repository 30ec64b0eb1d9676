//! The command `tollgate --check`: prints the diagnostics and the summary of a configuration, and a verdict.

mod json;
mod summary;

use std::{path::Path, process::ExitCode};

use super::{BAD_CONFIG, InvalidFile, files::Files, load, rules::Rules};
use crate::config::{Config, Diagnostics, Grade};

pub use summary::summary;

/// Checks the file, and prints the verdict in the last line.
///
/// # Errors
///
/// Returns the exit code of an invalid configuration.
pub(super) fn check(path: &Path, rules: Rules) -> Result<ExitCode, ExitCode> {
    let (config, warnings) = load(path, &Files::default()).map_err(|invalid| {
        invalid.print();
        println!("{}", refusal(&invalid));
        ExitCode::from(BAD_CONFIG)
    })?;
    super::print_warnings(&warnings);
    print!("{}", summary(&config));
    #[cfg(feature = "redis")]
    if let Some(settings) = &config.settings.replicas {
        println!("{}", super::replicas::check(settings));
    }
    println!("{}", verdict(rules, &config, &warnings));
    code(rules.refusal(&config, &warnings).is_none())
}

/// Checks the file like [`check`], and prints one object in JSON.
///
/// # Errors
///
/// Returns the exit code of an invalid configuration.
pub(super) fn check_json(path: &Path, rules: Rules) -> Result<ExitCode, ExitCode> {
    let (starts, report) = match load(path, &Files::default()) {
        Ok((config, warnings)) => {
            let (verdict, starts) =
                (verdict(rules, &config, &warnings), rules.refusal(&config, &warnings).is_none());
            let report = json::report((&verdict, starts), Some(&config), &warnings);
            #[cfg(feature = "redis")]
            let report = with_replicas(report, &config);
            (starts, report)
        }
        Err(invalid) => match &invalid {
            InvalidFile::Unreadable(message) => (false, json::unreadable(&refusal(&invalid), message)),
            InvalidFile::Invalid(diagnostics) => {
                (false, json::report((&refusal(&invalid), false), None, diagnostics))
            }
        },
    };
    println!("{report:#}");
    code(starts)
}

/// Adds the server of replicas to a report, if the file names one.
#[cfg(feature = "redis")]
fn with_replicas(mut report: serde_json::Value, config: &Config) -> serde_json::Value {
    if let Some(settings) = &config.settings.replicas {
        report["replicas"] = super::replicas::check_json(settings);
    }
    report
}

fn code(starts: bool) -> Result<ExitCode, ExitCode> {
    if starts { Ok(ExitCode::SUCCESS) } else { Err(BAD_CONFIG.into()) }
}

fn verdict(rules: Rules, config: &Config, warnings: &Diagnostics) -> String {
    let starts = rules.refusal(config, warnings).unwrap_or("starts");
    format!("{starts}; {}; {}", left_out(config), grades(warnings))
}

/// Returns the numbers of the warnings by grade.
fn grades(warnings: &Diagnostics) -> String {
    let grades = [Grade::Unsafe, Grade::Lost, Grade::Harmless].map(|grade| (grade, warnings.count(grade)));
    let counts = grades.iter().filter(|(_, count)| *count > 0);
    let counts: Vec<_> = counts.map(|(grade, count)| format!("{count} {grade}")).collect();
    if counts.is_empty() { "no warnings".to_owned() } else { counts.join(", ") }
}

fn refusal(invalid: &InvalidFile) -> String {
    match invalid {
        InvalidFile::Unreadable(_) => "does not start; the file cannot be read".to_owned(),
        InvalidFile::Invalid(diagnostics) => {
            let faults = diagnostics.errors().count() + diagnostics.left_out().count();
            format!("does not start; {}; {}", count(faults, "error"), grades(diagnostics))
        }
    }
}

/// Returns a number with its noun.
pub(super) fn count(n: usize, noun: &str) -> String {
    let end = match (n, noun.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{n} {noun}{end}")
}

/// Returns a sentence about the deployments that are left out.
pub(super) fn left_out(config: &Config) -> String {
    let served: usize = config.groups.iter().map(|group| group.deployments.len()).sum();
    let left = config.left_out.len();
    let are = if left == 1 { "is" } else { "are" };
    match (served, left) {
        (0, 0) => "there are no deployments: no model is served".to_owned(),
        (_, 0) => "no deployment is left out".to_owned(),
        (0, _) => format!("{left} of {left} deployments {are} left out: no model is served"),
        _ => format!("{left} of {} deployments {are} left out", served + left),
    }
}
