//! Files with thousands of faults: the diagnostics cost little, and the first ones stay visible.

use super::read_with;

/// Returns the output for a file with so many groups and the rest of the sections.
fn output(groups: usize, rest: &str) -> String {
    let entry = |n| format!("- {{model_name: group-{n}, litellm_params: {{model: openai/m, api_key: k}}}}\n");
    let list: String = (0..groups).map(entry).collect();
    match read_with(&format!("model_list:\n{list}{rest}\n"), &[]) {
        Ok((_, warnings)) => warnings.to_string(),
        Err(errors) => errors.to_string(),
    }
}

fn many(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

#[test]
fn many_unknown_fallbacks_are_counted_after_the_first_twenty() {
    let list = many(710, |n| format!("  - group-{n}: [grup-{n}]\n"));
    let shown = output(3000, &format!("router_settings:\n  fallbacks:\n{list}"));
    assert_eq!(shown.matches("there is no group `grup-").count(), 20, "{shown}");
    assert_eq!(shown.matches("did you mean `group-").count(), 20);
    let rest = "warning[lost]: and 690 more: there is no group `…`: it is skipped here\n";
    assert!(shown.ends_with(rest), "{shown}");
}

#[test]
fn thousands_of_faults_in_one_line_cost_little() {
    for line in [
        "fallbacks: [{list}]",
        "default_fallbacks: [{list}]",
        "context_window_fallbacks: [{list}]",
        "model_group_alias: {{list}}",
        "model_group_retry_policy: {{list}}",
    ] {
        let entry = |n| match line {
            line if line.contains("default") => format!("grup-{n}, "),
            line if line.contains("alias") => format!("a{n}: grup-{n}, "),
            line if line.contains("policy") => format!("grup-{n}: {{}}, "),
            _ => format!("{{group-{n}: [grup-{n}]}}, "),
        };
        let rest = format!("router_settings: {{{}}}", line.replace("{list}", &many(3000, entry)));
        let shown = output(3000, &rest);
        assert!(shown.len() < 20_000, "{line}: {} bytes", shown.len());
        let rest = "warning[lost]: and 2980 more: there is no group `…`: it is skipped here\n";
        assert!(shown.contains(rest), "{line}: {shown}");
    }
}

#[test]
fn each_kind_of_error_is_shown_however_many_there_are_of_another() {
    let list = many(100, |n| format!("  - group-{n}: [grup-{n}]\n"));
    let shown = output(3, &format!("router_settings:\n  fallbacks:\n{list}  num_retries: many"));
    assert!(shown.contains("`num_retries` must be a whole number"), "{shown}");
}

#[test]
fn warnings_of_a_kind_are_counted_after_twenty() {
    let shown = output(1, &format!("router_settings:\n{}", many(600, |n| format!("  zork-{n}: 1\n"))));
    assert_eq!(shown.matches("unknown key `zork-").count(), 20);
    assert!(shown.contains("warning[harmless]: and 580 more: unknown key `…`"), "{shown}");
}
