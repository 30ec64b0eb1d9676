//! The rows.

use serde_json::{Value, json};

use super::{
    super::fallback::filtered,
    row::{Form, Refusals, Row, Streams},
};
use crate::{
    anthropic::{self as claude, CLAUDE},
    completions as texts,
    gemini::{self, GEMINI},
    messages, responses,
    support::{
        answers as say,
        client::{Answer, Stream, ask},
        form::{field, file, form},
        reply::Reply,
    },
};

/// The parameters of a deployment that speaks OpenAI's dialect.
const OPENAI: &str = "custom_llm_provider: openai";

/// The `model_info` of a deployment that states nothing about itself.
const PLAIN: &str = "base_model: gpt-4o";

pub(super) fn all() -> Vec<Row> {
    vec![
        chat(),
        chat_at_anthropic(),
        chat_at_gemini(),
        completions(),
        completions_at_anthropic(),
        embeddings(),
        responses(),
        responses_at_chat(),
        responses_at_anthropic(),
        messages(),
        messages_at_openai(),
        moderations(),
        reranking(),
        images(),
        image_edits(),
        transcriptions(),
    ]
}

fn chat() -> Row {
    Row {
        name: "chat completions",
        path: "/v1/chat/completions",
        body: |is_stream| ask("m", json!({"stream": is_stream})),
        is_form: false,
        params: OPENAI,
        info: PLAIN,
        good: say::chat,
        said: Answer::said,
        errors: Form::OpenAi,
        refusals: openai(),
        emptied: Ok(filtered("content_filter")),
        streams: Ok(chat_streams),
    }
}

fn chat_at_anthropic() -> Row {
    Row {
        name: "chat completions at Anthropic",
        params: CLAUDE,
        good: claude::message,
        refusals: anthropic(),
        emptied: Ok(claude_refusal()),
        streams: Ok(|| Streams { said: chat_said, broken: chat_broken, ..claude_streams() }),
        ..chat()
    }
}

fn chat_at_gemini() -> Row {
    let blocked =
        json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 1}});
    Row {
        name: "chat completions at Gemini",
        params: GEMINI,
        good: gemini::whole,
        refusals: Refusals {
            mistake: gemini::error(400, "INVALID_ARGUMENT", "Invalid value"),
            unavailable: gemini::error(503, "UNAVAILABLE", "The model is overloaded."),
            rate_limited: gemini::error(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted")
                .header("retry-after", 60),
            context_window: gemini::error(
                400,
                "INVALID_ARGUMENT",
                "The input token count (2000000) exceeds the maximum number of tokens allowed (1048575).",
            ),
            content_policy: Reply::json(200, &blocked),
        },
        emptied: Ok(Reply::json(200, &blocked)),
        streams: Ok(|| Streams {
            begin: Reply::events([json!({"usageMetadata": {"promptTokenCount": 10}}).to_string()]),
            half: gemini::words(&["half"]),
            whole: |text| gemini::stream(&[text]),
            said: chat_said,
            broken: chat_broken,
        }),
        ..chat()
    }
}

fn completions() -> Row {
    Row {
        name: "completions",
        path: texts::PATH,
        body: |is_stream| json!({"model": "m", "prompt": "hi", "stream": is_stream}).to_string(),
        good: say::completion,
        said: texts::text,
        emptied: Ok(Reply::json(200, &completion("", Some("content_filter")))),
        streams: Ok(|| Streams {
            begin: Reply::events([completion("", None).to_string()]),
            half: Reply::events([completion("half", None).to_string()]),
            whole: |text| Reply::events([completion(text, Some("stop")).to_string()]).and(say::done()),
            said: |stream| {
                assert!(stream.text().ends_with("data: [DONE]\n\n"), "{}", stream.text());
                let event: Value = serde_json::from_str(&stream.events()[0]).unwrap();
                event["choices"][0]["text"].as_str().unwrap().to_owned()
            },
            broken: chat_broken,
        }),
        ..chat()
    }
}

fn completions_at_anthropic() -> Row {
    let at_anthropic = chat_at_anthropic();
    Row {
        name: "completions at Anthropic",
        params: at_anthropic.params,
        good: at_anthropic.good,
        refusals: at_anthropic.refusals,
        emptied: at_anthropic.emptied,
        streams: Ok(|| Streams { said: texts::whole, broken: chat_broken, ..claude_streams() }),
        ..completions()
    }
}

/// Returns a text completion, or a chunk of one.
fn completion(text: &str, reason: Option<&str>) -> Value {
    json!({"id": "cmpl-7", "object": "text_completion", "created": 1, "model": "gpt-3.5-turbo-instruct",
        "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": reason}]})
}

fn embeddings() -> Row {
    Row {
        name: "embeddings",
        path: "/v1/embeddings",
        body: |_| json!({"model": "m", "input": "hi"}).to_string(),
        good: |text| {
            Reply::json(
                200,
                &json!({"object": "list", "model": text, "usage": {"prompt_tokens": 8, "total_tokens": 8},
                "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.5, 0.125]}]}),
            )
        },
        said: |answer| answer.json()["model"].as_str().unwrap().to_owned(),
        emptied: Err("embeddings have no finish reason"),
        streams: Err("the API has no streams of embeddings"),
        ..chat()
    }
}

fn responses() -> Row {
    let filtered =
        responses::object("incomplete", json!({"incomplete_details": {"reason": "content_filter"}}));
    Row {
        name: "responses",
        path: responses::PATH,
        body: |is_stream| json!({"model": "m", "input": "hi", "stream": is_stream}).to_string(),
        info: responses::SPEAKS,
        good: |text| Reply::json(200, &responses::response(text)),
        said: |answer| responses::text(&answer.json()),
        emptied: Ok(Reply::json(200, &filtered)),
        streams: Ok(|| Streams {
            begin: responses::begin(),
            half: responses::word("half", 3),
            whole: responses::pieces,
            said: responses::said,
            broken: responses_broken,
        }),
        ..chat()
    }
}

fn responses_at_chat() -> Row {
    Row {
        name: "responses at chat completions",
        info: PLAIN,
        good: say::chat,
        emptied: chat().emptied,
        streams: Ok(|| Streams { said: responses::said, broken: responses_broken, ..chat_streams() }),
        ..responses()
    }
}

fn responses_at_anthropic() -> Row {
    Row {
        name: "responses at Anthropic",
        params: CLAUDE,
        info: PLAIN,
        good: claude::message,
        refusals: anthropic(),
        emptied: Ok(claude_refusal()),
        streams: Ok(|| Streams { said: responses::said, broken: responses_broken, ..claude_streams() }),
        ..responses()
    }
}

fn messages() -> Row {
    Row {
        name: "messages",
        path: messages::PATH,
        body: |is_stream| {
            let messages = json!([{"role": "user", "content": "hi"}]);
            json!({"model": "m", "max_tokens": 9, "messages": messages, "stream": is_stream}).to_string()
        },
        params: CLAUDE,
        good: claude::message,
        said: messages::text,
        errors: Form::Anthropic,
        refusals: anthropic(),
        emptied: Ok(claude_refusal()),
        streams: Ok(claude_streams),
        ..chat()
    }
}

fn messages_at_openai() -> Row {
    let Row { params, good, refusals, emptied, .. } = chat();
    Row {
        name: "messages at OpenAI's dialect",
        params,
        good,
        refusals,
        emptied,
        streams: Ok(|| Streams { said: messages::said, broken: claude_broken, ..chat_streams() }),
        ..messages()
    }
}

fn moderations() -> Row {
    Row {
        name: "moderations",
        path: "/v1/moderations",
        body: |_| json!({"model": "m", "input": "hi"}).to_string(),
        good: |text| Reply::json(200, &json!({"id": text, "model": "omni", "results": [{"flagged": false}]})),
        said: |answer| answer.json()["id"].as_str().unwrap().to_owned(),
        emptied: Err("a filter is what moderations are"),
        streams: Err("the API has no streams of moderations"),
        ..chat()
    }
}

fn reranking() -> Row {
    Row {
        name: "reranking",
        path: "/v2/rerank",
        body: |_| json!({"model": "m", "query": "hi", "documents": ["a", "b"]}).to_string(),
        good: |text| {
            let results = json!([{"index": 1, "relevance_score": 0.9}]);
            Reply::json(200, &json!({"id": text, "results": results}))
        },
        emptied: Err("no filter is known of it"),
        streams: Err("the API has no streams of rankings"),
        ..moderations()
    }
}

fn images() -> Row {
    Row {
        name: "images",
        path: "/v1/images/generations",
        body: |is_stream| json!({"model": "m", "prompt": "a cat", "stream": is_stream}).to_string(),
        good: |text| Reply::json(200, &json!({"created": 1, "data": [{"b64_json": text}]})),
        said: |answer| answer.json()["data"][0]["b64_json"].as_str().unwrap().to_owned(),
        emptied: Err("an image that a filter removes is an error"),
        streams: Ok(|| Streams {
            // The first event has content.
            begin: Reply::events([""; 0]),
            half: Reply::named_events([picture("partial_image", "half")]),
            whole: |text| Reply::named_events([picture("partial_image", "half"), picture("completed", text)]),
            said: |stream| last_of(stream.named_events(), "image_generation.completed", "b64_json"),
            broken: chat_broken,
        }),
        ..chat()
    }
}

/// Returns an event of a stream of images.
fn picture(kind: &str, data: &str) -> Value {
    json!({"type": format!("image_generation.{kind}"), "b64_json": data})
}

/// Returns a member of the last event, after asserting its type.
fn last_of(mut events: Vec<Value>, kind: &str, name: &str) -> String {
    let last = events.pop().unwrap();
    assert_eq!(last["type"], kind, "{last}");
    last[name].as_str().unwrap().to_owned()
}

fn image_edits() -> Row {
    Row {
        name: "edits of images",
        path: "/v1/images/edits",
        body: |is_stream| form_of(is_stream, "image", &[("prompt", "a hat")]),
        is_form: true,
        ..images()
    }
}

fn transcriptions() -> Row {
    Row {
        name: "transcriptions",
        path: "/v1/audio/transcriptions",
        body: |is_stream| form_of(is_stream, "file", &[("language", "de")]),
        is_form: true,
        good: |text| Reply::json(200, &json!({"text": text})),
        said: |answer| answer.json()["text"].as_str().unwrap().to_owned(),
        emptied: Err("no filter is known of them"),
        streams: Ok(|| Streams {
            begin: Reply::events([""; 0]),
            half: Reply::events([json!({"type": "transcript.text.delta", "delta": "half"}).to_string()]),
            whole: |text| {
                let done = json!({"type": "transcript.text.done", "text": text});
                let begun = json!({"type": "transcript.text.delta", "delta": "half"});
                Reply::events([begun.to_string(), done.to_string()])
            },
            said: |stream| {
                let events = stream.events().into_iter().map(|event| serde_json::from_str(&event).unwrap());
                last_of(events.collect(), "transcript.text.done", "text")
            },
            broken: chat_broken,
        }),
        ..chat()
    }
}

/// Returns a form with a file, whose model is the last part.
fn form_of(is_stream: bool, name: &str, fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|(name, value)| field(name, value));
    let stream = field("stream", if is_stream { "true" } else { "false" });
    let parts = [file(name, b"RIFF")].into_iter().chain(fields).chain([stream, field("model", "m")]);
    String::from_utf8(form(&parts.collect::<Vec<_>>()).to_vec()).unwrap()
}

/// The errors of OpenAI's dialect.
fn openai() -> Refusals {
    Refusals {
        mistake: say::bad_request(),
        unavailable: say::unavailable(),
        rate_limited: say::rate_limited("60"),
        context_window: say::context_window(),
        content_policy: say::content_policy(),
    }
}

/// The errors of Anthropic's dialect.
fn anthropic() -> Refusals {
    let error = claude::error;
    let too_long = "prompt is too long: 210000 tokens > 200000 maximum";
    let blocked = "Output blocked by content filtering policy";
    Refusals {
        mistake: error(400, "invalid_request_error", "messages: at least one"),
        unavailable: error(529, "overloaded_error", "Overloaded"),
        rate_limited: error(429, "rate_limit_error", "Slow down").header("retry-after", 60),
        context_window: error(400, "invalid_request_error", too_long),
        content_policy: error(400, "invalid_request_error", blocked),
    }
}

/// A success that Anthropic's own filter emptied.
fn claude_refusal() -> Reply {
    let usage = json!({"input_tokens": 1, "output_tokens": 0});
    let message = json!({"id": "i", "type": "message", "role": "assistant", "model": "c", "content": [],
        "stop_reason": "refusal", "usage": usage});
    Reply::json(200, &message)
}

fn chat_streams() -> Streams {
    Streams {
        begin: say::role(),
        half: say::words(&["half"]),
        whole: |text| say::stream(&[text]),
        said: chat_said,
        broken: chat_broken,
    }
}

fn chat_said(stream: &Stream) -> String {
    assert!(stream.text().ends_with("data: [DONE]\n\n"), "{}", stream.text());
    stream.said()
}

fn chat_broken(stream: &Stream) {
    assert!(stream.is_honest(), "{}", stream.text());
}

fn claude_streams() -> Streams {
    Streams {
        begin: claude::start(),
        half: claude::words(&["half"]),
        whole: |text| claude::stream(&[text]),
        said: messages::said,
        broken: claude_broken,
    }
}

fn claude_broken(stream: &Stream) {
    let last = stream.named_events().pop().unwrap();
    assert_eq!(last["type"], "error", "{}", stream.text());
    assert!(!stream.text().contains("message_stop"), "{}", stream.text());
}

fn responses_broken(stream: &Stream) {
    let last = responses::events(stream).pop().unwrap();
    assert_eq!(last["type"], "response.failed", "{}", stream.text());
}
