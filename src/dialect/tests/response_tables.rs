//! The tables of `docs/dialects.md` about clients that call in OpenAI's Responses.

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
