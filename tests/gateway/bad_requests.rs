//! Requests that no upstream should see: each gets its 4xx in OpenAI's shape, and nobody is called.

use http::Method;

use crate::support::{case::Case, client::request};

/// A name for the row, the body, and the statuses that are right.
type Row = (&'static str, &'static [u8], &'static [u16]);

const MALFORMED: &[Row] = &[
    ("nothing", b"", &[400]),
    ("only white space", b" \r\n\t ", &[400]),
    ("null", b"null", &[400]),
    ("a number", b"3", &[400]),
    ("a string", b"\"model\"", &[400]),
    ("an array", b"[{\"messages\":[],\"model\":\"m\"}]", &[400]),
    ("an open brace", b"{", &[400]),
    ("a key alone", b"{\"model\"}", &[400]),
    ("a key and a colon", b"{\"model\":}", &[400]),
    ("an end too early", b"{\"messages\":[],\"model\":\"m\"", &[400]),
    ("a string that does not end", b"{\"model\":\"m}", &[400]),
    ("two objects", b"{\"messages\":[],\"model\":\"m\"}{}", &[400]),
    ("words after the end", b"{\"messages\":[],\"model\":\"m\"} and so on", &[400]),
    ("single quotes", b"{'model':'m'}", &[400]),
    ("a key without quotes", b"{model:\"m\"}", &[400]),
    ("a comma too many in the middle", b"{\"messages\":[],\"model\":\"m\",,\"n\":1}", &[400]),
    ("two commas at the end", b"{\"messages\":[],\"model\":\"m\",,}", &[400]),
    ("a comma at the beginning", b"{,\"model\":\"m\"}", &[400]),
    ("only a comma", b"{,}", &[400]),
    ("no comma between", b"{\"messages\":[],\"model\":\"m\" \"n\":1}", &[400]),
    ("a comment", b"{\"messages\":[],\"model\":\"m\" /* mine */}", &[400]),
    ("a bare NaN", b"{\"messages\":[],\"model\":\"m\",\"temperature\":NaN}", &[400]),
    ("brackets that do not match", b"{\"messages\":[],\"model\":\"m\",\"messages\":[}", &[400]),
    ("a raw line end in a string", b"{\"messages\":[],\"model\":\"m\",\"user\":\"a\nb\"}", &[400]),
    ("an escape that is none", b"{\"messages\":[],\"model\":\"m\",\"user\":\"\\x41\"}", &[400]),
    ("half an escape", b"{\"messages\":[],\"model\":\"m\",\"user\":\"\\u00\"}", &[400]),
    ("invalid UTF-8", b"{\"messages\":[],\"model\":\"m\",\"user\":\"\xff\xfe\"}", &[400]),
    ("an overlong UTF-8 form", b"{\"messages\":[],\"model\":\"m\",\"user\":\"\xc0\xaf\"}", &[400]),
    ("form data", b"model=m&messages=x", &[400]),
];

/// A name, a request, the accepted statuses, and the part of the request that the error must name: a row that is
/// refused for another reason tests something else.
type Meaning = (&'static str, &'static str, &'static [u16], &'static str);

/// The inside of an object that is otherwise whole.
const WRONG: &[Meaning] = &[
    ("no model", r#""messages":[]"#, &[400], "model"),
    ("no messages", r#""model":"m""#, &[400], "messages"),
    ("a null model", r#""model":null,"messages":[]"#, &[400], "model"),
    ("a model that is a number", r#""model":1,"messages":[]"#, &[400], "model"),
    ("a model that is a list", r#""model":["m"],"messages":[]"#, &[400], "model"),
    ("two models", r#""model":"m","messages":[],"model":"m""#, &[400], "model"),
    ("two models, one escaped", r#""model":"m","messages":[],"mod\u0065l":"other""#, &[400], "model"),
    ("half a surrogate as model", r#""model":"\ud800","messages":[]"#, &[400], ""),
    ("an empty model", r#""model":"","messages":[]"#, &[400, 404], "model"),
    ("an unknown model", r#""model":"no-such-model","messages":[]"#, &[400, 404], "no-such-model"),
    ("a stream that is a word", r#""model":"m","messages":[],"stream":"yes""#, &[400], "stream"),
    ("retries in words", r#""model":"m","messages":[],"num_retries":"two""#, &[400], "num_retries"),
    ("retries below zero", r#""model":"m","messages":[],"num_retries":-1"#, &[400], "num_retries"),
    ("half a retry", r#""model":"m","messages":[],"num_retries":1.5"#, &[400], "num_retries"),
    ("a timeout in words", r#""model":"m","messages":[],"timeout":"soon""#, &[400], "timeout"),
    ("a timeout below zero", r#""model":"m","messages":[],"request_timeout":-1"#, &[400], "request_timeout"),
    ("an endless timeout", r#""model":"m","messages":[],"timeout":1e400"#, &[400], ""),
    ("fallbacks that are a number", r#""model":"m","messages":[],"fallbacks":3"#, &[400], "fallbacks"),
    ("a fallback that is a number", r#""model":"m","messages":[],"fallbacks":[1]"#, &[400], "fallbacks"),
    ("a depth in words", r#""model":"m","messages":[],"max_fallbacks":"deep""#, &[400], "max_fallbacks"),
    (
        "an upstream's address",
        r#""model":"m","messages":[],"api_base":"http://127.0.0.1:1""#,
        &[400],
        "api_base",
    ),
    ("the same, escaped", r#""model":"m","messages":[],"api\u005fbase":"http://h""#, &[400], "api_base"),
    ("an upstream's key", r#""model":"m","messages":[],"api_key":"sk-mine""#, &[400], "api_key"),
    ("headers for the upstream", r#""model":"m","messages":[],"extra_headers":{}"#, &[400], "extra_headers"),
    ("a model list", r#""model":"m","messages":[],"model_list":[]"#, &[400], "model_list"),
    (
        "a cloud's credential",
        r#""model":"m","messages":[],"aws_secret_access_key":"x""#,
        &[400],
        "aws_secret",
    ),
    (
        "a switch in words",
        r#""model":"m","messages":[],"disable_fallbacks":"no""#,
        &[400],
        "disable_fallbacks",
    ),
];

/// Sends each row to one gateway; all that is wrong is told at once.
async fn refused(rows: impl IntoIterator<Item = (&'static str, Vec<u8>, &'static [u16], &'static str)>) {
    let world = Case::of("m: a").start().await;
    let whole = world.gateway.post("/v1/chat/completions", r#"{"model":"m","messages":[]}"#).await;
    assert_eq!(whole.status, 200, "what the rows spoil is good: {}", whole.text());
    let mut wrong = Vec::new();
    for (name, body, right, culprit) in rows {
        let answer = world.gateway.post("/v1/chat/completions", body).await;
        let status = answer.status.as_u16();
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let told =
            json["error"]["message"].as_str().is_some_and(|text| text.len() > 5 && text.contains(culprit));
        if !right.contains(&status) || !told || !json["error"]["type"].is_string() {
            wrong.push(format!("{name}: {status} {}", answer.text()));
        }
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(world.calls("a"), 1, "an upstream was called for a bad request");
}

fn object(inside: &str) -> Vec<u8> {
    format!("{{{inside}}}").into_bytes()
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused_by_the_gateway() {
    refused(MALFORMED.iter().map(|(name, body, right)| (*name, body.to_vec(), *right, "JSON"))).await;
}

#[tokio::test]
async fn a_setting_without_a_meaning_is_refused_by_the_gateway() {
    refused(WRONG.iter().map(|(name, inside, right, culprit)| (*name, object(inside), *right, *culprit)))
        .await;
}

#[tokio::test]
async fn a_header_without_a_meaning_is_refused_by_the_gateway() {
    let world = Case::of("m: a").start().await;
    for (name, value) in [
        ("x-litellm-timeout", "soon"),
        ("x-litellm-timeout", "-1"),
        ("x-litellm-stream-timeout", "1s"),
        ("x-litellm-num-retries", "two"),
        ("x-litellm-num-retries", "-1"),
    ] {
        let body = crate::support::client::ask("m", serde_json::json!({}));
        let answer =
            world.gateway.send(request(Method::POST, "/chat/completions", body, &[(name, value)])).await;
        assert_eq!(answer.status, 400, "{name}: {value}");
        assert!(answer.error(400)["message"].as_str().unwrap().contains(name), "{}", answer.text());
    }
    assert_eq!(world.calls("a"), 0);
}

#[tokio::test]
async fn a_body_nested_beyond_sense_is_refused_and_a_deep_one_is_not() {
    let world = Case::of("m: a").start().await;
    let nested = |depth: usize| {
        format!("{{\"model\":\"m\",\"messages\":[],\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
    };
    assert_eq!(world.gateway.post("/chat/completions", nested(100)).await.status, 200);
    for deep in [nested(129), nested(1_000_000)] {
        let error = world.gateway.post("/chat/completions", deep).await.error(400);
        assert!(error["message"].as_str().unwrap().contains("nested"), "{error}");
    }
    // Which of its two faults is told does not matter; that it costs nobody the stack does.
    let open = format!("{{\"model\":\"m\",\"messages\":[],\"x\":{}", "[".repeat(1_000_000));
    world.gateway.post("/chat/completions", open).await.error(400);
}

#[tokio::test]
async fn the_gateway_still_serves_after_bad_requests() {
    let world = Case::of("m: a").start().await;
    let spoiled = WRONG.iter().map(|(_, inside, ..)| object(inside));
    for body in MALFORMED.iter().map(|(_, body, _)| body.to_vec()).chain(spoiled) {
        world.gateway.post("/chat/completions", body).await;
    }
    assert_eq!(world.ask().await.said(), "a");
}

#[tokio::test]
async fn an_error_says_where_the_json_breaks() {
    let world = Case::of("m: a").start().await;
    let answer = world.gateway.post("/chat/completions", "{\"model\": \"m\",\n  \"n\": oops}").await;
    let error = answer.error(400);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("line 2") || message.contains(":2:"), "{message}");
}
