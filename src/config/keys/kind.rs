//! The kinds of values that the served keys have, for the schema.

/// The kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Kind {
    /// A value of several kinds, or of any.
    Any,
    /// A text.
    Text,
    /// An integer.
    Whole,
    /// A number, such as a time in seconds.
    Number,
    /// True or false.
    Boolean,
    /// A list.
    List,
    /// A map.
    Map,
    /// The name of a routing strategy.
    Strategy,
}

/// Returns the kind of the values of a served key.
pub(in crate::config) fn kind(name: &str) -> Kind {
    KINDS.iter().find(|(_, names)| names.contains(&name)).map_or(Kind::Any, |(kind, _)| *kind)
}

const KINDS: &[(Kind, &[&str])] = &[
    (
        Kind::Text,
        &[
            "api_base",
            "api_key",
            "aws_access_key_id",
            "aws_bedrock_runtime_endpoint",
            "aws_region_name",
            "aws_secret_access_key",
            "aws_session_token",
            "azure_ad_token",
            "base_url",
            "custom_llm_provider",
            "daily_reset_time",
            "litellm_credential_name",
            "master_key",
            "mock_response",
            "model",
            "model_name",
            "quota_group",
            "model_table",
            "tag_routing_prefix",
        ],
    ),
    (
        Kind::Whole,
        &[
            "allowed_fails",
            "backlog",
            "default_max_parallel_requests",
            "itpm",
            "max_attempts",
            "max_buffered_bytes",
            "max_connections",
            "max_event_bytes",
            "max_fallbacks",
            "max_header_bytes",
            "max_held_events",
            "max_in_flight",
            "max_input_tokens",
            "max_parallel_requests",
            "max_queue",
            "max_request_size_mb",
            "num_retries",
            "num_retries_per_request",
            "order",
            "otpm",
            "rpd",
            "rpm",
            "tpd",
            "tpm",
        ],
    ),
    (
        Kind::Number,
        &[
            "cooldown_time",
            "drain_timeout",
            "early_heartbeat",
            "health_check_timeout",
            "heartbeat",
            "input_cost_per_token",
            "keepalive_timeout",
            "lease",
            "max_request_duration",
            "mock_delay",
            "output_cost_per_token",
            "queue_timeout",
            "request_timeout",
            "retry_after",
            "stream_idle_timeout",
            "stream_timeout",
            "timeout",
            "upstream_keepalive_timeout",
            "weight",
        ],
    ),
    (
        Kind::Boolean,
        &[
            "disable_cooldowns",
            "enable_tag_filtering",
            "tag_filtering_match_any",
            "drop_params",
            "enable_mid_stream_fallback_continuation",
            "fallback_on_context_window",
            "http2",
            "pings_keep_alive",
            "server_timing",
            "stream_usage",
        ],
    ),
    (
        Kind::List,
        &[
            "accept_unsafe",
            "additional_drop_params",
            "allowed_openai_params",
            "content_policy_fallbacks",
            "context_window_fallbacks",
            "default_fallbacks",
            "fallbacks",
            "include",
            "tags",
        ],
    ),
    (
        Kind::Map,
        &[
            "allowed_fails_policy",
            "default_litellm_params",
            "environment_variables",
            "extra_body",
            "extra_headers",
            "headers",
            "model_group_alias",
            "model_group_retry_policy",
            "retry_budget",
            "retry_policy",
        ],
    ),
    (Kind::Strategy, &["routing_strategy"]),
];
