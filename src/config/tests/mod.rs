//! The configuration, tested through its public API: the meaning of valid files, and the diagnostics of invalid ones.

mod bad;
mod client_keys;
mod damage;
mod floods;
mod grades;
mod included;
mod left_out;
mod other_auth;
mod replicas;
mod schema;
mod unsupported;
mod vendors;

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret;

use crate::{
    cli::summary,
    config::{
        Config, Diagnostics, ErrorName, FallbackTarget, Fallbacks, Provider, RoutingStrategy, TokenAccounting,
    },
};

const CANARY: &str = "sk-canary-123456";
const PARAMS: &str = "model_list:\n- model_name: g\n  litellm_params:\n    model: openai/m";

fn read_with(text: &str, env: &[(&str, &str)]) -> Result<(Config, Diagnostics), Diagnostics> {
    let env = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    Config::from_yaml(text, "config.yaml", &env)
}

fn read(text: &str) -> (Config, String) {
    let (config, warnings) = read_with(text, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.left_out, [], "{warnings}");
    (config, warnings.to_string())
}

/// Returns the diagnostics of a file that is refused, or of which a deployment is left out.
fn errors_of(text: &str, env: &[(&str, &str)]) -> Diagnostics {
    match read_with(text, env) {
        Ok((config, diagnostics)) => {
            assert_eq!(config.left_out.is_empty(), diagnostics.left_out().next().is_none());
            assert!(!config.left_out.is_empty(), "{text} has no error");
            diagnostics
        }
        Err(diagnostics) => {
            assert!(diagnostics.errors().next().is_some());
            diagnostics
        }
    }
}

/// Returns a file with one deployment that has more parameters, one a line.
fn deployment(more: &str) -> String {
    format!("{PARAMS}\n    {}\n", more.replace('\n', "\n    "))
}

fn settings(sections: &str) -> crate::config::Settings {
    read(&format!("{PARAMS}\n{sections}\n")).0.settings
}

fn example(name: &str) -> String {
    let path = format!("{}/examples/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn to(models: &[&str]) -> Vec<FallbackTarget> {
    models.iter().map(|m| FallbackTarget { model: (*m).into(), parameters: Vec::new() }).collect()
}

fn key(config: &Config, deployment: usize) -> Option<&str> {
    config.groups[0].deployments[deployment].target.key.as_ref().map(ExposeSecret::expose_secret)
}

/// Returns a file of a table without its mark, and the line and the column of the mark.
fn marked(row: &str) -> (String, (usize, usize)) {
    let row = row.replace("PARAMS", PARAMS);
    let (before, after) = row.split_once('§').unwrap();
    let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
    (format!("{before}{after}"), (before.matches('\n').count() + 1, column))
}

#[test]
fn each_invalid_configuration_has_its_error_at_the_right_location() {
    assert!(bad::BAD.len() >= 45);
    let mut missed = String::new();
    for (message, row) in bad::BAD {
        let (text, position) = marked(row);
        let errors = errors_of(&text, &[]);
        let shown = errors.to_string();
        let found = errors.errors().chain(errors.left_out()).find(|e| {
            (e.line, e.column) == position
                && (e.message.contains(message) || e.help.iter().any(|h| h.contains(message)))
        });
        if found.is_none() {
            missed += &format!("{message:?} at {position:?} is not reported for\n{text}\nbut\n{shown}\n");
            continue;
        }
        assert!(shown.contains(&format!("--> config.yaml:{}:{}\n", position.0, position.1)), "{shown}");
        assert!(!shown.contains(CANARY) && !format!("{errors:?}").contains(CANARY), "{shown}");
    }
    assert!(missed.is_empty(), "{missed}");
}

#[test]
fn all_errors_of_a_configuration_are_reported_together() {
    let errors = errors_of(
        "model_list:\n- model_name: g\n  litellm_params: {model: acme/m, rpm: x, tpm: y}\n- model_name: h\n  \
         litellm_params: {model: openai/m, timeout: z}\nrouter_settings: {num_retries: w, fallbacks: [{g: [k]}]}\n",
        &[],
    );
    assert_eq!((errors.left_out().count(), errors.errors().count()), (4, 1));
    assert!(errors.warnings().any(|warning| warning.message == "there is no group `k`: it is skipped here"));
}

#[test]
fn a_small_yaml_file_cannot_become_a_large_tree() {
    let mut bomb = "a0: &a0 [x]\n".to_owned();
    for n in 1..12 {
        let previous = format!("*a{}, ", n - 1).repeat(10);
        bomb += &format!("a{n}: &a{n} [{previous}]\n");
    }
    for text in [bomb, "[".repeat(100_000), "a: ".to_owned() + &"{b: ".repeat(100_000), "- ".repeat(100_000)]
    {
        let errors = read_with(&text, &[]).unwrap_err().to_string();
        assert!(errors.contains("nested too deeply"), "{errors}");
    }
}

#[test]
fn a_configuration_may_have_thousands_of_deployments() {
    let entry = |n| format!("- {{model_name: g{n}, litellm_params: {{model: openai/m, api_key: k}}}}\n");
    let fallbacks: String = (1..3000).map(|n| format!("  - g{n}: [g0]\n")).collect();
    let list: String = (0..3000).map(entry).collect();
    let (config, warnings) = read(&format!("model_list:\n{list}router_settings:\n  fallbacks:\n{fallbacks}"));
    assert_eq!((config.groups.len(), config.settings.fallbacks.by_group.len(), &*warnings), (3000, 2999, ""));
}

#[test]
fn a_configuration_error_is_shown_with_its_line_and_a_caret() {
    let errors = errors_of(&deployment("rpm: six"), &[]);
    let error = errors.left_out().next().unwrap();
    assert_eq!(&*error.path, "model_list[0].litellm_params.rpm");
    let shown = errors.to_string();
    assert!(shown.contains(" --> config.yaml:5:10\n  |\n5 |     rpm: six\n  |          ^^^\n"), "{shown}");
}

#[test]
fn the_azure_example_is_three_deployments_of_one_group() {
    let (config, warnings) = read_with(&example("azure"), &[("AZURE_API_KEY", "k")]).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    assert_eq!(config.groups.len(), 1);
    let group = &config.groups[0];
    assert_eq!(&*group.name, "gpt-3.5-turbo");
    assert_eq!(
        group.deployments.iter().map(|d| d.limits.rpm).collect::<Vec<_>>(),
        [Some(6), Some(6), Some(1440)]
    );
    let first = &group.deployments[0];
    assert_eq!(first.target.vendor.provider, Provider::Azure);
    assert_eq!(&*first.target.model, "gpt-turbo-small-eu");
    assert_eq!(first.target.base, "https://my-endpoint-europe-berri-992.openai.azure.com");
    assert_eq!(first.target.api_version.as_deref(), Some("2025-02-01-preview"));
    assert_eq!(first.limits.accounting, TokenAccounting::Azure);
    assert_eq!(key(&config, 2), Some("k"));
    assert!(summary(&config).to_string().contains("gpt-3.5-turbo: 3 deployments, 1452 requests per minute"));
}

#[test]
fn an_empty_api_key_without_a_variable_is_a_warning() {
    let (config, warnings) = read_with(&example("azure"), &[]).unwrap();
    assert_eq!(key(&config, 0), None);
    assert_eq!(warnings.warnings().count(), 3);
    let first = warnings.warnings().next().unwrap();
    assert_eq!((first.line, first.column), (6, 7));
    assert!(first.message.contains("called without a credential"));
}

#[test]
fn the_fallbacks_example_resolves_its_fallback_lists() {
    let (config, _) = read(&example("fallbacks"));
    assert_eq!(config.groups.iter().map(|g| g.deployments.len()).collect::<Vec<_>>(), [3, 1, 1]);
    let zephyr = &config.groups[0].deployments[1].target;
    assert_eq!(zephyr.vendor.provider, Provider::HuggingFace);
    assert_eq!(
        (&*zephyr.model, zephyr.base.to_string()),
        ("HuggingFaceH4/zephyr-7b-beta", "http://0.0.0.0:8002/".into())
    );
    assert!(zephyr.key.is_none());
    let turbo = &config.groups[1].deployments[0].target;
    assert_eq!((turbo.vendor.provider, turbo.base.host()), (Provider::OpenAi, Some("api.openai.com")));
    let s = &config.settings;
    assert_eq!((s.num_retries, s.timeout, s.allowed_fails), (3, Duration::from_secs(10), Some(3)));
    assert_eq!(s.fallbacks.by_group, [(Arc::from("zephyr-beta"), to(&["gpt-3.5-turbo"]))]);
    let larger = s.context_window_fallbacks.as_ref().unwrap();
    assert_eq!(larger.by_group.len(), 2);
    assert_eq!(larger.by_group[1], (Arc::from("gpt-3.5-turbo"), to(&["gpt-3.5-turbo-16k"])));
}

#[test]
fn the_quickstart_configuration_needs_no_key_and_has_no_warnings() {
    let (config, warnings) = read(&example("quickstart"));
    assert_eq!(warnings, "");
    assert!(config.groups.iter().flat_map(|g| &g.deployments).all(|d| d.mock.is_some()));
    assert_eq!(config.groups[0].deployments[0].mock.as_ref().unwrap().delay, Duration::from_millis(5));
}

#[test]
fn default_settings_are_those_of_litellm() {
    let s = settings("");
    assert_eq!((s.num_retries, s.max_fallbacks, s.allowed_fails), (2, 5, None));
    assert_eq!((s.timeout, s.cooldown_time), (Duration::from_secs(6000), Duration::from_secs(5)));
    assert_eq!((s.stream_idle_timeout, s.queue_timeout), (Duration::from_secs(60), Duration::from_secs(2)));
    assert_eq!((s.max_queue, s.max_in_flight, s.max_body), (1000, 16_384, 100_000_000));
    assert_eq!(
        (s.strategy, s.max_request_duration, s.listener.max_connections),
        (RoutingStrategy::Adaptive, None, None)
    );
    assert_eq!((s.fallbacks, s.context_window_fallbacks), (Fallbacks::default(), None));
}

#[test]
fn router_settings_take_precedence_over_litellm_settings() {
    let s = settings(
        "router_settings: {num_retries: 0, allowed_fails: 1, cooldown_time: 0, max_fallbacks: 2}\n\
         litellm_settings: {num_retries: 1, allowed_fails: 9, cooldown_time: 9, max_fallbacks: 9, retry_after: 4}",
    );
    assert_eq!((s.num_retries, s.allowed_fails, s.max_fallbacks), (0, Some(1), 2));
    assert_eq!((s.cooldown_time, s.retry_after), (Duration::ZERO, Duration::from_secs(4)));
    let s =
        settings("router_settings: {num_retries:}\nlitellm_settings: {num_retries: '3', allowed_fails: 4}");
    assert_eq!((s.num_retries, s.allowed_fails), (3, Some(4)));
}

#[test]
fn request_timeout_of_litellm_settings_takes_precedence_with_a_warning() {
    let both = "router_settings: {timeout: 30}\nlitellm_settings: {request_timeout: 10}";
    let (config, warnings) = read(&format!("{PARAMS}\n{both}\n"));
    assert_eq!(config.settings.timeout, Duration::from_secs(10));
    assert!(warnings.contains("the timeout of an attempt is 10 s"), "{warnings}");
    assert_eq!(settings("router_settings: {timeout: 30}").timeout, Duration::from_secs(30));
    assert_eq!(settings("litellm_settings: {request_timeout: '7.5'}").timeout, Duration::from_millis(7500));
}

#[test]
fn fallback_lists_of_router_settings_replace_those_of_litellm_settings() {
    let list = |router: &str| {
        let litellm = "litellm_settings: {fallbacks: [{g: [g]}]}";
        settings(&format!("router_settings: {{fallbacks: {router}}}\n{litellm}")).fallbacks
    };
    assert_eq!(list("[]").by_group.len(), 1);
    assert_eq!(list("[{'*': [g]}]"), Fallbacks { default: to(&["g"]), ..Fallbacks::default() });
}

#[test]
fn fallback_lists_may_have_all_forms_of_litellm() {
    let text = format!(
        "{PARAMS}\n  model_info: {{id: one}}\nrouter_settings:\n  model_group_alias: {{a: {{model: g, hidden: true}}, b: g}}\n  \
         default_fallbacks: [b]\n  fallbacks:\n  - g: [one, a, {{model: b, temperature: 0.5, stop: [x], api_base: 'http://x'}}]\n  \
         - '*': [one]\n  - a: [g]\n"
    );
    let (config, warnings) = read(&text);
    assert!(warnings.contains("`api_base` cannot be changed by a fallback"), "{warnings}");
    let fallbacks = config.settings.fallbacks;
    assert_eq!(fallbacks.default, to(&["one", "b"]));
    let list = &fallbacks.by_group[0].1;
    assert_eq!(list[..2], to(&["one", "a"]));
    let parameters: [(Arc<str>, Arc<str>); 2] =
        [("temperature".into(), "0.5".into()), ("stop".into(), "[\"x\"]".into())];
    assert_eq!(list[2].parameters, parameters);
    assert_eq!(&*fallbacks.by_group[1].0, "a");
    assert!(config.aliases[0].hidden && !config.aliases[1].hidden);
}

#[test]
fn retry_policies_are_counts_by_error() {
    let s = settings(
        "router_settings:\n  retry_policy: {RateLimitErrorRetries: 3, DefaultRetries: 0}\n  \
         allowed_fails_policy: {TimeoutErrorAllowedFails: 7}\n  \
         model_group_retry_policy: {g: {BadRequestErrorRetries: 1}}",
    );
    assert_eq!(s.retry_policy.0.get(&ErrorName::RateLimit), Some(&3));
    assert_eq!(s.allowed_fails_policy.0.get(&ErrorName::Timeout), Some(&7));
    assert_eq!(s.model_group_retry_policy[0].1.0.get(&ErrorName::BadRequest), Some(&1));
}

#[test]
fn the_limits_of_a_deployment_are_per_minute_by_direction_and_per_day() {
    let (config, warnings) =
        read(&deployment("api_key: k\nitpm: 1\notpm: 2\nrpd: 3\ntpd: 4\ndaily_reset_time: 07:30\ntpm: 5"));
    let limits = config.groups[0].deployments[0].limits;
    assert_eq!((limits.itpm, limits.otpm, limits.rpd, limits.tpd), (Some(1), Some(2), Some(3), Some(4)));
    assert_eq!(limits.daily_reset, Duration::from_secs(7 * 3_600 + 30 * 60));
    assert_eq!(warnings, "");
}

#[test]
fn an_api_key_comes_from_the_file_then_from_the_variables_of_the_vendor() {
    let env = [("OPENAI_API_KEY", "outer"), ("MINE", "mine")];
    let key_of = |more: &str, end: &str| {
        let (config, _) = read_with(&(deployment(more) + end), &env).unwrap();
        key(&config, 0).map(str::to_owned)
    };
    assert_eq!(key_of("api_key: written", "").as_deref(), Some("written"));
    assert_eq!(key_of("api_key: os.environ/MINE", "").as_deref(), Some("mine"));
    assert_eq!(key_of("api_key:", "").as_deref(), Some("outer"));
    assert_eq!(key_of("api_key: ''", "").as_deref(), Some("outer"));
    assert_eq!(
        key_of("rpm: 1", "environment_variables: {OPENAI_API_KEY: inner}\n").as_deref(),
        Some("inner")
    );
    assert_eq!(
        key_of("api_key: os.environ/K", "environment_variables: {K: os.environ/MINE}\n").as_deref(),
        Some("mine")
    );
}

#[test]
fn every_other_key_of_litellm_params_is_a_default_parameter() {
    let (config, warnings) = read(&deployment(
        "temperature: 0.5\nseed: 12345678901234567890\nstop: [a, b]\nzork: {z: 1, a: null}\nuser: 'x'\napi_key: k\n\
         max_budget: 5\nvertex_project: p\nqueue_timeout: 3\nrmp: 6\nextra_body: {top_k: 3}",
    ));
    let defaults = &config.groups[0].deployments[0].defaults;
    let defaults: Vec<_> = defaults.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(
        defaults,
        [
            ("temperature", "0.5"),
            ("seed", "12345678901234567890"),
            ("stop", "[\"a\",\"b\"]"),
            ("zork", "{\"z\":1,\"a\":null}"),
            ("user", "\"x\""),
            ("rmp", "6"),
            ("top_k", "3"),
        ]
    );
    for said in [
        "`max_budget` is not supported",
        "`vertex_project` is not",
        "`queue_timeout` cannot be set",
        "did you mean `rpm`?",
    ] {
        assert!(warnings.contains(said), "{said}: {warnings}");
    }
}

#[test]
fn what_litellm_keeps_for_itself_is_not_sent_upstream() {
    let (config, warnings) = read(&deployment(
        "api_key: k\nsupports_vision: true\nmax_input_tokens: 9\nmode: chat\nrpm_limit: 5\nsupports_system_message: true\n\
         cache_creation_input_token_cost: 1\nlangsmith_api_key: l\nbedrock_tags: {a: b}\ntext_completion: true",
    ));
    assert!(config.groups[0].deployments[0].defaults.is_empty());
    for said in [
        "`supports_vision` belongs in `model_info`",
        "`max_input_tokens` belongs in `model_info`",
        "`mode` belongs in `model_info`",
        "did you mean `rpm`?",
        "`supports_system_message` is not supported",
        "`cache_creation_input_token_cost` is not supported",
        "`langsmith_api_key` is not supported",
        "`bedrock_tags` is not supported",
        "`text_completion` is not supported",
    ] {
        assert!(warnings.contains(said), "{said}: {warnings}");
    }
}

#[test]
fn a_misspelled_api_key_is_not_sent_upstream() {
    let (config, warnings) = read(&deployment(&format!("api_ky: {CANARY}")));
    assert!(config.groups[0].deployments[0].defaults.is_empty());
    assert!(warnings.contains("did you mean `api_key`?") && !warnings.contains(CANARY), "{warnings}");
}

#[test]
fn unknown_configuration_keys_are_warnings_with_the_nearest_known_key() {
    let (_, warnings) = read(&format!(
        "{PARAMS}\n    api_key: k\n    temprature: 1\n    top_k: 1\n    min_tokens: 1\n  rmp: 6\nrouter_setting: {{}}\nrouter_settings: {{num_retrys: 3, debug_level: 2, zork: 1, coordination_redis: {{a: 1}}}}\n"
    ));
    for meant in ["temperature", "rpm", "router_settings", "num_retries"] {
        assert!(warnings.contains(&format!("did you mean `{meant}`?")), "{meant}: {warnings}");
    }
    assert!(!warnings.contains("`top_k`") && !warnings.contains("`min_tokens`"), "{warnings}");
    assert!(warnings.contains("`debug_level` is not supported yet"), "{warnings}");
    assert!(warnings.contains("makes gateways share their limits"), "{warnings}");
    assert!(warnings.contains("unknown key `zork` in `router_settings`"), "{warnings}");
}

#[test]
fn rate_limits_may_be_in_three_places_and_be_strings() {
    let (config, _) = read(
        "model_list:\n- model_name: g\n  rpm: 1\n  litellm_params: {model: o3, rpm: 2, tpm: '3', weight: 0.5, rate_window: 10}\n  \
         model_info: {rpm: 4, tpm: 5, order: 6, id: 7, mode: chat}\nrouter_settings: {token_accounting: azure, http2: true}\n",
    );
    let d = &config.groups[0].deployments[0];
    assert_eq!((d.limits.rpm, d.limits.tpm, d.limits.order), (Some(1), Some(3), Some(6)));
    assert_eq!((d.limits.weight, d.limits.rate_window), (Some(0.5), Some(10)));
    assert_eq!((d.limits.accounting, d.target.http2, &*d.id), (TokenAccounting::Azure, true, "7"));
}

#[test]
fn headers_are_sensitive_and_extra_headers_take_precedence() {
    let (config, _) =
        read(&deployment(&format!("headers: {{X-A: {CANARY}, x-b: 1}}\nextra_headers: {{x-a: two}}")));
    let headers = &config.groups[0].deployments[0].target.headers;
    assert_eq!(headers.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["x-b", "x-a"]);
    assert!(headers.iter().all(|(_, value)| value.is_sensitive()) && headers[1].1 == "two");
}

fn ids(text: &str) -> Vec<String> {
    let (config, _) = read_with(text, &[("K", "secret")]).unwrap();
    config.groups.iter().flat_map(|g| &g.deployments).map(|d| d.id.to_string()).collect()
}

#[test]
fn a_default_deployment_id_is_a_hash_of_the_parameters_without_secrets() {
    let id = |params: &str| {
        ids(&format!("model_list: [{{model_name: g, litellm_params: {{{params}}}}}]")).remove(0)
    };
    let one = id("model: openai/m, rpm: 6, api_key: a");
    assert_eq!(one.len(), 16);
    assert_eq!(one, id("api_key: os.environ/K, rpm: 6, model: openai/m, headers: {x: y}"));
    assert_ne!(one, id("model: openai/m, rpm: 7"));
}

#[test]
fn equal_deployments_have_numbered_ids() {
    let entry = "{model_name: g, litellm_params: {model: openai/m}}";
    let made = ids(&format!("model_list: [{entry}, {entry}, {entry}]"));
    assert_eq!(made[1..], [format!("{}-2", made[0]), format!("{}-3", made[0])]);
    let written =
        format!("{{model_name: g, litellm_params: {{model: o3}}, model_info: {{id: {}}}}}", made[0]);
    assert_eq!(ids(&format!("model_list: [{entry}, {written}]")), [made[1].clone(), made[0].clone()]);
}

#[test]
fn no_output_of_a_configuration_prints_a_secret() {
    let (config, warnings) = read(&damage::good(CANARY));
    let shown = format!("{config:?}{config:#?}{}{warnings}", summary(&config));
    assert!(!shown.contains(CANARY), "{shown}");
    assert_eq!(key(&config, 0), Some(CANARY));
}
