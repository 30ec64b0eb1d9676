//! The tables of `docs/dialects.md` about clients that call in OpenAI's text completions.

use super::tables::{
    Fate::{Approximated, Dropped, Refused, Translated},
    Feature, row,
};

const PARAMETERS: &str = "completions: a text, and parameters that chats have";
const TEXT: &str = "completions: text, and usage with cached tokens";
const REASONING: &str = "completions: reasoning, and a call of a tool that nobody offered";
const PAGES: &str = "completions: pages that a text cites";

/// The features of a text completion to a deployment that has chats only.
pub(super) static REQUEST: &[Feature] = &[
    row(&["prompt: a text"], Translated, "the one message of the user", PARAMETERS),
    row(&["prompt: a list of one text"], Translated, "likewise", "completions: a list of one text"),
    row(&["prompt: several texts"], Refused, "also with `drop_params`", "completions: several texts"),
    row(&["prompt: tokens"], Refused, "also with `drop_params`", "completions: tokens"),
    row(
        &["max_tokens"],
        Translated,
        "as in chat completions; OpenAI's default of 16 tokens does not apply",
        PARAMETERS,
    ),
    row(
        &[
            "temperature",
            "top_p",
            "stop",
            "seed",
            "presence_penalty",
            "frequency_penalty",
            "logit_bias",
            "user",
        ],
        Translated,
        "as in chat completions",
        PARAMETERS,
    ),
    row(&["stream", "stream_options"], Translated, "", PARAMETERS),
    row(&["suffix"], Refused, "also with `drop_params`, unless it is empty", "completions: a suffix"),
    row(
        &["echo"],
        Refused,
        "also with `drop_params`, unless it is false",
        "completions: the echo of the prompt",
    ),
    row(&["best_of"], Refused, "unless it is 1", "completions: the best of several"),
    row(&["n"], Refused, "unless it is 1", "completions: several choices"),
    row(&["logprobs"], Refused, "", "completions: log probabilities"),
    row(
        &["messages", "tools", "tool_choice", "functions", "function_call"],
        Refused,
        "text completions have none",
        "completions: tools",
    ),
    row(&["any other parameter"], Translated, "as in chat completions", PARAMETERS),
];

/// The features of the response of a chat for a client of text completions.
pub(super) static RESPONSE: &[Feature] = &[
    row(&["`content`"], Translated, "`text`", TEXT),
    row(
        &["`refusal`"],
        Approximated,
        "`text`, with the finish reason content_filter",
        "completions: a refusal",
    ),
    row(&["`reasoning_content`, `reasoning`"], Dropped, "comments in a stream", REASONING),
    row(&["`tool_calls`"], Dropped, "there is no tool", REASONING),
    row(&["`annotations`"], Dropped, "", PAGES),
    row(&["finish reason stop"], Translated, "`stop`", TEXT),
    row(&["finish reason length"], Translated, "`length`", "completions: the limit of the output"),
    row(&["finish reason content_filter"], Translated, "`content_filter`", "completions: a content filter"),
    row(&["finish reason tool_calls"], Approximated, "`stop`", REASONING),
    row(&["the stop sequence that was found"], Dropped, "", PAGES),
    row(&["`usage`"], Translated, "`usage`, with cached and reasoning tokens", TEXT),
    row(&["comments, chunks without a choice"], Translated, "a comment", TEXT),
];
