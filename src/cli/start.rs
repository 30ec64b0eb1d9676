//! The text of the start: the address, the clients, the groups and where to look.

use std::{fmt, io};

use super::{check::count, has_colours, listen::Address};
use crate::config::{Config, Group, RateLimits};

/// The largest number of groups that are listed.
const GROUPS: usize = 20;

/// The text of the start, for display.
pub(super) struct StartText<'a> {
    /// The scheme of its URLs.
    pub(super) scheme: &'static str,
    pub(super) address: &'a Address,
    pub(super) config: &'a Config,
    /// The number of warnings about the configuration.
    pub(super) warnings: usize,
    pub(super) style: Style,
}

/// The use of colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    colours: bool,
}

impl Style {
    /// Returns the style of the standard output.
    pub(super) fn of_stdout() -> Self {
        Self { colours: has_colours(&io::stdout()) }
    }

    fn bold(self, text: impl fmt::Display) -> String {
        if self.colours { format!("\u{1b}[1m{text}\u{1b}[0m") } else { text.to_string() }
    }

    fn label(self, text: &str) -> String {
        let padded = format!("{text:<9}");
        if self.colours { format!("\u{1b}[36m{padded}\u{1b}[0m") } else { padded }
    }
}

impl fmt::Display for StartText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, address, config, warnings, style } = self;
        let url = address.url(scheme);
        let place = if let Address::Unix(_) = address { address.to_string() } else { url.clone() };
        writeln!(f, "tollgate listening on {}, serving {}", style.bold(place), groups(config))?;
        writeln!(f, "  {} {url}/v1", style.label("base URL"))?;
        let clients = match (config.is_open(), address.is_local()) {
            (false, _) if config.keys.is_empty() => {
                "those with the master key, as `Authorization: Bearer KEY`"
            }
            (false, _) => "those with a key, as `Authorization: Bearer KEY`",
            (true, true) => "every program on this machine, without a key",
            (true, false) => "everyone who reaches this address, without a key",
        };
        writeln!(f, "  {} {clients}", style.label("clients"))?;
        writeln!(f, "  {} {url}/", style.label("page"))?;
        writeln!(f, "  {} {url}/metrics", style.label("metrics"))?;
        for group in config.groups.iter().take(GROUPS) {
            writeln!(f, "  {} {}: {}", style.label("group"), style.bold(&group.name), summary(group))?;
        }
        if let Some(rest @ 1..) = config.groups.len().checked_sub(GROUPS) {
            writeln!(f, "  {} and {rest} more", style.label(""))?;
        }
        if *warnings > 0 {
            writeln!(f, "  {} {warnings}: `--check` lists them", style.label("warnings"))?;
        }
        Ok(())
    }
}

/// Returns the names of the groups.
pub(super) fn groups(config: &Config) -> String {
    let groups: Vec<&str> = config.groups.iter().map(|group| &*group.name).collect();
    if groups.is_empty() { "no model".to_owned() } else { groups.join(", ") }
}

/// Returns the number of deployments of a group, and the sums of their limits.
fn summary(group: &Group) -> String {
    let deployments = group.deployments.len();
    let mut text = count(deployments, "deployment");
    let limits = || group.deployments.iter().map(|deployment| deployment.limits);
    type Limit = fn(&RateLimits) -> Option<u64>;
    let kinds: [(&str, Limit); 3] = [
        ("requests a minute", |limits| limits.rpm),
        ("tokens a minute", |limits| limits.tpm),
        ("in flight", |limits| limits.parallel.map(u64::from)),
    ];
    for (name, limit) in kinds {
        let known: Vec<u64> = limits().filter_map(|limits| limit(&limits)).collect();
        if known.is_empty() {
            continue;
        }
        let sum = known.iter().fold(0, |sum: u64, limit| sum.saturating_add(*limit));
        // A deployment without a limit adds an unknown number.
        let more = if known.len() < deployments { " and more" } else { "" };
        text.push_str(&format!(", {sum} {name}{more}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_text_has_the_groups_with_the_sums_of_their_limits() {
        let entry = |name: &str, limits: &str| {
            format!("- {{model_name: {name}, litellm_params: {{model: openai/m, api_key: k{limits}}}}}\n")
        };
        let entries = [entry("a", ", rpm: 60, tpm: 1000"), entry("a", ", rpm: 40"), entry("b", "")].concat();
        let (config, _) = Config::from_yaml(&format!("model_list:\n{entries}"), "", &|_| None).unwrap();
        let address = &Address::Tcp("127.0.0.1:8000".parse().unwrap());
        let style = Style { colours: false };
        let text = StartText { scheme: "http", address, config: &config, warnings: 2, style }.to_string();
        assert_eq!(
            text,
            "tollgate listening on http://127.0.0.1:8000, serving a, b
  base URL  http://127.0.0.1:8000/v1
  clients   every program on this machine, without a key
  page      http://127.0.0.1:8000/
  metrics   http://127.0.0.1:8000/metrics
  group     a: 2 deployments, 100 requests a minute, 1000 tokens a minute and more
  group     b: 1 deployment
  warnings  2: `--check` lists them
"
        );
        let style = Style { colours: true };
        let coloured = StartText { scheme: "http", address, config: &config, warnings: 0, style }.to_string();
        assert!(
            coloured.contains("\u{1b}[1mhttp://127.0.0.1:8000\u{1b}[0m") && !coloured.contains("warnings")
        );
    }
}
