//! Deployments of AWS Bedrock, called in OpenAI's dialect: paths, signatures, streams in frames, exceptions in them, errors.

use http::Method;
use ring::{digest, hmac};
use serde_json::{Value, json};

use crate::support::{
    answers as say,
    case::Case,
    client::request,
    gateway::Start,
    reply::{Part, Reply},
    upstream::{Call, Upstream},
};

const BEDROCK: &str = "custom_llm_provider: bedrock";

fn response(text: &str) -> Value {
    json!({"output": {"message": {"role": "assistant", "content": [{"text": text}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 10, "outputTokens": 7, "totalTokens": 17}, "metrics": {"latencyMs": 1}})
}

fn whole(text: &str) -> Reply {
    Reply::json(200, &response(text)).header("x-amzn-requestid", "r-1")
}

/// Returns a frame of an event or an exception.
fn frame(kind: (&str, &str), payload: &Value) -> Vec<u8> {
    let message_type = kind.0.trim_start_matches(':').trim_end_matches("-type");
    let mut headers = Vec::new();
    for (name, value) in
        [(kind.0, kind.1), (":content-type", "application/json"), (":message-type", message_type)]
    {
        headers.push(u8::try_from(name.len()).unwrap());
        headers.extend_from_slice(name.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let payload = payload.to_string();
    let mut frame = u32::try_from(headers.len() + payload.len() + 16).unwrap().to_be_bytes().to_vec();
    frame.extend_from_slice(&u32::try_from(headers.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(payload.as_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

fn event(kind: &str, payload: &Value) -> Reply {
    let mut reply =
        Reply::bytes(200, "application/vnd.amazon.eventstream", frame((":event-type", kind), payload));
    reply.sized = false;
    reply
}

fn exception(kind: &str, message: &str) -> Reply {
    let payload = frame((":exception-type", kind), &json!({ "message": message }));
    let mut reply = Reply::bytes(200, "application/vnd.amazon.eventstream", payload);
    reply.sized = false;
    reply
}

fn words(words: &[&str]) -> Reply {
    let delta =
        |word: &&str| event("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"text": word}}));
    words.iter().map(delta).fold(event("messageStart", &json!({"role": "assistant"})), Reply::and)
}

fn end(reason: &str) -> Reply {
    let usage = json!({"usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}, "metrics": {"latencyMs": 1}});
    event("messageStop", &json!({ "stopReason": reason })).and(event("metadata", &usage))
}

fn error(status: u16, kind: &'static str, message: &str) -> Reply {
    Reply::json(status, &json!({ "message": message })).header("x-amzn-errortype", kind)
}

/// Returns groups of which these deployments are Bedrock's.
fn case(groups: &str, bedrock: &str) -> Case {
    Case::of(groups).params(bedrock, BEDROCK)
}

#[tokio::test]
async fn bedrock_receives_its_own_request_and_the_client_a_chat_completion() {
    let asked =
        case("m: a", "a").always("a", whole("a")).with(json!({"max_tokens": 5})).ask().await.answered_by("a");
    let call = asked.world.upstream("a").only();
    assert_eq!(call.target, "/v1/model/openai%2Fa-model/converse");
    assert_eq!((call.header("authorization"), call.header("x-amz-date")), (Some("Bearer sk-a"), None));
    let wanted = json!({"messages": [{"role": "user", "content": [{"text": "what llm are you"}]}],
        "inferenceConfig": {"maxTokens": 5}});
    assert_eq!(call.json(), wanted);
    let json = asked.answer.json();
    assert_eq!((&json["usage"]["total_tokens"], &json["id"]), (&json!(17), &json!("chatcmpl-r-1")));
}

#[tokio::test]
async fn bedrock_frames_become_chunks_with_calls_of_tools_and_usage() {
    let call = [
        (
            "contentBlockStart",
            json!({"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t1", "name": "f"}}}),
        ),
        ("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": {"toolUse": {"input": "{\"a\":1}"}}})),
        ("contentBlockStop", json!({"contentBlockIndex": 1})),
    ];
    let call = call.iter().map(|(kind, payload)| event(kind, payload)).fold(words(&["H", "i"]), Reply::and);
    let world = case("m: a", "a").always("a", call.and(end("tool_use"))).start().await;
    let stream = world.whole_stream(json!({"stream_options": {"include_usage": true}})).await;
    let text = stream.text();
    assert_eq!(stream.said(), "Hi");
    assert!(stream.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    assert!(text.ends_with("data: [DONE]\n\n") && text.contains("\"total_tokens\":5"), "{text}");
    assert!(text.contains("\"finish_reason\":\"tool_calls\"") && text.contains(r#""arguments":"{\"a\":1}""#));
    assert_eq!(world.upstream("a").only().target, "/v1/model/openai%2Fa-model/converse-stream");
    let calls = &world.ask().await.json()["choices"][0]["message"]["tool_calls"];
    assert_eq!(calls[0]["id"], "t1", "a completion of the frames");
}

#[tokio::test]
async fn bedrock_exceptions_before_the_first_content_are_retried_elsewhere() {
    for reply in [
        exception("throttlingException", "Too many requests, please wait before trying again."),
        exception("modelStreamErrorException", "The model failed."),
        words(&[]).and(exception("internalServerException", "Try again.")),
        error(429, "ThrottlingException", "Too many tokens, please wait before trying again."),
        error(503, "ServiceUnavailableException:http://internal.amazon.com/", "busy"),
        Reply::bytes(200, "application/vnd.amazon.eventstream", vec![0; 40]),
    ] {
        let world = case("m: a b", "a").first("a").always("a", reply).start().await;
        let stream = world.whole_stream(json!({})).await;
        assert_eq!((stream.said(), world.each("a b")), ("b".to_owned(), vec![1, 1]), "{}", stream.text());
    }
}

#[tokio::test]
async fn bedrock_streams_that_break_after_the_first_content_end_with_an_error() {
    for broken in [
        words(&["Hel"]),
        words(&["Hel"]).then(Part::Cut),
        words(&["Hel"]).and(exception("throttlingException", "slow down")),
        words(&["Hel"]).and(Reply::bytes(200, "", vec![0; 40])),
    ] {
        let world = case("m: a", "a").always("a", broken).start().await;
        let stream = world.whole_stream(json!({})).await;
        let text = stream.text();
        assert_eq!(stream.said(), "Hel");
        assert!(text.contains("\"error\"") && !text.contains("[DONE]"), "{text}");
    }
}

#[tokio::test]
async fn bedrock_errors_have_openais_form_and_lead_to_a_larger_context_window() {
    let long = error(400, "ValidationException", "Input is too long for requested model.");
    let case = case("m: a; big: b", "a").always("a", long);
    let case = case.settings("num_retries: 0, context_window_fallbacks: [{m: [big]}]");
    case.ask().await.answered_by("b");
    let denied = error(403, "AccessDeniedException", "You don't have access to the model.");
    let asked = self::case("m: a", "a").always("a", denied).settings("num_retries: 0").ask().await;
    let message = asked.answer.error(403)["message"].to_string();
    assert!(
        message.contains("the gateway's own credential: You don't have access to the model."),
        "{message}"
    );
}

#[tokio::test]
async fn bedrock_has_no_embeddings() {
    let world = case("m: a", "a").always("a", say::embedding()).start().await;
    let body = json!({"model": "m", "input": "x"}).to_string();
    let answer = world.gateway.send(request(Method::POST, "/v1/embeddings", body, &[])).await;
    assert_eq!((answer.status.as_u16(), world.upstream("a").count()), (400, 0), "{}", answer.text());
}

/// Returns the signature that AWS computes for a call.
fn signature(call: &Call, secret: &str) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hash = |bytes: &[u8]| hex(digest::digest(&digest::SHA256, bytes).as_ref());
    let header = |name: &str| call.header(name).unwrap();
    let names = ["content-type", "host", "x-amz-date", "x-amz-security-token"];
    let headers: String = names.iter().map(|name| format!("{name}:{}\n", header(name))).collect();
    let path = call.target.replace('%', "%25");
    let request = format!("POST\n{path}\n\n{headers}\n{}\n{}", names.join(";"), hash(&call.body));
    let (day, scope) = (&header("x-amz-date")[..8], "us-east-1/bedrock/aws4_request");
    let text =
        format!("AWS4-HMAC-SHA256\n{}\n{day}/{scope}\n{}", header("x-amz-date"), hash(request.as_bytes()));
    let sign = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
    };
    let day = sign(format!("AWS4{secret}").as_bytes(), day);
    hex(&sign(&scope.split('/').fold(day, |key, part| sign(&key, part)), &text))
}

#[tokio::test]
async fn bedrock_calls_without_a_key_are_signed_for_each_attempt() {
    let upstream = Upstream::with([error(500, "InternalServerException", "no"), whole("a")]).await;
    let yaml = format!(
        "model_list: [{{model_name: m, litellm_params: {{model: 'bedrock/us-east-1/anthropic.claude-3-haiku-20240307-v1:0', \
         api_base: '{}'}}}}]\nrouter_settings: {{num_retries: 1, retry_after: 0}}\n",
        upstream.url()
    );
    let start = Start::new(&yaml).env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE").env("AWS_SESSION_TOKEN", "token-1");
    let gateway = start.env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG").go().await;
    assert_eq!(gateway.chat("m", json!({})).await.said(), "a");
    let calls = upstream.calls();
    assert_eq!(calls.len(), 2);
    for call in calls {
        assert_eq!(call.target, "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse");
        let day = &call.header("x-amz-date").unwrap()[..8];
        let wanted = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{day}/us-east-1/bedrock/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature={}",
            signature(&call, "wJalrXUtnFEMI/K7MDENG")
        );
        assert_eq!(call.header("authorization"), Some(wanted.as_str()));
    }
}
