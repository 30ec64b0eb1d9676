//! Tests of invalid requests and their error messages.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{super::read, chat, nested};
use crate::request::Operation;

/// Returns a chat body with these members after `model` and `messages`.
fn with(members: &str) -> String {
    format!(r#"{{"model":"m","messages":[],{members}}}"#)
}

#[test]
fn an_invalid_body_is_refused_with_the_error_and_its_position() {
    #[rustfmt::skip]
    let cases: &[(&str, Option<&str>, &str)] = &[
        ("", None, "is empty"),
        ("  \n", None, "EOF while parsing a value"),
        ("[]", None, "must be a JSON object"),
        ("\"text\"", None, "must be a JSON object"),
        ("12", None, "must be a JSON object"),
        ("null", None, "must be a JSON object"),
        ("model=m&messages=x", None, "line 1, column 1, byte 0"),
        ("{", None, "EOF while parsing an object"),
        ("{\"model\":\"m\",\n \"messages\": [}", None, "line 2, column 15, byte 28"),
        ("{\"model\":\"m\"\n \"messages\":[]}", None, "line 2, column 2, byte 14"),
        ("{\"model\":\"m\",\"messages\":[]} x", None, "trailing characters (line 1, column 29, byte 28)"),
        ("{\"model\":\"m\",\"messages\":[]},", None, "trailing characters"),
        ("{'model':'m'}", None, "key must be a string"),
        ("{\"model\":\"m\",\"messages\":[,]}", None, "expected value"),
        ("{\"model\":\"m\",\"messages\":[1,,]}", None, "expected value"),
        ("{,\"model\":\"m\",\"messages\":[]}", None, "key must be a string"),
        ("{\"model\":\"m\",,\"messages\":[]}", None, "key must be a string"),
        ("{\"model\":\"m\",\"messages\":[1,],\"a\":nul}", None, "expected ident"),
        ("{\"model\":\"m\",\"messages\":[1,}", None, "byte 27"),
        ("{\"model\":\"m\",\"messages\":[NaN]}", None, "expected value"),
        ("{\"model\":\"m\",\"messages\":[01]}", None, "invalid number"),
        ("{\"model\":\"m\",\"messages\":[\"\n\"]}", None, "control character"),
        ("{\"model\":\"m\",\"messages\":[\"\\x\"]}", None, "invalid escape"),
        ("{\"model\":\"m\",\"messages\":[] /* a comment */}", None, "line 1"),
        ("{\"messages\":[]}", Some("model"), "Missing required parameter: 'model'"),
        ("{}", Some("model"), "Missing required parameter: 'model'"),
        ("{\"model\":\"m\"}", Some("messages"), "Missing required parameter: 'messages'"),
        ("{\"model\":1,\"messages\":[]}", Some("model"), "must be a string"),
        ("{\"model\":null,\"messages\":[]}", Some("model"), "must be a string"),
        ("{\"model\":[\"m\"],\"messages\":[]}", Some("model"), "must be a string"),
        ("{\"model\":\"\\ud800\",\"messages\":[]}", Some("model"), "must be a string"),
        ("{\"model\":\"\",\"messages\":[]}", Some("model"), "must not be empty"),
        ("{\"model\":\"m\",\"model\":\"m\",\"messages\":[]}", Some("model"), "more than once"),
        ("{\"model\":\"m\",\"mod\\u0065l\":\"x\",\"messages\":[]}", Some("model"), "more than once"),
    ];
    for &(body, param, message) in cases {
        check(body, param, message);
    }
}

#[test]
fn an_invalid_setting_is_refused_with_its_name() {
    #[rustfmt::skip]
    let cases: &[(&str, &str, &str)] = &[
        (r#""num_retries":1,"num_retries":1"#, "num_retries", "more than once"),
        (r#""fallbacks":[],"fallbacks":[]"#, "fallbacks", "more than once"),
        (r#""stream":"true""#, "stream", "true or false"),
        (r#""stream":1"#, "stream", "true or false"),
        (r#""stream_options":[]"#, "stream_options", "must be an object"),
        (r#""stream_options":{"include_usage":1}"#, "stream_options.include_usage", "true or false"),
        (r#""num_retries":-1"#, "num_retries", "whole number"),
        (r#""num_retries":1.5"#, "num_retries", "whole number"),
        (r#""num_retries":"many""#, "num_retries", "whole number"),
        (r#""num_retries":true"#, "num_retries", "whole number"),
        (r#""num_retries":99999999999"#, "num_retries", "whole number"),
        (r#""max_fallbacks":[]"#, "max_fallbacks", "whole number"),
        (r#""timeout":-0.5"#, "timeout", "number of seconds"),
        (r#""timeout":"NaN""#, "timeout", "number of seconds"),
        (r#""timeout":"inf""#, "timeout", "number of seconds"),
        (r#""timeout":1e400"#, "timeout", "number of seconds"),
        (r#""request_timeout":"soon""#, "request_timeout", "number of seconds"),
        (r#""request_timeout":"""#, "request_timeout", "number of seconds"),
        (r#""stream_timeout":{"read":1}"#, "stream_timeout", "number of seconds"),
        (r#""disable_fallbacks":"yes""#, "disable_fallbacks", "true or false"),
        (r#""fallbacks":"gpt-4""#, "fallbacks", "must be a list"),
        (r#""fallbacks":{"m":["n"]}"#, "fallbacks", "must be a list"),
        (r#""fallbacks":[1]"#, "fallbacks", "neither a model name nor an object"),
        (r#""fallbacks":[""]"#, "fallbacks", "neither a model name nor an object"),
        (r#""fallbacks":[["n"]]"#, "fallbacks", "neither a model name nor an object"),
        (r#""fallbacks":[{}]"#, "fallbacks", "not of the form"),
        (r#""fallbacks":[{"a":["b"],"c":["d"]}]"#, "fallbacks", "not of the form"),
        (r#""fallbacks":[{"m":"n"}]"#, "fallbacks", "not a list"),
        (r#""fallbacks":[{"m":[null]}]"#, "fallbacks", "neither a model name nor an object"),
        (r#""fallbacks":[{"m":[{"temperature":0}]}]"#, "fallbacks", "without a model"),
        (r#""fallbacks":[{"model":7}]"#, "fallbacks", "neither a model name nor an object"),
        (r#""fallbacks":["n",{"m":["n"]}]"#, "fallbacks", "not both"),
        (r#""fallbacks":[{"model":"n","model":"o"}]"#, "fallbacks[].model", "more than once"),
        (r#""fallbacks":[{"model":"n","a":1,"a":2}]"#, "fallbacks[].a", "more than once"),
        (r#""fallbacks":[{"model":"n","api_base":"http://evil"}]"#, "fallbacks[].api_base", "may not be set"),
        (r#""fallbacks":[{"model":"n","api_key":"sk-1234"}]"#, "fallbacks[].api_key", "may not be set"),
        (r#""fallbacks":[{"model":"n","b\u0061se_url":"x"}]"#, "fallbacks[].base_url", "may not be set"),
        (r#""fallbacks":[{"m":[{"model":"n","aws_region_name":"x"}]}]"#, "fallbacks[].aws_region_name", "may not be set"),
        (r#""fallbacks":[{"model":"n","timeout":1}]"#, "fallbacks[].timeout", "belongs to the request"),
        (r#""fallbacks":[{"model":"n","stream":true}]"#, "fallbacks[].stream", "may not differ"),
        (r#""context_window_fallbacks":3"#, "context_window_fallbacks", "must be a list"),
        (r#""content_policy_fallbacks":[{"m":{}}]"#, "content_policy_fallbacks", "not a list"),
    ];
    for &(members, param, message) in cases {
        check(&with(members), Some(param), message);
    }
}

fn check(body: &str, param: Option<&str>, message: &str) {
    let error = chat(body.to_owned()).expect_err(body);
    assert_eq!((error.status().as_u16(), error.param()), (400, param), "{body}: {error}");
    assert!(error.to_string().contains(message), "{body}: {error}");
    for value in ["evil", "sk-1234"] {
        assert!(!format!("{error:?}").contains(value), "a value of the request is repeated: {error:?}");
    }
}

#[test]
fn each_operation_names_the_parameter_that_it_requires() {
    let body = Bytes::from_static(br#"{"model":"m"}"#);
    for (operation, required) in
        [(Operation::Chat, "messages"), (Operation::Completions, "prompt"), (Operation::Embeddings, "input")]
    {
        let error = read(&operation.into(), &HeaderMap::new(), &body).unwrap_err();
        assert_eq!((error.param(), error.code()), (Some(required), "missing_required_parameter"));
        let whole = Bytes::from(format!(r#"{{"model":"m","{required}":"x"}}"#));
        assert!(read(&operation.into(), &HeaderMap::new(), &whole).is_ok());
    }
}

#[test]
fn a_body_that_is_not_utf8_is_refused_with_the_position() {
    let body = b"{\"model\":\"m\",\n\"messages\":[\"\xff\"]}";
    let error = chat(&body[..]).unwrap_err();
    assert!(error.to_string().contains("not UTF-8 (line 2, column 14, byte 27)"), "{error}");
}

#[test]
fn a_body_may_nest_128_deep_and_no_deeper() {
    assert!(chat(nested(128)).is_ok());
    let error = chat(nested(129)).unwrap_err();
    assert!(error.to_string().contains("nested more than 128 deep"), "{error}");
    assert!(chat(nested(100_000)).is_err());
    let trailing = |depth| nested(depth).replacen("[]", "[1,]", 1);
    assert!(chat(trailing(128)).is_ok());
    assert!(chat(trailing(129)).unwrap_err().to_string().contains("nested more than 128 deep"));
    let flat = format!(r#"{{"model":"m","messages":[{}"{}\""]}}"#, "[],".repeat(500), "[{".repeat(500));
    assert!(chat(flat).is_ok(), "many brackets, none of them deep");
}

#[test]
fn a_body_with_too_many_keys_commas_or_fallbacks_is_refused() {
    let keys = |count| (0..count).map(|key| format!("\"k{key}\":0")).collect::<Vec<_>>().join(",");
    assert!(chat(with(&keys(1022))).is_ok());
    assert!(chat(with(&keys(1023))).unwrap_err().to_string().contains("more than 1024 keys"));
    let commas = |count| format!(r#"{{"model":"m","messages":[{}0]}}"#, "[1,],".repeat(count));
    assert!(chat(commas(1024)).is_ok());
    assert!(chat(commas(1025)).is_err());
    let names = |count: usize| with(&format!(r#""fallbacks":[{}"n"]"#, r#""n","#.repeat(count - 1)));
    assert!(chat(names(256)).is_ok());
    assert!(chat(names(257)).is_err());
}

/// Returns a list of fallbacks with so many parameters each.
fn alternatives(count: usize, parameters: usize) -> String {
    let members: Vec<_> = (0..parameters).map(|key| format!(r#","p{key}":0"#)).collect();
    let one = format!(r#"{{"model":"n"{}}}"#, members.concat());
    format!("[{}]", vec![one; count].join(","))
}

#[test]
fn fallbacks_with_too_many_alternatives_or_parameters_in_all_lists_are_refused() {
    let fits = |members: &str| chat(with(members)).is_ok();
    let (quarter, half) = (alternatives(64, 0), alternatives(128, 0));
    let by_group = format!(r#"[{{"a":{quarter}}},{{"b":{quarter}}},{{"*":{half}}}]"#);
    assert!(fits(&format!(r#""fallbacks":{by_group}"#)));
    let one_more = by_group.replacen("[{\"a\":[", "[{\"a\":[\"n\",", 1);
    assert!(!fits(&format!(r#""fallbacks":{one_more}"#)));
    assert!(!fits(&format!(r#""fallbacks":{by_group},"context_window_fallbacks":["n"]"#)));
    assert!(fits(&format!(r#""fallbacks":{half},"content_policy_fallbacks":{half}"#)));
    assert!(!fits(&format!(r#""fallbacks":{half},"content_policy_fallbacks":{}"#, alternatives(129, 0))));
    assert!(fits(&format!(r#""fallbacks":{}"#, alternatives(32, 32))));
    assert!(!fits(&format!(r#""fallbacks":{}"#, alternatives(25, 41))));
    assert!(!fits(&format!(
        r#""fallbacks":{},"context_window_fallbacks":{}"#,
        alternatives(16, 63),
        alternatives(1, 17)
    )));
    let groups = vec![format!(r#"{{"g":{}}}"#, alternatives(256, 3)); 16].join(",");
    check(&with(&format!(r#""fallbacks":[{groups}]"#)), Some("fallbacks"), "at most 256 alternatives");
}

#[test]
fn retries_of_a_request_have_a_ceiling() {
    for (number, retries) in [("20", 20), ("21", 20), ("4294967295", 20), ("\"4000000000\"", 20), ("1e6", 20)]
    {
        let info = chat(with(&format!(r#""num_retries":{number}"#))).unwrap();
        assert_eq!(info.overrides.num_retries, Some(retries), "{number}");
    }
    let headers =
        [(HeaderName::from_static("x-litellm-num-retries"), HeaderValue::from_static("4294967295"))];
    let body = Bytes::from(with(r#""n":1"#));
    let info = read(&Operation::Chat.into(), &headers.into_iter().collect(), &body).unwrap();
    assert_eq!(info.overrides.num_retries, Some(20));
}

#[test]
fn an_invalid_header_is_refused_with_its_name() {
    let body = Bytes::from(with(r#""n":1"#));
    for (name, value) in [
        ("x-litellm-timeout", "soon"),
        ("x-litellm-timeout", "-1"),
        ("x-litellm-timeout", ""),
        ("x-litellm-stream-timeout", "NaN"),
        ("x-litellm-num-retries", "2.5"),
        ("x-litellm-num-retries", "\u{e9}"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        let error = read(&Operation::Chat.into(), &headers, &body).unwrap_err();
        assert_eq!((error.status().as_u16(), error.param()), (400, Some(name)), "{error}");
    }
}
