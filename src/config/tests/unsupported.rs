//! Unsupported keys: each has a warning.

use super::{PARAMS, read, read_with};

#[test]
fn unsupported_keys_of_model_info_have_a_warning() {
    let info = |info: &str| read(&format!("{PARAMS}\n    api_key: k\n  model_info: {{{info}}}\n")).1;
    for said in ["blocked: true", "access_groups: [a]", "team_id: t"] {
        let (key, _) = said.split_once(':').unwrap();
        let warnings = info(said);
        assert!(warnings.contains(&format!("`{key}` is not supported yet")), "{warnings}");
    }
    assert!(info("max_input_token: 8").contains("did you mean `max_input_tokens`?"));
    assert_eq!(info("blocked: false, mode: chat, base_model: gpt-4o, max_tokens: 7, team_id:"), "");
}

#[test]
fn a_retry_policy_for_a_name_that_is_not_a_group_has_a_warning() {
    let groups = "model_list:\n- {model_name: g, litellm_params: {model: openai/m, api_key: k}, model_info: {id: one}}\n\
                  - {model_name: 'o/*', litellm_params: {model: openai/*, api_key: k}}\n";
    let policy = |name: &str| {
        let policies = format!("model_group_retry_policy: {{{name}: {{TimeoutErrorRetries: 1}}}}");
        let (config, warnings) =
            read(&format!("{groups}router_settings: {{model_group_alias: {{a: g}}, {policies}}}\n"));
        (config.settings.model_group_retry_policy.len(), warnings)
    };
    for name in ["a", "one", "o/gpt-4o"] {
        let (used, warnings) = policy(name);
        assert_eq!(used, 0);
        assert!(warnings.contains(&format!("`{name}` is not a group: its policy is ignored")), "{warnings}");
    }
    assert_eq!(policy("g"), (1, String::new()));
    assert_eq!(policy("'o/*'"), (1, String::new()));
}

#[test]
fn the_stream_parameter_is_set_by_the_client_or_is_the_default_of_a_deployment() {
    let (config, warnings) = read(&format!(
        "{PARAMS}\n    api_key: k\n    stream: true\n    extra_body: {{stream: true, stream_options: {{include_usage: true}}}}\n\
         router_settings: {{fallbacks: [{{g: [{{model: g, stream: false, n: 1}}]}}]}}\n"
    ));
    assert_eq!(config.groups[0].deployments[0].defaults, []);
    assert!(config.groups[0].streams());
    assert_eq!(config.settings.fallbacks.by_group[0].1[0].parameters, [("n".into(), "1".into())]);
    assert_eq!(warnings.matches("` is ignored: only the client may set it").count(), 3, "{warnings}");
}

#[test]
fn a_parameter_that_is_also_in_extra_body_is_sent_once() {
    for params in ["seed: 1\n    extra_body: {seed: 2}", "extra_body: {seed: 2}\n    seed: 1"] {
        let (config, _) = read(&format!("{PARAMS}\n    {params}\n"));
        assert_eq!(config.groups[0].deployments[0].defaults, [("seed".into(), "2".into())], "{params}");
    }
}

#[test]
fn a_missing_model_list_is_the_only_error() {
    for list in ["", "model_list:\n", "model_list: [{litellm_params: {model: openai/m, api_key: k}}]\n"] {
        let text =
            format!("{list}router_settings: {{model_group_alias: {{a: g}}, fallbacks: [{{g: [h]}}]}}\n");
        let (config, warnings) = read_with(&text, &[]).unwrap();
        assert_eq!(warnings.left_out().count() + warnings.warnings().count(), 1, "{warnings}");
        assert!(config.groups.is_empty() && config.unserved.iter().any(|name| &*name.name == "a"));
    }
}

#[test]
fn a_secret_that_stands_as_a_key_is_shown_by_its_first_four_letters() {
    const SECRET: &str = "AbCd1234EfGh5678IjKl";
    for text in [
        format!("{PARAMS}\n    {SECRET}: 1\n"),
        format!("{PARAMS}\n    extra_body: {{{SECRET}: 1}}\n"),
        format!("{PARAMS}\n  {SECRET}: 1\n"),
        format!("{PARAMS}\n{SECRET}: 1\n"),
        format!("{PARAMS}\nrouter_settings: {{{SECRET}: 1}}\n"),
        format!("{PARAMS}\ngeneral_settings: {{{SECRET}: 1}}\n"),
        format!("{PARAMS}\nlitellm_settings: {{fallbacks: [{{{SECRET}: [g]}}]}}\n"),
        format!("{PARAMS}\nrouter_settings: {{fallbacks: [{{g: [{{model: g, {SECRET}: 1}}]}}]}}\n"),
        format!(
            "{PARAMS}\nrouter_settings: {{retry_policy: {{{SECRET}: 1}}, retry_budget: {{{SECRET}: 1}}}}\n"
        ),
        format!("{PARAMS}\nrouter_settings: {{model_group_retry_policy: {{{SECRET}: {{}}}}}}\n"),
        format!("{PARAMS}\n    headers: {{\"{SECRET} \": 1}}\n"),
    ] {
        let shown = match read_with(&text, &[]) {
            Ok((config, warnings)) => {
                let mut deployments = config.groups.iter().flat_map(|group| &group.deployments);
                assert!(deployments.all(|deployment| deployment.defaults.is_empty()), "{text}");
                assert_eq!(config.groups.is_empty(), text.contains("headers"), "{text}");
                warnings.to_string()
            }
            Err(errors) => errors.to_string(),
        };
        assert!(!shown.contains(&SECRET[..6]), "{text}: {shown}");
        assert!(shown.contains("AbCd***") || text.contains("headers"), "{text}: {shown}");
    }
}

#[test]
fn a_parameter_with_the_name_of_a_credential_is_not_sent() {
    for name in ["my_api_key", "hf_token", "db_password", "webhook_secret", "session_cookie", "Authorization"]
    {
        for params in [format!("{name}: x"), format!("extra_body: {{{name}: x}}")] {
            let (config, warnings) = read(&format!("{PARAMS}\n    api_key: k\n    {params}\n"));
            assert_eq!(config.groups[0].deployments[0].defaults, [], "{params}");
            assert!(
                warnings.contains(&format!("`{name}`")) && warnings.contains("not sent upstream"),
                "{warnings}"
            );
        }
    }
}
