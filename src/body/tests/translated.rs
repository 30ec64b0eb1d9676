//! Translated bodies: any division into pieces, both forms of the upstream's response, what is not translated.

use std::pin::Pin;

use bytes::Bytes;
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::json;

use crate::{
    body::{ScriptStep, UpstreamBody},
    dialect::{ClientDialect, Limits, Translation, Translator},
    error::BodyError,
};

const EVENTS: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"i\",\"type\":\"message\",",
    "\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n",
    ": keep-alive\n\nevent: ping\r\ndata: {\"type\": \"ping\"}\r\n\r\n",
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\ndata: \"delta\":{\"type\":\"text_delta\",\"text\":\"h\u{e9}\"}}\n\n",
    "data: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);
const MESSAGE: &str = concat!(
    "\n\n{\"id\":\"i\",\"type\":\"message\",\"model\":\"m\",\"content\":[{\"type\":\"text\",\"text\":\"h\u{e9}\"}],",
    "\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}",
);

const CLIENTS: [ClientDialect; 4] =
    [ClientDialect::Chat, ClientDialect::Completions, ClientDialect::Messages, ClientDialect::Responses];

fn translation(stream: bool) -> Translation {
    translation_for(ClientDialect::Chat, stream)
}

fn translation_for(dialect: ClientDialect, stream: bool) -> Translation {
    let turns = match dialect {
        ClientDialect::Completions => json!({"prompt": "a"}),
        ClientDialect::Responses => json!({"input": []}),
        _ => json!({"messages": []}),
    };
    let mut request = json!({"model": "m", "max_tokens": 9, "stream": stream});
    request.as_object_mut().unwrap().extend(turns.as_object().unwrap().clone());
    let request = request.to_string();
    Translator::anthropic(Limits::default()).request(dialect, request.as_bytes(), 7).unwrap().1
}

/// Returns all bytes of a body, and the error at its end.
async fn read(body: UpstreamBody) -> (String, Option<BodyError>) {
    let (mut body, mut bytes) = (Pin::from(Box::new(body)), Vec::new());
    loop {
        match body.frame().await {
            Some(Ok(frame)) => bytes.extend_from_slice(&frame.into_data().unwrap()),
            Some(Err(error)) => return (String::from_utf8(bytes).unwrap(), Some(error)),
            None => return (String::from_utf8(bytes).unwrap(), None),
        }
    }
}

/// Returns the translation of a body that comes in pieces, cut at these places.
async fn translated(text: &str, stream: bool, cuts: &[usize]) -> (String, Option<BodyError>) {
    translated_by(translation(stream), text, cuts).await
}

async fn translated_by(translation: Translation, text: &str, cuts: &[usize]) -> (String, Option<BodyError>) {
    let mut places: Vec<_> = cuts.iter().map(|at| at % (text.len() + 1)).chain([0, text.len()]).collect();
    places.sort_unstable();
    let piece = |pair: &[usize]| Bytes::copy_from_slice(&text.as_bytes()[pair[0]..pair[1]]);
    let steps: Vec<_> = places.windows(2).map(|pair| ScriptStep::Data(piece(pair))).collect();
    read(UpstreamBody::scripted(steps).translated(translation, 1 << 20)).await
}

#[tokio::test]
async fn a_translated_body_has_the_form_that_was_requested() {
    let (whole, _) = translated(EVENTS, false, &[]).await;
    assert!(
        whole.starts_with("{\"id\":\"i\",\"object\":\"chat.completion\"") && whole.contains("h\u{e9}"),
        "{whole}"
    );
    assert_eq!(translated(MESSAGE, false, &[]).await, (whole, None));
    let (events, _) = translated(EVENTS, true, &[]).await;
    assert!(events.ends_with("data: [DONE]\n\n") && events.contains(": ping\n\n"), "{events}");
    let (from_message, _) = translated(MESSAGE, true, &[]).await;
    assert_eq!(from_message, events.replace(": ping\n\n", ""));
}

#[tokio::test]
async fn a_translated_body_passes_on_what_is_not_in_the_upstreams_dialect() {
    let error = "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}";
    let event = format!("event: error\ndata: {error}\n\n");
    for (text, stream, wanted) in [
        ("<html>no</html>", true, "<html>no</html>"),
        ("<html>no</html>", false, "<html>no</html>"),
        ("data", false, "data"),
        ("", true, ""),
        (error, false, error),
        (error, true, error),
        (&event, true, &event),
        (&event, false, error),
        ("data: {\"a\":\n\n", true, "data: {\"a\":\n\n"),
    ] {
        assert_eq!(translated(text, stream, &[3]).await, (wanted.to_owned(), None), "{text}");
    }
}

#[tokio::test]
async fn a_translated_body_that_is_cut_is_not_complete() {
    let at = EVENTS.find("event: message_stop").unwrap();
    assert_eq!(translated(&EVENTS[..at], false, &[]).await, (String::new(), Some(BodyError::Unfinished)));
    let (text, error) = translated(&EVENTS[..at], true, &[]).await;
    assert!(!text.contains("[DONE]") && error.is_none(), "{text}");
    let steps = [ScriptStep::Data(EVENTS[..at].to_owned().into()), ScriptStep::Cut];
    let (_, error) = read(UpstreamBody::scripted(steps).translated(translation(true), 1 << 20)).await;
    assert_eq!(error, Some(BodyError::Cut));
}

#[tokio::test]
async fn a_translated_body_holds_no_more_than_its_limit() {
    for (text, stream) in [(MESSAGE, false), (EVENTS, true)] {
        let body = UpstreamBody::full(text).translated(translation(stream), 64);
        assert_eq!(read(body).await.1, Some(BodyError::TooLarge { limit: 64 }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_translated_body_is_the_same_for_any_pieces(
        cuts in prop::collection::vec(0..2000usize, 0..12),
        message in any::<bool>(),
        stream in any::<bool>(),
        dialect in prop::sample::select(CLIENTS.to_vec()),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let text = if message { MESSAGE } else { EVENTS };
        let read = |cuts: &[usize]| {
            runtime.block_on(translated_by(translation_for(dialect, stream), text, cuts))
        };
        prop_assert_eq!(read(&cuts), read(&[]));
    }
}
