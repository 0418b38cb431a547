//! The document against the code: what it shows is taken, what is said is in it.

use super::{document, socket};
use crate::frame::{ClientFrame, ServerFrame};
use events::{
    Aggregate, GatewayId, Partition, ThreadId, UserId,
    subject::{ADDRESSES, Names},
};
use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Holds a value to a part of the document.
fn validator(document: &Value, part: &str) -> Validator {
    let schema = json!({ "allOf": [{ "$ref": part }], "components": document["components"] });
    jsonschema::draft7::new(&schema).unwrap()
}

fn messages(document: &Value) -> Vec<(String, Value)> {
    let messages = document["components"]["messages"].as_object().unwrap();
    messages.iter().map(|(key, message)| (key.clone(), message.clone())).collect()
}

#[test]
fn every_reference_is_resolved_and_every_message_is_told_and_shown() {
    let document = document();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    for (key, message) in messages(&document) {
        assert!(message["summary"].is_string(), "{key} is not told");
        assert!(text.contains(&format!("\"$ref\":\"#/components/messages/{key}\"")), "{key} is of no channel");
        let validator = validator(&document, &format!("#/components/messages/{key}/payload"));
        let example = &message["examples"][0]["payload"];
        let errors: Vec<_> = validator.iter_errors(example).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{key}: {example}: {errors:?}");
    }
}

#[test]
fn what_clients_are_shown_is_taken() {
    for (key, message) in messages(&document()).into_iter().filter(|(key, _)| key.starts_with("client.")) {
        let example = message["examples"][0]["payload"].to_string();
        let frame = ClientFrame::parse(&example).unwrap_or_else(|bad| panic!("{key}: {example}: {bad}"));
        assert!(!matches!(frame, ClientFrame::Refused { .. }), "{key}: {example}: {frame:?}");
    }
}

#[test]
fn what_is_no_frame_is_not_as_the_document_says() {
    let document = document();
    for (key, message) in messages(&document).into_iter().filter(|(key, _)| key.starts_with("client.")) {
        let validator = validator(&document, &format!("#/components/messages/{key}/payload"));
        let example = &message["examples"][0]["payload"];
        let mut broken = example.clone();
        broken["extra"] = json!(1);
        let mut all_broken = vec![broken];
        for field in message["payload"]["required"].as_array().unwrap() {
            let mut broken = example.clone();
            broken.as_object_mut().unwrap().remove(field.as_str().unwrap());
            all_broken.push(broken);
            let mut broken = example.clone();
            broken[field.as_str().unwrap()] = json!({});
            all_broken.push(broken);
        }
        for broken in all_broken {
            assert!(!validator.is_valid(&broken), "{key}: {broken}");
            let frame = ClientFrame::parse(&broken.to_string());
            assert!(matches!(frame, Err(_) | Ok(ClientFrame::Refused { .. })), "{key}: {broken}: {frame:?}");
        }
    }
}

/// Panics when a frame is not of the one message that its type names.
pub(crate) fn told(frame: &Value) {
    let document = document();
    let fitting = messages(&document).into_iter().filter(|(key, _)| {
        key.starts_with("server.")
            && validator(&document, &format!("#/components/messages/{key}/payload")).is_valid(frame)
    });
    let named = format!("server.{}", frame["type"].as_str().unwrap());
    assert_eq!(fitting.map(|(key, _)| key).collect::<Vec<_>>(), [named], "{frame}");
}

#[test]
fn what_the_server_says_is_of_one_message() {
    let vector = "0:17".parse().unwrap();
    for frame in [
        ServerFrame::Live { vector: &vector },
        ServerFrame::Reset { vector: &vector },
        ServerFrame::Pong { vector: &vector },
    ] {
        told(&serde_json::from_str(&frame.encode()).unwrap());
    }
    let names: BTreeSet<_> = socket::server_frames().into_iter().map(|(name, suffix, _)| name + suffix).collect();
    assert_eq!(names.len(), socket::server_frames().len(), "two of one name: {names:?}");
}

#[test]
fn the_addresses_are_those_that_facts_lie_under() {
    let names = Names::new("", 4);
    let id = Uuid::from_u128(7);
    for (aggregate, kind) in [
        (Aggregate::User(UserId::from_uuid(id)), "user"),
        (Aggregate::Thread(ThreadId::from_uuid(id)), "thread"),
        (Aggregate::Receipts(Partition(3)), "receipt"),
        (Aggregate::Deployment, "deployment"),
        (Aggregate::Gateway(GatewayId::from_uuid(id)), "gateway"),
    ] {
        let partition = names.partition_of(aggregate);
        let address = ADDRESSES.iter().find(|address| address.kind == kind).unwrap();
        let spelled = |text: &str| {
            let text = text.replace("{partition}", &partition.to_string());
            ["{user_id}", "{thread_id}", "{gateway_id}"].iter().fold(text, |text, of| text.replace(of, &id.to_string()))
        };
        assert_eq!(spelled(address.subject), names.subject(aggregate));
        assert_eq!(spelled(address.stream), names.stream(partition));
    }
}
