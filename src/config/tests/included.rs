//! Files that a file includes, sections that are written twice, and values that deployments share.

use std::{io, path::Path};

use secrecy::ExposeSecret;

use super::{PARAMS, errors_of, key, read, read_with};
use crate::config::{Config, Diagnostics, FallbackTarget, Midstream};

/// Reads `/etc/main.yaml` with the other files of the folder.
fn read_files(main: &str, files: &[(&str, &str)]) -> Result<(Config, Diagnostics), Diagnostics> {
    let open = |path: &Path| {
        let found = files.iter().find(|(name, _)| Path::new("/etc").join(name) == path);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    Config::from_files(("/etc/main.yaml", main), &|_| None, &open)
}

fn entry(group: &str) -> String {
    format!("- {{model_name: {group}, litellm_params: {{model: openai/m, api_key: k}}}}\n")
}

fn groups(config: &Config) -> Vec<&str> {
    config.groups.iter().map(|group| &*group.name).collect()
}

#[test]
fn lists_of_included_files_are_concatenated_and_sections_replaced() {
    let main = format!(
        "include: [a.yaml, sub/b.yaml]\nmodel_list:\n{}router_settings: {{num_retries: 1, timeout: 5}}\n",
        entry("main")
    );
    let a = format!("model_list:\n{}router_settings: {{num_retries: 7}}\n", entry("a"));
    let b = format!("include: [c.yaml]\nmodel_list:\n{}", entry("b"));
    let c = format!("model_list:\n{}include: [../a.yaml]\n", entry("c"));
    let files = [("a.yaml", &*a), ("sub/b.yaml", &b), ("sub/c.yaml", &c)];
    let (config, warnings) = read_files(&main, &files).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(groups(&config), ["main", "a", "b", "c"]);
    assert_eq!((config.settings.num_retries, config.settings.timeout.as_secs()), (7, 6000));
    let shown = warnings.to_string();
    assert!(shown.contains("`router_settings` of this file replaces the section in line 4"), "{shown}");
    assert!(shown.contains("--> /etc/a.yaml:3:1"), "{shown}");
}

#[test]
fn an_error_of_an_included_file_names_the_file_and_hides_its_secrets() {
    let models = "model_list:\n- model_name: g\n  litellm_params: {model: acme/m, api_key: tr0ub4dor}\n";
    let (config, warnings) = read_files("include: [models.yaml]\n", &[("models.yaml", models)]).unwrap();
    assert_eq!(config.left_out[0].file.as_deref(), Some("/etc/models.yaml"));
    let shown = warnings.to_string();
    assert!(shown.contains("--> /etc/models.yaml:3:27") && !shown.contains("tr0ub"), "{shown}");
    let broken = read_files("include: [x.yaml]\n", &[("x.yaml", "master_key: tr0ub4dor [")]);
    let shown = broken.map(|(_, warnings)| warnings).unwrap_or_else(|errors| errors).to_string();
    assert!(shown.contains("/etc/x.yaml:1:") && !shown.contains("tr0ub"), "{shown}");
}

#[test]
fn a_file_that_is_missing_or_includes_itself_is_an_error_at_the_line_that_includes_it() {
    let missing = read_files("include:\n- gone.yaml\n", &[]).unwrap_err().to_string();
    assert!(missing.contains("the included file `/etc/gone.yaml` cannot be read"), "{missing}");
    assert!(missing.contains("--> /etc/main.yaml:2:3"), "{missing}");
    let files = [("a.yaml", "include: [b.yaml]\n"), ("b.yaml", "include:\n- a.yaml\n")];
    let cycle = read_files("include: [a.yaml]\n", &files).unwrap_err().to_string();
    let chain = "/etc/main.yaml -> /etc/a.yaml -> /etc/b.yaml -> /etc/a.yaml";
    assert!(cycle.contains(chain) && cycle.contains("--> /etc/b.yaml:2:3"), "{cycle}");
}

#[test]
fn of_a_section_that_is_written_twice_the_last_one_counts() {
    let sections =
        "litellm_settings: {num_retries: 1, request_timeout: 5}\nlitellm_settings: {num_retries: 9}";
    let (config, warnings) = read(&format!("{PARAMS}\n    api_key: k\n{sections}\n"));
    assert_eq!((config.settings.num_retries, config.settings.timeout.as_secs()), (9, 6000));
    assert!(warnings.contains("the section `litellm_settings` is written twice"), "{warnings}");
    assert!(warnings.contains("config.yaml:7:1") && warnings.contains("the first, in line 6"), "{warnings}");
}

#[test]
fn a_deployment_takes_the_values_of_its_credential() {
    let text = "credential_list:\n- credential_name: shared\n  credential_values: {api_key: os.environ/K, api_base: 'https://c.example/v1'}\n\
                model_list:\n- model_name: g\n  litellm_params: {model: openai/m, litellm_credential_name: shared}\n\
                - model_name: g\n  litellm_params: {model: openai/m, api_key: own, litellm_credential_name: shared}\n\
                - model_name: g\n  litellm_params: {model: openai/m, litellm_credential_name: other}\n";
    let (config, warnings) = read_with(text, &[("K", "tr0ub4dor")]).unwrap();
    let target = &config.groups[0].deployments[0].target;
    assert_eq!(
        (key(&config, 0), target.base.to_string()),
        (Some("tr0ub4dor"), "https://c.example/v1".into())
    );
    assert_eq!(key(&config, 1), Some("own"));
    assert!(config.left_out[0].reason.contains("has no credential of this name"));
    assert!(!format!("{warnings}{config:?}").contains("tr0ub"));
}

#[test]
fn default_params_are_those_of_every_deployment_without_its_own() {
    let text = format!(
        "{PARAMS}\n    temperature: 1\n- model_name: h\n  litellm_params: {{model: openai/m}}\n\
         router_settings: {{default_litellm_params: {{temperature: 0, timeout: 7, api_key: k, seed: 3}}}}\n"
    );
    let (config, warnings) = read(&text);
    assert_eq!(warnings, "");
    let deployment = |group: usize| &config.groups[group].deployments[0];
    assert_eq!(deployment(0).defaults, [("temperature".into(), "1".into()), ("seed".into(), "3".into())]);
    assert_eq!(deployment(1).defaults, [("temperature".into(), "0".into()), ("seed".into(), "3".into())]);
    assert_eq!(deployment(1).timeouts.attempt.map(|t| t.as_secs()), Some(7));
}

#[test]
fn a_list_of_organizations_is_a_deployment_for_each() {
    let (config, _) = read(&format!("{PARAMS}\n    organization: [one, two]\n  model_info: {{id: x}}\n"));
    let deployments = &config.groups[0].deployments;
    let found: Vec<_> =
        deployments.iter().map(|d| (&*d.id, d.target.organization.as_ref().unwrap())).collect();
    assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["x", "x-2"]);
    assert!(found[0].1 == "one" && found[1].1 == "two");
}

#[test]
fn a_null_master_key_is_a_decision_and_an_empty_one_an_error() {
    let file = |key: &str| format!("{PARAMS}\n    api_key: k\ngeneral_settings:\n  master_key: {key}\n");
    for null in ["null", "~", "Null"] {
        let (config, warnings) = read(&file(null));
        assert!(
            config.master_key.is_none() && warnings.contains("every client may call"),
            "{null}: {warnings}"
        );
    }
    let (config, _) = read_with(&file("null"), &[("LITELLM_MASTER_KEY", "outer")]).unwrap();
    assert_eq!(
        config.master_key.as_ref().map(|key| key.expose_secret().to_owned()).as_deref(),
        Some("outer")
    );
    let errors = errors_of(&file(""), &[]).to_string();
    assert!(errors.contains("`master_key` is empty"), "{errors}");
}

#[test]
fn the_fallbacks_of_deployments_are_those_of_their_group_unless_the_settings_have_some() {
    let file = |settings: &str| {
        let entry = |fallbacks: &str| {
            format!(
                "- {{model_name: g, litellm_params: {{model: openai/m, api_key: k, fallbacks: {fallbacks}}}}}\n"
            )
        };
        let text = format!(
            "model_list:\n{}{}{}{settings}",
            entry("[h]"),
            entry("[h, i]"),
            self::entry("h") + &self::entry("i")
        );
        let (config, warnings) = read(&text);
        assert_eq!(warnings, "");
        let to = |list: &[FallbackTarget]| list.iter().map(|t| t.model.to_string()).collect::<Vec<_>>();
        config
            .settings
            .fallbacks
            .by_group
            .iter()
            .map(|(name, list)| (name.to_string(), to(list)))
            .collect::<Vec<_>>()
    };
    assert_eq!(file(""), [("g".to_owned(), vec!["h".to_owned(), "i".to_owned()])]);
    assert_eq!(file("router_settings: {fallbacks: [{g: [i]}]}\n"), [("g".to_owned(), vec!["i".to_owned()])]);
}

#[test]
fn a_deployment_has_allowed_failures_of_its_own_by_error() {
    let (config, warnings) = read(&format!(
        "{PARAMS}\n    api_key: k\n  model_info: {{allowed_fails_policy: {{TimeoutErrorAllowedFails: 4}}}}\n"
    ));
    let policy = &config.groups[0].deployments[0].allowed_fails_policy;
    assert_eq!((policy.0.len(), &*warnings), (1, ""));
}

#[test]
fn the_continuation_of_streams_has_the_name_of_litellm_too() {
    let of = |settings: &str| super::settings(&format!("router_settings: {{{settings}}}")).midstream;
    assert_eq!(of("enable_mid_stream_fallback_continuation: true"), Midstream::Continue);
    assert_eq!(of("enable_mid_stream_fallback_continuation: true, midstream_fallback: off"), Midstream::Off);
    assert_eq!(of(""), Midstream::Off);
}

#[test]
fn client_keys_come_from_the_general_settings_of_an_included_file() {
    let general = "general_settings: {master_key: tr0ub4dor, keys: [{name: one, key: first}, {name: two, key: second}]}\n";
    let main = format!("include: [access.yaml]\nmodel_list:\n{}", entry("g"));
    let (config, _) =
        read_files(&main, &[("access.yaml", general)]).unwrap_or_else(|errors| panic!("{errors}"));
    let names: Vec<_> = config.keys.iter().map(|key| &*key.name).collect();
    assert_eq!(names, ["one", "two"]);
    assert!(config.master_key.is_some());
    // The name of a file of keys begins at the folder of the file that has it.
    let general = "general_settings: {master_key: tr0ub4dor, keys: keys.yaml}\n";
    let main = format!("include: [sub/access.yaml]\nmodel_list:\n{}", entry("g"));
    let files = [("sub/access.yaml", general), ("sub/keys.yaml", "- {name: three, key: third}\n")];
    let (config, _) = read_files(&main, &files).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(&*config.keys[0].name, "three");
    let wrong =
        [("sub/access.yaml", general), ("sub/keys.yaml", "- {name: three, key: tr0ub4dor, rpm_limit: x}\n")];
    let shown =
        read_files(&main, &wrong).map(|(_, warnings)| warnings).unwrap_or_else(|errors| errors).to_string();
    assert!(shown.contains("/etc/sub/keys.yaml:1:") && !shown.contains("tr0ub"), "{shown}");
}

#[test]
fn a_file_of_models_replaces_the_facts_of_the_table_and_model_info_those_of_the_file() {
    let table = r#"{"openai/gpt-4o": {"max_input_tokens": 7, "input_cost_per_token": 0.5, "supports_vision": false},
        "mine": {"max_output_tokens": 9, "mode": "chat"}, "broken": {"max_input_tokens": "x"}}"#;
    let entry = |model: &str, info: &str| {
        format!(
            "- {{model_name: '{model}{info}', litellm_params: {{model: {model}, api_key: k}}, model_info: {{{info}}}}}\n"
        )
    };
    let deployments = [
        ("gpt-4o", ""),
        ("openai/mine", ""),
        ("openai/x", "base_model: gpt-4o"),
        ("gpt-4o", "max_input_tokens: 5"),
    ];
    let list: String = deployments.iter().map(|(model, info)| entry(model, info)).collect();
    let main =
        |list: &str| format!("model_list:\n{list}general_settings: {{model_table: sub/models.json}}\n");
    let files = [("sub/models.json", table)];
    let (config, _) = read_files(&main(&list), &files).unwrap_or_else(|errors| panic!("{errors}"));
    let facts = |n: usize| &config.groups[n].deployments[0].info.facts;
    assert_eq!((facts(0).max_input_tokens, facts(0).max_output_tokens), (Some(7), Some(16_384)));
    assert_eq!((facts(0).prices.input, facts(0).prices.output), (Some(0.5), Some(1e-5)));
    assert!(!facts(0).capabilities.names().any(|name| name == "supports_vision"));
    assert_eq!((facts(1).max_input_tokens, facts(1).max_output_tokens), (None, Some(9)));
    assert_eq!((facts(2).max_input_tokens, facts(3).max_input_tokens), (Some(7), Some(5)));
    let (config, warnings) = read_files(&main(&entry("openai/broken", "")), &files).unwrap();
    assert!(
        config.groups.is_empty() && warnings.to_string().contains("/etc/sub/models.json:2:"),
        "{warnings}"
    );
    let missing = read_files(&main(&list), &[]).unwrap_err().to_string();
    assert!(missing.contains("the table of models `/etc/sub/models.json` cannot be read"), "{missing}");
}

#[test]
fn settings_of_litellm_stand_in_for_those_of_deployments_and_of_tollgate() {
    let settings = "router_settings: {default_max_parallel_requests: 4, optional_pre_call_checks: [enforce_model_rate_limits]}\n\
                    litellm_settings: {num_retries_per_request: 3}\n";
    let (config, warnings) = read(&format!("{PARAMS}\n    api_key: k\n{settings}"));
    assert_eq!(
        (config.groups[0].deployments[0].limits.parallel, config.settings.max_attempts),
        (Some(4), Some(3))
    );
    assert_eq!(warnings, "");
    let own = format!(
        "{PARAMS}\n    api_key: k\n    max_parallel_requests: 9\n{settings}router_settings: {{max_attempts: 8}}\n"
    );
    let (config, _) = read(&own);
    assert_eq!(
        (config.groups[0].deployments[0].limits.parallel, config.settings.max_attempts),
        (Some(9), Some(8))
    );
}
