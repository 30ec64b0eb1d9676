//! The summary of a configuration that `--check` prints: no secrets, and only the host of each URL.

use std::{collections::BTreeSet, fmt};

use crate::config::{Config, Deployment, FallbackTarget, Fallbacks, Group, is_openai};

/// Returns the summary of a configuration.
#[must_use]
pub fn summary(config: &Config) -> impl fmt::Display {
    Summary(config)
}

/// The summary of a configuration, for display.
struct Summary<'a>(&'a Config);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { groups, aliases, settings, master_key } = self.0;
        groups.iter().try_for_each(|g| group(g, f))?;
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
        let auth =
            if master_key.is_some() { "clients must send the master key" } else { "clients need no key" };
        writeln!(f, "{auth}")
    }
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
