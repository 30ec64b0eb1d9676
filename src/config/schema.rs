//! The JSON schema of a configuration file, made from the tables of keys.

use serde_json::{Map, Value, json};

use super::{
    Grade, RoutingStrategy,
    keys::{self, Kind},
};

/// Returns the schema. Keys that are not served are marked as deprecated, with the grade of their warning.
#[must_use]
pub fn schema() -> Value {
    let settings = || {
        let served = keys::SETTINGS.iter().copied().chain(keys::BUDGET).chain(keys::own_names(false));
        section(served, keys::unserved_settings())
    };
    let general = section(keys::GENERAL.iter().copied().chain(keys::BUDGET), keys::unserved_settings());
    let mut file = section(keys::SECTIONS.iter().copied(), keys::unserved_sections());
    let deployment = json!({
        "type": "object",
        "properties": properties(keys::ENTRY.iter().copied(), []),
        "required": ["model_name", "litellm_params"],
    });
    let credential = json!({
        "type": "object",
        "properties": {"credential_name": {"type": "string"}, "credential_values": params()},
        "required": ["credential_name"],
    });
    file["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    file["title"] = "Configuration of tollgate".into();
    for (name, value) in [
        ("model_list", list_of(deployment)),
        ("credential_list", list_of(credential)),
        ("litellm_settings", or_null(settings())),
        ("router_settings", or_null(settings())),
        ("general_settings", or_null(general)),
    ] {
        file["properties"][name] = value;
    }
    let entry = &mut file["properties"]["model_list"]["anyOf"][0]["items"]["properties"];
    entry["litellm_params"] = params();
    entry["model_info"] = or_null(section(keys::INFO.iter().copied(), keys::unserved_info()));
    file
}

/// Returns the schema of `litellm_params`.
fn params() -> Value {
    let own = keys::PARAMS.iter().copied().chain(keys::own_names(true)).chain(["extra_body"]);
    section(own.chain(keys::OPENAI.iter().copied()), keys::unserved_params())
}

/// Returns the schema of a map with these keys, which may have others.
fn section(
    served: impl IntoIterator<Item = &'static str>,
    unserved: impl IntoIterator<Item = (&'static str, Grade)>,
) -> Value {
    json!({"type": "object", "properties": properties(served, unserved)})
}

fn properties(
    served: impl IntoIterator<Item = &'static str>,
    unserved: impl IntoIterator<Item = (&'static str, Grade)>,
) -> Map<String, Value> {
    let unserved = unserved.into_iter().map(|(name, grade)| {
        let clause = keys::consequence(name).map(|clause| format!(": {clause}")).unwrap_or_default();
        let description = format!("Not served ({grade}){clause}.");
        (name.to_owned(), json!({"description": description, "deprecated": true}))
    });
    // A served key replaces a row of the other table.
    unserved.chain(served.into_iter().map(|name| (name.to_owned(), value(keys::kind(name))))).collect()
}

/// Returns the schema of a value. Each may be null, or the name of a variable in `os.environ/NAME`.
fn value(kind: Kind) -> Value {
    let variable = json!({"type": "string", "pattern": "^os\\.environ/"});
    let types = match kind {
        Kind::Any => return json!({}),
        Kind::Text => vec![json!({"type": "string"})],
        // Numbers may be written in quotes.
        Kind::Whole => {
            vec![json!({"type": "integer"}), json!({"type": "string", "pattern": "^ *-?[0-9]+ *$"})]
        }
        Kind::Number => {
            vec![
                json!({"type": "number"}),
                json!({"type": "string", "pattern": "^ *-?[0-9.]+(e-?[0-9]+)? *$"}),
            ]
        }
        Kind::Boolean => vec![json!({"type": "boolean"})],
        Kind::List => vec![json!({"type": "array"})],
        Kind::Map => vec![json!({"type": "object"})],
        Kind::Strategy => vec![json!({"enum": RoutingStrategy::names().collect::<Vec<_>>()})],
    };
    let any: Vec<_> = types.into_iter().chain([json!({"type": "null"}), variable]).collect();
    json!({"anyOf": any})
}

fn list_of(items: Value) -> Value {
    json!({"anyOf": [{"type": "array", "items": items}, {"type": "null"}]})
}

fn or_null(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}
