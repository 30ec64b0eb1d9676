//! The known keys of the file (LiteLLM's, OpenAI's and tollgate's own), and the redaction of values.

/// The supported sections of the file.
pub(super) const SECTIONS: &[&str] = &[
    "model_list",
    "litellm_settings",
    "router_settings",
    "general_settings",
    "environment_variables",
    "include",
    "credential_list",
];

/// The keys of an entry of `model_list`.
pub(super) const ENTRY: &[&str] =
    &["model_name", "litellm_params", "model_info", "rpm", "tpm", "weight", "order"];

/// The settings in `litellm_params`. Any other key there is a request parameter.
pub(super) const PARAMS: &[&str] = &[
    "model",
    "custom_llm_provider",
    "api_base",
    "base_url",
    "api_key",
    "azure_ad_token",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "aws_region_name",
    "aws_bedrock_runtime_endpoint",
    "api_version",
    "organization",
    "headers",
    "extra_headers",
    "rpm",
    "tpm",
    "itpm",
    "otpm",
    "rpd",
    "tpd",
    "daily_reset_time",
    "weight",
    "order",
    "max_parallel_requests",
    "timeout",
    "request_timeout",
    "stream_timeout",
    "num_retries",
    "cooldown_time",
    "mock_response",
    "mock_delay",
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "region_name",
    "drop_params",
    "additional_drop_params",
    "allowed_openai_params",
    "litellm_credential_name",
    "fallbacks",
    "tags",
    "ssl_verify",
    "stream",
    "vertex_credentials",
    "vertex_location",
    "vertex_project",
];

/// The settings in `litellm_params` of Bedrock alone.
pub(super) const BEDROCK: [&str; 5] =
    ["aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_region_name", BEDROCK_ENDPOINT];

/// The base URL of Bedrock.
pub(super) const BEDROCK_ENDPOINT: &str = "aws_bedrock_runtime_endpoint";

/// The settings in `litellm_params` of Vertex AI alone.
pub(super) const VERTEX: [&str; 3] = ["vertex_credentials", "vertex_location", "vertex_project"];

/// The settings in `model_info`. Any other key there is information without effect.
pub(super) const INFO: &[&str] = &[
    "id",
    "base_model",
    "max_input_tokens",
    "max_output_tokens",
    "mode",
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "quota_group",
    "allowed_fails",
    "allowed_fails_policy",
    "enable_tag_filtering",
    "health_check_timeout",
    "cooldown_time",
    "rpm",
    "tpm",
    "weight",
    "order",
];

/// The settings in `litellm_settings` and in `router_settings`.
pub(super) const SETTINGS: &[&str] = &[
    "num_retries",
    "request_timeout",
    "timeout",
    "stream_timeout",
    "fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "default_fallbacks",
    "max_fallbacks",
    "allowed_fails",
    "cooldown_time",
    "disable_cooldowns",
    "retry_after",
    "routing_strategy",
    "enable_pre_call_checks",
    "model_group_alias",
    "drop_params",
    "additional_drop_params",
    "default_litellm_params",
    "enable_mid_stream_fallback_continuation",
    "json_logs",
    "set_verbose",
    "enable_tag_filtering",
    "tag_filtering_match_any",
    "tag_routing_prefix",
    "callbacks",
    "success_callback",
    "failure_callback",
    "ssl_verify",
    "ssl_certificate",
    "default_max_parallel_requests",
    "num_retries_per_request",
    "redis_url",
    "redis_host",
    "redis_port",
    "redis_password",
    "redis_db",
    "cache_params",
    "vertex_location",
    "vertex_project",
];

/// The settings in `general_settings`.
pub(super) const GENERAL: &[&str] =
    &["master_key", "keys", "status_key", "model_table", "max_request_size_mb", "accept_unsafe"];

/// The budget of the whole gateway, in `litellm_settings` or `general_settings`.
pub(super) const BUDGET: [&str; 2] = ["max_budget", "budget_duration"];

/// The keys of an entry of `general_settings.keys`. The limits have the names of LiteLLM's virtual keys.
pub(super) const CLIENT_KEY: &[&str] = &[
    "name",
    "key",
    "key_sha256",
    "models",
    "rpm_limit",
    "tpm_limit",
    "max_parallel_requests",
    "expires",
    "max_budget",
    "budget_duration",
];

/// LiteLLM's alternatives to the master key. None is supported.
pub(super) const OTHER_AUTH: &[&str] =
    &["custom_auth", "enable_jwt_auth", "enable_oauth2_auth", "enable_oauth2_proxy_auth"];

/// A key of tollgate's own, which LiteLLM does not have.
pub(super) struct OwnKey {
    pub(super) name: &'static str,
    /// True if a deployment may have it.
    pub(super) deployment: bool,
}

/// All keys of tollgate's own. They belong in `router_settings` or `litellm_settings`, and are never sent upstream.
pub(super) const OWN_KEYS: &[OwnKey] = &[
    OwnKey { name: "rate_window", deployment: true },
    OwnKey { name: "token_accounting", deployment: true },
    OwnKey { name: "http2", deployment: true },
    OwnKey { name: "stream_idle_timeout", deployment: true },
    OwnKey { name: "stream_usage", deployment: true },
    OwnKey { name: "queue_timeout", deployment: false },
    OwnKey { name: "max_queue", deployment: false },
    OwnKey { name: "max_request_duration", deployment: false },
    OwnKey { name: "max_attempts", deployment: false },
    OwnKey { name: "retry_budget", deployment: false },
    OwnKey { name: "max_in_flight", deployment: false },
    OwnKey { name: "max_connections", deployment: false },
    OwnKey { name: "max_buffered_bytes", deployment: false },
    OwnKey { name: "max_event_bytes", deployment: false },
    OwnKey { name: "max_held_events", deployment: false },
    OwnKey { name: "keepalive_timeout", deployment: false },
    OwnKey { name: "backlog", deployment: false },
    OwnKey { name: "drain_timeout", deployment: false },
    OwnKey { name: "max_header_bytes", deployment: false },
    OwnKey { name: "upstream_keepalive_timeout", deployment: false },
    OwnKey { name: "fallback_on_context_window", deployment: false },
    OwnKey { name: "pings_keep_alive", deployment: false },
    OwnKey { name: "broken_events", deployment: false },
    OwnKey { name: "early_heartbeat", deployment: false },
    OwnKey { name: "midstream_fallback", deployment: false },
    OwnKey { name: "trusted_proxies", deployment: false },
    OwnKey { name: "response_cost", deployment: false },
    OwnKey { name: "server_timing", deployment: false },
    OwnKey { name: "redis_username", deployment: false },
    OwnKey { name: "redis_namespace", deployment: false },
    OwnKey { name: "redis_replicas", deployment: false },
    OwnKey { name: "when_isolated", deployment: false },
    OwnKey { name: "heartbeat", deployment: false },
    OwnKey { name: "lease", deployment: false },
];

/// Returns the names of tollgate's own keys and of the policies by error: those of a deployment, or those of the settings.
pub(super) fn own_names(deployment: bool) -> impl Iterator<Item = &'static str> {
    let own = OWN_KEYS.iter().filter(move |key| key.deployment || !deployment).map(|key| key.name);
    let policies: &[&str] = if deployment { &[] } else { &litellm::POLICIES };
    own.chain(policies.iter().copied())
}

/// Returns tollgate's own key with this name.
pub(super) fn own_key(name: &str) -> Option<&'static OwnKey> {
    OWN_KEYS.iter().find(|o| o.name == name)
}

mod credential;
mod kind;
mod litellm;
mod openai;
mod redaction;
#[cfg(test)]
mod tests;

pub(super) use credential::is_credential;
pub(super) use kind::{Kind, kind};
pub(crate) use litellm::{KeyAction, key_action};
pub(super) use litellm::{
    consequence, correction, info_grade, is_error_policy, is_filter, is_litellm_param, is_model_info,
    param_grade, replacement_advice, section_grade, setting_grade, unserved_info, unserved_params,
    unserved_sections, unserved_settings,
};
pub(super) use openai::OPENAI;
pub(crate) use openai::is_openai;
pub(crate) use redaction::shown_name;
pub(super) use redaction::{ADDRESSES, Visibility, is_secret, is_visible, redact, shown_key};

/// Returns true if a section or a key of a section is served.
pub(super) fn is_served(word: &str) -> bool {
    let lists = [SECTIONS, ENTRY, PARAMS, INFO, SETTINGS, GENERAL, &BUDGET];
    lists.iter().any(|list| list.contains(&word)) || own_key(word).is_some() || is_error_policy(word)
}

/// Returns true if the word is the name of a setting, which may be shown anywhere.
pub(super) fn is_known(word: &str) -> bool {
    is_served(word)
        || CLIENT_KEY.contains(&word)
        || is_openai(word)
        || section_grade(word).is_some()
        || (is_litellm_param(word) || setting_grade(word).is_some()) && !is_secret(word)
}

/// Returns the name with the fewest edits from `word`, at most `within`, or none if no name is close.
pub(crate) fn nearest<'a>(
    word: &str,
    names: impl IntoIterator<Item = &'a str>,
    within: usize,
) -> Option<&'a str> {
    let distance = |name: &str| strsim::osa_distance(&word.to_lowercase(), &name.to_lowercase());
    let longer = |name: &str| name.chars().count().max(word.chars().count());
    // Checked before any distance is computed: the word may come from a client and be megabytes long. A character has
    // at most four bytes.
    let comparable = |name: &&str| word.len() <= 4 * (name.len() + within);
    names
        .into_iter()
        .filter(comparable)
        .map(|n| (distance(n), n))
        .filter(|(d, n)| *d <= within && longer(n) > *d * 2)
        .min()
        .map(|(_, n)| n)
}
