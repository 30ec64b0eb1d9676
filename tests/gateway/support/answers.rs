//! What providers really send, in their own shapes.

use serde_json::{Value, json};

use super::reply::{Part, Reply};

/// A chat model says this, whole.
pub(crate) fn chat(text: &str) -> Reply {
    Reply::json(200, &chat_body(text))
}

fn chat_body(text: &str) -> Value {
    json!({
        "id": "chatcmpl-9x2Kd", "object": "chat.completion", "created": 1_717_171_717, "model": "gpt-3.5-turbo-0125",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null},
                     "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21},
        "system_fingerprint": null,
    })
}

/// An old completion model says this.
pub(crate) fn completion(text: &str) -> Reply {
    Reply::json(
        200,
        &json!({"id": "cmpl-7", "object": "text_completion", "created": 1_717_171_717, "model": "gpt-3.5-turbo-instruct",
            "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}),
    )
}

/// An embedding of three dimensions.
pub(crate) fn embedding() -> Reply {
    Reply::json(
        200,
        &json!({"object": "list", "model": "text-embedding-3-small",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.125]}],
            "usage": {"prompt_tokens": 8, "total_tokens": 8}}),
    )
}

/// Returns a chunk of a chat stream, as JSON text.
pub(crate) fn chunk(delta: &Value, finish: Option<&str>) -> String {
    json!({
        "id": "chatcmpl-9x2Kd", "object": "chat.completion.chunk", "created": 1_717_171_717,
        "model": "gpt-3.5-turbo-0125", "system_fingerprint": null,
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
    })
    .to_string()
}

/// The first chunk: who speaks, nothing said yet.
pub(crate) fn role() -> Reply {
    Reply::events([chunk(&json!({"role": "assistant", "content": ""}), None)])
}

/// Chunks of content and nothing else.
pub(crate) fn words(words: &[&str]) -> Reply {
    Reply::events(words.iter().map(|word| chunk(&json!({"content": word}), None)))
}

/// The last chunk with a choice.
pub(crate) fn finish() -> Reply {
    Reply::events([chunk(&json!({}), Some("stop"))])
}

/// The chunk that counts tokens.
pub(crate) fn usage() -> Reply {
    Reply::events([json!({
        "id": "chatcmpl-9x2Kd", "object": "chat.completion.chunk", "created": 1_717_171_717,
        "model": "gpt-3.5-turbo-0125", "choices": [],
        "usage": {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21},
    })
    .to_string()])
}

pub(crate) fn done() -> Reply {
    Reply::events(["[DONE]"])
}

/// A whole chat stream that says these words: role, content, finish, `[DONE]`.
pub(crate) fn stream(said: &[&str]) -> Reply {
    role().and(words(said)).and(finish()).and(done())
}

/// Azure's answer: OpenAI's with the verdicts of its filters.
pub(crate) fn azure(text: &str) -> Reply {
    let mut body = chat_body(text);
    let safe = json!({"hate": {"filtered": false, "severity": "safe"},
                      "self_harm": {"filtered": false, "severity": "safe"}});
    body["prompt_filter_results"] = json!([{"prompt_index": 0, "content_filter_results": safe}]);
    body["choices"][0]["content_filter_results"] = safe;
    Reply::json(200, &body)
        .header("x-ms-region", "France Central")
        .header("x-ratelimit-remaining-requests", 1439)
        .header("x-ratelimit-remaining-tokens", 239_000)
}

/// Azure's stream, which begins with a chunk without choices.
pub(crate) fn azure_stream(said: &[&str]) -> Reply {
    let first = json!({"choices": [], "created": 0, "id": "", "model": "", "object": "",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]});
    Reply::events([first.to_string()]).and(stream(said))
}

/// An error in OpenAI's shape.
pub(crate) fn error(status: u16, kind: &str, code: Option<&str>, message: &str) -> Reply {
    Reply::json(status, &json!({"error": {"message": message, "type": kind, "param": null, "code": code}}))
}

/// The caller's own mistake.
pub(crate) fn bad_request() -> Reply {
    error(400, "invalid_request_error", None, "'messages' is a required property")
}

/// OpenAI's word for a prompt that is too long.
pub(crate) fn context_window() -> Reply {
    let text = "This model's maximum context length is 4097 tokens. However, your messages resulted in 5012 tokens. \
                Please reduce the length of the messages.";
    error(400, "invalid_request_error", Some("context_length_exceeded"), text)
}

/// TGI's word for the same.
pub(crate) fn tgi_too_long() -> Reply {
    let text = "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 3000 `inputs` \
                tokens and 100 `max_new_tokens`";
    Reply::json(422, &json!({"error": text, "error_type": "validation"}))
}

/// TGI fails while it generates.
pub(crate) fn tgi_generation() -> Reply {
    Reply::json(
        424,
        &json!({"error": "Request failed during generation: CUDA error", "error_type": "generation"}),
    )
}

/// TGI has no room.
pub(crate) fn tgi_overloaded() -> Reply {
    Reply::json(429, &json!({"error": "Model is overloaded", "error_type": "overloaded"}))
}

/// OpenAI's guard refuses.
pub(crate) fn content_policy() -> Reply {
    let text = "Your request was rejected as a result of our safety system.";
    error(400, "invalid_request_error", Some("content_policy_violation"), text)
}

/// Azure's guard refuses.
pub(crate) fn azure_content_filter() -> Reply {
    Reply::json(
        400,
        &json!({"error": {"message": "The response was filtered due to the prompt triggering Azure OpenAI's content \
                management policy.", "type": null, "param": "prompt", "code": "content_filter", "status": 400,
            "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}}}}),
    )
}

/// Too many requests, with all that OpenAI says about it.
pub(crate) fn rate_limited(retry_after: &str) -> Reply {
    let text = "Rate limit reached for gpt-3.5-turbo in organization org-x on requests per min (RPM): Limit 3, Used 3.";
    error(429, "requests", Some("rate_limit_exceeded"), text)
        .header("retry-after", retry_after)
        .header("x-ratelimit-limit-requests", 3)
        .header("x-ratelimit-remaining-requests", 0)
        .header("x-ratelimit-reset-requests", format!("{retry_after}s"))
}

/// Too many requests, with nothing said about when.
pub(crate) fn rate_limited_without_a_time() -> Reply {
    error(429, "requests", Some("rate_limit_exceeded"), "Too Many Requests")
}

/// Azure's, which says it in milliseconds too.
pub(crate) fn azure_rate_limited(millis: u64) -> Reply {
    let text = "Requests to the ChatCompletions_Create Operation under Azure OpenAI API have exceeded call rate limit.";
    Reply::json(429, &json!({"error": {"code": "429", "message": text}}))
        .header("retry-after-ms", millis)
        .header("retry-after", millis.div_ceil(1000))
}

pub(crate) fn unauthorized() -> Reply {
    error(401, "invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided: sk-x****.")
}

pub(crate) fn forbidden() -> Reply {
    error(403, "permission_error", None, "Project does not have access to model")
}

pub(crate) fn not_found() -> Reply {
    error(404, "invalid_request_error", Some("model_not_found"), "The model `gpt-9` does not exist")
}

pub(crate) fn server_error() -> Reply {
    error(
        500,
        "server_error",
        None,
        "The server had an error while processing your request. Sorry about that!",
    )
}

pub(crate) fn unavailable() -> Reply {
    error(503, "service_unavailable", None, "The engine is currently overloaded, please try again later")
}

/// Returns the 502 of a proxy before the model.
pub(crate) fn bad_gateway() -> Reply {
    let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1>\
                </center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
    Reply::bytes(502, "text/html", page)
}

/// An error as an event of a stream.
pub(crate) fn error_event() -> Reply {
    Reply::events([
        json!({"error": {"message": "The server is overloaded", "type": "server_error", "param": null,
        "code": null}})
        .to_string(),
    ])
}

/// Takes the call and never answers.
pub(crate) fn silence() -> Reply {
    Reply::nothing(Part::Hang)
}
