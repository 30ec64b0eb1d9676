//! Tests of the encoding of requests, for all providers.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::config::{ErrorCounts, ModelInfo, RateLimits, Timeouts, vendor};

const SECRET: &str = "sk-very-secret";

fn target(provider: Provider, model: &str, base: &str) -> Target {
    let prefix = match provider {
        Provider::OpenAi => "openai",
        Provider::Versioned => "mistral",
        Provider::Below(_) => "cohere",
        Provider::AzureAi => "azure_ai",
        Provider::Azure => "azure",
        Provider::HuggingFace => "huggingface",
        Provider::Anthropic(_) => "anthropic",
        Provider::Gemini => "gemini",
        Provider::Vertex(_) => "vertex_ai",
        Provider::Ollama => "ollama",
        Provider::Bedrock => "bedrock",
    };
    Target {
        vendor: vendor(prefix).expect("a row"),
        model: model.into(),
        base: base.parse().expect("a URL"),
        aws: None,
        key: Some(SECRET.into()),
        google: None,
        api_version: None,
        organization: None,
        headers: Vec::new(),
        responses: false,
        http2: false,
        tls: None,
    }
}

fn deployment(target: Target) -> Deployment {
    Deployment {
        id: "d".into(),
        limit_key: "d".into(),
        group: "g".into(),
        target,
        limits: RateLimits::default(),
        timeouts: Timeouts::default(),
        num_retries: None,
        cooldown_time: None,
        allowed_fails: None,
        allowed_fails_policy: ErrorCounts::default(),
        tags: Vec::new(),
        streams: false,
        defaults: vec![("seed".into(), "7".into())],
        parameters: None,
        drop_params: false,
        mock: None,
        stream_usage: None,
        info: ModelInfo::default(),
    }
}

fn encoder(target: Target) -> Encoder {
    Encoder::new(&deployment(target)).expect("a good target")
}

fn azure(base: &str, version: Option<&str>) -> Encoder {
    encoder(Target { api_version: version.map(Into::into), ..target(Provider::Azure, "my-dep", base) })
}

/// Returns the URL of chat completions.
fn url(encoder: &Encoder) -> String {
    encoder.uri(Operation::Chat).to_string()
}

#[test]
fn an_openai_url_is_the_base_followed_by_the_route() {
    for (base, wanted) in [
        ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1/chat/completions"),
        ("https://host", "https://host/chat/completions"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/chat/completions"),
        ("https://host/api/v3", "https://host/api/v3/chat/completions"),
        ("https://host/v1/chat/completions", "https://host/v1/chat/completions"),
        ("https://host/v1/chat/completions/", "https://host/v1/chat/completions"),
        ("https://host/v1/completions", "https://host/v1/chat/completions"),
    ] {
        assert_eq!(url(&encoder(target(Provider::OpenAi, "gpt-4o", base))), wanted, "{base}");
    }
}

#[test]
fn all_openai_routes_have_the_same_base() {
    let encoder = encoder(target(Provider::OpenAi, "m", "https://h/v1/chat/completions"));
    assert_eq!(encoder.uri(Operation::Completions), "https://h/v1/completions");
    assert_eq!(encoder.uri(Operation::Embeddings), "https://h/v1/embeddings");
}

#[test]
fn an_openai_request_carries_the_deployment_s_own_credential() {
    let organization = Some(HeaderValue::from_static("org-1"));
    let encoder = encoder(Target { organization, ..target(Provider::OpenAi, "gpt-4o", "https://h/v1") });
    let request = encoder.request(Operation::Chat, "body".to_owned());
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.version(), Version::HTTP_11);
    assert_eq!(*request.body(), "body");
    assert_eq!(request.headers()[header::CONTENT_LENGTH], "4");
    assert_eq!(&*encoder.model, "gpt-4o");
    assert_eq!(*encoder.defaults, [("seed".into(), "7".into())]);
    let headers = request.headers();
    assert_eq!(headers[header::AUTHORIZATION], format!("Bearer {SECRET}"));
    assert!(headers[header::AUTHORIZATION].is_sensitive());
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(headers["openai-organization"], "org-1");
    assert_eq!(headers[header::USER_AGENT], concat!("tollgate/", env!("CARGO_PKG_VERSION")));
    let names: BTreeSet<_> = headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(headers[header::ACCEPT_ENCODING], "identity", "what is compressed cannot be watched");
    let wanted = [
        "accept",
        "accept-encoding",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "openai-organization",
        "user-agent",
    ];
    assert_eq!(names, BTreeSet::from(wanted), "and nothing else");
}

/// The base of a deployment, its version, whether its name has the hint, and the URL of Responses.
type ResponsesCase = (Provider, &'static str, Option<&'static str>, bool, &'static str);

#[rustfmt::skip]
const RESPONSES: [ResponsesCase; 13] = [
    (Provider::OpenAi, "https://api.openai.com/v1", None, false, "https://api.openai.com/v1/responses"),
    (Provider::OpenAi, "https://eu.api.openai.com/v1", None, false, "https://eu.api.openai.com/v1/responses"),
    (Provider::OpenAi, "https://h/v1", None, false, "https://h/v1/chat/completions"),
    (Provider::OpenAi, "https://api.openai.com.h/v1", None, false, "https://api.openai.com.h/v1/chat/completions"),
    (Provider::OpenAi, "https://h/v1/responses", None, true, "https://h/v1/responses"),
    (Provider::Versioned, "https://h", None, true, "https://h/v1/responses"),
    (Provider::Gemini, "https://h", None, false, "https://h/v1beta/models"),
    (Provider::Azure, "https://r", Some("v1"), false, "https://r/openai/v1/responses"),
    (Provider::Azure, "https://r/openai/v1", Some("preview"), false, "https://r/openai/v1/responses?api-version=preview"),
    (Provider::Azure, "https://r", Some("2025-04-01-preview"), false, "https://r/openai/responses?api-version=2025-04-01-preview"),
    (Provider::Azure, "https://r", Some("2024-10-21"), false, "https://r/openai/deployments/m/chat/completions?api-version=2024-10-21"),
    (Provider::Azure, "https://r", Some("2024-10-21"), true, "https://r/openai/responses?api-version=2024-10-21"),
    (Provider::Azure, "https://r/openai/deployments/d", Some("2025-04-01-preview"), false, "https://r/openai/deployments/d/chat/completions?api-version=2025-04-01-preview"),
];

#[test]
fn responses_are_passed_on_where_the_vendor_or_the_name_has_them() {
    for (provider, base, version, responses, wanted) in RESPONSES {
        let api_version = version.map(Into::into);
        let encoder = encoder(Target { api_version, responses, ..target(provider, "m", base) });
        assert_eq!(encoder.uri(Operation::Responses), wanted, "{base} {version:?} {responses}");
    }
}

#[test]
fn azure_by_dated_version_has_the_deployment_in_the_path() {
    let encoder = azure("https://res.openai.azure.com", Some("2024-10-21"));
    let wanted =
        "https://res.openai.azure.com/openai/deployments/my-dep/chat/completions?api-version=2024-10-21";
    assert_eq!(url(&encoder), wanted);
    let (_, headers) = encoder.head(Operation::Chat);
    assert_eq!(headers["api-key"], SECRET);
    assert!(headers["api-key"].is_sensitive());
    assert!(!headers.contains_key(header::AUTHORIZATION));
    assert_eq!(&*encoder.model, "my-dep");
}

#[test]
fn azure_without_a_version_uses_the_default_version() {
    let wanted = "https://r/openai/deployments/my-dep/chat/completions?api-version=2025-02-01-preview";
    assert_eq!(url(&azure("https://r/", None)), wanted);
}

#[test]
fn an_old_azure_version_does_not_support_include_usage() {
    let asks = |base: &str, version: Option<&str>| {
        let api_version = version.map(Into::into);
        supports_include_usage(&Target { api_version, ..target(Provider::Azure, "d", base) })
    };
    for version in ["2023-05-15", "2024-02-15-preview", "2024-06-01", "2024-08-01-preview"] {
        assert!(!asks("https://r", Some(version)), "{version}");
        assert!(asks("https://r/openai/v1/", Some(version)), "the path has no version then");
    }
    for version in [None, Some("2024-09-01-preview"), Some("2024-10-21"), Some("v1"), Some("preview")] {
        assert!(asks("https://r", version), "{version:?}");
    }
}

#[test]
fn azure_embeddings_have_the_path_of_the_deployment() {
    let encoder = azure("https://r", Some("2024-10-21"));
    let wanted = "https://r/openai/deployments/my-dep/embeddings?api-version=2024-10-21";
    assert_eq!(encoder.uri(Operation::Embeddings), wanted);
}

#[test]
fn azure_accepts_a_dated_base_url_in_any_form() {
    for (base, wanted) in [
        ("https://r/openai", "https://r/openai/deployments/my-dep/chat/completions?api-version=V"),
        (
            "https://r/openai/deployments",
            "https://r/openai/deployments/my-dep/chat/completions?api-version=V",
        ),
        (
            "https://r/openai/deployments/",
            "https://r/openai/deployments/my-dep/chat/completions?api-version=V",
        ),
        (
            "https://r/openai/deployments/other",
            "https://r/openai/deployments/other/chat/completions?api-version=V",
        ),
        (
            "https://r/openai/deployments/other/chat/completions",
            "https://r/openai/deployments/other/chat/completions?api-version=V",
        ),
        ("https://gw/team/a", "https://gw/team/a/openai/deployments/my-dep/chat/completions?api-version=V"),
    ] {
        assert_eq!(url(&azure(base, Some("V"))), wanted, "{base}");
    }
}

#[test]
fn azure_v1_has_no_version_but_preview_and_never_doubles_its_path() {
    for base in ["https://r", "https://r/", "https://r/openai", "https://r/openai/v1", "https://r/openai/v1/"]
    {
        for (version, query) in [("v1", ""), ("latest", ""), ("preview", "?api-version=preview")] {
            assert_eq!(
                url(&azure(base, Some(version))),
                format!("https://r/openai/v1/chat/completions{query}"),
                "{base} {version}"
            );
        }
    }
    let embeddings = azure("https://r/openai/v1", Some("preview"));
    assert_eq!(embeddings.uri(Operation::Embeddings), "https://r/openai/v1/embeddings?api-version=preview");
    assert_eq!(
        url(&azure("https://r/openai/v1/", Some("2024-10-21"))),
        "https://r/openai/v1/chat/completions"
    );
    let foundry = azure("https://r.services.ai.azure.com/api/projects/p", Some("v1"));
    assert_eq!(url(&foundry), "https://r.services.ai.azure.com/api/projects/p/openai/v1/chat/completions");
    assert_eq!(&*foundry.model, "my-dep");
    assert_eq!(foundry.head(Operation::Chat).1["api-key"], SECRET);
}

#[test]
fn an_azure_token_in_the_headers_is_sent() {
    let headers = vec![(header::AUTHORIZATION, HeaderValue::from_static("Bearer T"))];
    let encoder = encoder(Target { key: None, headers, ..target(Provider::Azure, "d", "https://r") });
    let (_, headers) = encoder.head(Operation::Chat);
    assert_eq!(headers[header::AUTHORIZATION], "Bearer T");
    assert!(!headers.contains_key("api-key"));
}

#[test]
fn a_model_name_in_an_azure_path_is_one_segment() {
    let encoder = encoder(target(Provider::Azure, "../a b/ü?x#y", "https://r"));
    let uri = encoder.uri(Operation::Chat);
    let path = uri.path();
    assert_eq!(path, "/openai/deployments/..%2Fa%20b%2F%C3%BC%3Fx%23y/chat/completions");
}

#[test]
fn huggingface_routes_are_below_v1_for_any_base() {
    for base in [
        "http://h:8080",
        "http://h:8080/",
        "http://h:8080/v1",
        "http://h:8080/v1/",
        "http://h:8080/v1/chat/completions",
    ] {
        let encoder = encoder(target(Provider::HuggingFace, "tgi", base));
        assert_eq!(url(&encoder), "http://h:8080/v1/chat/completions", "{base}");
        assert_eq!(&*encoder.model, "tgi");
        assert_eq!(encoder.head(Operation::Chat).1[header::AUTHORIZATION], format!("Bearer {SECRET}"));
    }
}

#[test]
fn the_huggingface_router_gets_the_provider_after_the_model() {
    let router = "https://router.huggingface.co/v1";
    for (model, base, wanted) in [
        ("meta-llama/Llama-3.3-70B-Instruct", router, "meta-llama/Llama-3.3-70B-Instruct"),
        ("together/meta-llama/Llama-3.3-70B-Instruct", router, "meta-llama/Llama-3.3-70B-Instruct:together"),
        ("together/meta-llama/Llama-3.3:fastest", router, "together/meta-llama/Llama-3.3:fastest"),
        ("together/meta-llama/Llama-3.3", "https://my.endpoint/v1", "together/meta-llama/Llama-3.3"),
        ("a/b/c", "https://router.huggingface.co/together/v1", "a/b/c"),
    ] {
        let encoder = encoder(target(Provider::HuggingFace, model, base));
        assert_eq!(&*encoder.model, wanted);
        assert_eq!(url(&encoder), format!("{base}/chat/completions"));
    }
}

#[test]
fn an_anthropic_url_is_that_of_messages_for_every_form_of_its_base() {
    for base in
        ["https://h", "https://h/", "https://h/v1", "https://h/v1/messages", "https://h/v1/chat/completions"]
    {
        let encoder = encoder(target(Provider::Anthropic(""), "claude-x", base));
        assert_eq!(url(&encoder), "https://h/v1/messages", "{base}");
    }
    for base in ["https://r.services.ai.azure.com", "https://r.services.ai.azure.com/anthropic/v1"] {
        let uri: Uri = base.parse().unwrap();
        let path = anthropic::path("/anthropic", uri.path().trim_end_matches('/'), Operation::Chat);
        assert_eq!(path, "/anthropic/v1/messages", "{base}");
    }
}

#[test]
fn an_anthropic_request_has_the_version_and_the_key_or_the_token_of_a_login() {
    let headers = |key: &str| {
        let target = Target { key: Some(key.into()), ..target(Provider::Anthropic(""), "m", "https://h") };
        encoder(target).head(Operation::Chat).1
    };
    let with_key = headers("sk-ant-api03-k");
    assert_eq!(
        (&with_key["x-api-key"], &with_key["anthropic-version"]),
        (&"sk-ant-api03-k".parse().unwrap(), &"2023-06-01".parse().unwrap())
    );
    assert!(with_key["x-api-key"].is_sensitive() && !with_key.contains_key(header::AUTHORIZATION));
    let with_token = headers("sk-ant-oat01-t");
    assert_eq!(with_token[header::AUTHORIZATION], "Bearer sk-ant-oat01-t");
    assert_eq!(with_token["anthropic-beta"], "oauth-2025-04-20");
    assert!(!with_token.contains_key("x-api-key"));
}

#[test]
fn an_encoder_without_a_credential_sends_no_credential_header() {
    for provider in [Provider::OpenAi, Provider::Azure, Provider::HuggingFace] {
        for key in [None, Some("".into()), Some(" \n".into())] {
            let (_, headers) =
                encoder(Target { key, ..target(provider, "m", "https://h") }).head(Operation::Chat);
            assert!(!headers.contains_key(header::AUTHORIZATION) && !headers.contains_key("api-key"));
        }
    }
}

#[test]
fn a_line_break_after_the_key_is_removed_and_one_inside_is_an_error() {
    let with_key = |key: &str| Target { key: Some(key.into()), ..target(Provider::OpenAi, "m", "https://h") };
    assert_eq!(encoder(with_key("k\n")).head(Operation::Chat).1[header::AUTHORIZATION], "Bearer k");
    assert_eq!(Encoder::new(&deployment(with_key("k\nx: y"))).map(|_| ()), Err(InvalidTarget::Credential));
}

#[test]
fn the_host_header_has_a_port_unless_it_is_the_default_of_the_scheme() {
    for (base, host) in [
        ("https://h", "h"),
        ("https://h:443/v1", "h"),
        ("http://h:443", "h:443"),
        ("http://h:80", "h"),
        ("http://127.0.0.1:8001/v1", "127.0.0.1:8001"),
        ("http://[::1]:8001", "[::1]:8001"),
    ] {
        let (_, headers) = encoder(target(Provider::OpenAi, "m", base)).head(Operation::Chat);
        assert_eq!(headers[header::HOST], host, "{base}");
    }
}

#[test]
fn extra_headers_replace_default_headers_but_not_framing_headers() {
    let pair = |name: &'static str| (HeaderName::from_static(name), HeaderValue::from_static("mine"));
    let names = [
        "x-title",
        "user-agent",
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "upgrade",
    ];
    let headers = names.map(pair).to_vec();
    let (_, headers) =
        encoder(Target { headers, ..target(Provider::OpenAi, "m", "https://h") }).head(Operation::Chat);
    assert_eq!(
        (&headers["x-title"], &headers["user-agent"]),
        (&"mine".parse().unwrap(), &"mine".parse().unwrap())
    );
    assert!(headers["x-title"].is_sensitive());
    assert_eq!(
        (&headers["host"], &headers["content-length"]),
        (&"h".parse().unwrap(), &"0".parse().unwrap())
    );
    for name in &names[4..] {
        assert!(!headers.contains_key(*name), "{name}");
    }
}

#[test]
fn an_invalid_base_url_is_an_error_that_does_not_contain_it() {
    for (base, wanted) in [
        ("/only/a/path", InvalidTarget::Address),
        ("host.only:80", InvalidTarget::Address),
        ("ftp://host/x", InvalidTarget::Address),
        ("https://user:sk-very-secret@host/v1", InvalidTarget::UserInfo),
    ] {
        let error = Encoder::new(&deployment(target(Provider::OpenAi, "m", base))).map(|_| ()).unwrap_err();
        assert_eq!(error, wanted, "{base}");
        assert!(!error.to_string().contains("host/") && !format!("{error:?}").contains(SECRET));
    }
}

#[test]
fn debug_output_of_an_encoder_shows_no_secret_and_no_url() {
    let headers = vec![(HeaderName::from_static("x-custom"), HeaderValue::from_static("custom-secret"))];
    let organization = Some(HeaderValue::from_static("org-1"));
    for provider in [Provider::OpenAi, Provider::Azure, Provider::HuggingFace] {
        let target = Target {
            headers: headers.clone(),
            organization: organization.clone(),
            ..target(provider, "m", "https://internal/v1")
        };
        let encoder = encoder(target);
        let shown = format!("{encoder:?} {:?}", encoder.head(Operation::Chat).1);
        assert!(!shown.contains(SECRET) && !shown.contains("custom-secret"), "{shown}");
        assert!(!format!("{encoder:?}").contains("internal"));
    }
}

proptest! {
    #[test]
    fn any_azure_name_makes_one_valid_segment(model in "\\PC{1,40}") {
        let encoder = encoder(target(Provider::Azure, &model, "https://r"));
        let uri = encoder.uri(Operation::Chat);
        let segments: Vec<_> = uri.path().split('/').collect();
        prop_assert_eq!(segments.len(), 6);
        prop_assert_eq!(&segments[4..], &["chat", "completions"]);
        prop_assert_eq!(&*encoder.model, model);
    }

    #[test]
    fn joining_is_idempotent(segments in proptest::collection::vec("[a-z0-9]{1,6}", 0..3)) {
        let base = format!("https://h/{}", segments.join("/"));
        for provider in [Provider::OpenAi, Provider::HuggingFace] {
            let once = url(&encoder(target(provider, "m", &base)));
            prop_assert_eq!(url(&encoder(target(provider, "m", &once))), once);
        }
    }
}

mod completions;
mod passed;
