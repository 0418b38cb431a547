//! A value that a schema allows, of the examples that its parts give.

use serde_json::{Map, Value, json};

/// What a schema allows: its required fields, and of alternatives the first. References are looked up among `named`.
pub(super) fn of(schema: &Value, named: &Map<String, Value>) -> Value {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return of(&named[name], named);
    }
    let own = schema.get("const").or_else(|| schema["examples"].get(0)).or_else(|| schema["enum"].get(0));
    if let Some(own) = own {
        return own.clone();
    }
    let first =
        ["oneOf", "anyOf"].iter().find_map(|of| schema[of].as_array()?.iter().find(|one| one["type"] != "null"));
    if schema["properties"].is_object() {
        return object(schema, first.unwrap_or(&Value::Null), named);
    }
    if let Some(first) = first {
        return of(first, named);
    }
    let kind = schema["type"].as_array().and_then(|types| types.iter().find(|kind| *kind != "null"));
    match (kind.unwrap_or(&schema["type"]).as_str(), schema["format"].as_str()) {
        (Some("array"), _) => json!([of(&schema["items"], named)]),
        (Some("boolean"), _) => json!(false),
        (Some("integer"), _) => json!(1),
        (Some("object"), _) => json!({}),
        (Some("string"), Some("uuid")) => json!("0190b5a0-0000-7000-8000-000000000001"),
        (Some("string"), _) => json!("…"),
        (_, _) => Value::Null,
    }
}

fn object(schema: &Value, alternative: &Value, named: &Map<String, Value>) -> Value {
    let parts = [schema, alternative];
    let required = parts.iter().filter_map(|part| part["required"].as_array()).flatten().filter_map(Value::as_str);
    let of_field = |name: &str| {
        let schema = parts.iter().find_map(|part| part["properties"].get(name))?;
        Some((name.to_owned(), of(schema, named)))
    };
    required.filter_map(of_field).collect()
}
