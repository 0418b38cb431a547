//! Every shape ever stored, as consumers are told it.

use crate::{
    CloudEvent, Partition, Position,
    cloudevent::Texts,
    envelope::{Draft, SealedEnvelope},
    golden_tests::{samples, stored},
    schema::of_events,
    seal::AuthorKey,
};
use serde_json::{Value, json};
use uuid::Uuid;

fn told(name: &str, draft: &Draft, texts: &Texts<'_>) -> CloudEvent {
    let position = Position { partition: Partition(1), sequence: 42 };
    let bytes = stored(name).1.unwrap();
    let sealed = SealedEnvelope::decode(position, draft.aggregate, &bytes).unwrap();
    sealed.told(Uuid::from_u128(7), texts, bytes.len()).unwrap()
}

#[test]
fn what_is_told_is_as_the_schema_says_with_and_without_texts() {
    let key = AuthorKey::new(&[7; 32]);
    for (name, draft) in samples() {
        for texts in [Texts::KeptBack, Texts::Opened(Some(&key)), Texts::Opened(None)] {
            let event = told(name, &draft, &texts);
            let schema = of_events().into_iter().find(|schema| format!("herald.{}", schema.name()) == event.kind);
            let schema = schema.unwrap_or_else(|| panic!("{}", event.kind)).document();
            assert!(jsonschema::is_valid(&schema, &event.data), "{name}: {}", event.data);
            assert_eq!(schema["$id"], serde_json::to_value(&event).unwrap()["dataschema"]);
        }
    }
}

#[test]
fn no_seal_is_told_and_every_text_is_where_it_was_written() {
    let key = AuthorKey::new(&[7; 32]);
    for (name, draft) in samples() {
        let mut texts: Vec<_> = draft.event.texts().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
        let bytes = stored(name).1.unwrap();
        let position = Position { partition: Partition(1), sequence: 42 };
        let as_stored: Value = serde_json::from_slice(&bytes).unwrap();
        let as_stored = as_stored["event"].as_object().unwrap().values().next().unwrap().clone();
        let (open, kept) = (told(name, &draft, &Texts::Opened(Some(&key))), told(name, &draft, &Texts::KeptBack));
        assert_eq!((kept.sealed, open.sealed), (!texts.is_empty(), false), "{name}");
        assert_eq!((open.position, open.by, open.stored), (position, draft.by, bytes.len()));
        // Field by field what lies in the log, but for the texts.
        let mut found = Vec::new();
        compare(&as_stored, &open.data, &kept.data, &mut found);
        found.sort();
        texts.sort();
        assert_eq!(found, texts, "{name}");
    }
}

/// Collects the texts, and holds all else to be equal.
fn compare(stored: &Value, open: &Value, kept: &Value, texts: &mut Vec<String>) {
    match stored {
        Value::Object(fields) => {
            assert_eq!(
                (fields.len(), fields.len()),
                (open.as_object().unwrap().len(), kept.as_object().unwrap().len())
            );
            fields.iter().for_each(|(name, field)| compare(field, &open[name], &kept[name], texts));
        }
        Value::Array(items) => {
            assert_eq!((items.len(), items.len()), (open.as_array().unwrap().len(), kept.as_array().unwrap().len()));
            items.iter().enumerate().for_each(|(index, item)| compare(item, &open[index], &kept[index], texts));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) if stored == open => assert_eq!(kept, open),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            assert!(kept.is_null());
            texts.push(open.as_str().unwrap().to_owned());
        }
    }
}

#[test]
fn attributes_are_those_of_the_specification_and_its_extensions() {
    let (name, draft) = samples().into_iter().find(|(name, _)| *name == "message_sent.1.traced").unwrap();
    let mut event = serde_json::to_value(told(name, &draft, &Texts::KeptBack)).unwrap();
    assert_eq!(event["data"].take()["number"], 2);
    assert_eq!(
        event,
        json!({
            "specversion": "1.0",
            "id": "01900000-0000-7000-8000-0000000000ff",
            "source": "urn:uuid:00000000-0000-0000-0000-000000000007",
            "type": "herald.thread.message_sent.1",
            "subject": draft.aggregate.to_string(),
            "time": "2025-11-24T16:00:00.123Z",
            "datacontenttype": "application/json",
            "dataschema": "urn:herald:schema:thread.message_sent.1",
            "position": "1:42",
            "authtype": "app_user",
            "authid": draft.by.unwrap().to_string(),
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "sealed": true,
            "data": null,
        })
    );
    let (name, lost) = samples().into_iter().find(|(name, _)| *name == "gateway_lost.1").unwrap();
    let event = serde_json::to_value(told(name, &lost, &Texts::KeptBack)).unwrap();
    assert_eq!((&event["authtype"], event.get("authid"), event.get("sealed")), (&json!("system"), None, None));
}

#[test]
fn a_type_has_shorter_names() {
    let (name, draft) = samples().into_iter().find(|(name, _)| *name == "message_sent.1").unwrap();
    let event = told(name, &draft, &Texts::KeptBack);
    for called in [
        "herald.thread.message_sent.1",
        "thread.message_sent.1",
        "thread.message_sent",
        "message_sent.1",
        "message_sent",
    ] {
        assert!(event.is_called(called), "{called}");
    }
    for other in ["message", "sent", "message_sent.2", "user.message_sent", "thread", "1", "", "herald"] {
        assert!(!event.is_called(other), "{other}");
    }
}
