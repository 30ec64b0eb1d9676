//! Deployments with an error are left out, and the rest of the file is used.

use super::{bad, errors_of, marked, read_with, summary};
use crate::config::{Grade, LeftOut, Severity, Unserved};

const MIXED: &str = "model_list:
- {model_name: chat, litellm_params: {model: openai/m, api_key: k}}
- {model_name: chat, litellm_params: {model: acme/m, api_key: k}}
- {model_name: lost, litellm_params: {model: acme/m}, model_info: {id: gone}}
- {model_name: 'acme/*', litellm_params: {model: 'acme/*'}}
router_settings:
  fallbacks: [{chat: [lost, gone, acme/x]}, {lost: [chat]}]
  model_group_alias: {other: lost}
  model_group_retry_policy: {lost: {DefaultRetries: 1}}
";

#[test]
fn a_deployment_with_an_error_is_left_out_with_a_warning() {
    let (config, warnings) = read_with(MIXED, &[]).unwrap();
    assert_eq!(
        config.groups.iter().map(|g| (&*g.name, g.deployments.len())).collect::<Vec<_>>(),
        [("chat", 1)]
    );
    let entries = config
        .left_out
        .iter()
        .map(|LeftOut { group, line, reason, .. }| (group.as_deref(), *line, &**reason));
    let unknown = "unknown provider `acme`";
    assert_eq!(
        entries.collect::<Vec<_>>(),
        [(Some("chat"), 3, unknown), (Some("lost"), 4, unknown), (Some("acme/*"), 5, unknown)]
    );
    let unserved: Vec<_> = config.unserved.iter().map(|Unserved { name, .. }| &**name).collect();
    assert_eq!(unserved, ["lost", "acme/*", "other"]);
    let shown = warnings.to_string();
    assert!(shown.contains("warning: unknown provider `acme`\n --> config.yaml:3:"), "{shown}");
    assert_eq!(shown.matches("note: the deployment is left out").count(), 3, "{shown}");
    let summary = summary(&config).to_string();
    assert!(summary.contains("left out: lost, line 4: unknown provider `acme`\n"), "{summary}");
}

#[test]
fn a_fallback_to_a_group_without_deployments_is_skipped_with_a_warning() {
    let (config, warnings) = read_with(MIXED, &[]).unwrap();
    let settings = &config.settings;
    assert_eq!(settings.fallbacks.by_group, [("chat".into(), Vec::new())]);
    assert!(config.aliases.is_empty() && settings.model_group_retry_policy.is_empty());
    let skipped = warnings.warnings().filter(|w| w.message.contains("is skipped here"));
    let skipped: Vec<_> = skipped.map(|w| (w.line, w.message.split('`').nth(1).unwrap())).collect();
    let all = [(7, "lost"), (7, "gone"), (7, "acme/x"), (7, "lost"), (8, "lost"), (9, "lost")];
    assert_eq!(skipped, all);
}

#[test]
fn an_unknown_group_is_skipped_with_a_warning_at_its_location() {
    for (message, row) in bad::UNKNOWN_GROUPS {
        let (text, position) = marked(row);
        let (config, warnings) = read_with(&text, &[]).unwrap();
        let at = warnings.warnings().find(|warning| (warning.line, warning.column) == position);
        let warning = at.unwrap_or_else(|| panic!("{message} at {position:?} in\n{text}but\n{warnings}"));
        let help = warning.help.iter().any(|help| help.contains(message));
        assert!(help || warning.message.starts_with(message), "{warnings}");
        assert_eq!(warning.severity, Severity::Warning(Grade::Lost));
        let settings = &config.settings;
        let lists = [Some(&settings.fallbacks), settings.context_window_fallbacks.as_ref()];
        let targets =
            lists.into_iter().flatten().flat_map(|lists| &lists.by_group).flat_map(|(_, list)| list);
        assert!(targets.count() == 0 && settings.fallbacks.default.is_empty(), "{message}");
        assert!(config.aliases.is_empty() && settings.model_group_retry_policy.is_empty(), "{message}");
    }
}

#[test]
fn an_entry_with_an_invalid_name_hides_no_other_error() {
    let text = "model_list:\n- model_name: 4\n  litellm_params: {model: opnai/a, timeout: 30s}\n\
                - litellm_params: {model: opnai/b}\n  model_info: [x]\n";
    let errors = errors_of(text, &[]);
    assert_eq!((errors.left_out().count(), errors.errors().count()), (6, 0), "{errors}");
}

#[test]
fn the_second_deployment_with_an_id_is_left_out() {
    let entry = |name: &str| {
        format!(
            "- {{model_name: {name}, litellm_params: {{model: openai/m, api_key: k}}, model_info: {{id: one}}}}\n"
        )
    };
    let (config, _) = read_with(&format!("model_list:\n{}{}", entry("a"), entry("b")), &[]).unwrap();
    assert_eq!((config.groups.len(), config.left_out[0].line), (1, 3));
    assert_ne!(config.left_out[0].id, config.groups[0].deployments[0].id);
}

#[test]
fn a_file_without_models_has_a_warning_and_no_group() {
    for (list, said, line) in [
        ("router_settings: {num_retries: 3}\n", "there is no `model_list`", 1),
        ("model_list:\n", "`model_list` is empty", 1),
        ("model_list: []\n", "`model_list` is empty", 1),
    ] {
        let (config, warnings) = read_with(list, &[]).unwrap();
        let first = warnings.warnings().next().unwrap();
        assert!(first.message.contains(said) && first.line == line, "{warnings}");
        assert!(config.groups.is_empty() && &*config.unserved[0].name == "*");
    }
}

#[test]
fn a_shell_variable_is_reported_with_the_form_that_is_expanded() {
    let text = "model_list:\n- model_name: g\n  litellm_params:\n    model: openai/m\n    api_base: http://h${DOMAIN}:1/v1\n    \
                api_key: ${MY_KEY}\n    user: ${not a variable}\ngeneral_settings: {master_key: '${LITELLM_MASTER_KEY}'}\n";
    let (_, warnings) = read_with(text, &[]).unwrap();
    let shown = warnings.to_string();
    for name in ["DOMAIN", "MY_KEY", "LITELLM_MASTER_KEY"] {
        assert!(shown.contains(&format!("`${{{name}}}` is not expanded")), "{shown}");
        assert!(shown.contains(&format!("write `os.environ/{name}`")), "{shown}");
    }
    assert_eq!(shown.matches("is not expanded").count(), 3, "{shown}");
}
