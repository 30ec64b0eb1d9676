//! JSON schemas for Anthropic's output format, which knows a part of the standard: [`closed`].
//!
//! The order of the members stays: a model writes properties in the order of their schema.

use serde_json::value::RawValue;

use crate::dialect::json::{self, Json, Member, Text};

/// The keywords that are refused, each with the words that state it in the description instead. Source: the
/// documentation of structured outputs, "JSON Schema limitations".
const REFUSED: [(&str, &str); 22] = [
    ("minimum", "minimum value"),
    ("maximum", "maximum value"),
    ("exclusiveMinimum", "exclusive minimum value"),
    ("exclusiveMaximum", "exclusive maximum value"),
    ("multipleOf", "multiple of"),
    ("minLength", "minimum length"),
    ("maxLength", "maximum length"),
    ("minItems", "minimum number of items"),
    ("maxItems", "maximum number of items"),
    ("uniqueItems", "unique items"),
    ("contains", "contains"),
    ("prefixItems", "first items"),
    ("minProperties", "minimum number of properties"),
    ("maxProperties", "maximum number of properties"),
    ("patternProperties", "properties by pattern"),
    ("propertyNames", "property names"),
    ("dependentRequired", "dependent properties"),
    ("dependentSchemas", "dependent schemas"),
    ("if", "if"),
    ("then", "then"),
    ("else", "else"),
    ("not", "not"),
];

/// Returns the schema in the part of the standard that the format knows, or none if it has an object with any
/// properties, which the format cannot express.
pub(super) fn closed(schema: Json<'_>) -> Option<Box<RawValue>> {
    let mut text = String::with_capacity(schema.get().len());
    close(schema, &mut text)?;
    RawValue::from_string(text).ok()
}

/// Appends a schema. Returns none for an object with any properties.
fn close(schema: Json<'_>, out: &mut String) -> Option<()> {
    if !json::is_object(schema) {
        out.push_str(schema.get());
        return Some(());
    }
    let members = json::members(schema.get()).ok()?;
    let find = |name: &str| members.iter().find(|(key, _)| **key == *name).map(|(_, value)| value.get());
    let is_object = find("type") == Some("\"object\"") || find("properties").is_some();
    let is_closed = find("additionalProperties").is_none_or(|more| more == "false");
    if is_object && !(is_closed && find("properties").is_some()) {
        return None;
    }
    out.push('{');
    for (name, value) in members.iter().filter(|member| is_kept(member)) {
        let name = if **name == *"oneOf" { "anyOf" } else { name };
        write_name(name, out);
        keyword(name, value, out)?;
    }
    if let Some(description) = description(&members) {
        write_name("description", out);
        out.push_str(&serde_json::Value::from(description).to_string());
    }
    if is_object {
        out.push_str(if out.ends_with('{') { "" } else { "," });
        out.push_str("\"additionalProperties\":false");
    }
    out.push('}');
    Some(())
}

/// Returns true for a keyword that is written in its place.
fn is_kept((name, value): &Member<'_>) -> bool {
    !is_refused(name, value) && !matches!(&**name, "description" | "additionalProperties")
}

/// Returns true for a keyword that the format refuses. It knows lists of at least one item.
fn is_refused(name: &str, value: Json<'_>) -> bool {
    let is_known = name == "minItems" && matches!(value.get(), "0" | "1");
    !is_known && REFUSED.iter().any(|(refused, _)| *refused == name)
}

/// Appends the value of a keyword, with the schemas in it.
fn keyword(name: &str, value: Json<'_>, out: &mut String) -> Option<()> {
    match name {
        "anyOf" | "allOf" => {
            let schemas: Vec<Json<'_>> = serde_json::from_str(value.get()).ok()?;
            out.push('[');
            for (at, schema) in schemas.into_iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                close(schema, out)?;
            }
            out.push(']');
        }
        "properties" | "$defs" | "definitions" => {
            out.push('{');
            for (name, schema) in json::members(value.get()).ok()? {
                write_name(&name, out);
                close(schema, out)?;
            }
            out.push('}');
        }
        "items" => close(value, out)?,
        _ => out.push_str(value.get()),
    }
    Some(())
}

/// Appends a name with the comma before it.
fn write_name(name: &str, out: &mut String) {
    out.push_str(if out.ends_with('{') { "" } else { "," });
    out.push_str(&serde_json::Value::from(name).to_string());
    out.push(':');
}

/// Returns the description, with what the refused keywords state.
fn description(members: &[Member<'_>]) -> Option<String> {
    let noted = members.iter().filter(|(name, value)| is_refused(name, value) && value.get() != "false");
    let notes = noted.filter_map(|(name, value)| {
        let (_, meaning) = REFUSED.iter().find(|(refused, _)| *refused == &**name)?;
        Some(format!("{meaning}: {}", value.get()))
    });
    let notes = notes.collect::<Vec<_>>().join(", ");
    let text = members.iter().find(|(name, _)| **name == *"description");
    let text = text.and_then(|(_, value)| serde_json::from_str::<Text<'_>>(value.get()).ok());
    match (text, notes.is_empty()) {
        (text, true) => text.map(|text| text.to_string()),
        (None, false) => Some(format!("({notes})")),
        (Some(text), false) => Some(format!("{} ({notes})", &*text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(schema: &str) -> Option<String> {
        closed(serde_json::from_str(schema).unwrap()).map(|schema| schema.get().to_owned())
    }

    #[test]
    fn constraints_that_the_output_format_refuses_are_described_and_the_order_stays() {
        let schema = r##"{"type":"object","properties":{
            "why":{"type":"string"},
            "age":{"type":"integer","minimum":0,"maximum":9,"description":"Years"},
            "tags":{"type":"array","minItems":1,"uniqueItems":true,"items":{"type":"string","maxLength":3}},
            "kind":{"oneOf":[{"type":"string"},{"$ref":"#/$defs/n"}]},
            "free":{"uniqueItems":false}},"required":["why"],"$defs":{"n":{"type":"null"}}}"##;
        let wanted = concat!(
            r#"{"type":"object","properties":{"why":{"type":"string"},"#,
            r#""age":{"type":"integer","description":"Years (minimum value: 0, maximum value: 9)"},"#,
            r#""tags":{"type":"array","minItems":1,"items":{"type":"string","description":"(maximum length: 3)"},"#,
            r#""description":"(unique items: true)"},"#,
            r##""kind":{"anyOf":[{"type":"string"},{"$ref":"#/$defs/n"}]},"free":{}},"##,
            r#""required":["why"],"$defs":{"n":{"type":"null"}},"additionalProperties":false}"#,
        );
        assert_eq!(rewritten(schema).unwrap(), wanted);
    }

    #[test]
    fn an_object_with_any_properties_has_no_closed_schema() {
        for open in [
            r#"{"type":"object"}"#,
            r#"{"type":"object","properties":{},"additionalProperties":true}"#,
            r#"{"type":"object","properties":{"a":{"type":"object","additionalProperties":{"type":"string"}}}}"#,
            r#"{"type":"array","items":{"type":"object"}}"#,
            r#"{"$defs":{"a":{"type":"object"}},"type":"object","properties":{}}"#,
        ] {
            assert_eq!(rewritten(open), None, "{open}");
        }
    }
}
