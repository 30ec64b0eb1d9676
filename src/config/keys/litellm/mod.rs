//! LiteLLM's keys: what each means in its configuration file, and what in a request.

mod table;

use InFile::{Both, Param, Setting};
use InRequest::{Cut, Pass};
use table::{KEYS, PREFIXES};

/// The meaning of a name in a file, where it is not one of the settings that are supported here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InFile {
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

type Row = (&'static str, InFile, InRequest);

/// Returns what becomes of a key in the body of a request.
pub(crate) fn in_request(key: &str) -> InRequest {
    if COMMON.contains(&key) {
        return Pass;
    }
    match REQUEST_KEYS.binary_search_by_key(&(key.len(), key), |(name, _)| (name.len(), *name)) {
        Ok(at) => REQUEST_KEYS[at].1,
        Err(_) => REQUEST_PREFIXES
            .iter()
            .find(|(prefix, _)| key.starts_with(prefix))
            .map_or_else(|| if is_price(key) { Cut } else { Pass }, |(_, fate)| *fate),
    }
}

/// Returns true if LiteLLM takes the key out of `litellm_params` for itself and never sends it upstream.
pub(in crate::config) fn is_litellm_param(name: &str) -> bool {
    let param = |row: &Row| matches!(row.1, Param | Both);
    KEYS.iter().any(|row| param(row) && row.0 == name)
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
    KEYS.iter().any(|row| matches!(row.1, Setting | Both) && row.0 == name)
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

/// The rows of [`KEYS`] that mean something in a request, by length and then by name: most keys of a request differ from
/// all of these in their length.
pub(super) static REQUEST_KEYS: [(&str, InRequest); count(&KEYS)] = in_requests(&KEYS);

pub(super) static REQUEST_PREFIXES: [(&str, InRequest); count(&PREFIXES)] = in_requests(&PREFIXES);

/// Returns how many rows mean something in a request.
const fn count(rows: &[Row]) -> usize {
    let (mut count, mut row) = (0, 0);
    while row < rows.len() {
        if !matches!(rows[row].2, Pass) {
            count += 1;
        }
        row += 1;
    }
    count
}

/// Orders the rows that mean something in a request by length; those of one length stay in their order.
const fn in_requests<const N: usize>(rows: &[Row]) -> [(&'static str, InRequest); N] {
    let mut ordered = [("", Pass); N];
    let (mut length, mut found) = (0, 0);
    while found < N {
        let mut row = 0;
        while row < rows.len() {
            let (name, _, fate) = rows[row];
            if name.len() == length && !matches!(fate, Pass) {
                ordered[found] = (name, fate);
                found += 1;
            }
            row += 1;
        }
        length += 1;
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::{InRequest::Refused, *};

    #[test]
    fn every_key_is_found_where_it_stands() {
        assert!(KEYS.is_sorted_by_key(|(name, ..)| name));
        assert!(REQUEST_KEYS.is_sorted_by_key(|(name, _)| (name.len(), *name)));
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
