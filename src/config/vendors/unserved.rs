//! The providers of LiteLLM that are not served, each with the reason.

/// Returns the reason why a provider of LiteLLM is not served, or none for any other name.
pub(in crate::config) fn reason_unserved(prefix: &str) -> Option<&'static str> {
    UNSERVED.iter().find(|(_, names)| names.contains(&prefix)).map(|(reason, _)| *reason)
}

const UNSERVED: &[(&str, &[&str])] = &[
    (
        "its requests must be signed for AWS",
        &["bedrock_mantle", "sagemaker", "sagemaker_chat", "sagemaker_nova", "aws_polly", "aws_textract"],
    ),
    ("it needs a signed token", &["gdc", "snowflake", "oci"]),
    ("it needs a login by a device code", &["github_copilot", "chatgpt", "microsoft_365_copilot"]),
    ("it needs a token from a login", &["watsonx", "watsonx_text", "sap", "gigachat"]),
    (
        "its API is not OpenAI's",
        &[
            "anthropic_text",
            "bytez",
            "databricks_agent",
            "datarobot",
            "langflow",
            "langgraph",
            "manus",
            "maritalk",
            "nlp_cloud",
            "opencode_go",
            "petals",
            "predibase",
            "ragflow",
            "replicate",
            "text-completion-codestral",
            "text-completion-inception",
            "triton",
            "a2a",
            "a2a_agent",
            "cursor",
            "infinity",
            "azure_speech",
            "black_forest_labs",
            "deepgram",
            "elevenlabs",
            "fal_ai",
            "nvidia_riva",
            "recraft",
            "runwayml",
            "soniox",
            "stability",
            "topaz",
        ],
    ),
    (
        "it has none of the operations that are served",
        &[
            "bespoke",
            "eu_jev",
            "laya",
            "mongodb",
            "nace",
            "opensearch",
            "parallel_ai",
            "reducto",
            "scaledown",
            "strands_decider",
            "transcribe",
            "typesafe",
            "valkey",
            "milvus",
            "pg_vector",
            "s3_vectors",
        ],
    ),
    (
        "it runs inside LiteLLM's process",
        &["auto_router", "custom", "dotprompt", "humanloop", "langfuse", "litellm_agent", "vllm"],
    ),
];
