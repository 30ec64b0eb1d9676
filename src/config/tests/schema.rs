//! The JSON schema: every configuration that is used is valid by it, and a value of another kind is not.

use serde_json::{Value, json};

use crate::config::schema;

/// Returns the places where the value does not match the schema, which uses a few keywords of JSON schema alone.
fn errors(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (keyword, rule) in schema.as_object().unwrap() {
        let valid = match &**keyword {
            "$schema" | "title" | "description" | "deprecated" => true,
            "type" => is_type(value, rule.as_str().unwrap()),
            "enum" => rule.as_array().unwrap().contains(value),
            "pattern" => matches(value.as_str().unwrap_or_default(), rule.as_str().unwrap()),
            "required" => {
                rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some())
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|rule| errors(rule, value, path).is_empty()),
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                found.extend(items.flat_map(|(n, item)| errors(rule, item, &format!("{path}[{n}]"))));
                true
            }
            "properties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if let Some(rule) = rule.get(name) {
                        found.extend(errors(rule, value, &format!("{path}.{name}")));
                    }
                }
                true
            }
            other => panic!("the schema uses `{other}`"),
        };
        if !valid {
            found.push(format!("{path}: {keyword} {rule}"));
        }
    }
    found
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the schema uses the type `{other}`"),
    }
}

/// Returns true if the text matches one of the patterns of the schema.
fn matches(text: &str, pattern: &str) -> bool {
    match pattern {
        "^os\\.environ/" => text.starts_with("os.environ/"),
        "^ *-?[0-9]+ *$" => text.trim().parse::<i64>().is_ok(),
        "^ *-?[0-9.]+(e-?[0-9]+)? *$" => text.trim().parse::<f64>().is_ok(),
        other => panic!("the schema uses the pattern `{other}`"),
    }
}

fn of_yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_configuration_of_the_corpus_is_valid() {
    let schema = schema();
    let folders = ["examples", "tests/data/configurations"]
        .map(|name| format!("{}/{name}", env!("CARGO_MANIFEST_DIR")));
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let files: Vec<_> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    assert!(files.len() >= 7);
    for path in files {
        let value = of_yaml(&std::fs::read_to_string(&path).unwrap());
        assert_eq!(errors(&schema, &value, ""), [""; 0], "{}", path.display());
    }
}

#[test]
fn a_value_of_another_kind_is_not_valid() {
    let schema = schema();
    for (text, path) in [
        ("model_list: x", ".model_list"),
        ("model_list: [{litellm_params: {model: a}}]", ".model_list"),
        ("router_settings: {num_retries: many}", ".router_settings"),
        ("router_settings: {routing_strategy: fastest}", ".router_settings"),
        ("litellm_settings: {drop_params: 3}", ".litellm_settings"),
        ("general_settings: {accept_unsafe: guardrails}", ".general_settings"),
        ("include: other.yaml", ".include"),
    ] {
        let found = errors(&schema, &of_yaml(text), "");
        assert!(found.iter().any(|error| error.starts_with(path)), "{text}: {found:?}");
    }
    for text in
        ["router_settings: {num_retries: '3', timeout: os.environ/T}", "x-own: 1", "litellm_settings:"]
    {
        assert_eq!(errors(&schema, &of_yaml(text), ""), [""; 0], "{text}");
    }
}

#[test]
fn a_key_that_is_not_served_is_deprecated_with_its_grade() {
    let schema = schema();
    let general = &schema["properties"]["general_settings"]["anyOf"][0]["properties"];
    assert_eq!(
        general["allowed_ips"],
        json!({"description": "Not served (unsafe): every address may call.", "deprecated": true})
    );
    assert_eq!(general["master_key"]["deprecated"], Value::Null);
    let params = &schema["properties"]["model_list"]["anyOf"][0]["items"]["properties"]["litellm_params"];
    assert!(params["properties"]["model"].is_object() && params["properties"]["temperature"].is_object());
}
