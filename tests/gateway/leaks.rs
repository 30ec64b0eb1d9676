//! What belongs to the operator alone: no answer may tell it.

use serde_json::json;

use crate::support::{
    answers as say,
    gateway::Gateway,
    reply::{Part, Reply},
    upstream::Upstream,
};

const KEY: &str = "sk-live-0a1b2c3d4e5f";
const TOKEN: &str = "team-token-77aa88bb";

/// One group `m` in front of this upstream, which is paid with [`KEY`] and [`TOKEN`].
async fn paying(upstream: &Upstream) -> Gateway {
    let yaml = format!(
        "model_list:\n  - model_name: m\n    litellm_params: {{model: openai/inside, api_base: \"{}/v1\", \
         api_key: {KEY}, extra_headers: {{x-team-token: \"Bearer {TOKEN}\"}}}}\n\
         router_settings: {{num_retries: 0, disable_cooldowns: true}}\n",
        upstream.url()
    );
    Gateway::start(&yaml).await
}

fn refused() -> String {
    json!({"error": {"message": format!("Incorrect API key provided: {KEY} ({TOKEN})."), "type": "t",
        "param": null, "code": "invalid_api_key"}})
    .to_string()
}

#[tokio::test]
async fn an_error_that_repeats_our_key_does_not_tell_it_to_the_client() {
    let in_a_stream = || {
        let said = say::words(&["one"]);
        said.then(Part::Data(format!("data: {}\n\n", refused()).into()))
    };
    let replies = [
        Reply::bytes(401, "application/json", refused()),
        Reply::bytes(500, "text/plain", format!("no: {KEY}, {TOKEN}")),
        Reply::bytes(401, "application/json", refused()).header("www-authenticate", format!("x=\"{KEY}\"")),
        Reply::bytes(200, "application/json", refused()),
        Reply::events([refused()]),
        in_a_stream(),
    ];
    for (n, reply) in replies.into_iter().enumerate() {
        let upstream = Upstream::with([reply]).await;
        let gateway = paying(&upstream).await;
        let answer = gateway.chat("m", json!({"stream": n >= 4})).await;
        assert_eq!(upstream.only().header("authorization"), Some(&*format!("Bearer {KEY}")));
        let told = format!("{:?} {}", answer.headers, answer.text());
        assert!(!told.contains(KEY) && !told.contains(TOKEN), "{n}: {told}");
        assert!(answer.text().contains("[redacted]"), "{n}: {told}");
    }
}

#[tokio::test]
async fn an_answer_that_goes_well_is_not_searched() {
    let upstream = Upstream::with([say::chat(&format!("a key looks like {KEY}"))]).await;
    let answer = paying(&upstream).await.chat("m", json!({})).await;
    assert_eq!(answer.said(), format!("a key looks like {KEY}"));
}

#[tokio::test]
async fn nobody_is_led_to_the_upstream() {
    let elsewhere = "https://inside.example/v1/chat/completions";
    let moved = Reply::bytes(307, "text/plain", "moved")
        .header("location", elsewhere)
        .header("content-location", elsewhere)
        .header("refresh", format!("0; url={elsewhere}"));
    let upstream = Upstream::with([moved]).await;
    let answer = paying(&upstream).await.chat("m", json!({})).await;
    assert_eq!((upstream.count(), answer.status.as_u16()), (1, 307), "not followed by us");
    assert!(!format!("{:?}", answer.headers).contains("inside.example"), "{:?}", answer.headers);
}

#[tokio::test]
async fn an_upstream_that_is_a_gateway_too_does_not_speak_for_this_one() {
    let theirs = say::chat("hello")
        .header("x-litellm-model-api-base", "https://inside.example/v1")
        .header("x-litellm-max-retries", "7")
        .header("x-tollgate-tried-groups", "theirs");
    let upstream = Upstream::with([theirs]).await;
    let answer = paying(&upstream).await.chat("m", json!({})).await;
    for name in ["x-litellm-model-api-base", "x-litellm-max-retries", "x-tollgate-tried-groups"] {
        assert_eq!(answer.header(name), None);
    }
}
