//! The tables of `docs/dialects.md`: the features of chat completions, and what becomes of each in another dialect.

use Fate::{Approximated, Dropped, Refused, Translated};

/// The treatment of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Has the same meaning in both dialects.
    Translated,
    /// Has a meaning that comes near.
    Approximated,
    /// Is left out.
    Dropped,
    /// Is a 400, or left out with `drop_params`.
    Refused,
}

/// A feature: a row of a table.
pub(super) struct Feature {
    /// The members of a request, or a name.
    pub(super) names: &'static [&'static str],
    pub(super) fate: Fate,
    /// The way in which it is expressed.
    pub(super) how: &'static str,
    /// The golden pair that shows it.
    pub(super) case: &'static str,
}

pub(super) const fn row(
    names: &'static [&'static str],
    fate: Fate,
    how: &'static str,
    case: &'static str,
) -> Feature {
    Feature { names, fate, how, case }
}

/// The parameters without an effect on the output, at an upstream that has none of them.
pub(super) const DROPPED: &[&str] = &[
    "cache_control",
    "metadata",
    "prediction",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "store",
];

const WHOLE: &str = "a whole conversation: prompts, images, parallel tools and their results";
const HARMLESS: &str = "a stream, and parameters without an effect";
const NATIVE: &str = "Anthropic's own parameters";
const FILES: &str = "images by URL, documents, files";
const SEARCH: &str = "a web search, its citations, and the pause of its turn";
const GEMINI_WHOLE: &str = "gemini: a whole conversation";
const GEMINI_FILES: &str = "gemini: files, results with images, an empty message";
const GEMINI_OTHERS: &str = "gemini: Google's own parameters and tools";

/// The features of a request to a deployment that speaks Anthropic's Messages.
pub(super) static ANTHROPIC: &[Feature] = &[
    row(&["messages of the system and of developers"], Approximated, "`system`, wherever they are", WHOLE),
    row(&["messages of one role in a row"], Translated, "one message", WHOLE),
    row(
        &["empty messages"],
        Dropped,
        "the API refuses them",
        "an assistant's prefix without the white space at its end, and empty messages",
    ),
    row(&["images, by URL or as data"], Translated, "`image`", FILES),
    row(&["files: PDFs by data, by URL or by id"], Translated, "`document`", FILES),
    row(&["other files", "audio input"], Refused, "also with `drop_params`", "a file that is no PDF"),
    row(
        &["an assistant's last message"],
        Approximated,
        "a prefix, without white space at its end; newer models refuse it",
        "an assistant's prefix without the white space at its end, and empty messages",
    ),
    row(
        &["tool calls and results, with images"],
        Translated,
        "`tool_use`, `tool_result`",
        "tool results with images",
    ),
    row(
        &["ids and names of tools with other characters"],
        Translated,
        "replaced, and restored in the response",
        "a named tool with a name that Anthropic does not accept",
    ),
    row(&["`refusal` of an earlier message"], Approximated, "its text", "an earlier refusal, and a name"),
    row(&["`name` of a message"], Dropped, "", "an earlier refusal, and a name"),
    row(
        &["`thinking_blocks`"],
        Translated,
        "`thinking`, `redacted_thinking`, with their signatures",
        "thinking that comes back, in `thinking_blocks` or in the content",
    ),
    row(
        &["`reasoning_content` without a signature"],
        Dropped,
        "the API refuses it",
        "thinking that comes back, in `thinking_blocks` or in the content",
    ),
    row(
        &["`cache_control` of messages, parts and tools"],
        Translated,
        "`cache_control`",
        "cache marks on messages, parts and tools",
    ),
    row(&["tools"], Translated, "`input_schema`; without any, those of the history", WHOLE),
    row(&["`strict` of a tool"], Dropped, "its schema still describes the arguments", WHOLE),
    row(&["tools of Anthropic, in its own words"], Translated, "as they are", "tools that run at Anthropic"),
    row(&["other tools"], Refused, "also with `drop_params`", "a tool of another vendor"),
    row(&["tool_choice", "parallel_tool_calls"], Translated, "`tool_choice`", "one tool at a time"),
    row(
        &["response_format: json_schema"],
        Translated,
        "`output_config.format`; constraints that it does not know go into descriptions",
        "a schema as the output format",
    ),
    row(
        &["response_format: an open schema, or an older model"],
        Approximated,
        "a tool that must be called; where that is not possible, a sentence in `system`",
        "a schema as a forced tool, for a model without an output format",
    ),
    row(&["response_format: json_object"], Approximated, "likewise", "any JSON object beside other tools"),
    row(
        &["max_tokens", "max_completion_tokens"],
        Translated,
        "`max_tokens`; the default is `max_output_tokens` of the model",
        "the place of the output's limit is that of the newer name",
    ),
    row(
        &["reasoning_effort"],
        Approximated,
        "`thinking` with an effort, or with a budget of 1,024 to 16,384 tokens for models before 4.6",
        "an effort as a budget, with a default output that leaves enough beside it",
    ),
    row(&["temperature up to 1", "top_p"], Translated, "models from 4.7 on have none: refused", WHOLE),
    row(&["a higher temperature"], Refused, "1 with `drop_params`", "a temperature above Anthropic's"),
    row(&["stop"], Translated, "`stop_sequences`", WHOLE),
    row(
        &["the end user: `user`, `safety_identifier`, `metadata.user_id`"],
        Translated,
        "`metadata.user_id`, unless it is an address or a telephone number",
        WHOLE,
    ),
    row(
        &["service_tier"],
        Approximated,
        "`auto` for `auto` and `priority`, `standard_only` for `default`",
        "an address as the user is not sent",
    ),
    row(&["stream", "stream_options"], Translated, "`stream`", HARMLESS),
    row(
        &[
            "cache_control",
            "container",
            "context_management",
            "inference_geo",
            "mcp_servers",
            "output_config",
            "speed",
            "thinking",
            "top_k",
        ],
        Translated,
        "Anthropic's own: as they are, with the `anthropic-beta` that they need",
        NATIVE,
    ),
    row(
        &[
            "metadata",
            "prediction",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "store",
            "user",
        ],
        Dropped,
        "",
        HARMLESS,
    ),
    row(
        &[
            "n",
            "logprobs",
            "top_logprobs",
            "logit_bias",
            "frequency_penalty",
            "presence_penalty",
            "modalities",
        ],
        Refused,
        "unless it has no effect: 1, 0, false, empty, text",
        "several choices",
    ),
    row(&["seed"], Refused, "", "a parameter that is not translated"),
    row(&["functions", "function_call"], Refused, "", "the older form of tools"),
    row(&["any other parameter"], Refused, "", "parameters that are not translated"),
];

/// The features of a response of Anthropic's Messages.
pub(super) static ANTHROPIC_RESPONSE: &[Feature] = &[
    row(&["text"], Translated, "`content`", "text, and usage with cached tokens"),
    row(
        &["tool_use"],
        Translated,
        "`tool_calls`, with `{}` for a call without arguments",
        "parallel tools, with arguments in pieces and without any",
    ),
    row(
        &["thinking", "redacted_thinking"],
        Translated,
        "`reasoning_content`, and `thinking_blocks` with signatures, as LiteLLM has them",
        "thinking with its signature, redacted thinking, reasoning tokens",
    ),
    row(&["citations of web pages"], Translated, "`annotations`", SEARCH),
    row(&["other citations"], Approximated, "`provider_specific_fields`", SEARCH),
    row(
        &["calls and results of tools that run at Anthropic"],
        Dropped,
        "their text is in the response",
        SEARCH,
    ),
    row(&["stop reasons end_turn, stop_sequence"], Translated, "`stop`", "a stop sequence"),
    row(
        &["stop reasons max_tokens, model_context_window_exceeded"],
        Translated,
        "`length`",
        "the end of the context window",
    ),
    row(
        &["stop reason tool_use"],
        Translated,
        "`tool_calls`",
        "parallel tools, with arguments in pieces and without any",
    ),
    row(&["stop reason refusal"], Translated, "`content_filter`", "a refusal"),
    row(&["stop reason pause_turn"], Approximated, "`stop`", SEARCH),
    row(&["the stop sequence that was found"], Dropped, "", "a stop sequence"),
    row(
        &["usage"],
        Translated,
        "`prompt_tokens` with the tokens that were read from and written to a cache; `cached_tokens`, `cache_creation_input_tokens`, `reasoning_tokens`",
        "text, and usage with cached tokens",
    ),
    row(&["ping"], Translated, "a comment", "text, and usage with cached tokens"),
    row(&["unknown events and blocks"], Dropped, "", "an event that is newer than this code"),
];

/// The features of a request to a deployment that speaks Google's `generateContent`.
pub(super) static GEMINI: &[Feature] = &[
    row(
        &["messages of the system and of developers"],
        Approximated,
        "`systemInstruction`, wherever they are",
        GEMINI_WHOLE,
    ),
    row(&["messages of one role in a row"], Translated, "one of `contents`", GEMINI_WHOLE),
    row(&["empty messages"], Dropped, "the API refuses them", GEMINI_FILES),
    row(&["images and files, as data"], Translated, "`inlineData`", GEMINI_WHOLE),
    row(
        &["images and files, by URL or by id"],
        Translated,
        "`fileData`, with a type by the end of the URL",
        GEMINI_FILES,
    ),
    row(&["audio input"], Translated, "`inlineData`", "gemini: sound"),
    row(&["tool calls"], Translated, "`functionCall`; the API knows no ids", GEMINI_WHOLE),
    row(&["tool results"], Approximated, "`functionResponse` with the text, images behind it", GEMINI_FILES),
    row(
        &["signatures of thinking"],
        Translated,
        "in the ids of tool calls, as LiteLLM has them; a documented constant where there is none",
        "gemini: signatures of thinking",
    ),
    row(
        &["`thinking_blocks`, `reasoning_content`"],
        Dropped,
        "the API needs the signatures only",
        "gemini: signatures of thinking",
    ),
    row(&["`cache_control`"], Dropped, "the API caches by itself", GEMINI_OTHERS),
    row(&["tools"], Translated, "`functionDeclarations` with JSON Schema", GEMINI_WHOLE),
    row(&["`strict` of a tool"], Dropped, "", GEMINI_WHOLE),
    row(&["tools of Google, in its own words"], Translated, "as they are", GEMINI_OTHERS),
    row(&["other tools"], Refused, "also with `drop_params`", "gemini: a tool of another vendor"),
    row(&["tool_choice"], Translated, "`functionCallingConfig`", GEMINI_WHOLE),
    row(&["parallel_tool_calls"], Dropped, "the API has no such limit", GEMINI_WHOLE),
    row(
        &["response_format"],
        Translated,
        "`responseMimeType`, `responseJsonSchema`",
        "gemini: JSON of a schema, and an effort",
    ),
    row(
        &["reasoning_effort"],
        Approximated,
        "`thinkingLevel`, or a budget for 2.5; older models do not think",
        "gemini: JSON of a schema, and an effort",
    ),
    row(
        &["max_tokens", "max_completion_tokens", "temperature", "top_p", "stop"],
        Translated,
        "`generationConfig`",
        GEMINI_WHOLE,
    ),
    row(
        &["seed", "presence_penalty", "frequency_penalty", "top_k"],
        Translated,
        "`generationConfig`",
        GEMINI_OTHERS,
    ),
    row(&["safety_settings", "cached_content"], Translated, "Google's own: as they are", GEMINI_OTHERS),
    row(&["the end user, `service_tier`"], Dropped, "", GEMINI_WHOLE),
    row(DROPPED, Dropped, "", GEMINI_OTHERS),
    row(
        &["n", "logprobs", "top_logprobs", "logit_bias", "modalities"],
        Refused,
        "unless it has no effect: 1, 0, false, empty, text",
        "gemini: several choices",
    ),
    row(&["any other parameter"], Refused, "", "gemini: a parameter that is not translated"),
];

/// The features of a response of Google's `generateContent`.
pub(super) static GEMINI_RESPONSE: &[Feature] = &[
    row(&["text"], Translated, "`content`", "gemini: text in pieces"),
    row(
        &["text of thinking"],
        Translated,
        "`reasoning_content`",
        "gemini: thinking, and a call with its signature",
    ),
    row(
        &["`functionCall`"],
        Translated,
        "`tool_calls`, whole, with an id that is made",
        "gemini: thinking, and a call with its signature",
    ),
    row(
        &["`thoughtSignature`"],
        Translated,
        "a part of the id of a call",
        "gemini: thinking, and a call with its signature",
    ),
    row(&["`groundingMetadata`"], Translated, "`annotations`", "gemini: text in pieces"),
    row(&["code that Google runs, images"], Dropped, "", "gemini: text in pieces"),
    row(
        &["finish reason STOP"],
        Translated,
        "`stop`, or `tool_calls` after a call",
        "gemini: thinking, and a call with its signature",
    ),
    row(&["finish reason MAX_TOKENS"], Translated, "`length`", "gemini: the limit of the output"),
    row(
        &["finish reasons of filters, and a blocked prompt"],
        Translated,
        "`content_filter`",
        "gemini: a blocked prompt",
    ),
    row(
        &["usage"],
        Translated,
        "`completion_tokens` with those of thinking",
        "gemini: thinking, and a call with its signature",
    ),
];

/// The features of a request to a deployment that speaks Ollama's `/api/chat`.
pub(super) static OLLAMA: &[Feature] = &[
    row(&["messages of the system and of developers"], Approximated, "in front of all others", OLLAMA_WHOLE),
    row(
        &["messages of one role in a row, text in several parts"],
        Translated,
        "one message, with line ends between",
        OLLAMA_WHOLE,
    ),
    row(&["images, as data"], Translated, "`images`", OLLAMA_WHOLE),
    row(
        &["images by URL, files, audio input"],
        Refused,
        "also with `drop_params`",
        "ollama: an image by URL",
    ),
    row(
        &["tool calls and results"],
        Translated,
        "`tool_calls`, `tool_name`; the API knows no ids",
        OLLAMA_WHOLE,
    ),
    row(
        &["`thinking_blocks`, `reasoning_content`, `cache_control`"],
        Dropped,
        "",
        "ollama: its own parameters",
    ),
    row(&["tools"], Translated, "`tools`", OLLAMA_WHOLE),
    row(&["other tools"], Refused, "also with `drop_params`", "ollama: a tool of another vendor"),
    row(&["tool_choice: none"], Translated, "no `tools`", "ollama: no tool, and an effort"),
    row(
        &["tool_choice, parallel_tool_calls: all else"],
        Dropped,
        "the API has no choice of tools",
        OLLAMA_WHOLE,
    ),
    row(&["response_format"], Translated, "`format`", "ollama: JSON of a schema"),
    row(
        &["reasoning_effort"],
        Approximated,
        "`think`: an effort for gpt-oss, on or off for others",
        "ollama: no tool, and an effort",
    ),
    row(
        &["max_tokens", "max_completion_tokens", "temperature", "top_p", "stop"],
        Translated,
        "`options`",
        OLLAMA_WHOLE,
    ),
    row(
        &["keep_alive", "options", "think"],
        Translated,
        "Ollama's own: as they are",
        "ollama: its own parameters",
    ),
    row(
        &[
            "frequency_penalty",
            "main_gpu",
            "min_p",
            "mirostat",
            "mirostat_eta",
            "mirostat_tau",
            "num_batch",
            "num_ctx",
            "num_gpu",
            "num_keep",
            "num_predict",
            "num_thread",
            "presence_penalty",
            "repeat_last_n",
            "repeat_penalty",
            "seed",
            "tfs_z",
            "top_k",
            "typical_p",
            "use_mlock",
            "use_mmap",
        ],
        Translated,
        "`options`",
        "ollama: its own parameters",
    ),
    row(&["the end user, `service_tier`"], Dropped, "", OLLAMA_WHOLE),
    row(DROPPED, Dropped, "", "ollama: its own parameters"),
    row(
        &["n", "logprobs", "top_logprobs", "logit_bias", "modalities"],
        Refused,
        "unless it has no effect: 1, 0, false, empty, text",
        "ollama: several choices",
    ),
    row(&["any other parameter"], Refused, "", "ollama: several choices"),
];

/// The features of a response of Ollama's `/api/chat`.
pub(super) static OLLAMA_RESPONSE: &[Feature] = &[
    row(&["text"], Translated, "`content`", "ollama: thinking, and text in pieces"),
    row(&["thinking"], Translated, "`reasoning_content`", "ollama: thinking, and text in pieces"),
    row(
        &["`tool_calls`"],
        Translated,
        "`tool_calls`, whole, with an id that is made",
        "ollama: calls of tools",
    ),
    row(&["done reason stop"], Translated, "`stop`, or `tool_calls` after a call", "ollama: calls of tools"),
    row(&["done reason length"], Translated, "`length`", "ollama: the limit of the output"),
    row(
        &["`prompt_eval_count`, `eval_count`"],
        Translated,
        "`usage`",
        "ollama: thinking, and text in pieces",
    ),
];

const OLLAMA_WHOLE: &str = "ollama: a whole conversation";

impl Feature {
    /// Returns the row of the document.
    pub(super) fn row(&self) -> String {
        let is_member = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let shown = |name: &&str| if is_member(name) { format!("`{name}`") } else { (*name).to_owned() };
        let names: Vec<_> = self.names.iter().map(shown).collect();
        format!("| {} | {} | {} |\n", names.join(", "), format!("{:?}", self.fate).to_lowercase(), self.how)
    }
}
