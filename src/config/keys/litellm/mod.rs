//! LiteLLM's keys: the role of each in a configuration file, and the action on each in a request.

mod table;

use super::is_credential;
use FileRole::{Both, Param, Setting};
use KeyAction::{Pass, Strip};
pub(super) use table::{KEYS, PREFIXES};

/// The role of a name in LiteLLM's configuration file, for names that are not supported settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileRole {
    /// Not a setting of LiteLLM, or a supported one.
    Neither,
    /// A setting in `litellm_params`: LiteLLM never sends it upstream.
    Param,
    /// A setting in a section of settings.
    Setting,
    /// A setting in both places.
    Both,
}

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
}

/// A name, its role in a file and the action on it in a request.
pub(super) type Row = (&'static str, FileRole, KeyAction);

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

/// Returns true if LiteLLM reads the key in `litellm_params` itself and never sends it upstream.
pub(in crate::config) fn is_litellm_param(name: &str) -> bool {
    let param = |row: &Row| matches!(row.1, Param | Both);
    find(name).is_some_and(param)
        || is_price(name)
        || listed_action(name).is_some()
        || PREFIXES.iter().any(|row| param(row) && name.starts_with(row.0))
}

/// Returns true if the name is a price of LiteLLM, such as `input_cost_per_token` or
/// `cache_read_input_token_cost_above_200k_tokens`.
fn is_price(name: &str) -> bool {
    // Most other names are shorter.
    name.len() > 12 && (name.contains("cost_per_") || name.contains("_token_cost"))
}

/// Returns true if LiteLLM knows the key in one of its settings sections.
pub(in crate::config) fn is_litellm_setting(name: &str) -> bool {
    find(name).is_some_and(|row| matches!(row.1, Setting | Both))
}

/// Returns true if the keys of the setting are names of LiteLLM's exceptions.
pub(in crate::config) fn is_error_policy(name: &str) -> bool {
    ["retry_policy", "allowed_fails_policy", "model_group_retry_policy"].contains(&name)
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

/// Returns advice for an unsupported setting of LiteLLM that users may rely on.
pub(in crate::config) fn replacement_advice(name: &str) -> Option<&'static str> {
    match name {
        "redis_host" | "redis_url" => {
            Some("each process keeps the limits for itself: give each of N gateways an Nth of every limit")
        }
        "custom_auth"
        | "database_url"
        | "enable_jwt_auth"
        | "enable_oauth2_auth"
        | "enable_oauth2_proxy_auth" => {
            Some("clients need the `master_key`; without one every client may call")
        }
        "global_max_parallel_requests" => Some("`max_in_flight` in `router_settings` limits the gateway"),
        _ => None,
    }
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
    fn a_key_that_upstreams_know_is_passed_on() {
        for name in ["user", "metadata", "store", "priority", "cache_prompt", "", "x"] {
            assert_eq!(key_action(name), Pass, "{name}");
        }
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
            assert_eq!(key_action(name) == Pass, passes, "a client may send {name}");
        }
    }
}
