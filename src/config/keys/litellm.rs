//! LiteLLM's keys: what each means in its configuration file, and what in a request.

use InFile::{Both, No, Param, Setting};
use InRequest::{Cut, Override, Pass, Refused};

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
            .map_or(Pass, |(_, fate)| *fate),
    }
}

/// Returns true if LiteLLM takes the key out of `litellm_params` for itself and never sends it upstream.
pub(in crate::config) fn is_litellm_param(name: &str) -> bool {
    let param = |row: &Row| matches!(row.1, Param | Both);
    KEYS.iter().any(|row| param(row) && row.0 == name)
        || name.contains("_cost_per_")
        || name.contains("_cost_above_")
        || PREFIXES.iter().any(|row| param(row) && name.starts_with(row.0))
}

/// Returns true if LiteLLM knows the key in one of its settings sections.
pub(in crate::config) fn is_litellm_setting(name: &str) -> bool {
    KEYS.iter().any(|row| matches!(row.1, Setting | Both) && row.0 == name)
}

/// Returns true for a policy by the names of LiteLLM's exceptions.
pub(in crate::config) fn is_error_policy(name: &str) -> bool {
    ["retry_policy", "allowed_fails_policy", "model_group_retry_policy"].contains(&name)
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

/// Beginnings of names, which count for names that are not in [`KEYS`].
static PREFIXES: [Row; 11] = [
    ("_litellm", No, Cut),
    ("_litellm_", Param, Cut),
    ("aws_", Param, Refused),
    ("azure_", Param, Refused),
    ("langfuse_", Param, Pass),
    ("litellm_", Param, Cut),
    ("mock_", Param, Pass),
    ("mock_testing_", Param, Refused),
    ("s3_", Param, Pass),
    ("vertex_", Param, Refused),
    ("watsonx_", Param, Pass),
];

/// All names, in the order of the alphabet.
///
/// A request may pass names that upstreams know too (`user`, `metadata` and `store` are OpenAI's, `priority` is
/// vLLM's, `ttl` is LM Studio's), and settings that never occur in requests.
static KEYS: [Row; 269] = [
    ("additional_drop_params", Param, Cut),
    ("admin_only_routes", Setting, Pass),
    ("admission_queue_timeout_seconds", Setting, Pass),
    ("alert_to_webhook_url", Setting, Pass),
    ("alert_types", Setting, Pass),
    ("alerting", Setting, Pass),
    ("alerting_args", Setting, Pass),
    ("alerting_config", Setting, Pass),
    ("alerting_threshold", Setting, Pass),
    ("allow_client_keepalive_override", Param, Pass),
    ("allow_client_side_credentials", Setting, Pass),
    ("allow_requests_on_db_unavailable", Setting, Pass),
    ("allowed_fails_policy", Setting, Pass),
    ("allowed_model_region", Param, Cut),
    ("allowed_openai_params", Param, Cut),
    ("allowed_routes", Setting, Pass),
    ("always_include_stream_usage", Setting, Pass),
    ("api_base", No, Refused),
    ("api_key", No, Refused),
    ("api_type", No, Refused),
    ("api_version", No, Refused),
    ("assistant_continue_message", No, Cut),
    ("audit_log_callbacks", Setting, Pass),
    ("auto_router_config", Param, Pass),
    ("background_health_checks", Setting, Pass),
    ("base_model", Param, Pass),
    ("base_url", No, Refused),
    ("bos_token", Param, Pass),
    ("budget_duration", Both, Pass),
    ("budget_rescheduler_max_time", Setting, Pass),
    ("budget_rescheduler_min_time", Setting, Pass),
    ("cache", Both, Cut),
    ("cache_key", Param, Cut),
    ("cache_kwargs", Setting, Pass),
    ("cache_params", Setting, Pass),
    ("cache_responses", Setting, Pass),
    ("caching", Param, Cut),
    ("caching_groups", Setting, Pass),
    ("callbacks", Setting, Cut),
    ("cancel_on_disconnect", Setting, Pass),
    ("client_id", Param, Pass),
    ("client_secret", Param, Pass),
    ("client_ttl", Setting, Pass),
    ("complete_response", Param, Cut),
    ("completion_model", Setting, Pass),
    ("configurable_clientside_auth_params", Param, Pass),
    ("content_policy_fallbacks", Param, Override),
    ("context_window_fallback_dict", Param, Cut),
    ("context_window_fallbacks", Param, Override),
    ("credentials", No, Refused),
    ("custom_auth", Setting, Pass),
    ("custom_key_generate", Setting, Pass),
    ("custom_llm_provider", No, Refused),
    ("custom_prompt_dict", Param, Cut),
    ("custom_provider_map", Setting, Pass),
    ("custom_sso", Setting, Pass),
    ("dangerously_permit_weak_or_unset_master_key", Setting, Pass),
    ("database_connection_pool_limit", Setting, Pass),
    ("database_connection_timeout", Setting, Pass),
    ("database_url", Setting, Pass),
    ("debug_level", Setting, Pass),
    ("default_api_key_rpm_limit", Param, Pass),
    ("default_api_key_tpm_limit", Param, Pass),
    ("default_in_memory_ttl", Setting, Pass),
    ("default_internal_user_params", Setting, Pass),
    ("default_key_generate_params", Setting, Pass),
    ("default_litellm_params", Setting, Pass),
    ("default_max_internal_user_budget", Setting, Pass),
    ("default_max_parallel_requests", Setting, Pass),
    ("default_priority", Setting, Pass),
    ("default_redis_batch_cache_expiry", Setting, Pass),
    ("default_redis_ttl", Setting, Pass),
    ("default_team_id", Setting, Pass),
    ("default_team_params", Setting, Pass),
    ("default_team_settings", Setting, Pass),
    ("deployment_affinity_ttl_seconds", Setting, Pass),
    ("deployment_url", No, Refused),
    ("disable_add_transform_inline_image_block", Setting, Pass),
    ("disable_add_user_agent_to_request_tags", Setting, Pass),
    ("disable_adding_master_key_hash_to_db", Setting, Pass),
    ("disable_copilot_system_to_assistant", Setting, Pass),
    ("disable_end_user_cost_tracking", Setting, Pass),
    ("disable_end_user_cost_tracking_prometheus_only", Setting, Pass),
    ("disable_error_logs", Setting, Pass),
    ("disable_fallbacks", Param, Override),
    ("disable_master_key_return", Setting, Pass),
    ("disable_prisma_schema_update", Setting, Pass),
    ("disable_reset_budget", Setting, Pass),
    ("disable_responses_id_security", Setting, Pass),
    ("disable_spend_logs", Setting, Pass),
    ("drop_params", Both, Cut),
    ("embedding_model", Setting, Pass),
    ("enable_azure_ad_token_refresh", Setting, Pass),
    ("enable_health_check_routing", Setting, Pass),
    ("enable_json_schema_validation", Setting, Pass),
    ("enable_jwt_auth", Setting, Pass),
    ("enable_oauth2_auth", Setting, Pass),
    ("enable_oauth2_proxy_auth", Setting, Pass),
    ("enable_pre_call_checks", Setting, Pass),
    ("enable_preview_features", Setting, Pass),
    ("enable_tag_filtering", Setting, Cut),
    ("enable_weighted_failover", Setting, Pass),
    ("endpoint", No, Refused),
    ("enforce_user_param", Setting, Pass),
    ("enforced_params", Setting, Pass),
    ("ensure_alternating_roles", No, Cut),
    ("eos_token", Param, Pass),
    ("expose_fallback_errors_to_caller", Setting, Pass),
    ("expose_router_debug_in_errors", Setting, Pass),
    ("extra_body", Param, Refused),
    ("extra_headers", No, Refused),
    ("failure_callback", Setting, Pass),
    ("fallback_depth", No, Cut),
    ("fallbacks", Param, Override),
    ("fastest_response", Param, Cut),
    ("force_ipv4", Setting, Pass),
    ("force_timeout", Param, Cut),
    ("forward_client_headers_to_llm_api", Setting, Pass),
    ("forward_llm_provider_auth_headers", Setting, Pass),
    ("forward_openai_org_id", Setting, Pass),
    ("forward_traceparent_to_llm_provider", Setting, Pass),
    ("gcs_bucket_name", Param, Pass),
    ("global_max_parallel_requests", Setting, Pass),
    ("guardrails", Param, Cut),
    ("headers", No, Refused),
    ("health_check_concurrency", Setting, Pass),
    ("health_check_details", Setting, Pass),
    ("health_check_interval", Setting, Pass),
    ("hf_model_name", Param, Cut),
    ("id", Param, Pass),
    ("ignore_invalid_deployments", Setting, Pass),
    ("image_generation_model", Setting, Pass),
    ("include_call_id_in_error_body", Setting, Pass),
    ("include_cost_in_streaming_usage", Setting, Pass),
    ("include_fallback_errors", No, Cut),
    ("infer_model_from_keys", Setting, Pass),
    ("internal_user_budget_duration", Setting, Pass),
    ("itpm", Param, Pass),
    ("json_logs", Setting, Pass),
    ("keepalive_seconds", Param, Cut),
    ("key_generation_settings", Setting, Pass),
    ("key_management_settings", Setting, Pass),
    ("key_management_system", Setting, Pass),
    ("langfuse_default_tags", Setting, Pass),
    ("litellm_credential_name", No, Refused),
    ("litellm_embedding_config", No, Refused),
    ("litellm_jwtauth", Setting, Pass),
    ("litellm_key_header_name", Setting, Pass),
    ("litellm_params", No, Refused),
    ("log_raw_request_response", Setting, Pass),
    ("max_budget", Both, Pass),
    ("max_end_user_budget", Setting, Pass),
    ("max_fallbacks", Param, Override),
    ("max_in_flight_requests_per_worker", Setting, Pass),
    ("max_internal_user_budget", Setting, Pass),
    ("max_parallel_requests", Setting, Pass),
    ("max_queued_requests_per_worker", Setting, Pass),
    ("max_response_size_mb", Setting, Pass),
    ("max_retries", Param, Cut),
    ("maximum_spend_logs_retention_interval", Setting, Pass),
    ("maximum_spend_logs_retention_period", Setting, Pass),
    ("mcp_semantic_tool_filter", Setting, Pass),
    ("merge_reasoning_content_in_choices", Param, Cut),
    ("midstream_fallback", No, Override),
    ("mock_delay", No, Cut),
    ("mock_response", No, Cut),
    ("mock_timeout", No, Cut),
    ("mock_tool_calls", No, Cut),
    ("model_alias_map", Setting, Pass),
    ("model_config", Param, Pass),
    ("model_group_affinity_config", Setting, Pass),
    ("model_group_retry_policy", Setting, Cut),
    ("model_info", Param, Refused),
    ("model_list", Param, Refused),
    ("model_list_healthy_only", Setting, Pass),
    ("moderation_model", Setting, Pass),
    ("modify_params", Setting, Pass),
    ("no-log", Param, Cut),
    ("num_retries", No, Override),
    ("num_retries_per_request", Setting, Pass),
    ("optional_pre_call_checks", Setting, Pass),
    ("organization", No, Refused),
    ("otpm", Param, Pass),
    ("pass_through_endpoints", Setting, Pass),
    ("pass_through_request_timeout", Setting, Pass),
    ("plugins", Setting, Pass),
    ("polling_interval", Setting, Pass),
    ("preset_cache_key", Param, Cut),
    ("priority_reservation", Setting, Pass),
    ("priority_reservation_settings", Setting, Pass),
    ("prometheus_initialize_budget_metrics", Setting, Pass),
    ("prometheus_metrics_config", Setting, Pass),
    ("prompt_id", Param, Cut),
    ("prompt_label", Param, Cut),
    ("prompt_variables", Param, Cut),
    ("prompt_version", Param, Cut),
    ("provider_budget_config", Setting, Pass),
    ("provider_specific_header", Param, Refused),
    ("proxy_batch_write_at", Setting, Pass),
    ("proxy_budget_rescheduler_max_time", Setting, Pass),
    ("proxy_budget_rescheduler_min_time", Setting, Pass),
    ("proxy_server_request", No, Cut),
    ("public_routes", Setting, Pass),
    ("redact_messages_in_exceptions", Setting, Pass),
    ("redact_user_api_key_info", Setting, Pass),
    ("redis_db", Setting, Pass),
    ("redis_host", Setting, Pass),
    ("redis_password", Setting, Pass),
    ("redis_port", Setting, Pass),
    ("redis_url", Setting, Pass),
    ("region_name", Param, Refused),
    ("request_timeout", No, Override),
    ("retry_policy", Both, Cut),
    ("retry_strategy", Param, Cut),
    ("roles", Param, Pass),
    ("router_settings_override", No, Refused),
    ("routing_groups", Setting, Pass),
    ("routing_strategy", Param, Cut),
    ("routing_strategy_args", Setting, Pass),
    ("s3_callback_params", Setting, Pass),
    ("s3_endpoint_url", No, Refused),
    ("sagemaker_base_url", No, Refused),
    ("secret_fields", No, Cut),
    ("service_account_settings", Setting, Pass),
    ("service_callback", Setting, Cut),
    ("set_verbose", Setting, Pass),
    ("silent_model", Param, Pass),
    ("specific_deployment", No, Cut),
    ("ssl_verify", Both, Refused),
    ("standard_logging_object", No, Cut),
    ("store_model_in_db", Setting, Pass),
    ("store_prompts_in_spend_logs", Setting, Pass),
    ("stream_response", Param, Cut),
    ("stream_timeout", No, Override),
    ("stream_timeout_by_service_tier", Param, Pass),
    ("success_callback", Setting, Pass),
    ("supported_db_objects", Setting, Pass),
    ("supports_system_message", Param, Cut),
    ("tag_budget_config", Setting, Pass),
    ("tag_filtering_match_any", Setting, Pass),
    ("tag_regex", Param, Pass),
    ("tag_routing_prefix", Setting, Pass),
    ("tags", Param, Cut),
    ("telemetry", Setting, Pass),
    ("tenant_id", Param, Pass),
    ("timeout", No, Override),
    ("timeout_by_service_tier", Param, Pass),
    ("token_rate_limit_type", Setting, Pass),
    ("ttl", Param, Pass),
    ("turn_off_message_logging", Both, Cut),
    ("ui_access_mode", Setting, Pass),
    ("ui_theme_config", Setting, Pass),
    ("upperbound_key_generate_params", Setting, Pass),
    ("use_aiohttp_transport", Setting, Pass),
    ("use_azure_key_vault", Setting, Pass),
    ("use_chat_completions_api", Param, Cut),
    ("use_chat_completions_url_for_anthropic_messages", Setting, Pass),
    ("use_google_kms", Setting, Pass),
    ("use_in_pass_through", Param, Pass),
    ("use_litellm_proxy", Param, Pass),
    ("use_shared_health_check", Setting, Pass),
    ("use_x_forwarded_for", Setting, Pass),
    ("user_api_key_cache_ttl", Setting, Pass),
    ("user_config", No, Refused),
    ("user_continue_message", No, Cut),
    ("user_header_mappings", Setting, Pass),
    ("user_header_name", Setting, Pass),
    ("verbose", Param, Pass),
    ("watsonx_url", No, Refused),
];

#[cfg(test)]
mod tests {
    use super::*;

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
}
