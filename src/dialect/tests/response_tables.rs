//! The tables of `docs/dialects.md` about OpenAI's Responses: clients that call in them, and chats at a server that has them only.

use super::tables::{
    Fate::{Approximated, Dropped, Refused, Translated},
    Feature, row,
};

const PLAIN: &str = "responses: a text, and parameters";
const ITEMS: &str = "responses: items of every type";
const CHAT: &str = "responses: items and tools for chat completions";
const TEXT: &str = "responses: text, a citation, cached usage";
const THINKING: &str = "responses: thinking with its signature, redacted thinking, two calls";

/// The features of a request of OpenAI's Responses to a deployment that does not speak them.
pub(super) static REQUEST: &[Feature] = &[
    row(&["`input`: a text or items", "instructions"], Translated, "messages", PLAIN),
    row(&["messages of the system and of developers"], Translated, "as those of chat completions", ITEMS),
    row(&["`input_text`, `output_text`, `refusal`"], Translated, "text", ITEMS),
    row(&["`input_image`, `input_file`, `input_audio`"], Translated, "as those of chat completions", CHAT),
    row(&["`detail` of an image"], Dropped, "", CHAT),
    row(
        &["`function_call`, `function_call_output`, with images"],
        Translated,
        "calls of tools and their results",
        ITEMS,
    ),
    row(
        &["`reasoning` of Anthropic's models, sent back"],
        Translated,
        "`thinking`, `redacted_thinking`, by its `encrypted_content`",
        ITEMS,
    ),
    row(&["`reasoning` of other models, sent back"], Dropped, "only their vendor can read it", CHAT),
    row(&["items of tools that ran at OpenAI"], Dropped, "the text of the response is about them", ITEMS),
    row(
        &["item_reference, to reasoning"],
        Dropped,
        "it is not stored",
        "responses: a reference to reasoning",
    ),
    row(
        &["`item_reference`, to other items"],
        Refused,
        "also with `drop_params`",
        "responses: an item that is stored",
    ),
    row(
        &["other items"],
        Refused,
        "also with `drop_params`",
        "responses: an item of a tool that is not translated",
    ),
    row(
        &["tools: functions"],
        Translated,
        "`tools`, with `strict` where the server speaks OpenAI's dialect",
        CHAT,
    ),
    row(
        &["tools that run at OpenAI, custom tools"],
        Refused,
        "also with `drop_params`",
        "responses: a tool that runs at OpenAI",
    ),
    row(&["tools of Anthropic, in its own words"], Translated, "as they are, at Anthropic", ITEMS),
    row(&["tool_choice", "parallel_tool_calls"], Translated, "", CHAT),
    row(
        &["tool_choice: a tool that runs at OpenAI, `allowed_tools`"],
        Refused,
        "also with `drop_params`",
        "responses: a choice of a tool that runs at OpenAI",
    ),
    row(&["text.format"], Translated, "`response_format`, with its name and `strict`", CHAT),
    row(&["text.verbosity"], Translated, "`verbosity`", CHAT),
    row(
        &["text.verbosity, at other vendors"],
        Refused,
        "unless it is medium",
        "responses: a verbosity, which is not translated",
    ),
    row(&["reasoning.effort"], Translated, "`reasoning_effort`", CHAT),
    row(&["reasoning.summary"], Approximated, "the text of the reasoning, if the server returns any", CHAT),
    row(&["max_output_tokens", "temperature", "top_p"], Translated, "", PLAIN),
    row(&["user", "safety_identifier", "service_tier"], Translated, "as those of chat completions", PLAIN),
    row(&["stream"], Translated, "", PLAIN),
    row(
        &[
            "background: false",
            "client_metadata",
            "context_management",
            "include",
            "max_tool_calls",
            "metadata",
            "store",
            "stream_options",
            "truncation",
        ],
        Dropped,
        "`store: false` is in the response",
        PLAIN,
    ),
    row(&["top_logprobs"], Refused, "unless it is 0", "responses: log probabilities"),
    row(&["previous_response_id"], Refused, "send the items", "responses: an earlier response"),
    row(&["conversation"], Refused, "send its items", "responses: a conversation that is stored"),
    row(&["prompt"], Refused, "send its text", "responses: a prompt that is stored"),
    row(&["background"], Refused, "request a stream", "responses: in the background"),
    row(
        &["any other parameter"],
        Refused,
        "passed on to a server of OpenAI's dialect",
        "responses: a parameter that is not known",
    ),
];

/// The features of a response for a client of OpenAI's Responses.
pub(super) static RESPONSE: &[Feature] = &[
    row(&["text"], Translated, "a `message` with `output_text`", TEXT),
    row(&["refusals"], Translated, "a `message` with `refusal`", "responses: a refusal of a chat"),
    row(&["calls of tools"], Translated, "`function_call`", THINKING),
    row(&["reasoning"], Translated, "`reasoning` with a summary", "responses: reasoning and text of a chat"),
    row(&["signatures of thinking"], Translated, "`encrypted_content` of `reasoning`", THINKING),
    row(&["citations of web pages"], Translated, "`annotations`", TEXT),
    row(&["other citations"], Dropped, "", TEXT),
    row(&["the end of the output"], Translated, "the status completed", TEXT),
    row(
        &["the limit of the output"],
        Translated,
        "the status incomplete: max_output_tokens",
        "responses: the limit of the output",
    ),
    row(
        &["a content filter"],
        Translated,
        "the status incomplete: content_filter",
        "responses: a content filter",
    ),
    row(&["usage"], Translated, "`usage`, with cached and reasoning tokens", TEXT),
    row(&["signs of life"], Translated, "a comment", TEXT),
];

const WHOLE: &str = "chat at responses: a whole conversation";
const FILES: &str = "chat at responses: files and audio";
const PARAMETERS: &str = "chat at responses: JSON of a schema, a verbosity, and parameters that both have";
const WORDS: &str = "chat at responses: text in pieces, a citation, cached usage";

/// The features of a chat at a deployment whose name states that it has OpenAI's Responses.
pub(super) static UPSTREAM: &[Feature] = &[
    row(
        &["messages of the system and of developers"],
        Approximated,
        "`instructions`, with empty lines between",
        WHOLE,
    ),
    row(&["text of messages"], Translated, "`input_text`, `output_text`", WHOLE),
    row(&["images, by URL or as data"], Translated, "`input_image`", WHOLE),
    row(&["files, audio input"], Translated, "`input_file`, `input_audio`", FILES),
    row(&["empty messages"], Dropped, "", FILES),
    row(
        &["tool calls and results, with images"],
        Translated,
        "`function_call`, `function_call_output`",
        WHOLE,
    ),
    row(
        &["thinking_blocks", "reasoning_content"],
        Dropped,
        "the server knows its own reasoning by its items only",
        WHOLE,
    ),
    row(&["tools"], Translated, "`tools`; `strict` is false unless it is set", WHOLE),
    row(&["tool_choice", "parallel_tool_calls"], Translated, "", WHOLE),
    row(&["response_format"], Translated, "`text.format`", PARAMETERS),
    row(&["response_format: json_object"], Translated, "`text.format`", "chat at responses: any JSON"),
    row(&["verbosity"], Translated, "`text.verbosity`", PARAMETERS),
    row(
        &["reasoning_effort"],
        Translated,
        "`reasoning.effort`, for models of OpenAI that reason; else dropped",
        PARAMETERS,
    ),
    row(&["max_tokens", "max_completion_tokens"], Translated, "`max_output_tokens`", WHOLE),
    row(&["temperature", "top_p", "user", "service_tier", "stream"], Translated, "", WHOLE),
    row(
        &[
            "include",
            "max_tool_calls",
            "metadata",
            "prompt_cache_key",
            "prompt_cache_retention",
            "safety_identifier",
            "store",
            "truncation",
        ],
        Translated,
        "as they are; `store` is false unless it is set",
        PARAMETERS,
    ),
    row(&["cache_control", "prediction"], Dropped, "", WHOLE),
    row(&["stop"], Refused, "", "chat at responses: a stop sequence"),
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
        "chat at responses: several choices",
    ),
    row(&["any other parameter"], Refused, "", "chat at responses: a seed"),
];

/// The features of a response of OpenAI's Responses for a chat.
pub(super) static UPSTREAM_RESPONSE: &[Feature] = &[
    row(&["`output_text`"], Translated, "`content`", WORDS),
    row(&["text of reasoning, and of its summary"], Translated, "`reasoning_content`", WORDS),
    row(
        &["`function_call`"],
        Translated,
        "`tool_calls`",
        "chat at responses: parallel calls, with arguments in pieces, at the end and none",
    ),
    row(
        &["`refusal`"],
        Translated,
        "`refusal`, with the finish reason content_filter",
        "chat at responses: a refusal",
    ),
    row(&["citations of web pages"], Translated, "`annotations`", WORDS),
    row(&["other citations, items of tools that run at OpenAI"], Dropped, "", WORDS),
    row(&["the status completed"], Translated, "`stop`, or `tool_calls` after a call", WORDS),
    row(
        &["the status incomplete: max_output_tokens"],
        Translated,
        "`length`",
        "chat at responses: the limit of the output",
    ),
    row(
        &["the status incomplete: content_filter"],
        Translated,
        "`content_filter`",
        "chat at responses: a content filter",
    ),
    row(&["`usage`"], Translated, "`usage`, with cached and reasoning tokens", WORDS),
    row(&["other events"], Translated, "a comment", WORDS),
];
