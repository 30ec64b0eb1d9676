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
    ("an array", b"[{\"model\":\"m\"}]", &[400]),
    ("an open brace", b"{", &[400]),
    ("a key alone", b"{\"model\"}", &[400]),
    ("a key and a colon", b"{\"model\":}", &[400]),
    ("an end too early", b"{\"model\":\"m\"", &[400]),
    ("a string that does not end", b"{\"model\":\"m}", &[400]),
    ("two objects", b"{\"model\":\"m\"}{}", &[400]),
    ("words after the end", b"{\"model\":\"m\"} and so on", &[400]),
    ("single quotes", b"{'model':'m'}", &[400]),
    ("a key without quotes", b"{model:\"m\"}", &[400]),
    ("a comma too many in the middle", b"{\"model\":\"m\",,\"n\":1}", &[400]),
    ("two commas at the end", b"{\"model\":\"m\",,}", &[400]),
    ("a comma at the beginning", b"{,\"model\":\"m\"}", &[400]),
    ("only a comma", b"{,}", &[400]),
    ("no comma between", b"{\"model\":\"m\" \"n\":1}", &[400]),
    ("a comment", b"{\"model\":\"m\" /* mine */}", &[400]),
    ("a bare NaN", b"{\"model\":\"m\",\"temperature\":NaN}", &[400]),
    ("brackets that do not match", b"{\"model\":\"m\",\"messages\":[}", &[400]),
    ("a raw line end in a string", b"{\"model\":\"m\",\"user\":\"a\nb\"}", &[400]),
    ("an escape that is none", b"{\"model\":\"m\",\"user\":\"\\x41\"}", &[400]),
    ("half an escape", b"{\"model\":\"m\",\"user\":\"\\u00\"}", &[400]),
    ("invalid UTF-8", b"{\"model\":\"m\",\"user\":\"\xff\xfe\"}", &[400]),
    ("an overlong UTF-8 form", b"{\"model\":\"m\",\"user\":\"\xc0\xaf\"}", &[400]),
    ("form data", b"model=m&messages=x", &[400]),
];

const WRONG: &[Row] = &[
    ("no model", b"{\"messages\":[]}", &[400]),
    ("a null model", b"{\"model\":null}", &[400]),
    ("a model that is a number", b"{\"model\":1}", &[400]),
    ("a model that is a list", b"{\"model\":[\"m\"]}", &[400]),
    ("two models", b"{\"model\":\"m\",\"model\":\"m\"}", &[400]),
    ("two models, one escaped", b"{\"model\":\"m\",\"mod\\u0065l\":\"other\"}", &[400]),
    ("half a surrogate as model", b"{\"model\":\"\\ud800\"}", &[400]),
    ("an empty model", b"{\"model\":\"\"}", &[400, 404]),
    ("an unknown model", b"{\"model\":\"no-such-model\"}", &[400, 404]),
    ("a stream that is a word", b"{\"model\":\"m\",\"stream\":\"yes\"}", &[400]),
    ("retries in words", b"{\"model\":\"m\",\"num_retries\":\"two\"}", &[400]),
    ("retries below zero", b"{\"model\":\"m\",\"num_retries\":-1}", &[400]),
    ("half a retry", b"{\"model\":\"m\",\"num_retries\":1.5}", &[400]),
    ("a timeout in words", b"{\"model\":\"m\",\"timeout\":\"soon\"}", &[400]),
    ("a timeout below zero", b"{\"model\":\"m\",\"request_timeout\":-1}", &[400]),
    ("an endless timeout", b"{\"model\":\"m\",\"timeout\":1e400}", &[400]),
    ("fallbacks that are a number", b"{\"model\":\"m\",\"fallbacks\":3}", &[400]),
    ("a fallback that is a number", b"{\"model\":\"m\",\"fallbacks\":[1]}", &[400]),
    ("a depth in words", b"{\"model\":\"m\",\"max_fallbacks\":\"deep\"}", &[400]),
    ("a switch in words", b"{\"model\":\"m\",\"disable_fallbacks\":\"no\"}", &[400]),
];

/// Sends each row to one gateway; all that is wrong is told at once.
async fn refused(rows: &[Row]) {
    let world = Case::of("m: a").start().await;
    let mut wrong = Vec::new();
    for (name, body, right) in rows {
        let answer = world.gateway.post("/v1/chat/completions", *body).await;
        let status = answer.status.as_u16();
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let told = json["error"]["message"].as_str().is_some_and(|text| text.len() > 5);
        if !right.contains(&status) || !told || !json["error"]["type"].is_string() {
            wrong.push(format!("{name}: {status} {}", answer.text()));
        }
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(world.calls("a"), 0, "an upstream was called");
}

#[tokio::test]
async fn what_is_no_json_object_is_refused_here() {
    refused(MALFORMED).await;
}

#[tokio::test]
async fn what_means_nothing_is_refused_here() {
    refused(WRONG).await;
}

#[tokio::test]
async fn headers_that_mean_nothing_are_refused_too() {
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
        answer.error(400);
    }
    assert_eq!(world.calls("a"), 0);
}

#[tokio::test]
async fn a_body_nested_beyond_sense_is_refused_and_a_deep_one_is_not() {
    let world = Case::of("m: a").start().await;
    let nested =
        |depth: usize| format!("{{\"model\":\"m\",\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(world.gateway.post("/chat/completions", nested(100)).await.status, 200);
    world.gateway.post("/chat/completions", nested(129)).await.error(400);
    world.gateway.post("/chat/completions", nested(1_000_000)).await.error(400);
    let open = format!("{{\"model\":\"m\",\"x\":{}", "[".repeat(1_000_000));
    world.gateway.post("/chat/completions", open).await.error(400);
}

#[tokio::test]
async fn the_gateway_serves_on_after_all_of_them() {
    let world = Case::of("m: a").start().await;
    for (_, body, _) in MALFORMED.iter().chain(WRONG) {
        world.gateway.post("/chat/completions", *body).await;
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
