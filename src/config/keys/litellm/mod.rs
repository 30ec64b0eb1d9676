//! LiteLLM's keys: what each means in its configuration file, and what in a request.

mod table;

use InFile::{Both, Param, Setting};
use InRequest::{Cut, Pass};
pub(super) use table::{KEYS, PREFIXES};

/// The meaning of a name in a file, where it is not one of the settings that are supported here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InFile {
    /// Not a setting of LiteLLM's, or one that is supported.
    No,
    /// A setting in `litellm_params`: LiteLLM never sends it upstream.
    Param,
    /// A setting in a section of settings.
    Setting,
    Both,
}

/// The fate of a key in the body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InRequest {
    /// Sent upstream.
    Pass,
    /// Not sent upstream: it only tunes LiteLLM's own features, and an upstream may refuse it, as OpenAI does.
    Cut,
    /// Refused with the whole request: it would lead a request or a credential elsewhere, and where a request goes is the
    /// configuration's alone.
    Refused,
    /// Obeyed by the gateway, and not sent upstream.
    Override,
}

pub(super) type Row = (&'static str, InFile, InRequest);

/// Returns what becomes of a key in the body of a request.
pub(crate) fn in_request(key: &str) -> InRequest {
    if COMMON.contains(&key) {
        return Pass;
    }
    let by_prefix = PREFIXES.iter().filter(|row| key.starts_with(row.0));
    let fate = find(key).into_iter().chain(by_prefix).map(|row| row.2).find(|fate| *fate != Pass);
    fate.unwrap_or_else(|| if is_price(key) { Cut } else { Pass })
}

/// Returns the row of a name in [`KEYS`], which are in the order of their names.
fn find(name: &str) -> Option<&'static Row> {
    KEYS.binary_search_by_key(&name, |row| row.0).ok().map(|at| &KEYS[at])
}

/// Returns true if LiteLLM takes the key out of `litellm_params` for itself and never sends it upstream.
pub(in crate::config) fn is_litellm_param(name: &str) -> bool {
    let param = |row: &Row| matches!(row.1, Param | Both);
    find(name).is_some_and(param)
        || is_price(name)
        || PREFIXES.iter().any(|row| param(row) && name.starts_with(row.0))
}

/// Returns true if the name is one of LiteLLM's many prices, as `input_cost_per_token` and
/// `cache_read_input_token_cost_above_200k_tokens` are.
fn is_price(name: &str) -> bool {
    // Most other names are shorter.
    name.len() > 12 && (name.contains("cost_per_") || name.contains("_token_cost"))
}

/// Returns true if LiteLLM knows the key in one of its settings sections.
pub(in crate::config) fn is_litellm_setting(name: &str) -> bool {
    find(name).is_some_and(|row| matches!(row.1, Setting | Both))
}

/// Returns true for a policy by the names of LiteLLM's exceptions.
pub(in crate::config) fn is_error_policy(name: &str) -> bool {
    ["retry_policy", "allowed_fails_policy", "model_group_retry_policy"].contains(&name)
}

/// Returns the setting that is meant by a name that users take for one of LiteLLM's.
pub(in crate::config) fn slip(name: &str) -> Option<&'static str> {
    match name {
        "rpm_limit" => Some("rpm"),
        "tpm_limit" => Some("tpm"),
        _ => None,
    }
}

/// Returns true if the name describes a model in LiteLLM: it belongs in `model_info`, and no upstream knows it.
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

/// Describes the behavior in place of an unsupported setting of LiteLLM's that users may rely on.
pub(in crate::config) fn instead_of(name: &str) -> Option<&'static str> {
    match name {
        "redis_host" | "redis_url" => {
            Some("each process keeps the limits for itself: give each of N gateways an Nth of every limit")
        }
        "custom_auth"
        | "database_url"
        | "enable_jwt_auth"
        | "enable_oauth2_auth"
        | "enable_oauth2_proxy_auth" => Some("callers need the `master_key`; without one anybody may call"),
        "global_max_parallel_requests" => Some("`max_in_flight` in `router_settings` bounds the gateway"),
        _ => None,
    }
}

/// The parameters that most requests consist of, which need no search.
const COMMON: [&str; 8] =
    ["model", "messages", "stream", "temperature", "max_tokens", "tools", "input", "prompt"];

#[cfg(test)]
mod tests {
    use super::{InRequest::Refused, *};

    #[test]
    fn every_key_is_found_where_it_stands() {
        assert!(KEYS.is_sorted_by_key(|(name, ..)| name));
        for (name, _, expected) in KEYS.iter().filter(|row| row.2 != Pass) {
            assert_eq!(in_request(name), *expected, "{name}");
        }
    }

    #[test]
    fn what_upstreams_know_is_left_to_them() {
        for name in ["user", "metadata", "store", "priority", "ttl", "cache_prompt", "", "x"] {
            assert_eq!(in_request(name), Pass, "{name}");
        }
        for name in COMMON {
            assert!(KEYS.iter().all(|(known, ..)| *known != name), "{name}");
            assert!(PREFIXES.iter().all(|(prefix, ..)| !name.starts_with(prefix)), "{name}");
        }
        assert_eq!(in_request("litellm_session_id"), Cut);
        assert_eq!(in_request("litellm_params"), Refused, "it may hold an api_base");
        assert_eq!(in_request("aws_secret_access_key"), Refused);
    }

    #[test]
    fn every_parameter_of_litellm_is_known() {
        let names = include_str!("../../../../tests/data/litellm_params.txt").lines();
        let names: Vec<_> = names.filter(|name| !name.starts_with('#')).collect();
        assert!(names.len() > 400);
        for name in names {
            let served = super::super::PARAMS.contains(&name) || super::super::is_openai(name);
            assert!(served || is_litellm_param(name) || in_request(name) != Pass, "{name}");
        }
    }
}
