//! Chats and Anthropic's Messages at a deployment whose name states that it has OpenAI's Responses.

use http::Method;
use serde_json::json;

use super::{SPEAKS, begin, failed, pieces, response, word};
use crate::support::{
    answers as say,
    case::Case,
    client::{Over, request},
    reply::{Part, Reply},
};

#[tokio::test]
async fn chats_are_translated_to_responses_and_back() {
    let case = Case::of("m: a").info("a", SPEAKS).always("a", Reply::json(200, &response("Hello")));
    let world = case.start().await;
    let more = json!({"max_tokens": 9, "response_format": {"type": "json_object"}});
    let answer = world.ask_with(more).await;
    assert_eq!((answer.said().as_str(), answer.header("x-litellm-model-id")), ("Hello", Some("a")));
    let usage = &answer.json()["usage"];
    assert_eq!((&usage["prompt_tokens"], &usage["completion_tokens"]), (&json!(10), &json!(7)));
    let call = world.upstream("a").only();
    assert_eq!((call.target.as_str(), call.header("authorization")), ("/v1/responses", Some("Bearer sk-a")));
    let input = json!([{"role": "user", "content": [{"type": "input_text", "text": "what llm are you"}]}]);
    let wanted = json!({"model": "a-model", "input": input, "max_output_tokens": 9, "store": false,
        "text": {"format": {"type": "json_object"}}});
    assert_eq!(call.json(), wanted);
}

#[tokio::test]
async fn streams_of_chats_are_translated_from_the_events_of_responses() {
    let case = Case::of("m: a").info("a", SPEAKS).params("a", "tpm: 100000");
    let world = case.always("a", pieces("Hello")).start().await;
    for usage in [false, true] {
        let stream = world.whole_stream(json!({"stream_options": {"include_usage": usage}})).await;
        assert_eq!((stream.said().as_str(), stream.text().ends_with("data: [DONE]\n\n")), ("Hello", true));
        assert_eq!(stream.text().contains("\"prompt_tokens\":10"), usage, "{}", stream.text());
    }
    let sent = world.upstream("a").calls().pop().unwrap().json();
    assert_eq!((&sent["stream"], sent.get("stream_options")), (&json!(true), None));
}

#[tokio::test]
async fn messages_are_translated_to_responses_and_back() {
    let case = Case::of("m: a").info("a", SPEAKS).always("a", Reply::json(200, &response("Hello")));
    let world = case.start().await;
    let body = json!({"model": "m", "max_tokens": 9, "system": "S", "messages": [{"role": "user", "content": "hi"}]});
    let answer = world.gateway.post("/v1/messages", body.to_string()).await;
    assert_eq!(answer.json()["content"][0]["text"], "Hello", "{}", answer.text());
    let call = world.upstream("a").only();
    assert_eq!((call.target.as_str(), &call.json()["instructions"]), ("/v1/responses", &json!("S")));
}

#[tokio::test]
async fn failed_responses_of_chats_are_retried_before_the_first_content_and_errors_behind_it() {
    for reply in
        [say::unavailable(), failed("server_error", 0), begin().and(failed("rate_limit_exceeded", 3))]
    {
        let case = Case::of("m: a b").first("a").info("a", SPEAKS).info("b", SPEAKS);
        let world = case.always("a", reply).always("b", pieces("b")).start().await;
        assert_eq!(world.whole_stream(json!({})).await.said(), "b");
        assert_eq!(world.each("a b"), [1, 1]);
    }
    for script in [
        begin().and(word("Hel", 3)).then(Part::Cut),
        begin().and(word("Hel", 3)).and(failed("server_error", 4)),
    ] {
        let world = Case::of("m: a").info("a", SPEAKS).always("a", script).start().await;
        let mut stream = world.gateway.stream("m", json!({})).await;
        assert_eq!(stream.rest().await, Over::Cleanly);
        assert!(stream.is_honest() && stream.said() == "Hel", "{}", stream.text());
    }
}

#[tokio::test]
async fn parameters_of_chats_that_responses_lack_are_refused_or_dropped() {
    let reply = Reply::json(200, &response("Hello"));
    let case = Case::of("m: a; lax: b").info("a", SPEAKS).info("b", SPEAKS).params("b", "drop_params: true");
    let world = case.always("a b", reply).start().await;
    assert_eq!(world.ask_with(json!({"seed": 1})).await.error(400)["param"], "seed");
    assert_eq!(world.ask_with(json!({"model": "lax", "seed": 1, "stop": ["x"]})).await.said(), "Hello");
    let sent = world.upstream("b").only().json();
    assert_eq!((world.calls("a"), sent.get("seed"), sent.get("stop")), (0, None, None));
}

#[tokio::test]
async fn embeddings_pass_at_a_deployment_with_responses() {
    let world = Case::of("m: a").info("a", SPEAKS).always("a", say::embedding()).start().await;
    let body = json!({"model": "m", "input": "a"}).to_string();
    let sent = request(Method::POST, "/v1/embeddings", body, &[]);
    assert_eq!(world.gateway.send(sent).await.status, 200);
    assert_eq!(world.upstream("a").only().target, "/v1/embeddings");
}
