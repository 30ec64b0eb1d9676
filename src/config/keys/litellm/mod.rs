//! LiteLLM's keys: the role of each in a configuration file, and the action on each in a request.

mod consequence;
mod settings;
mod table;

use super::is_credential;
use crate::config::Grade;
use KeyAction::{Pass, Strip};
pub(in crate::config) use consequence::{consequence, is_filter, replacement_advice};
pub(super) use table::{KEYS, PREFIXES};

/// The action of the gateway on a key in the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyAction {
    /// Send it upstream.
    Pass,
    /// Do not send it upstream: it configures a feature of LiteLLM, and an upstream may refuse it, as OpenAI does.
    Strip,
    /// Reject the request: the key would send it or a credential to another address, which only the configuration may set.
    Reject,
    /// Apply it as an override, and do not send it upstream.
    Override,
    /// Read the tags in it, and send it upstream if OpenAI accepts it.
    Metadata,
}

/// A name, the grade of the warning if `litellm_params` has it and it is not served, and the action on it in a request.
pub(super) type Row = (&'static str, Option<Grade>, KeyAction);

/// Returns the action on a key in the body of a request.
pub(crate) fn key_action(key: &str) -> KeyAction {
    if COMMON.contains(&key) {
        return Pass;
    }
    listed_action(key).unwrap_or_else(|| if is_price(key) || is_credential(key) { Strip } else { Pass })
}

/// Returns the action of the tables on a key that is not sent upstream.
fn listed_action(key: &str) -> Option<KeyAction> {
    let by_prefix = PREFIXES.iter().filter(|row| key.starts_with(row.0));
    find(key).into_iter().chain(by_prefix).map(|row| row.2).find(|action| *action != Pass)
}

/// Returns the row of a name in [`KEYS`], which are sorted by name.
fn find(name: &str) -> Option<&'static Row> {
    KEYS.binary_search_by_key(&name, |row| row.0).ok().map(|at| &KEYS[at])
}

/// Returns the grade of a key that LiteLLM reads in `litellm_params` itself and never sends upstream.
pub(in crate::config) fn param_grade(name: &str) -> Option<Grade> {
    let by_prefix = || PREFIXES.iter().find(|row| row.1.is_some() && name.starts_with(row.0))?.1;
    let kept = || (is_price(name) || listed_action(name).is_some()).then_some(Grade::Lost);
    find(name).and_then(|row| row.1).or_else(by_prefix).or_else(kept)
}

/// Returns true if LiteLLM reads the key in `litellm_params` itself and never sends it upstream.
pub(in crate::config) fn is_litellm_param(name: &str) -> bool {
    param_grade(name).is_some()
}

/// Returns true if the name is a price of LiteLLM, such as `input_cost_per_token` or
/// `cache_read_input_token_cost_above_200k_tokens`.
fn is_price(name: &str) -> bool {
    // Most other names are shorter.
    name.len() > 12 && (name.contains("cost_per_") || name.contains("_token_cost"))
}

/// Returns the grade of a key that LiteLLM knows in one of its sections of settings and that is not served.
pub(in crate::config) fn setting_grade(name: &str) -> Option<Grade> {
    settings::SETTINGS.binary_search_by_key(&name, |row| row.0).ok().map(|at| settings::SETTINGS[at].1)
}

/// Returns the grade of a section of LiteLLM's that is not served.
pub(in crate::config) fn section_grade(name: &str) -> Option<Grade> {
    settings::SECTIONS.iter().find(|row| row.0 == name).map(|row| row.1)
}

/// Returns the grade of a key by which `model_info` restricts the use of a deployment in LiteLLM.
pub(in crate::config) fn info_grade(name: &str) -> Option<Grade> {
    settings::INFO.iter().find(|row| row.0 == name).map(|row| row.1)
}

/// The settings with keys that are names of LiteLLM's exceptions.
pub(in crate::config::keys) const POLICIES: [&str; 3] =
    ["retry_policy", "allowed_fails_policy", "model_group_retry_policy"];

/// Returns true if the keys of the setting are names of LiteLLM's exceptions.
pub(in crate::config) fn is_error_policy(name: &str) -> bool {
    POLICIES.contains(&name)
}

/// Returns the keys of `litellm_params` that are not served.
pub(in crate::config) fn unserved_params() -> impl Iterator<Item = (&'static str, Grade)> {
    KEYS.iter().filter_map(|row| Some((row.0, row.1?)))
}

/// Returns the settings that are not served.
pub(in crate::config) fn unserved_settings() -> impl Iterator<Item = (&'static str, Grade)> {
    settings::SETTINGS.iter().copied()
}

/// Returns the sections that are not served.
pub(in crate::config) fn unserved_sections() -> impl Iterator<Item = (&'static str, Grade)> {
    settings::SECTIONS.iter().copied()
}

/// Returns the keys of `model_info` that restrict the use of a deployment and are not served.
pub(in crate::config) fn unserved_info() -> impl Iterator<Item = (&'static str, Grade)> {
    settings::INFO.iter().copied()
}

/// Returns the setting that is meant by a name that LiteLLM does not have.
pub(in crate::config) fn correction(name: &str) -> Option<&'static str> {
    match name {
        "rpm_limit" => Some("rpm"),
        "tpm_limit" => Some("tpm"),
        _ => None,
    }
}

/// Returns true if the name describes a model in LiteLLM: it belongs in `model_info`, and upstreams do not know it.
pub(in crate::config) fn is_model_info(name: &str) -> bool {
    const INFO: [&str; 7] = [
        "base_model",
        "id",
        "litellm_provider",
        "max_input_tokens",
        "mode",
        "quota_group",
        "supported_openai_params",
    ];
    INFO.contains(&name) || name.starts_with("supports_") && !is_litellm_param(name)
}

/// The most frequent parameters, which skip the search.
const COMMON: [&str; 8] =
    ["model", "messages", "stream", "temperature", "max_tokens", "tools", "input", "prompt"];

#[cfg(test)]
mod tests {
    use super::{KeyAction::Reject, *};

    #[test]
    fn every_litellm_key_is_found_in_the_table() {
        assert!(KEYS.is_sorted_by_key(|(name, ..)| name));
        for (name, _, expected) in KEYS.iter().filter(|row| row.2 != Pass) {
            assert_eq!(key_action(name), *expected, "{name}");
        }
    }

    #[test]
    fn every_setting_of_litellm_is_known() {
        assert!(settings::SETTINGS.is_sorted_by_key(|row| row.0));
        let lines = include_str!("../../../../tests/data/litellm_settings.txt").lines();
        let lines: Vec<_> = lines.filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() > 500);
        for line in lines {
            let (section, name) = line.split_once(' ').unwrap();
            let known = super::super::is_served(name)
                || if section == "file" {
                    section_grade(name).is_some() || ["force_reload", "interval_hours"].contains(&name)
                } else {
                    setting_grade(name).is_some()
                };
            assert!(known, "{line}");
        }
    }

    #[test]
    fn an_unsafe_key_has_a_consequence() {
        let params = KEYS.iter().filter_map(|row| Some((row.0, row.1?)));
        let all = params.chain(settings::SETTINGS).chain(settings::SECTIONS).chain(settings::INFO);
        for (name, _) in all.filter(|(_, grade)| *grade == Grade::Unsafe) {
            assert!(consequence(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_key_that_upstreams_know_is_passed_on() {
        for name in ["user", "store", "priority", "cache_prompt", "", "x"] {
            assert_eq!(key_action(name), Pass, "{name}");
        }
        assert_eq!(key_action("metadata"), KeyAction::Metadata);
        for name in COMMON {
            assert!(KEYS.iter().all(|(known, ..)| *known != name), "{name}");
            assert!(PREFIXES.iter().all(|(prefix, ..)| !name.starts_with(prefix)), "{name}");
        }
        assert_eq!(key_action("litellm_session_id"), Strip);
        assert_eq!(key_action("litellm_params"), Reject, "it may contain an api_base");
        assert_eq!(key_action("aws_secret_access_key"), Reject);
    }

    #[test]
    fn every_parameter_of_litellm_is_known() {
        let names = include_str!("../../../../tests/data/litellm_params.txt").lines();
        let names: Vec<_> = names.filter(|name| !name.starts_with('#')).collect();
        assert!(names.len() > 400);
        for name in names {
            let served = super::super::PARAMS.contains(&name) || super::super::is_openai(name);
            assert!(served || is_litellm_param(name), "a file may send {name}");
            let passes = ["model", "metadata"].contains(&name);
            let is_sent = matches!(key_action(name), Pass | KeyAction::Metadata);
            assert_eq!(is_sent, passes, "a client may send {name}");
        }
    }
}
