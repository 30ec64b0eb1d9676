//! Every key that is served has its place in docs/configuration.md.

use super::{
    CLIENT_KEY, ENTRY, GENERAL, INFO, KeyAction, OWN_KEYS, PARAMS, SECTIONS, SETTINGS, is_error_policy,
    litellm::{KEYS, PREFIXES},
};
use crate::config::VENDORS;

const DOCUMENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md"));

/// Returns the text below a heading, to the next heading of its level or above.
fn section(heading: &str) -> &'static str {
    let start = DOCUMENT.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no heading `{heading}`"));
    let rest = &DOCUMENT[start + heading.len() + 2..];
    let level = heading.chars().take_while(|c| *c == '#').count();
    let ends = (1..=level).filter_map(|level| rest.find(&format!("\n{} ", "#".repeat(level))));
    &rest[..ends.min().unwrap_or(rest.len())]
}

/// Returns the names that a section does not mention.
fn missing<'a>(heading: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let text = section(heading);
    let named = |name: &&str| text.contains(&format!("`{name}`"));
    names.into_iter().filter(|name| !named(name)).map(|name| format!("{name} under `{heading}`")).collect()
}

/// Returns tollgate's own keys: those of a deployment, or all.
fn own(deployment: bool) -> impl Iterator<Item = &'static str> {
    OWN_KEYS.iter().filter(move |key| key.deployment || !deployment).map(|key| key.name)
}

#[test]
fn every_key_that_is_served_is_documented() {
    let policies = ["retry_policy", "allowed_fails_policy", "model_group_retry_policy"];
    assert!(policies.iter().all(|name| is_error_policy(name)));
    let none = [
        missing("## The file", SECTIONS.iter().copied()),
        missing("## Deployments", ENTRY.iter().copied()),
        missing("### `litellm_params`", PARAMS.iter().copied().chain(own(true))),
        missing("### `model_info`", INFO.iter().copied()),
        missing("## Settings", SETTINGS.iter().copied().chain(GENERAL.iter().copied())),
        missing("## Settings", own(false).chain(policies)),
        missing("### Client keys", CLIENT_KEY.iter().copied()),
    ];
    assert_eq!(none.concat(), [""; 0]);
}

#[test]
fn every_key_of_a_request_that_is_obeyed_or_refused_is_documented() {
    let prefixes = || PREFIXES.iter().filter(|row| row.2 != KeyAction::Pass).map(|row| row.0);
    let shorter = |name: &str| prefixes().any(|other| other != name && name.starts_with(other));
    // Those that are cut have no effect: tests/data/litellm_params.txt lists them.
    let keys =
        KEYS.iter().filter(|row| !matches!(row.2, KeyAction::Pass | KeyAction::Strip)).map(|row| row.0);
    let prefixes = prefixes().filter(|name| !shorter(name));
    assert_eq!(missing("## Settings of a request", keys.chain(prefixes)), [""; 0]);
}

#[test]
fn every_provider_is_documented_with_its_variables() {
    let mut none = Vec::new();
    for vendor in VENDORS {
        none.extend(missing("## Providers", [&*format!("{}/", vendor.prefix)]));
        none.extend(missing(
            "## Providers",
            vendor.base_variables.iter().chain(vendor.key_variables).copied(),
        ));
    }
    assert_eq!(none, [""; 0]);
}
