//! The consequences of LiteLLM's keys that are not served: the effect that the file expects and does not get.

/// Returns the consequence of a key that is not served, as a clause.
pub(in crate::config) fn consequence(name: &str) -> Option<&'static str> {
    CONSEQUENCES.iter().find(|(names, _)| names.contains(&name)).map(|(_, clause)| *clause)
}

/// Returns true if a callback of this name filters requests or responses in LiteLLM.
pub(in crate::config) fn is_filter(callback: &str) -> bool {
    const FILTERS: [&str; 14] = [
        "aporia_prompt_injection",
        "azure_content_safety",
        "banned_keywords",
        "blocked_user_check",
        "detect_prompt_injection",
        "google_text_moderation",
        "guardrails_ai",
        "hide_secrets",
        "lakera_prompt_injection",
        "llamaguard_moderations",
        "llmguard_moderations",
        "openai_moderations",
        "pointguardai",
        "presidio",
    ];
    FILTERS.contains(&callback)
}

/// Returns advice for an unsupported setting of LiteLLM that users may rely on.
pub(in crate::config) fn replacement_advice(name: &str) -> Option<&'static str> {
    match name {
        "coordination_redis" => Some("`redis_url` in `router_settings` makes gateways share their limits"),
        "custom_auth"
        | "database_url"
        | "enable_jwt_auth"
        | "enable_oauth2_auth"
        | "enable_oauth2_proxy_auth" => {
            Some("clients need the `master_key`; without one every client may call")
        }
        "global_max_parallel_requests" | "max_in_flight_requests_per_worker" | "max_parallel_requests" => {
            Some("`max_in_flight` in `router_settings` limits the gateway")
        }
        "max_retries" => Some("`num_retries` sets how often a failed call is retried"),
        "model_alias_map" => Some("write the names below `model_group_alias`"),
        "blocked" => Some("remove the deployment from `model_list`"),
        "guardrails" | "callbacks" => Some("put a filter in front of the gateway or of the upstreams"),
        "allowed_ips" => Some("restrict the addresses in a firewall or in the proxy in front"),
        _ => None,
    }
}

const CONSEQUENCES: &[(&[&str], &str)] = &[
    (
        &[
            "banned_keywords_list",
            "blocked_user_list",
            "callbacks",
            "guardrail_list",
            "guardrails",
            "policies",
            "post_call_rules",
            "pre_call_rules",
        ],
        "requests and responses are not filtered",
    ),
    (&["allowed_ips"], "every address may call"),
    (&["admin_only_routes", "allowed_routes"], "every path that is served may be called"),
    (&["custom_auth"], "its checks are not made"),
    (&["block_requests_for_models_without_pricing"], "models without a price are called"),
    (
        &[
            "default_max_internal_user_budget",
            "max_budget",
            "max_end_user_budget",
            "max_internal_user_budget",
            "max_user_budget",
            "provider_budget_config",
            "tag_budget_config",
        ],
        "nothing limits what is spent",
    ),
    (&["tag_regex"], "every request may use every deployment of its group"),
    (
        &["access_groups", "access_windows", "supported_environments", "team_id"],
        "every client may use the deployment",
    ),
    (&["enable_weighted_failover"], "a retry goes to another deployment of the group anyway"),
    (&["fallback_on_unsupported_params"], "a parameter that a provider refuses is a 400 for the client"),
    (
        &[
            "deployment_affinity_ttl_seconds",
            "model_group_affinity_config",
            "session_affinity_repin_on_failover",
        ],
        "the requests of a session may go to any deployment",
    ),
    (&["max_retries"], "LiteLLM's router does not use it either"),
    (&["blocked"], "the deployment is called like any other"),
    (
        &["database_url"],
        "there are no virtual keys, users, teams and spend logs, and no models that were added in the UI",
    ),
    (&["store_model_in_db", "supported_db_objects"], "models that were added in the UI are not here"),
    (&["audit_log_callbacks", "input_callback", "service_callback"], "nothing is sent to these services"),
    (&["cache", "cache_responses", "caching", "caching_groups"], "every request is sent to an upstream"),
    (&["coordination_redis"], "limits are kept in this process"),
    (&["modify_params"], "requests are sent as they are"),
    (&["alerting", "alert_to_webhook_url"], "no alert is sent"),
    (
        &["background_health_checks", "enable_health_check_routing"],
        "upstreams are called for their health only by `/health`; a deployment that fails cools down",
    ),
    (&["store_prompts_in_spend_logs"], "prompts are not stored"),
    (&["user_header_mappings", "user_header_name"], "requests are not attributed to a user"),
    (&["always_include_stream_usage"], "a stream reports its usage to the clients that ask for it"),
    (
        &["enable_jwt_auth", "enable_oauth2_auth", "enable_oauth2_proxy_auth", "litellm_jwtauth"],
        "such tokens are refused",
    ),
    (&["max_parallel_requests"], "there is no limit for one key"),
    (
        &[
            "custom_key_generate",
            "default_internal_user_params",
            "default_key_generate_params",
            "default_team_params",
            "default_team_settings",
            "key_generation_settings",
            "upperbound_key_generate_params",
        ],
        "there are no virtual keys, users and teams",
    ),
    (&["pass_through_endpoints"], "the paths are a 404"),
    (
        &[
            "forward_client_headers_to_llm_api",
            "forward_openai_org_id",
            "forward_traceparent_to_llm_provider",
        ],
        "headers of clients are not sent upstream",
    ),
    (&["mcp_servers", "mcp_tools"], "MCP is not served"),
    (
        &["assistant_settings", "files_settings", "finetune_settings"],
        "files, batches, fine-tuning and assistants are not served",
    ),
    (&["prompts"], "prompts by name are not served"),
    (&["search_tools", "vector_store_registry"], "search is not served"),
    (&["custom_provider_map"], "deployments of these providers are left out"),
    (
        &["key_management_settings", "key_management_system", "use_azure_key_vault", "use_google_kms"],
        "`os.environ/NAME` reads the environment alone",
    ),
    (&["ssl_ecdh_curve", "ssl_security_level"], "TLS is as strict as rustls is"),
    (&["priority_reservation", "priority_reservation_settings"], "all requests have the same priority"),
    (&["routing_groups"], "every group is balanced by `routing_strategy`"),
    (&["litellm_key_header_name"], "keys are read in the usual headers alone"),
    (&["enable_weighted_failover"], "another deployment of the group is always tried before a fallback"),
    (&["silent_model"], "requests are not copied to another model"),
    (&["debug_level", "verbose"], "`RUST_LOG` sets what is logged"),
    (&["telemetry"], "none is sent"),
    (
        &["redact_messages_in_exceptions", "redact_user_api_key_info", "turn_off_message_logging"],
        "prompts and keys are never logged",
    ),
    (
        &[
            "allow_requests_on_db_unavailable",
            "database_connection_pool_limit",
            "database_connection_timeout",
            "proxy_batch_write_at",
        ],
        "there is no database",
    ),
    (
        &[
            "disable_error_logs",
            "disable_spend_logs",
            "disable_spend_updates",
            "maximum_spend_logs_retention_period",
        ],
        "there are no spend logs",
    ),
    (&["ui_access_mode", "ui_theme_config"], "there is no UI"),
    (&["budget_duration", "internal_user_budget_duration"], "it has no effect without its budget"),
    (&["require_auth_for_metrics_endpoint"], "`/metrics` needs the master key"),
    (&["use_aiohttp_transport"], "it is about a library of LiteLLM"),
];
