//! The codes and texts of the rows of [`table`](super::table), in lower case.
//!
//! Each text of too long prompts and of refused content has a test case in `golden/`, with its source. A text is long
//! enough not to match the cases of `golden/neither.http`.

pub(super) const CONTEXT_CODES: &[&str] = &[
    "context_length_exceeded",
    "context_window_exceeded",
    "exceed_context_size_error",
    // GitHub's Copilot and Models
    "model_max_prompt_tokens_exceeded",
    "tokens_limit_reached",
    // Baidu's
    "tokens_too_long",
    "characters_too_long",
    // Perplexity's, watsonx's, CodeWhisperer's
    "too_many_prompt_tokens",
    "token_quantity_exceeded",
    "content_length_exceeds_threshold",
];

pub(super) const POLICY_CODES: &[&str] = &[
    "content_policy_violation",
    "image_content_policy_violation",
    "content_filter",
    "contentfilter",
    "responsibleaipolicyviolation",
    "moderation_blocked",
    "cyber_policy",
    // DashScope's
    "data_inspection_failed",
    "datainspectionfailed",
    // Volcano Ark's
    "sensitivecontentdetected",
    "inputtextsensitivecontentdetected",
    "inputimagesensitivecontentdetected",
    "inputvideosensitivecontentdetected",
    "inputaudiosensitivecontentdetected",
    "outputtextsensitivecontentdetected",
    "outputimagesensitivecontentdetected",
    "outputvideosensitivecontentdetected",
    "outputaudiosensitivecontentdetected",
    "inputtextriskdetection",
    "inputimageriskdetection",
    "outputtextriskdetection",
    "outputimageriskdetection",
    // StepFun's, Baidu's
    "censorship_blocked",
    "unsafe_request",
    // New API's
    "sensitive_words_detected",
    "prompt_blocked",
    // Portkey's and Langfuse's guardrails
    "hooks_failed",
    "guardrail_blocked",
];

pub(super) const QUOTA_CODES: &[&str] = &[
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    // Anthropic's spend limit, Bedrock's, Moonshot's, DashScope's
    "enforced_spend_limit_reached",
    "servicequotaexceededexception",
    "exceeded_current_quota_error",
    "allocationquota.freetieronly",
];

/// Bedrock's, and Google's reason for a 400 `INVALID_ARGUMENT`.
pub(super) const CREDENTIAL_CODES: &[&str] = &[
    "unrecognizedclientexception",
    "invalidsignatureexception",
    "expiredtokenexception",
    "expiredtoken",
    "incompletesignatureexception",
    "api_key_invalid",
    "invalid_api_key",
];

pub(super) const MISSING_CODES: &[&str] = &[
    "model_not_found",
    "deploymentnotfound",
    "resourcenotfoundexception",
    "not_found_error",
    // Groq's, Mistral's
    "model_decommissioned",
    "invalid_model",
];

pub(super) const BUSY_CODES: &[&str] = &[
    "overloaded",
    "overloaded_error",
    "server_is_overloaded",
    "engine_overloaded",
    "engine_overloaded_error",
    "modelnotreadyexception",
];

pub(super) const LIMIT_CODES: &[&str] =
    &["rate_limit_exceeded", "rate_limit_error", "resource_exhausted", "too_many_requests"];

/// Anthropic sends both with 400, xAI the latter with 403.
pub(super) const EMPTY_ACCOUNT_TEXTS: &[&[&str]] = &[
    &["credit balance is too low"],
    &["reached your specified", "usage limits"],
    &["used all available credits"],
];

/// DeepSeek, OpenRouter, Bedrock.
pub(super) const MISSING_TEXTS: &[&[&str]] =
    &[&["model not exist"], &["is not a valid model id"], &["provided model identifier is invalid"]];

/// Errors about the requested length of the response, with words that can also mean the prompt: Cohere.
pub(super) const OUTPUT_LIMIT_TEXTS: &[&[&str]] = &[&["too many tokens: max tokens must be"]];

/// Texts of errors about prompts that exceed the context window.
pub(super) const CONTEXT_TEXTS: &[&[&str]] = &[
    &["maximum context length"],
    &["context_length_exceeded"],
    &["contextwindowexceedederror"],
    &["exceeds the context window"],
    &["input length exceeds the context length"],
    &["exceeds the available context size"],
    &["exceeds context size ("],
    &["input token", "exceeds the maximum number of tokens allowed"],
    &["exceed context limit"],
    &["exceed context window of"],
    &["exceeded model token limit"],
    &["exceeded this model context window limit"],
    &["context window exceeds limit"],
    &["context size has been exceeded"],
    &["model's context length is only"],
    &["loaded with context length of only"],
    &["initial prompt is greater than the context length"],
    &["prompt is longer than the context length"],
    &["longer than the model's context length"],
    &["longer than the maximum model length"],
    &["larger than the model input length limit"],
    &["input length (", "must be smaller than the model context length"],
    &["model's maximum context limit"],
    &["prompt has", "configured context size is"],
    &["n_keep (", ">= n_ctx ("],
    &["prompt length", "exceeds the max_model_len"],
    &["prompt is too long"],
    &["prompt too long"],
    &["prompt 超长"],
    &["prompt exceeds max length"],
    &["prompt exceeds the kv memory budget"],
    &["prompt tokens too long"],
    &["input is too long"],
    &["input token length too long"],
    &["total length of all messages is too long"],
    &["too many tokens"],
    &["too many input tokens"],
    &["too many total text bytes"],
    &["input tokens exceeds maximum length"],
    &["input tokens exceed the configured limit"],
    &["input tokens exceed model token limit"],
    &["input tokens", "cannot exceed the total tokens limit"],
    &["input tokens", "exceeded max_prompt_tokens"],
    &["input token count is", "model only supports up to"],
    &["tokens in request more than max tokens allowed"],
    &["exceed max message tokens"],
    &["prompt token count of", "exceeds the limit of"],
    &["prompt tokens (", "exceed model maximum"],
    &["length of prompt_tokens", "must be less than max_seq_len"],
    &["sum of prompt length", "should not exceed max_num_tokens"],
    &["prompt length (", "exceeds maximum sequence length"],
    &["prompt length (", "exceeds maximum input length"],
    &["requested input length", "exceeds maximum input length"],
    &["input length", "exceeds the maximum allowed input length of"],
    &["input length (", "tokens) exceeds the maximum allowed length"],
    &["input length", "exceeds the maximum length"],
    &["input length", "exceeds maximum allowed token size"],
    &["input text length should not exceed"],
    &["range of input length should be"],
    &["maximum input length is", "tokens"],
    &["maximum prompt length is"],
    &["max input characters is"],
    &["`inputs` tokens + `max_new_tokens` must be"],
    &["`inputs` must have less than"],
    &["reduce the length of the messages"],
    &["request body too large for", "max size:", "tokens"],
    &["is too large to process", "physical batch size"],
    &["current length is", "while limit is"],
    // Bedrock validates a model's own parameters: these contain the prompt, others do not.
    &["malformed input request: expected maxlength:"],
    &["#/inputtext: expected maxlength:"],
    &["#/prompt: expected maxlength:"],
    &["#/texts/", "expected maxlength:"],
];

/// Texts of errors about refused content.
pub(super) const POLICY_TEXTS: &[&[&str]] = &[
    &["content_policy_violation"],
    &["contentpolicyviolationerror"],
    &["responsibleaipolicyviolation"],
    &["content management policy"],
    &["result of our safety system"],
    &["result of the safety system"],
    &["rejected by the safety system"],
    &["violating our usage policy"],
    &["limited access to this content for safety reasons"],
    &["flagged for possible cybersecurity risk"],
    &["content filtering policy"],
    &["blocked by our content filters"],
    &["the model produced invalid content"],
    &["the response was blocked"],
    &["violate google's responsible ai practices"],
    &["violated vertex ai's usage guidelines"],
    &["content exists risk"],
    &["content violates usage guidelines"],
    &["considered high risk"],
    &["may contain inappropriate content"],
    &["potentially unsafe or sensitive content"],
    &["可能包含不安全或敏感内容"],
    &["new_sensitive ("],
    &["may contain sensitive information"],
    &["machine outputted is blocked"],
    &["flagged as sensitive"],
    &["sensitive words detected"],
    &["blocked due to security configurations"],
    &["blocked by model armor"],
    &["violated", "guardrail policy"],
    &["violated openai moderation policy"],
    &["violated content safety policy"],
];
