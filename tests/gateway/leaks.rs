//! What belongs to the operator alone: no answer may tell it.

use serde_json::json;

use crate::support::{
    answers as say,
    case::Case,
    gateway::Gateway,
    reply::{Part, Reply},
    upstream::Upstream,
};

const KEY: &str = "sk-live-0a1b2c3d4e5f";
const TOKEN: &str = "team-token-77aa88bb";

/// Starts a gateway with a group `m` over this upstream, with the credentials [`KEY`] and [`TOKEN`].
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
async fn a_key_that_the_error_quotes_in_escapes_is_found_too() {
    let escaped = KEY.replace('-', "\\u002d");
    let body = format!(r#"{{"error":{{"message":"{escaped}","type":"t","param":null,"code":null}}}}"#);
    let upstream = Upstream::with([Reply::bytes(500, "application/json", body)]).await;
    let answer = paying(&upstream).await.chat("m", json!({})).await;
    assert_eq!(answer.error(500)["message"], "[redacted]");
}

#[tokio::test]
async fn an_error_that_names_the_operators_organization_does_not_tell_it() {
    let text = "Rate limit reached for gpt-4o in organization org-0a1b2c3d on tokens per min (TPM).";
    let limited = say::error(429, "tokens", Some("rate_limit_exceeded"), text);
    let case = Case::of("m: a").params("a", "organization: org-0a1b2c3d").always("a", limited);
    let asked = case.settings("num_retries: 0").ask().await;
    assert_eq!(asked.world.upstream("a").only().header("openai-organization"), Some("org-0a1b2c3d"));
    let told = asked.answer.error(429)["message"].as_str().unwrap().to_owned();
    assert_eq!(told, text.replace("org-0a1b2c3d", "[redacted]"));
}

#[tokio::test]
async fn an_error_that_is_compressed_is_told_of_and_not_passed_on() {
    // What gzip makes of it does not matter: nobody looks into it.
    let squeezed = Reply::bytes(429, "application/json", vec![0x1f, 0x8b, 8, 0, KEY.as_bytes()[0]])
        .header("content-encoding", "gzip")
        .header("retry-after", "7");
    let upstream = Upstream::with([squeezed]).await;
    let answer = paying(&upstream).await.chat("m", json!({})).await;
    assert_eq!(upstream.only().header("accept-encoding"), Some("identity"), "nobody asked for it");
    assert_eq!(answer.error(429)["code"], "compressed_error");
    assert_eq!((answer.header("content-encoding"), answer.header("retry-after")), (None, Some("7")));
    assert!(!answer.body.contains(&0x1f));
}

#[tokio::test]
async fn an_answer_that_goes_well_is_not_searched() {
    let upstream = Upstream::with([say::chat(&format!("a key looks like {KEY}"))]).await;
    let answer = paying(&upstream).await.chat("m", json!({})).await;
    assert_eq!(answer.said(), format!("a key looks like {KEY}"));
}

#[tokio::test]
async fn no_header_of_a_redirect_names_the_upstream() {
    let elsewhere = "https://inside.example/v1/chat/completions";
    let moved = Reply::bytes(307, "text/plain", "moved")
        .header("location", elsewhere)
        .header("content-location", elsewhere)
        .header("refresh", format!("0; url={elsewhere}"));
    let upstream = Upstream::with([moved]).await;
    let answer = paying(&upstream).await.chat("m", json!({})).await;
    answer.error(502);
    assert_eq!(upstream.count(), 1, "not followed by us");
    let told = format!("{:?} {}", answer.headers, answer.text());
    assert!(!told.contains("inside.example"), "{told}");
}

#[tokio::test]
async fn an_upstream_that_is_a_gateway_too_does_not_speak_for_this_one() {
    let theirs = say::chat("hello")
        .header("x-litellm-model-api-base", "https://inside.example/v1")
        .header("x-litellm-max-retries", "7")
        .header("x-tollgate-tried-groups", "theirs")
        .header("x-litellm-key-spend", "12.5")
        .header("x-litellm-key-max-budget", "100")
        .header("x-litellm-call-id", "theirs");
    let upstream = Upstream::with([theirs]).await;
    let answer = paying(&upstream).await.chat("m", json!({})).await;
    for name in [
        "x-litellm-model-api-base",
        "x-litellm-max-retries",
        "x-tollgate-tried-groups",
        "x-litellm-key-spend",
        "x-litellm-key-max-budget",
    ] {
        assert_eq!(answer.header(name), None, "{name}");
    }
    assert!(answer.header("x-litellm-call-id").is_some_and(|id| id != "theirs"), "{:?}", answer.headers);
}

#[tokio::test]
async fn of_an_upstreams_headers_only_those_pass_that_are_the_clients_business() {
    let account = [
        ("openai-organization", "org-of-the-operator"),
        ("openai-project", "proj_of_the_operator"),
        ("set-cookie", "__cf_bm=1"),
        ("www-authenticate", "Bearer realm=\"upstream\""),
        ("x-ms-region", "Sweden Central"),
        ("cf-ray", "8f"),
        ("x-whatever-comes-next", "1"),
        ("access-control-allow-origin", "*"),
    ];
    let passed = [("x-request-id", "req-7"), ("openai-processing-ms", "31"), ("retry-after", "3")];
    for reply in [say::chat("hello"), say::rate_limited("3")] {
        let reply =
            account.iter().chain(&passed).fold(reply, |reply, (name, value)| reply.header(name, value));
        let reply = reply.header("x-ratelimit-remaining-tokens", "42");
        let upstream = Upstream::with([reply]).await;
        let answer = paying(&upstream).await.chat("m", json!({})).await;
        for (name, _) in account {
            assert_eq!(answer.header(name), None, "{name}");
        }
        for (name, value) in passed {
            assert_eq!(answer.header(name), Some(value));
        }
        assert_eq!(
            answer.header("x-ratelimit-remaining-tokens"),
            None,
            "one deployment's is not the group's"
        );
        assert_eq!(answer.header("llm_provider-x-ratelimit-remaining-tokens"), Some("42"), "LiteLLM's name");
    }
}
