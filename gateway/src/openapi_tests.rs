use super::document;
use serde_json::Value;
use std::collections::HashSet;

fn operations() -> Vec<(String, String, Value)> {
    let document = serde_json::to_value(document()).expect("plain JSON");
    let paths = document["paths"].as_object().expect("paths").clone();
    paths
        .into_iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("an item").clone();
            methods.into_iter().map(move |(method, operation)| (method, path.clone(), operation))
        })
        .collect()
}

#[test]
fn the_document_is_openapi_3_1_with_every_reference_resolved() {
    let document = serde_json::to_value(document()).expect("plain JSON");
    assert!(document["openapi"].as_str().expect("a version").starts_with("3.1"));
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap_or_default()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    assert!(document["components"]["securitySchemes"]["bearer"].is_object());
}

#[test]
fn every_operation_is_named_once_described_and_tells_its_problems() {
    let mut ids = HashSet::new();
    for (method, path, operation) in operations() {
        let id = operation["operationId"].as_str().expect("an id").to_owned();
        assert!(ids.insert(id), "{method} {path}: an id twice");
        assert!(operation["summary"].is_string(), "{method} {path}: no summary");
        assert!(operation["tags"].is_array(), "{method} {path}: no tag");
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let fails = status.starts_with(['4', '5']);
            let types = &response["content"];
            assert_eq!(fails, types["application/problem+json"].is_object(), "{method} {path} {status}");
        }
    }
}

#[test]
fn what_needs_a_token_says_so() {
    for (method, path, operation) in operations() {
        let open = ["/v1/signup", "/v1/login", "/v1/token", "/v1/socket"].contains(&path.as_str());
        let needs = path.starts_with("/v1/") && !open;
        assert_eq!(needs, operation["security"][0]["bearer"].is_array(), "{method} {path}");
        assert_eq!(needs || path == "/v1/login" || path == "/v1/token", operation["responses"]["401"].is_object());
    }
}

#[test]
fn what_has_a_body_says_how_bodies_are_refused() {
    for (method, path, operation) in operations() {
        let (body, responses) = (&operation["requestBody"], &operation["responses"]);
        let refused = ["408", "413", "422"].iter().all(|status| responses[status].is_object());
        assert_eq!(body.is_object(), refused, "{method} {path}");
        let is_json = body["content"]["application/json"].is_object();
        assert_eq!(is_json, responses["415"].is_object(), "{method} {path}");
    }
}

/// All schemas within one, through what it refers to.
fn within(document: &Value, schema: &Value, found: &mut Vec<Value>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let reference = reference.strip_prefix('#').expect("of this document");
        return within(document, document.pointer(reference).expect("resolved"), found);
    }
    found.push(schema.clone());
    for list in ["oneOf", "anyOf", "allOf"] {
        schema[list].as_array().into_iter().flatten().for_each(|one| within(document, one, found));
    }
    schema["properties"].as_object().into_iter().flatten().for_each(|(_, one)| within(document, one, found));
    if schema["items"].is_object() {
        within(document, &schema["items"], found);
    }
}

fn is_text(schema: &Value) -> bool {
    schema["type"] == "string" || schema["type"].as_array().is_some_and(|types| types.contains(&"string".into()))
}

#[test]
fn what_a_body_may_say_is_said_exactly_and_by_example() {
    let document = serde_json::to_value(document()).expect("plain JSON");
    for (method, path, operation) in operations() {
        let body = &operation["requestBody"]["content"]["application/json"]["schema"];
        let mut found = Vec::new();
        within(&document, body, &mut found);
        for schema in found {
            if schema["properties"].is_object() {
                assert_eq!(schema["additionalProperties"], false, "{method} {path}: {schema}");
            }
            if is_text(&schema) {
                let bounds = ["maxLength", "pattern", "format", "enum"];
                let open = path == "/v1/login" || path == "/v1/token";
                assert!(open || bounds.iter().any(|bound| !schema[bound].is_null()), "{method} {path}: {schema}");
                let example = ["example", "examples", "enum"].iter().any(|example| !schema[example].is_null());
                assert!(example, "{method} {path}: {schema}");
            }
        }
    }
}
