//! Damaged files: no diagnostic shows a secret.

use proptest::prelude::*;

use super::CANARY;

/// Returns a file with the secret in every place where one is allowed.
pub(crate) fn good(secret: &str) -> String {
    format!(
        "environment_variables: {{A_KEY: {secret}}}\nmodel_list:\n- model_name: g\n  litellm_params:\n    model: azure/m\n    \
         api_base: https://host.example/\n    api_key: {secret}\n    rpm: 6\n    api_version: 2024-10-21\n    \
         extra_headers: {{Authorization: Bearer {secret}}}\n- model_name: h\n  litellm_params: {{model: gpt-4o, api_key: \"{secret}\", tpm: 100}}\n\
         litellm_settings:\n  num_retries: 3\n  fallbacks: [{{g: [h]}}]\ngeneral_settings:\n  master_key: '{secret}' # {secret}\n"
    )
}

#[derive(Clone, Debug)]
enum Mutation {
    Delete(prop::sample::Index),
    Insert(prop::sample::Index, char),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let insert = proptest::char::ranges(vec!['\n'..='\n', ' '..='~', 'é'..='é'].into());
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Mutation::Delete),
        (any::<prop::sample::Index>(), insert).prop_map(|(at, c)| Mutation::Insert(at, c)),
    ]
}

fn diagnostics_of(text: &str) -> String {
    match super::read_with(text, &[]) {
        Ok((_, warnings)) => format!("{warnings}{warnings:?}"),
        Err(errors) => format!("{errors}{errors:?}"),
    }
}

/// A secret that does not look like one: only its key identifies it.
#[test]
fn a_configuration_with_one_typo_never_prints_a_secret() {
    const PLAIN: &str = "correct-horse-battery";
    let good = good(PLAIN);
    for at in 0..good.len() {
        let (before, after) = good.split_at(at);
        let damaged = ["\"", ":", ",", "\n"].map(|c| format!("{before}{c}{after}"));
        for text in damaged.into_iter().chain([format!("{before}{}", &after[1..])]) {
            let shown = diagnostics_of(&text);
            assert!(!shown.contains(PLAIN), "{text}\n{shown}");
        }
    }
}

#[test]
fn a_configuration_error_does_not_print_the_value_of_a_variable() {
    let text = "model_list:\n- model_name: g\n  litellm_params: {model: openai/m, rpm: os.environ/R, tpm: os.environ/T}\n";
    let said = super::errors_of(text, &[("R", CANARY), ("T", "70")]).to_string();
    assert!(
        said.contains("`rpm` must be a whole number of at least 1, found the value of `os.environ/R`"),
        "{said}"
    );
    assert!(!said.contains("tpm`") && !said.contains(CANARY), "{said}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_damaged_configuration_never_panics_and_never_prints_a_secret(damage in prop::collection::vec(mutation(), 1..5)) {
        let mut text: Vec<char> = good(CANARY).chars().collect();
        for mutation in damage {
            match mutation {
                Mutation::Delete(at) => { text.remove(at.index(text.len())); }
                Mutation::Insert(at, c) => text.insert(at.index(text.len()), c),
            }
        }
        let text: String = text.into_iter().collect();
        let shown = diagnostics_of(&text);
        prop_assert!(!shown.contains(CANARY), "{}\n{}", text, shown);
    }
}
