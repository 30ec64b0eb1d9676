//! Keys that LiteLLM's proxy takes for itself, beside the settings that are obeyed here.
//!
//! An upstream either refuses them (OpenAI does, with a 400) or, where they say whom to call and with which key, obeys
//! them. So those that only tune LiteLLM's own features are cut without a word, and those that would lead a request or
//! a credential elsewhere are refused: where a request goes is the configuration's alone.
//!
//! Not here is what upstreams know too: `user`, `metadata` and `store` are OpenAI's, `priority` is vLLM's, `ttl` is LM
//! Studio's.

use Fate::{Cut, Refused};

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It does not go upstream.
    Cut,
    /// Nor does the request.
    Refused,
}

/// By length, then by name: most keys of a request are told apart from all of these by their length.
static KEYS: [(&str, Fate); 74] = [
    ("tags", Cut),
    ("cache", Cut),
    ("no-log", Cut),
    ("api_key", Refused),
    ("caching", Cut),
    ("headers", Refused),
    ("api_base", Refused),
    ("api_type", Refused),
    ("base_url", Refused),
    ("endpoint", Refused),
    ("cache_key", Cut),
    ("callbacks", Cut),
    ("prompt_id", Cut),
    ("extra_body", Refused),
    ("guardrails", Cut),
    ("mock_delay", Cut),
    ("model_info", Refused),
    ("model_list", Refused),
    ("ssl_verify", Refused),
    ("api_version", Refused),
    ("credentials", Refused),
    ("drop_params", Cut),
    ("max_retries", Cut),
    ("region_name", Refused),
    ("user_config", Refused),
    ("watsonx_url", Refused),
    ("mock_timeout", Cut),
    ("organization", Refused),
    ("prompt_label", Cut),
    ("retry_policy", Cut),
    ("extra_headers", Refused),
    ("force_timeout", Cut),
    ("hf_model_name", Cut),
    ("mock_response", Cut),
    ("secret_fields", Cut),
    ("deployment_url", Refused),
    ("fallback_depth", Cut),
    ("litellm_params", Refused),
    ("prompt_version", Cut),
    ("retry_strategy", Cut),
    ("mock_tool_calls", Cut),
    ("s3_endpoint_url", Refused),
    ("stream_response", Cut),
    ("fastest_response", Cut),
    ("preset_cache_key", Cut),
    ("prompt_variables", Cut),
    ("routing_strategy", Cut),
    ("service_callback", Cut),
    ("complete_response", Cut),
    ("keepalive_seconds", Cut),
    ("custom_prompt_dict", Cut),
    ("sagemaker_base_url", Refused),
    ("custom_llm_provider", Refused),
    ("specific_deployment", Cut),
    ("allowed_model_region", Cut),
    ("enable_tag_filtering", Cut),
    ("proxy_server_request", Cut),
    ("allowed_openai_params", Cut),
    ("user_continue_message", Cut),
    ("additional_drop_params", Cut),
    ("include_fallback_errors", Cut),
    ("litellm_credential_name", Refused),
    ("standard_logging_object", Cut),
    ("supports_system_message", Cut),
    ("ensure_alternating_roles", Cut),
    ("litellm_embedding_config", Refused),
    ("model_group_retry_policy", Cut),
    ("provider_specific_header", Refused),
    ("router_settings_override", Refused),
    ("turn_off_message_logging", Cut),
    ("use_chat_completions_api", Cut),
    ("assistant_continue_message", Cut),
    ("context_window_fallback_dict", Cut),
    ("merge_reasoning_content_in_choices", Cut),
];

/// Beginnings of such names, which stand behind the whole names.
const PREFIXES: [(&str, Fate); 6] = [
    ("_litellm", Cut),
    ("aws_", Refused),
    ("azure_", Refused),
    ("litellm_", Cut),
    ("mock_testing_", Refused),
    ("vertex_", Refused),
];

/// What most requests consist of, and nobody must look up.
const COMMON: [&str; 8] =
    ["model", "messages", "stream", "temperature", "max_tokens", "tools", "input", "prompt"];

/// The fate of a key; none where it is nothing to LiteLLM.
pub(super) fn fate(key: &str) -> Option<Fate> {
    if COMMON.contains(&key) {
        return None;
    }
    match KEYS.binary_search_by_key(&(key.len(), key), |(name, _)| (name.len(), *name)) {
        Ok(at) => Some(KEYS[at].1),
        Err(_) => PREFIXES.iter().find(|(prefix, _)| key.starts_with(prefix)).map(|(_, fate)| *fate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_where_it_stands() {
        assert!(KEYS.is_sorted_by_key(|(name, _)| (name.len(), *name)));
        for (name, expected) in KEYS {
            assert_eq!(fate(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn what_upstreams_know_is_left_to_them() {
        for name in ["user", "metadata", "store", "priority", "ttl", "cache_prompt", "", "x"] {
            assert_eq!(fate(name), None, "{name}");
        }
        for name in COMMON {
            assert!(KEYS.iter().all(|(known, _)| *known != name), "{name}");
            assert!(PREFIXES.iter().all(|(prefix, _)| !name.starts_with(prefix)), "{name}");
        }
        assert_eq!(fate("litellm_session_id"), Some(Cut));
        assert_eq!(fate("litellm_params"), Some(Refused), "it may hold an api_base");
        assert_eq!(fate("aws_secret_access_key"), Some(Refused));
    }
}
