//! What was released stays: readers elsewhere, and builds that are older than a
//! fact, know a shape by its name. `events/schema/released.txt` holds a fingerprint
//! of each; lines are added to it and never changed.

use crate::schema::of_events;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, path::PathBuf};

/// What tells nothing of a shape.
const ANNOTATIONS: [&str; 6] = ["$schema", "$id", "title", "description", "examples", "$comment"];
/// What holds schemas under names of its own, which may be those of annotations.
const BY_NAME: [&str; 4] = ["properties", "patternProperties", "$defs", "dependentSchemas"];
/// Lists whose order tells nothing.
const SETS: [&str; 6] = ["required", "enum", "type", "oneOf", "anyOf", "allOf"];

/// What a schema says of values, and nothing of what it says to people. No field may come, not even an optional one: a
/// reader of the old shape refuses what it does not know, rather than to leave it out.
fn shape(schema: &Value) -> Value {
    let Value::Object(fields) = schema else { return schema.clone() };
    let told = fields.iter().filter(|(name, _)| !ANNOTATIONS.contains(&name.as_str()));
    let shaped: BTreeMap<_, _> = told
        .map(|(name, value)| {
            let value = if let (Value::Object(named), true) = (value, BY_NAME.contains(&name.as_str())) {
                sorted(named.iter().map(|(name, schema)| (name.clone(), shape(schema))).collect())
            } else if let Value::Array(items) = value {
                let mut items: Vec<_> = items.iter().map(shape).collect();
                if SETS.contains(&name.as_str()) {
                    items.sort_by_key(Value::to_string);
                }
                Value::Array(items)
            } else {
                shape(value)
            };
            (name.clone(), value)
        })
        .collect();
    sorted(shaped)
}

/// An object whose fields stand in their order, whatever `serde_json` does with those of others.
fn sorted(fields: BTreeMap<String, Value>) -> Value {
    fields.into_iter().collect()
}

fn fingerprint(schema: &Value) -> String {
    STANDARD_NO_PAD.encode(Sha256::digest(shape(schema).to_string()))
}

#[test]
fn no_shape_that_was_released_has_changed_or_gone() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schema/released.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    let released: BTreeMap<_, _> = text.lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert_eq!(released.len(), text.lines().count(), "each name once");
    let now: BTreeMap<_, _> = of_events().iter().map(|it| (it.name(), fingerprint(&it.document()))).collect();
    for (name, fingerprint) in &released {
        let Some(now) = now.get(*name) else { panic!("{name} was released, and can be read no more") };
        assert_eq!(
            now, fingerprint,
            "{name} was released with another shape: what is changed is the next version of it"
        );
    }
    let new = now.iter().filter(|(name, _)| !released.contains_key(name.as_str()));
    let lines: Vec<_> = new.map(|(name, fingerprint)| format!("{name} {fingerprint}")).collect();
    assert!(lines.is_empty(), "to be released, in {}:\n{}", path.display(), lines.join("\n"));
}

#[test]
fn whatever_a_reader_would_stumble_over_changes_a_shape_and_words_do_not() {
    let schema = json!({
        "$id": "urn:one",
        "title": "thread.renamed.1",
        "description": "The group is called otherwise.",
        "type": "object",
        "properties": {
            "title": { "type": ["string", "null"], "description": "Sealed." },
            "role": { "oneOf": [{ "const": "member", "description": "One of many" }, { "const": "owner" }] },
            "number": { "type": "integer", "format": "uint32", "minimum": 0 },
        },
        "required": ["title", "number"],
        "additionalProperties": false,
    });
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut changed = schema.clone();
        change(&mut changed);
        assert_ne!(changed, schema);
        shape(&changed)
    };
    let harmless: [&dyn Fn(&mut Value); 6] = [
        &|schema| schema["description"] = json!("Other words"),
        &|schema| schema["$id"] = json!("urn:two"),
        &|schema| schema["examples"] = json!([{}]),
        &|schema| schema["properties"]["title"]["description"] = json!("Other words"),
        &|schema| schema["required"] = json!(["number", "title"]),
        &|schema| schema["properties"]["role"]["oneOf"] = json!([{ "const": "owner" }, { "const": "member" }]),
    ];
    for (index, change) in harmless.into_iter().enumerate() {
        assert_eq!(changed(change), shape(&schema), "harmless {index}");
    }
    let breaking: [&dyn Fn(&mut Value); 11] = [
        &|schema| drop(schema["properties"].as_object_mut().unwrap().remove("title")),
        &|schema| schema["properties"]["reason"] = json!({ "type": "string" }),
        &|schema| schema["properties"]["description"] = json!({ "type": "string" }),
        &|schema| schema["required"] = json!(["title"]),
        &|schema| schema["required"] = json!(["title", "number", "role"]),
        &|schema| schema["additionalProperties"] = json!(true),
        &|schema| schema["properties"]["title"]["type"] = json!("string"),
        &|schema| schema["properties"]["number"]["format"] = json!("uint64"),
        &|schema| schema["properties"]["number"]["minimum"] = json!(1),
        &|schema| schema["properties"]["role"]["oneOf"][1]["const"] = json!("chief"),
        &|schema| schema["properties"]["role"]["oneOf"].as_array_mut().unwrap().push(json!({ "const": "guest" })),
    ];
    for (index, change) in breaking.into_iter().enumerate() {
        assert_ne!(changed(change), shape(&schema), "breaking {index}");
    }
}
