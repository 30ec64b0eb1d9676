//! Properties of translations.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{LIMITS, translated, translation};
use crate::dialect::{ClientDialect, Translator};

/// A block of a message, with its text in pieces.
#[derive(Clone, Debug)]
pub(super) enum Block {
    Text(Vec<String>),
    Thinking(Vec<String>, String),
    Redacted(String),
    Tool(String, Value, Vec<usize>),
    Server,
}

pub(super) fn block() -> impl Strategy<Value = Block> {
    let pieces = || prop::collection::vec("[a-zé\"\\\\\n]{1,5}", 1..4);
    prop_oneof![
        pieces().prop_map(Block::Text),
        (pieces(), "[a-zA-Z=]{1,8}").prop_map(|(pieces, signature)| Block::Thinking(pieces, signature)),
        "[a-zA-Z=]{1,8}".prop_map(Block::Redacted),
        ("[a-z_]{1,8}", "[a-z\"]{0,5}", prop::collection::vec(0..20usize, 0..3)).prop_map(
            |(name, value, cuts)| {
                let input = if value.is_empty() { json!({}) } else { json!({ "k": value, "n": [1, null] }) };
                Block::Tool(name, input, cuts)
            }
        ),
        Just(Block::Server),
    ]
}

impl Block {
    fn whole(&self, index: usize) -> Value {
        match self {
            Self::Text(pieces) => json!({"type": "text", "text": pieces.concat()}),
            Self::Thinking(pieces, signature) => {
                json!({"type": "thinking", "thinking": pieces.concat(), "signature": signature})
            }
            Self::Redacted(data) => json!({"type": "redacted_thinking", "data": data}),
            Self::Tool(name, input, _) => {
                json!({"type": "tool_use", "id": format!("t{index}"), "name": name, "input": input})
            }
            Self::Server => {
                json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}})
            }
        }
    }

    fn deltas(&self) -> Vec<Value> {
        let text = |kind: &str, name: &str, text: &str| json!({ "type": kind, name: text });
        match self {
            Self::Text(pieces) => pieces.iter().map(|piece| text("text_delta", "text", piece)).collect(),
            Self::Thinking(pieces, signature) => pieces
                .iter()
                .map(|piece| text("thinking_delta", "thinking", piece))
                .chain([text("signature_delta", "signature", signature)])
                .collect(),
            Self::Redacted(_) => Vec::new(),
            Self::Tool(_, input, _) if *input == json!({}) => Vec::new(),
            Self::Tool(_, input, cuts) => {
                let pieces = pieces(&input.to_string(), cuts);
                pieces.iter().map(|piece| text("input_json_delta", "partial_json", piece)).collect()
            }
            Self::Server => vec![text("input_json_delta", "partial_json", "{\"q\":1}")],
        }
    }

    fn events(&self, index: usize) -> Vec<String> {
        let mut begun = self.whole(index);
        for (name, empty) in
            [("text", json!("")), ("thinking", json!("")), ("signature", json!("")), ("input", json!({}))]
        {
            if let Some(value) = begun.get_mut(name) {
                *value = empty;
            }
        }
        let start = json!({"type": "content_block_start", "index": index, "content_block": begun});
        let deltas = self.deltas().into_iter();
        let deltas =
            deltas.map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta}));
        let stop = json!({"type": "content_block_stop", "index": index});
        [start].into_iter().chain(deltas).chain([stop]).map(|event| event.to_string()).collect()
    }

    /// Returns a complete message of these blocks.
    pub(super) fn message(blocks: &[Self]) -> Value {
        let content: Vec<_> = blocks.iter().enumerate().map(|(index, block)| block.whole(index)).collect();
        json!({"id": "i", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 4}})
    }

    /// Returns the events of a message of these blocks.
    pub(super) fn stream(blocks: &[Self]) -> Vec<String> {
        let start = json!({"type": "message_start", "message": {"id": "i", "type": "message", "model": "m",
            "content": [], "usage": {"input_tokens": 3, "output_tokens": 1}}});
        let end = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}});
        let mut events = vec![start.to_string()];
        events.extend(blocks.iter().enumerate().flat_map(|(index, block)| block.events(index)));
        events.extend([end.to_string(), json!({"type": "message_stop"}).to_string()]);
        events
    }
}

/// Cuts a text at these places.
fn pieces(text: &str, cuts: &[usize]) -> Vec<String> {
    let mut places: Vec<_> = cuts.iter().copied().filter(|at| text.is_char_boundary(*at)).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| text[pair[0]..pair[1]].to_owned()).collect()
}

/// Adds up the chunks of a stream, as a client does.
fn folded(stream: &str) -> Value {
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    let add = |to: &mut Value, piece: &Value| {
        *to = format!("{}{}", to.as_str().unwrap_or_default(), piece.as_str().unwrap_or_default()).into();
    };
    for event in stream.split("\n\n").filter_map(|event| event.strip_prefix("data: {")) {
        let chunk: Value = serde_json::from_str(&format!("{{{event}")).unwrap();
        let delta = &chunk["choices"][0]["delta"];
        for name in ["content", "reasoning_content"] {
            if delta.get(name).is_some_and(|piece| piece != "") {
                add(&mut message[name], &delta[name]);
            }
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let at = usize::try_from(call["index"].as_u64().unwrap()).unwrap();
            if call.get("id").is_some() {
                let mut call = call.clone();
                call.as_object_mut().unwrap().remove("index");
                let calls = message.as_object_mut().unwrap().entry("tool_calls").or_insert(json!([]));
                calls.as_array_mut().unwrap().push(call);
            } else {
                add(&mut message["tool_calls"][at]["function"]["arguments"], &call["function"]["arguments"]);
            }
        }
        for block in delta["thinking_blocks"].as_array().into_iter().flatten() {
            let blocks = message.as_object_mut().unwrap().entry("thinking_blocks").or_insert(json!([]));
            let blocks = blocks.as_array_mut().unwrap();
            match blocks.last_mut().filter(|last| last["signature"] == "" && block["type"] == "thinking") {
                Some(last) => {
                    add(&mut last["thinking"], &block["thinking"]);
                    add(&mut last["signature"], &block["signature"]);
                }
                None => blocks.push(block.clone()),
            }
        }
    }
    message
}

proptest! {
    #[test]
    fn a_stream_folded_is_the_complete_response(blocks in prop::collection::vec(block(), 0..6)) {
        let (message, events) = (Block::message(&blocks), Block::stream(&blocks));
        let mut plain = Vec::new();
        let is_translated = translation(&json!({})).complete(message.to_string().as_bytes(), &mut plain);
        prop_assert!(is_translated);
        prop_assert_eq!(&translated(translation(&json!({})), &events), &String::from_utf8(plain.clone()).unwrap());
        let answer: Value = serde_json::from_slice(&plain).unwrap();
        let stream = translated(translation(&json!({"stream": true})), &events);
        prop_assert_eq!(&folded(&stream), &answer["choices"][0]["message"]);
        let mut other = Vec::new();
        let is_translated = translation(&json!({"stream": true})).complete(message.to_string().as_bytes(), &mut other);
        prop_assert!(is_translated);
        prop_assert_eq!(&folded(&String::from_utf8(other).unwrap()), &answer["choices"][0]["message"]);
    }
}

/// A piece of a chat's stream.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Reasoning(String),
    /// A call, with its arguments in pieces.
    Call(String, Vec<usize>),
    Comment,
}

fn piece() -> impl Strategy<Value = Piece> {
    let text = || "[a-zé\"\\\\\n]{1,5}";
    prop_oneof![
        text().prop_map(Piece::Text),
        text().prop_map(Piece::Reasoning),
        ("[a-z\"]{0,5}", prop::collection::vec(0..20usize, 0..3))
            .prop_map(|(value, cuts)| Piece::Call(value, cuts)),
        Just(Piece::Comment),
    ]
}

/// Returns the chunks of a chat with these pieces.
fn chunks(pieces_of_chat: &[Piece]) -> Vec<String> {
    let chunk = |delta: Value| {
        json!({"id": "i", "model": "m", "choices": [{"index": 0, "delta": delta}]}).to_string()
    };
    let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}))];
    let mut calls = 0;
    for piece in pieces_of_chat {
        match piece {
            Piece::Text(text) => chunks.push(chunk(json!({ "content": text }))),
            Piece::Reasoning(text) => chunks.push(chunk(json!({ "reasoning_content": text }))),
            Piece::Call(value, cuts) => {
                let call = |call: Value| chunk(json!({ "tool_calls": [call] }));
                let name = json!({"name": "f", "arguments": ""});
                chunks.push(call(json!({"index": calls, "id": format!("c{calls}"), "function": name})));
                let arguments =
                    if value.is_empty() { String::new() } else { json!({ "k": value }).to_string() };
                let parts = pieces(&arguments, cuts).into_iter();
                chunks
                    .extend(parts.map(|part| call(json!({"index": calls, "function": {"arguments": part}}))));
                calls += 1;
            }
            Piece::Comment => chunks.push(json!({"id": "i", "model": "m", "choices": []}).to_string()),
        }
    }
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 4});
    let end = json!({"index": 0, "delta": {}, "finish_reason": "length"});
    chunks.push(json!({"id": "i", "model": "m", "choices": [end], "usage": usage}).to_string());
    chunks.push("[DONE]".to_owned());
    chunks
}

/// Adds up the events of a message, as Anthropic's client does.
fn folded_message(stream: &str) -> Value {
    let mut message = Value::Null;
    let mut input = String::new();
    for event in stream.split("\n\n").filter_map(|event| event.split_once("\ndata: ")) {
        let data: Value = serde_json::from_str(event.1).unwrap();
        let block = data["index"].as_u64().map(|index| usize::try_from(index).unwrap());
        match data["type"].as_str().unwrap() {
            "message_start" => message = data["message"].clone(),
            "content_block_start" => {
                assert_eq!(block, message["content"].as_array().map(Vec::len));
                message["content"].as_array_mut().unwrap().push(data["content_block"].clone());
            }
            "content_block_delta" => {
                let name = match data["delta"]["type"].as_str().unwrap() {
                    "text_delta" => "text",
                    "thinking_delta" => "thinking",
                    _ => {
                        input += data["delta"]["partial_json"].as_str().unwrap();
                        continue;
                    }
                };
                let text = &mut message["content"][block.unwrap()][name];
                *text = format!("{}{}", text.as_str().unwrap(), data["delta"][name].as_str().unwrap()).into();
            }
            "content_block_stop" if !input.is_empty() => {
                message["content"][block.unwrap()]["input"] = serde_json::from_str(&input).unwrap();
                input.clear();
            }
            "message_delta" => {
                message["stop_reason"] = data["delta"]["stop_reason"].clone();
                message["usage"] = data["usage"].clone();
            }
            _ => {}
        }
    }
    message
}

proptest! {
    #[test]
    fn a_stream_of_messages_folded_is_the_complete_message(chat in prop::collection::vec(piece(), 0..6)) {
        let of = |stream: bool| {
            let request = json!({"model": "m", "max_tokens": 9, "messages": [], "stream": stream}).to_string();
            Translator::openai(LIMITS).request(ClientDialect::Messages, request.as_bytes(), 7).unwrap().1
        };
        let chunks = chunks(&chat);
        let whole: Value = serde_json::from_str(&translated(of(false), &chunks)).unwrap();
        let stream = translated(of(true), &chunks);
        prop_assert_eq!(&folded_message(&stream), &whole, "{}", stream);
    }
}
