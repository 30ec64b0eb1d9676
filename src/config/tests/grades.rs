//! The grades of warnings, values that switch a function off, and unsafe keys that the file accepts.

use secrecy::ExposeSecret;

use super::{PARAMS, read, read_with};
use crate::config::{Diagnostics, Grade};

fn warnings(sections: &str) -> Diagnostics {
    let text = format!("{PARAMS}\n    api_key: k\n{sections}\n");
    read_with(&text, &[]).unwrap_or_else(|errors| panic!("{errors}")).1
}

fn counts(warnings: &Diagnostics) -> [usize; 3] {
    [Grade::Unsafe, Grade::Lost, Grade::Harmless].map(|grade| warnings.count(grade))
}

#[test]
fn a_key_that_is_not_served_has_a_grade_and_names_the_consequence() {
    for (sections, grade, clause) in [
        ("guardrails: [{guardrail_name: pii}]", Grade::Unsafe, "requests and responses are not filtered"),
        (
            "litellm_settings: {callbacks: [presidio]}",
            Grade::Unsafe,
            "requests and responses are not filtered",
        ),
        ("general_settings: {allowed_ips: [10.0.0.1]}", Grade::Unsafe, "every address may call"),
        ("general_settings: {master_key: k, custom_auth: a.b}", Grade::Unsafe, "its checks are not made"),
        (
            "general_settings: {allowed_routes: [/chat]}",
            Grade::Unsafe,
            "every path that is served may be called",
        ),
        ("general_settings: {master_key: '${KEY}'}", Grade::Unsafe, "`${KEY}` is not expanded"),
        ("general_settings: {mastr_key: k}", Grade::Unsafe, "unknown key `mastr_key`"),
        ("general_settings: {database_url: d}", Grade::Lost, "there are no virtual keys"),
        ("general_settings: {store_model_in_db: true}", Grade::Lost, "added in the UI are not here"),
        ("litellm_settings: {callbacks: [langfuse]}", Grade::Lost, "nothing is sent to these services"),
        ("litellm_settings: {cache: true}", Grade::Lost, "every request is sent to an upstream"),
        ("router_settings: {num_retrys: 1}", Grade::Lost, "unknown key `num_retrys`"),
        ("litellm_settings: {debug_level: 2}", Grade::Harmless, "`RUST_LOG` sets what is logged"),
        ("litellm_settings: {timezone: America/New_York}", Grade::Harmless, "unknown key `timezone`"),
        (
            "general_settings: {require_auth_for_metrics_endpoint: true}",
            Grade::Harmless,
            "needs the master key",
        ),
    ] {
        let warnings = warnings(sections);
        assert!(warnings.to_string().contains(clause), "{sections}: {warnings}");
        assert_eq!((warnings.count(grade), warnings.warnings().count()), (1, 1), "{sections}: {warnings}");
    }
}

#[test]
fn a_value_that_switches_a_function_off_has_no_warning() {
    for sections in [
        "guardrails: []",
        "litellm_settings: {cache: false, callbacks: [], success_callback:, cache_params: {}, debug_level: null}",
        "general_settings: {alerting: null, allowed_ips: [], database_url: '', store_model_in_db: false}",
        "router_settings: {redis_host: ~, enable_tag_filtering: false}",
    ] {
        assert_eq!(warnings(sections).to_string(), "", "{sections}");
    }
    let (_, off) =
        read(&format!("{PARAMS}\n    api_key: k\n    guardrails: []\n    use_in_pass_through: false\n"));
    assert_eq!(off, "");
    assert_eq!(counts(&warnings("litellm_settings: {ssl_verify: false}")), [0, 1, 0]);
    assert_eq!(counts(&warnings("litellm_settings: {ssl_verify: true}")), [0; 3]);
}

#[test]
fn the_file_accepts_unsafe_keys_by_name() {
    let file = |accepted: &str| {
        warnings(&format!(
            "guardrails: [a]\ngeneral_settings: {{allowed_ips: [b], accept_unsafe: {accepted}}}"
        ))
    };
    let names = |warnings: &Diagnostics| {
        warnings.unaccepted().map(|d| d.hazard.as_deref().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&file("[]")), ["guardrails", "allowed_ips"]);
    assert_eq!(names(&file("[allowed_ips]")), ["guardrails"]);
    let both = file("[allowed_ips, guardrails, zork]");
    assert_eq!((names(&both), counts(&both)), (Vec::<String>::new(), [2, 0, 1]));
    assert!(both.to_string().contains("`zork` is no unsafe key of this file"), "{both}");
}

#[test]
fn warnings_are_sorted_by_grade_and_then_by_line() {
    let all = warnings(
        "litellm_settings: {debug_level: 2, cache: true}\ngeneral_settings: {allowed_ips: [a], database_url: d}\nguardrails: [b]",
    );
    let found: Vec<_> = all.warnings().map(|d| d.path.rsplit('.').next().unwrap().to_owned()).collect();
    assert_eq!(found, ["allowed_ips", "guardrails", "cache", "database_url", "debug_level"]);
}

#[test]
fn a_master_key_in_the_wrong_section_is_an_error() {
    for section in ["litellm_settings", "router_settings"] {
        let text = format!("{PARAMS}\n{section}: {{master_key: tr0ub4dor}}\n");
        let errors = read_with(&text, &[]).unwrap_err().to_string();
        assert!(errors.contains(&format!("`master_key` has no effect in `{section}`")), "{errors}");
        assert!(
            errors.contains("write it below `general_settings`") && !errors.contains("tr0ub"),
            "{errors}"
        );
    }
}

#[test]
fn a_master_key_in_the_wrong_section_is_harmless_beside_another_key() {
    for (general, env, other) in [
        ("", &[("LITELLM_MASTER_KEY", "sk-right")][..], "the key is `LITELLM_MASTER_KEY`"),
        ("general_settings: {master_key: sk-right}", &[], "the key is that of `general_settings`"),
    ] {
        let text =
            format!("{PARAMS}\n    api_key: k\nlitellm_settings: {{master_key: tr0ub4dor}}\n{general}\n");
        let (config, warnings) = read_with(&text, env).unwrap_or_else(|errors| panic!("{errors}"));
        let shown = warnings.to_string();
        assert!(
            shown.contains("warning[harmless]: `master_key` has no effect in `litellm_settings`"),
            "{shown}"
        );
        assert!(shown.contains(other) && !shown.contains("tr0ub"), "{shown}");
        let key = config.master_key.as_ref().map(ExposeSecret::expose_secret);
        assert_eq!(key, Some("sk-right"));
    }
}

#[test]
fn strategies_of_litellm_without_a_counterpart_are_lost() {
    for name in ["provider-budget-routing", "lar1"] {
        let shown = warnings(&format!("router_settings: {{routing_strategy: {name}}}")).to_string();
        assert!(shown.contains(&format!("warning[lost]: the strategy `{name}` is not served")), "{shown}");
    }
}

#[test]
fn diagnostics_have_colours_on_a_terminal_alone() {
    let warnings = warnings("litellm_settings: {telemetry: true, cache: true}\nguardrails: [b]");
    assert!(!warnings.to_string().contains('\x1b'));
    let colored = warnings.colored().to_string();
    for start in [
        "\x1b[1;31mwarning[unsafe]\x1b[0m: ",
        "\x1b[1;33mwarning[lost]\x1b[0m: ",
        "\x1b[36mwarning[harmless]\x1b[0m: ",
    ] {
        assert!(colored.contains(start), "{colored}");
    }
    let plain = ["\x1b[1;31m", "\x1b[1;33m", "\x1b[36m", "\x1b[0m"]
        .iter()
        .fold(colored, |text, code| text.replace(code, ""));
    assert_eq!(plain, warnings.to_string());
}
