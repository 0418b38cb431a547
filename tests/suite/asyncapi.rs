//! The AsyncAPI document against its own specification, and every frame that a
//! socket of the tests is told against the document: it cannot say what is not so.

use crate::harness::Herald;
use jsonschema::Validator;
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
    sync::LazyLock,
};

struct Said {
    /// By `type`; an `ack` is of one of two kinds.
    frames: HashMap<String, Vec<Validator>>,
    close_codes: BTreeSet<u16>,
}

static SAID: LazyLock<Said> = LazyLock::new(|| {
    let document = gateway::asyncapi();
    let mut frames: HashMap<String, Vec<Validator>> = HashMap::new();
    for (key, message) in document["components"]["messages"].as_object().unwrap() {
        if key.starts_with("server.") {
            let mut payload = message["payload"].clone();
            close(&mut payload);
            let name = message["name"].as_str().unwrap().to_owned();
            frames.entry(name).or_default().push(jsonschema::draft202012::new(&payload).unwrap());
        }
    }
    let codes = document["channels"]["socket"]["x-close-codes"].as_object().unwrap();
    Said { frames, close_codes: codes.keys().map(|code| code.parse().unwrap()).collect() }
});

/// Lets nothing pass that a schema does not name, although clients have to.
fn close(schema: &mut Value) {
    if schema["properties"].is_object() {
        schema["unevaluatedProperties"] = json!(false);
    }
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    fields.into_iter().flat_map(|fields| fields.values_mut()).for_each(close);
    if let Some(items) = schema.get_mut("items") {
        close(items);
    }
}

/// Panics when the document does not have such a frame.
pub fn told(frame: &Value) {
    let kind = frame["type"].as_str().unwrap_or_else(|| panic!("{frame} has no type"));
    let of_kind = SAID.frames.get(kind).unwrap_or_else(|| panic!("{frame} is not in the document"));
    if !of_kind.iter().any(|validator| validator.is_valid(frame)) {
        let errors: Vec<_> = of_kind.iter().flat_map(|validator| validator.iter_errors(frame)).collect();
        panic!("{frame} is not as the document says: {errors:?}");
    }
}

/// Panics when the document does not say that sockets end so.
pub fn closed(code: u16) {
    assert!(SAID.close_codes.contains(&code), "{code} is not in the document");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_asyncapi_3_and_shown_with_the_other_one() {
    let specification = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asyncapi/3.0.0.json");
    let specification: Value = serde_json::from_slice(&fs::read(specification).unwrap()).unwrap();
    let validator = jsonschema::draft7::new(&specification).unwrap();
    let herald = Herald::start().await;
    let get = async |path: &str| reqwest::get(format!("{}{path}", herald.url)).await.unwrap();
    let mut document: Value = get("/asyncapi.json").await.json().await.unwrap();
    assert_eq!(document, gateway::asyncapi());
    let errors: Vec<_> =
        validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    document["channels"]["socket"]["messages"] = json!(7);
    assert!(!validator.is_valid(&document));
    let page = get("/docs").await.text().await.unwrap();
    assert!(page.contains("/asyncapi.json") && page.contains("/openapi.json"), "{page}");
}

#[test]
#[should_panic(expected = "is not as the document says")]
fn a_frame_with_a_field_that_is_not_in_the_document_is_noticed() {
    told(&json!({ "type": "pong", "vector": "0:1", "extra": 1 }));
}
