//! Operations that pass through and are never translated: moderations, reranking, images and audio.

mod forms;
mod json;
mod memory;
mod streams;

use serde_json::{Value, json};

use crate::support::reply::Reply;

/// The response to a moderation.
fn moderation() -> Reply {
    let result =
        json!({"flagged": false, "categories": {"violence": false}, "category_scores": {"violence": 0.01}});
    Reply::json(200, &json!({"id": "modr-1", "model": "omni-moderation-latest", "results": [result]}))
}

/// The response to a reranking, in the words of Cohere.
fn ranking() -> Reply {
    let results = json!([{"index": 1, "relevance_score": 0.98}, {"index": 0, "relevance_score": 0.02}]);
    let meta = json!({"api_version": {"version": "2"}, "billed_units": {"search_units": 1}});
    Reply::json(200, &json!({"id": "r-1", "results": results, "meta": meta}))
}

/// The response with a picture.
fn picture() -> Reply {
    let usage = json!({"input_tokens": 9, "output_tokens": 100, "total_tokens": 109});
    Reply::json(200, &json!({"created": 1, "data": [{"b64_json": "aGVsbG8="}], "usage": usage}))
}

/// The response to a transcription.
fn transcription(text: &str) -> Reply {
    Reply::json(200, &json!({"text": text, "usage": {"type": "duration", "seconds": 3}}))
}

/// Sound, from the first byte on none that is text.
fn speech() -> Reply {
    Reply::bytes(200, "audio/mpeg", &[0xff, 0xf3, b'{', b'"', 0, 1][..])
}

/// The operations in JSON: path, body without the model, and response.
fn in_json() -> [(&'static str, Value, Reply); 4] {
    [
        ("/moderations", json!({"input": ["a", "b"]}), moderation()),
        ("/rerank", json!({"query": "q", "documents": ["a", {"text": "b"}], "top_n": 2}), ranking()),
        ("/images/generations", json!({"prompt": "a cat", "n": 1, "size": "auto"}), picture()),
        ("/audio/speech", json!({"input": "hello", "voice": "alloy", "response_format": "mp3"}), speech()),
    ]
}
