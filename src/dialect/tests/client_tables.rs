//! The tables of `docs/dialects.md` about clients that call in another dialect than OpenAI's.

use super::tables::{
    Fate::{Approximated, Dropped, Refused, Translated},
    Feature, row,
};

const WHOLE: &str = "messages: a whole conversation";
const DOCUMENTS: &str = "messages: documents";
const HARMLESS: &str = "messages: parameters without an effect on other models";
const TEXT: &str = "messages: text, and usage with cached tokens";
const TOOLS: &str = "messages: reasoning, text and parallel tools, with arguments in pieces and without any";

/// The features of a request of Anthropic's Messages to a deployment that speaks OpenAI's dialect.
pub(super) static MESSAGES: &[Feature] = &[
    row(
        &["`system`, messages of the system"],
        Approximated,
        "the first message, with empty lines between",
        WHOLE,
    ),
    row(&["images, by URL or as data"], Translated, "`image_url`", WHOLE),
    row(&["images by id"], Refused, "also with `drop_params`", "messages: an image by id"),
    row(&["documents: PDFs by data or by id"], Translated, "`file`", DOCUMENTS),
    row(&["documents of text or blocks, search results"], Approximated, "their text", DOCUMENTS),
    row(&["documents by URL"], Refused, "also with `drop_params`", "messages: a document by URL"),
    row(&["`tool_use`, `tool_result`"], Translated, "`tool_calls`, messages of tools", WHOLE),
    row(&["images in a `tool_result`"], Approximated, "in the user's message behind it", WHOLE),
    row(&["`is_error` of a `tool_result`"], Dropped, "its content states it", WHOLE),
    row(&["`thinking`, `redacted_thinking`"], Dropped, "only the vendor of the model can read them", WHOLE),
    row(
        &["calls of tools that ran at Anthropic, and their results"],
        Dropped,
        "the text of the turn is about them",
        "messages: calls of tools that ran at Anthropic in earlier turns",
    ),
    row(&["an assistant's last message"], Translated, "as it is: the server decides", WHOLE),
    row(&["cache_control"], Dropped, "", WHOLE),
    row(&["tools"], Translated, "`tools`", WHOLE),
    row(&["tools of Anthropic"], Refused, "also with `drop_params`", "messages: tools that run at Anthropic"),
    row(
        &["tool_choice"],
        Translated,
        "`tool_choice`, and `parallel_tool_calls` for `disable_parallel_tool_use`",
        "messages: choices of tools",
    ),
    row(&["tool_choice: none"], Translated, "`tool_choice`", "messages: no tool"),
    row(
        &["max_tokens"],
        Translated,
        "`max_tokens`; `max_completion_tokens` at OpenAI and Azure, and for models that reason",
        "messages: a model that reasons",
    ),
    row(&["temperature", "top_p", "stop_sequences", "stream"], Translated, "", WHOLE),
    row(
        &["top_k"],
        Translated,
        "as it is: the server decides",
        "messages: parameters of a deployment, in OpenAI's words",
    ),
    row(
        &["thinking"],
        Approximated,
        "`reasoning_effort` by its budget, for models of OpenAI that reason; else dropped",
        "messages: a model that reasons",
    ),
    row(
        &["output_config"],
        Approximated,
        "`reasoning_effort`, `response_format`",
        "messages: an effort, and a schema of the output",
    ),
    row(&["metadata.user_id"], Translated, "`user`; without it, if it is longer than 64 bytes", WHOLE),
    row(
        &["context_management", "diagnostics", "fallbacks", "inference_geo", "service_tier", "speed"],
        Dropped,
        "",
        HARMLESS,
    ),
    row(&["container", "mcp_servers"], Refused, "", "messages: servers of tools"),
    row(
        &["any other parameter"],
        Translated,
        "as it is: a deployment's own, in OpenAI's words",
        "messages: parameters of a deployment, in OpenAI's words",
    ),
];

/// The features of a response for a client of Anthropic's Messages.
pub(super) static MESSAGES_RESPONSE: &[Feature] = &[
    row(&["`content`"], Translated, "`text`", TEXT),
    row(&["`reasoning_content`, `reasoning`"], Approximated, "`thinking` without a signature", TOOLS),
    row(&["`tool_calls`"], Translated, "`tool_use`", TOOLS),
    row(&["`refusal`"], Approximated, "`text`, with the stop reason refusal", "messages: a refusal"),
    row(&["`annotations`"], Translated, "`citations` of web pages", "messages: pages that a text cites"),
    row(&["finish reason stop"], Translated, "`end_turn`; `stop_sequence` where the server names it", TEXT),
    row(&["finish reason length"], Translated, "`max_tokens`", "messages: the limit of the output"),
    row(&["finish reason tool_calls"], Translated, "`tool_use`", TOOLS),
    row(&["finish reason content_filter"], Translated, "`refusal`", "messages: a content filter"),
    row(&["`usage`"], Translated, "at the end: `input_tokens` without those of the cache", TEXT),
    row(&["comments, chunks without a choice"], Translated, "a comment", TEXT),
];
