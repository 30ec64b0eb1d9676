//! The summary of a configuration, for display: without secrets, and of each URL with no more than host and path.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::count;
use crate::config::{
    ClientKey, Config, Deployment, FallbackTarget, Fallbacks, Group, LeftOut, Settings, is_openai, shown_name,
};

/// Returns the summary of a configuration.
#[must_use]
pub fn summary(config: &Config) -> impl fmt::Display {
    Summary(config)
}

/// The summary of a configuration, for display.
struct Summary<'a>(&'a Config);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Config { groups, left_out, unserved: _, aliases, settings, master_key, keys, .. } = self.0;
        let widths = groups.iter().flat_map(|group| &group.deployments).fold((0, 0), |(id, model), d| {
            (id.max(d.id.chars().count()), model.max(upstream_model(d).chars().count()))
        });
        groups.iter().try_for_each(|g| group(g, widths, f))?;
        left_out.iter().try_for_each(|entry| left_out_entry(entry, f))?;
        for alias in aliases {
            let hidden = if alias.hidden { " (hidden)" } else { "" };
            writeln!(f, "{} -> {}{hidden}", alias.name, alias.group)?;
        }
        fallbacks("fallbacks", Some(&settings.fallbacks), f)?;
        fallbacks("context window fallbacks", settings.context_window_fallbacks.as_ref(), f)?;
        fallbacks("content policy fallbacks", settings.content_policy_fallbacks.as_ref(), f)?;
        unknown_parameters(self.0, f)?;
        effective_settings(settings, f)?;
        client_keys(keys, f)?;
        let served: usize = groups.iter().map(|group| group.deployments.len()).sum();
        let (deployments, groups) = (count(served, "deployment"), count(groups.len(), "group"));
        writeln!(f, "total: {deployments} in {groups}, {}", count(aliases.len(), "alias"))?;
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

/// Writes the settings that apply, defaults included.
fn effective_settings(settings: &Settings, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let seconds = |time: std::time::Duration| format!("{} s", time.as_secs_f64());
    let stream = settings.stream_timeout.map_or_else(|| "that of the request".to_owned(), seconds);
    writeln!(f, "settings:")?;
    for (name, value) in [
        ("routing_strategy", settings.strategy.name().to_owned()),
        ("num_retries", settings.num_retries.to_string()),
        ("request_timeout", seconds(settings.timeout)),
        ("stream_timeout", stream),
        ("stream_idle_timeout", seconds(settings.stream_idle_timeout)),
        ("cooldown_time", seconds(settings.cooldown_time)),
        ("max_fallbacks", settings.max_fallbacks.to_string()),
        ("queue_timeout", seconds(settings.queue_timeout)),
        ("max_queue", settings.max_queue.to_string()),
        ("max_in_flight", settings.max_in_flight.to_string()),
    ] {
        writeln!(f, "  {name:<19}  {value}")?;
    }
    Ok(())
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

fn group(group: &Group, widths: (usize, usize), f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}: {}", group.name, count(group.deployments.len(), "deployment"))?;
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
    let places = places(group);
    let place = places.iter().map(|place| place.chars().count()).max().unwrap_or_default();
    let mut deployments = group.deployments.iter().zip(&places);
    deployments.try_for_each(|(d, at)| {
        let (id, model) = widths;
        let line = format!("  {:<id$}  {:<model$}  {at:<place$}{}", d.id, upstream_model(d), details(d));
        writeln!(f, "{}", line.trim_end())
    })
}

fn upstream_model(d: &Deployment) -> String {
    format!("{}/{}", d.target.vendor.prefix, d.target.model)
}

/// Returns the address of each deployment of a group: the host, and the path where another deployment of the group has the
/// same host with another path.
fn places(group: &Group) -> Vec<String> {
    let mut paths = BTreeMap::<&str, BTreeSet<&str>>::new();
    let of =
        |d: &'_ Deployment| d.target.base.authority().map_or("", |authority| authority.as_str()).to_owned();
    let hosts: Vec<_> = group.deployments.iter().map(of).collect();
    for (d, host) in group.deployments.iter().zip(&hosts) {
        paths.entry(host).or_default().insert(d.target.base.path());
    }
    let place = |(d, host): (&Deployment, &String)| match &d.mock {
        Some(_) => "mock".to_owned(),
        None if paths.get(&**host).is_some_and(|paths| paths.len() > 1) => format!("at {}", address(d)),
        None => format!("at {host}"),
    };
    group.deployments.iter().zip(&hosts).map(place).collect()
}

/// Returns host and path of a deployment. A part of the path that looks like a secret is masked.
pub(super) fn address(d: &Deployment) -> String {
    let host = d.target.base.authority().map_or("", |authority| authority.as_str());
    let path: Vec<_> = d.target.base.path().split('/').map(shown_name).collect();
    format!("{host}{}", path.join("/").trim_end_matches('/'))
}

/// Returns true if calls of the deployment have no credential.
pub(super) fn has_no_key(d: &Deployment) -> bool {
    let token = d.target.headers.iter().any(|(name, _)| *name == http::header::AUTHORIZATION);
    d.mock.is_none() && d.target.key.is_none() && !token
}

fn left_out_entry(entry: &LeftOut, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let LeftOut { group, file, line, reason, .. } = entry;
    let group = group.as_deref().unwrap_or("a deployment without a name");
    match file {
        None => writeln!(f, "left out: {group}, line {line}: {reason}"),
        Some(file) => writeln!(f, "left out: {group}, {file} line {line}: {reason}"),
    }
}

/// Returns the limits and parameters of a deployment.
fn details(d: &Deployment) -> String {
    let limits = d.limits;
    let number = |number: Option<u64>| number.map(|n| n.to_string());
    let sends = joined(d.defaults.iter().map(|(name, _)| &**name));
    let parts = [
        ("rpm ", number(limits.rpm)),
        ("tpm ", number(limits.tpm)),
        ("itpm ", number(limits.itpm)),
        ("otpm ", number(limits.otpm)),
        ("rpd ", number(limits.rpd)),
        ("tpd ", number(limits.tpd)),
        ("parallel ", number(limits.parallel.map(u64::from))),
        ("weight ", limits.weight.map(|weight| weight.to_string())),
        ("order ", limits.order.map(|order| order.to_string())),
        ("tags ", Some(joined(d.tags.iter().map(|tag| &**tag))).filter(|tags| !tags.is_empty())),
        ("no key", has_no_key(d).then(String::new)),
        ("sends ", Some(sends).filter(|names| !names.is_empty())),
    ];
    parts.into_iter().filter_map(|(name, value)| Some(format!("  {name}{}", value?))).collect()
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
    if targets.is_empty() { "none".to_owned() } else { joined(targets.iter().map(|target| &*target.model)) }
}
