//! The tables of `docs/dialects.md`: the features of chat completions at Bedrock.

use super::tables::{
    DROPPED,
    Fate::{Approximated, Dropped, Refused, Translated},
    Feature, row,
};

const WHOLE: &str = "bedrock: a whole conversation";
const FILES: &str = "bedrock: files, results with images, an empty message";
const THINKING: &str = "bedrock: thinking and its signature, and marks of a cache";
const NATIVE: &str = "bedrock: parameters of Bedrock's and of the model's own";
const TOOL: &str = "bedrock: JSON of a schema by a tool";
const CALL: &str = "bedrock: a call in pieces";

/// The features of a request to a deployment that speaks Bedrock's Converse.
pub(super) static REQUEST: &[Feature] = &[
    row(&["messages of the system and of developers"], Approximated, "`system`, wherever they are", WHOLE),
    row(&["messages of one role in a row"], Translated, "one message", WHOLE),
    row(&["empty messages"], Dropped, "the API refuses them", FILES),
    row(&["images and files, as data"], Translated, "`image`, `document`", FILES),
    row(
        &["images and files, by URL or by id"],
        Refused,
        "also with `drop_params`",
        "bedrock: an image by URL",
    ),
    row(
        &["other files", "audio input"],
        Refused,
        "also with `drop_params`",
        "bedrock: a file of another type",
    ),
    row(&["tool calls and results, with images"], Translated, "`toolUse`, `toolResult`", WHOLE),
    row(
        &["ids and names of tools with other characters, or longer than 64"],
        Translated,
        "replaced; names are restored in the response",
        FILES,
    ),
    row(&["`refusal` of an earlier message"], Approximated, "its text", FILES),
    row(&["`thinking_blocks`"], Translated, "`reasoningContent`, with their signatures", THINKING),
    row(&["`reasoning_content` without a signature"], Dropped, "the API refuses it", THINKING),
    row(
        &["`cache_control` of messages, parts and tools"],
        Translated,
        "`cachePoint`, for Claude and Nova; other models refuse it",
        THINKING,
    ),
    row(&["tools"], Translated, "`toolConfig`; without any, those of the history", WHOLE),
    row(&["`strict` of a tool"], Dropped, "its schema still describes the arguments", WHOLE),
    row(&["other tools"], Refused, "also with `drop_params`", "bedrock: a tool of another vendor"),
    row(&["tool_choice"], Translated, "`toolChoice`", WHOLE),
    row(
        &["tool_choice: none"],
        Approximated,
        "no tools, unless an earlier turn has called one",
        "bedrock: no tool may be called",
    ),
    row(&["parallel_tool_calls"], Dropped, "the API has no such limit", WHOLE),
    row(
        &["response_format"],
        Approximated,
        "a tool that must be called, for Claude and Nova; where that is not possible, a sentence in `system`",
        TOOL,
    ),
    row(
        &["reasoning_effort"],
        Approximated,
        "as at Anthropic for Claude; `reasoningConfig` for Nova 2, `reasoning_effort` for gpt-oss; others have none",
        "bedrock: an effort, for Nova",
    ),
    row(&["max_tokens", "max_completion_tokens", "top_p", "stop"], Translated, "`inferenceConfig`", WHOLE),
    row(
        &["temperature up to 1"],
        Translated,
        "`inferenceConfig`; Claude from 4.7 on has none: refused",
        WHOLE,
    ),
    row(&["a higher temperature"], Refused, "1 with `drop_params`", "bedrock: a high temperature"),
    row(&["service_tier"], Translated, "`serviceTier`", NATIVE),
    row(&["the end user"], Dropped, "", WHOLE),
    row(
        &[
            "additionalModelRequestFields",
            "additionalModelResponseFieldPaths",
            "guardrailConfig",
            "performanceConfig",
            "promptVariables",
            "requestMetadata",
        ],
        Translated,
        "Bedrock's own: as they are",
        NATIVE,
    ),
    row(
        &["anthropic_beta", "output_config", "thinking", "top_k"],
        Translated,
        "the model's own: in `additionalModelRequestFields`; all but `top_k` for Claude only",
        NATIVE,
    ),
    row(DROPPED, Dropped, "", NATIVE),
    row(
        &["n", "logprobs", "top_logprobs", "logit_bias", "modalities"],
        Refused,
        "unless it has no effect: 1, 0, false, empty, text",
        "bedrock: several choices",
    ),
    row(&["any other parameter"], Refused, "", "bedrock: a parameter that is not translated"),
];

/// The features of a response of Bedrock's Converse.
pub(super) static RESPONSE: &[Feature] = &[
    row(&["`text`"], Translated, "`content`", "bedrock: text in pieces, and usage with a cache"),
    row(&["`toolUse`"], Translated, "`tool_calls`, with `{}` for a call without arguments", CALL),
    row(
        &["`reasoningContent`"],
        Translated,
        "`reasoning_content`, and `thinking_blocks` with signatures, as LiteLLM has them",
        "bedrock: reasoning with its signature, and the limit of the output",
    ),
    row(
        &["stop reasons end_turn, stop_sequence"],
        Translated,
        "`stop`",
        "bedrock: text in pieces, and usage with a cache",
    ),
    row(
        &["stop reasons max_tokens, model_context_window_exceeded"],
        Translated,
        "`length`",
        "bedrock: reasoning with its signature, and the limit of the output",
    ),
    row(&["stop reason tool_use"], Translated, "`tool_calls`", CALL),
    row(
        &["stop reasons guardrail_intervened, content_filtered"],
        Translated,
        "`content_filter`",
        "bedrock: a guardrail",
    ),
    row(
        &["`usage`"],
        Translated,
        "`prompt_tokens` with the tokens that were read from and written to a cache",
        "bedrock: text in pieces, and usage with a cache",
    ),
    row(&["`metrics`, `trace`"], Dropped, "", "bedrock: text in pieces, and usage with a cache"),
];
