//! What is not served is said, wherever it stands.

use super::{PARAMS, read, read_with};

#[test]
fn what_model_info_says_of_whom_it_serves_is_not_ignored_in_silence() {
    let info = |info: &str| read(&format!("{PARAMS}\n    api_key: k\n  model_info: {{{info}}}\n")).1;
    for said in ["blocked: true", "access_groups: [a]", "team_id: t"] {
        let (key, _) = said.split_once(':').unwrap();
        let warnings = info(said);
        assert!(warnings.contains(&format!("`{key}` is not served yet")), "{warnings}");
    }
    assert!(info("max_input_token: 8").contains("did you mean `max_input_tokens`?"));
    assert_eq!(info("blocked: false, mode: chat, base_model: gpt-4o, max_tokens: 7, team_id:"), "");
}

#[test]
fn a_retry_policy_for_what_is_no_group_is_not_ignored_in_silence() {
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
        assert!(warnings.contains(&format!("`{name}` is no group: its policy is not used")), "{warnings}");
    }
    assert_eq!(policy("g"), (1, String::new()));
    assert_eq!(policy("'o/*'"), (1, String::new()));
}

#[test]
fn whether_it_is_a_stream_is_the_clients_to_say() {
    let (config, warnings) = read(&format!(
        "{PARAMS}\n    api_key: k\n    stream: true\n    extra_body: {{stream_options: {{include_usage: true}}}}\n\
         router_settings: {{fallbacks: [{{g: [{{model: g, stream: false, n: 1}}]}}]}}\n"
    ));
    assert_eq!(config.groups[0].deployments[0].defaults, []);
    assert_eq!(config.settings.fallbacks.by_group[0].1[0].parameters, [("n".into(), "1".into())]);
    assert_eq!(warnings.matches("` is not used: only the client knows").count(), 3, "{warnings}");
}

#[test]
fn what_stands_in_the_extra_body_too_is_sent_once() {
    for params in ["seed: 1\n    extra_body: {seed: 2}", "extra_body: {seed: 2}\n    seed: 1"] {
        let (config, _) = read(&format!("{PARAMS}\n    {params}\n"));
        assert_eq!(config.groups[0].deployments[0].defaults, [("seed".into(), "2".into())], "{params}");
    }
}

#[test]
fn without_any_group_only_that_is_told() {
    for list in ["", "model_list:\n", "model_list: [{litellm_params: {model: openai/m}}]\n"] {
        let text =
            format!("{list}router_settings: {{model_group_alias: {{a: g}}, fallbacks: [{{g: [h]}}]}}\n");
        let errors = read_with(&text, &[]).unwrap_err();
        assert_eq!(errors.errors().count(), 1, "{errors}");
    }
}
