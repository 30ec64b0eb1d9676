//! The command `tollgate --check`: prints the summary of a configuration, without secrets and with only the host of each
//! URL, and a verdict.

use std::{collections::BTreeSet, fmt, path::Path, process::ExitCode};

use super::{BAD_CONFIG, InvalidFile, files::Files, load, rules::Rules};
use crate::config::{
    ClientKey, Config, Deployment, Diagnostics, FallbackTarget, Fallbacks, Grade, Group, LeftOut, is_openai,
};

/// Checks the file, and prints the verdict in the last line.
///
/// # Errors
///
/// Returns the exit code of an invalid configuration.
pub(super) fn check(path: &Path, rules: Rules) -> Result<ExitCode, ExitCode> {
    let (config, warnings) = load(path, &Files::default()).map_err(|invalid| {
        eprint!("{invalid}");
        println!("{}", refusal(&invalid));
        ExitCode::from(BAD_CONFIG)
    })?;
    eprint!("{warnings}");
    print!("{}", summary(&config));
    let refused = rules.refusal(&config, &warnings);
    println!("{}; {}; {}", refused.unwrap_or("starts"), left_out(&config), grades(&warnings));
    if refused.is_some() { Err(BAD_CONFIG.into()) } else { Ok(ExitCode::SUCCESS) }
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
fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
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

/// Returns the summary of a configuration.
#[must_use]
pub fn summary(config: &Config) -> impl fmt::Display {
    Summary(config)
}

/// The summary of a configuration, for display.
struct Summary<'a>(&'a Config);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { groups, left_out, unserved: _, aliases, settings, master_key, keys } = self.0;
        groups.iter().try_for_each(|g| group(g, f))?;
        left_out.iter().try_for_each(|entry| left_out_entry(entry, f))?;
        for alias in aliases {
            let hidden = if alias.hidden { " (hidden)" } else { "" };
            writeln!(f, "{} -> {}{hidden}", alias.name, alias.group)?;
        }
        fallbacks("fallbacks", Some(&settings.fallbacks), f)?;
        fallbacks("context window fallbacks", settings.context_window_fallbacks.as_ref(), f)?;
        fallbacks("content policy fallbacks", settings.content_policy_fallbacks.as_ref(), f)?;
        unknown_parameters(self.0, f)?;
        let (retries, timeout) = (settings.num_retries, settings.timeout.as_secs_f64());
        writeln!(
            f,
            "retries {retries}, timeout {timeout} s, cooldown {} s",
            settings.cooldown_time.as_secs_f64()
        )?;
        client_keys(keys, f)?;
        writeln!(
            f,
            "clients {}",
            match (master_key.is_some(), keys.is_empty()) {
                (true, true) => "must send the master key",
                (true, false) => "must send a key of their own or the master key",
                (false, false) => "must send a key of their own",
                (false, true) => "need no key",
            }
        )
    }
}

/// Writes the name, the limits and the models of each client key.
fn client_keys(keys: &[ClientKey], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for key in keys {
        write!(f, "key {}", key.name)?;
        let parallel = key.max_parallel_requests.map(u64::from);
        let limits = [("rpm", key.rpm_limit), ("tpm", key.tpm_limit), ("parallel", parallel)];
        for (name, limit) in limits.iter().filter_map(|(name, limit)| Some((name, (*limit)?))) {
            write!(f, "  {name} {limit}")?;
        }
        let models = joined(key.models.iter().map(|model| &**model));
        writeln!(f, "  calls {}", if models.is_empty() { "every group" } else { &models })?;
    }
    Ok(())
}

fn group(group: &Group, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let count = group.deployments.len();
    write!(f, "{}: {count} deployment{}", group.name, if count == 1 { "" } else { "s" })?;
    let limits = group.deployments.iter().map(|d| d.limits);
    let rpm: u64 = limits.clone().filter_map(|l| l.rpm).fold(0, u64::saturating_add);
    if rpm > 0 {
        // A deployment without an rpm limit adds an unknown number.
        write!(
            f,
            ", {rpm} requests per minute{}",
            if limits.clone().all(|l| l.rpm.is_some()) { "" } else { " and more" }
        )?;
    }
    writeln!(f)?;
    group.deployments.iter().try_for_each(|d| deployment(d, f))
}

fn left_out_entry(entry: &LeftOut, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let LeftOut { group, file, line, reason, .. } = entry;
    let group = group.as_deref().unwrap_or("a deployment without a name");
    match file {
        None => writeln!(f, "left out: {group}, line {line}: {reason}"),
        Some(file) => writeln!(f, "left out: {group}, {file} line {line}: {reason}"),
    }
}

fn deployment(d: &Deployment, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "  {}  {}/{}", d.id, d.target.vendor.prefix, d.target.model)?;
    match (&d.mock, d.target.base.authority()) {
        (Some(_), _) => write!(f, "  mock")?,
        (None, Some(authority)) => write!(f, "  at {authority}")?,
        (None, None) => {}
    }
    let limits = d.limits;
    let numbers = [("rpm", limits.rpm), ("tpm", limits.tpm), ("parallel", limits.parallel.map(u64::from))];
    for (name, number) in numbers.iter().filter_map(|(name, n)| n.map(|n| (name, n))) {
        write!(f, "  {name} {number}")?;
    }
    if let Some(weight) = limits.weight {
        write!(f, "  weight {weight}")?;
    }
    if let Some(order) = limits.order {
        write!(f, "  order {order}")?;
    }
    let token = d.target.headers.iter().any(|(name, _)| *name == http::header::AUTHORIZATION);
    let no_key = d.mock.is_none() && d.target.key.is_none() && !token;
    write!(f, "{}", if no_key { "  no key" } else { "" })?;
    if !d.defaults.is_empty() {
        write!(f, "  sends {}", joined(d.defaults.iter().map(|(name, _)| &**name)))?;
    }
    writeln!(f)
}

/// Writes the parameters of deployments and of fallbacks that OpenAI does not have: what they mean, the upstream decides.
fn unknown_parameters(config: &Config, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let settings = &config.settings;
    let context = settings.context_window_fallbacks.iter().chain(&settings.content_policy_fallbacks);
    let targets = std::iter::once(&settings.fallbacks).chain(context).flat_map(Fallbacks::targets);
    let deployments = config.groups.iter().flat_map(|group| &group.deployments);
    let parameters =
        deployments.flat_map(|d| &d.defaults).chain(targets.flat_map(|target| &target.parameters));
    let names: BTreeSet<&str> = parameters.map(|(name, _)| &**name).filter(|name| !is_openai(name)).collect();
    if names.is_empty() {
        return Ok(());
    }
    writeln!(f, "not parameters of OpenAI, sent upstream as they are: {}", joined(names))
}

fn joined<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn fallbacks(name: &str, fallbacks: Option<&Fallbacks>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(Fallbacks { by_group, default, flat: _ }) = fallbacks else { return Ok(()) };
    if by_group.is_empty() && default.is_empty() {
        return Ok(());
    }
    writeln!(f, "{name}:")?;
    for (group, targets) in by_group {
        writeln!(f, "  {group} -> {}", names(targets))?;
    }
    if !default.is_empty() {
        writeln!(f, "  * -> {}", names(default))?;
    }
    Ok(())
}

fn names(targets: &[FallbackTarget]) -> String {
    joined(targets.iter().map(|target| &*target.model))
}
