//! Tests of the info and the overrides of a request, with the two example requests of the project.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    super::read::{CallTarget, read},
    chat, fallback, parameters, prompt, sent,
};
use crate::{
    config::{FallbackTarget, Fallbacks},
    request::{Operation, Overrides, ParsedRequest, RequestContext},
};

const SIMPLE: &str = r#" {
      "model": "gpt-3.5-turbo",
      "messages": [
        {
          "role": "user",
          "content": "what llm are you"
        }
      ],
    }
"#;

const DYNAMIC: &str = r#" {
      "model": "zephyr-beta",
      "messages": [
        {
          "role": "user",
          "content": "what llm are you"
        }
      ],
      "fallbacks": [{"zephyr-beta": ["gpt-3.5-turbo"]}],
      "context_window_fallbacks": [{"zephyr-beta": ["gpt-3.5-turbo"]}],
      "num_retries": 2,
      "request_timeout": 10
    }
"#;

fn named(model: &str) -> FallbackTarget {
    FallbackTarget { model: model.into(), parameters: Vec::new() }
}

fn overrides(members: &str) -> Overrides {
    chat(format!(r#"{{"model":"m","messages":[],{members}}}"#)).unwrap().overrides
}

#[test]
fn a_trailing_comma_is_cut_and_nothing_else() {
    let sent = sent(&prompt(SIMPLE), "gpt-4", &[]);
    assert_eq!(sent, SIMPLE.replace("gpt-3.5-turbo", "gpt-4").replace("],\n", "]\n"));
    assert!(serde_json::from_str::<Value>(&sent).is_ok());
}

#[test]
fn overrides_are_parsed_and_cut() {
    let prompt = prompt(DYNAMIC);
    let list = Fallbacks {
        by_group: vec![("zephyr-beta".into(), vec![named("gpt-3.5-turbo")])],
        ..Fallbacks::default()
    };
    let expected = Overrides {
        num_retries: Some(2),
        timeout: Some(Duration::from_secs(10)),
        fallbacks: Some(list.clone()),
        context_window_fallbacks: Some(Some(list)),
        ..Overrides::default()
    };
    assert_eq!(prompt.info.overrides, expected);
    let sent = sent(&prompt, "gpt-4", &[]);
    let stays = DYNAMIC.find("],\n      \"fallbacks\"").unwrap() + 1;
    assert_eq!(sent, format!("{}\n    }}\n", &DYNAMIC[..stays]).replace("zephyr-beta", "gpt-4"));
}

#[test]
fn every_form_of_a_list_is_understood() {
    let fallbacks = |value: &str| overrides(&format!("\"fallbacks\":{value}")).fallbacks.unwrap();
    let parameters = parameters(&[("temperature", "0.10"), ("messages", "[{\"a\": 1e400}]")]);
    let rich = FallbackTarget { model: "b".into(), parameters };
    let text = r#"{"temperature":0.10,"model":"b","messages":[{"a": 1e400}]}"#;
    let flat = Fallbacks { flat: Some(vec![named("a"), rich.clone()]), ..Fallbacks::default() };
    assert_eq!(fallbacks(&format!("[\"a\",{text}]")), flat);
    let by_group = Fallbacks {
        by_group: vec![("m".into(), vec![named("a"), rich]), ("model".into(), vec![named("c")])],
        default: vec![named("d")],
        flat: None,
    };
    assert_eq!(fallbacks(&format!(r#"[{{"m":["a",{text}]}}, {{"model":["c"]}}, {{"*":["d"]}}]"#)), by_group);
    let loose = fallbacks(r#"[{"model":"b","messages":[1,],},]"#).flat.unwrap();
    assert_eq!(&*loose[0].parameters[0].1, "[1 ]", "a parameter is valid JSON even where the body was not");
    assert_eq!(fallbacks("[]"), Fallbacks::default());
    assert_eq!(fallbacks("null"), Fallbacks::default());
}

#[test]
fn an_explicit_null_of_context_window_fallbacks_switches_them_off() {
    let said = overrides(r#""context_window_fallbacks":null,"num_retries":null,"timeout":null"#);
    assert_eq!(said, Overrides { context_window_fallbacks: Some(None), ..Overrides::default() });
}

#[test]
fn overrides_may_be_in_quotes_and_zero_seconds_mean_not_set() {
    let read = overrides(
        r#""num_retries":"3","max_fallbacks":2.0,"timeout":0,"request_timeout":" 1.5 ","stream_timeout":"2e0","disable_fallbacks":true"#,
    );
    let expected = Overrides {
        num_retries: Some(3),
        max_fallbacks: Some(2),
        timeout: Some(Duration::from_millis(1500)),
        stream_timeout: Some(Duration::from_secs(2)),
        disable_fallbacks: true,
        ..Overrides::default()
    };
    assert_eq!(read, expected);
    assert_eq!(overrides(r#""request_timeout":7,"timeout":5"#).timeout, Some(Duration::from_secs(5)));
    assert_eq!(overrides(r#""num_retries":0"#).num_retries, Some(0));
    let endless = overrides(r#""timeout":1e300"#).timeout.unwrap();
    assert_eq!(endless, Duration::from_secs(u32::MAX.into()));
    assert_eq!(overrides(r#""timeout":1e-300"#).timeout, Some(Duration::from_nanos(1)));
}

#[test]
fn a_header_overrides_the_settings_of_the_body() {
    let body = Bytes::from(
        r#"{"model":"m","messages":[],"num_retries":1,"timeout":1,"request_timeout":9,"stream_timeout":1}"#,
    );
    let with = |pairs: &[(&'static str, &'static str)]| {
        let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        read(&Operation::Chat.into(), &pairs.iter().map(pair).collect::<HeaderMap>(), &body)
            .unwrap()
            .overrides
    };
    let all = with(&[
        ("x-litellm-num-retries", "4"),
        ("x-litellm-timeout", "5.5"),
        ("x-litellm-stream-timeout", "6"),
    ]);
    assert_eq!((all.num_retries, all.timeout), (Some(4), Some(Duration::from_millis(5500))));
    assert_eq!(all.stream_timeout, Some(Duration::from_secs(6)));
    let unset = with(&[("x-litellm-timeout", "0")]);
    assert_eq!(
        unset.timeout,
        Some(Duration::from_secs(9)),
        "zero leaves the other name of the timeout in force"
    );
}

#[test]
fn the_request_info_contains_the_parameters_of_the_body() {
    let info = chat(
        r#"{"model":"a\u002fb","messages":"0123456789abcdef","stream":true,"n":2,"max_tokens":10,
            "stream_options":{"include_usage":false},"max_completion_tokens":30,"seed":0.10}"#,
    )
    .unwrap();
    assert_eq!((&*info.model, info.stream, info.include_usage), ("a/b", true, Some(false)));
    assert_eq!((info.prompt_tokens, info.output_tokens), (18 / 4, Some(60)));
    let keys: Vec<_> = info.layout.keys.iter().map(|(key, _)| key).collect();
    let expected =
        ["model", "messages", "stream", "n", "max_tokens", "stream_options", "max_completion_tokens", "seed"];
    assert_eq!(keys, expected);
}

#[test]
fn of_duplicate_keys_the_last_counts_and_both_are_sent() {
    let text =
        r#"{"model":"m","messages":1,"stream":true,"stream":false,"messages":2,"max_tokens":null,"n":"x"}"#;
    let prompt = prompt(text);
    assert!(!prompt.info.stream);
    assert_eq!(prompt.info.output_tokens, None);
    assert_eq!(sent(&prompt, "m", &[]), text);
}

#[test]
fn defaults_of_a_deployment_never_replace_keys_of_the_request() {
    let prompt = prompt(r#"{"model":"m","messages":[],"temperature":0.10,"timeout":1}"#);
    let defaults = [("temperature", "1"), ("model", "\"x\""), ("top_p", "0.5"), ("a\"b", "{}")];
    let expected = r#"{"model":"n","messages":[],"temperature":0.10,"top_p":0.5,"a\"b":{}}"#;
    assert_eq!(sent(&prompt, "n", &defaults), expected);
}

#[test]
fn parameters_of_a_fallback_replace_both_request_and_defaults() {
    let mut prompt = prompt(r#"{"messages":[1,],"model":"m","messages":[2],"num_retries":1}"#);
    prompt.fallback = fallback(&[("messages", "[3]"), ("top_p", "1"), ("model", "\"x\"")]);
    let expected = r#"{"messages":[3],"model":"n","messages":[3],"top_p":1}"#;
    assert_eq!(sent(&prompt, "n", &[("top_p", "0"), ("messages", "[4]")]), expected);
}

#[test]
fn include_usage_is_added_to_a_stream_that_does_not_set_it() {
    let sent = |prompt: &ParsedRequest, defaults: &[(&str, &str)]| -> Value {
        let bytes = prompt.payload_with_usage("m", &parameters(defaults)).to_bytes();
        serde_json::from_slice::<Value>(&bytes).unwrap()["stream_options"].take()
    };
    let cases = [
        (r#""stream":true"#, json!({"include_usage": true})),
        (r#""stream":true,"num_retries":1"#, json!({"include_usage": true})),
        (r#""stream":true,"stream_options":null"#, json!({"include_usage": true})),
        (r#""stream":true,"stream_options":{}"#, json!({"include_usage": true})),
        (r#""stream":true,"stream_options":{ "a" : {} , }"#, json!({"a": {}, "include_usage": true})),
        (
            r#""stream":true,"stream_options":{"include_usage":null,"a":[1,]}"#,
            json!({"include_usage": true, "a": [1]}),
        ),
        (r#""stream":true,"stream_options":{"include_usage":false}"#, json!({"include_usage": false})),
        (r#""stream":false"#, Value::Null),
    ];
    for (members, expected) in cases {
        let prompt = prompt(format!(r#"{{"model":"m","messages":[],{members}}}"#));
        assert_eq!(sent(&prompt, &[]), expected, "{members}");
    }
    let mut prompt = prompt(r#"{"model":"m","messages":[],"stream":true}"#);
    let defaults = [("stream_options", r#"{"b":1}"#)];
    assert_eq!(sent(&prompt, &defaults), json!({"b": 1, "include_usage": true}));
    prompt.fallback = fallback(&[("stream_options", r#"{"c":1}"#)]);
    assert_eq!(sent(&prompt, &defaults), json!({"c": 1, "include_usage": true}));
}

#[test]
fn the_model_of_the_path_replaces_that_of_the_body_or_is_added() {
    let target = CallTarget { operation: Operation::Chat, model: Some("deployment".into()) };
    for (body, expected) in [
        (r#"{"model":"m","messages":[]}"#, r#"{"model":"up","messages":[]}"#),
        (r#"{"messages":[], "model" : null}"#, r#"{"messages":[], "model" : "up"}"#),
        (r#"{"messages":[]}"#, r#"{"model":"up","messages":[]}"#),
        (" \n{ \"messages\":[] }\n", " \n{\"model\":\"up\", \"messages\":[] }\n"),
        (r#"{"num_retries":1,"messages":[]}"#, r#"{"model":"up","messages":[]}"#),
        (r#"{"messages":[1,],}"#, r#"{"model":"up","messages":[1]}"#),
    ] {
        let bytes = Bytes::from(body);
        let info = read(&target, &HeaderMap::new(), &bytes).unwrap();
        assert_eq!(&*info.model, "deployment", "{body}");
        let context = Arc::new(RequestContext::new(Instant::now(), None));
        let prompt = ParsedRequest::new(bytes.into(), Arc::new(info), context);
        assert_eq!(sent(&prompt, "up", &[]), expected);
    }
    for refused in [r#"{"model":"m"}"#, r#"{"model":"m","model":"m","messages":[]}"#, "{}", "[]"] {
        assert!(read(&target, &HeaderMap::new(), &Bytes::from(refused)).is_err(), "{refused}");
    }
}

#[test]
fn a_body_beyond_the_limit_is_a_413() {
    let rejected = super::InvalidRequest::too_large(100);
    assert_eq!((rejected.status().as_u16(), rejected.code()), (413, "request_too_large"));
    assert!(rejected.to_string().contains("100 bytes"));
}
