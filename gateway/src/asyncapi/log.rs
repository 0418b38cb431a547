//! The log's part of the document: which facts lie in which stream, as NATS
//! gives them to a consumer.

use super::{Parts, of_channel, reference};
use events::{
    schema::of_events,
    subject::{ADDRESSES, Address},
};
use serde_json::{Map, Value, json};

pub(super) fn describe(parts: &mut Parts) {
    for address in ADDRESSES {
        let channel = format!("log.{}", address.kind);
        let mut keys = Vec::new();
        for event in of_events().into_iter().filter(|event| event.kind == address.kind) {
            let (name, mut payload) = (event.name(), event.stored);
            payload["properties"]["event"]["properties"][&event.tag] = reference(&["components", "schemas", &name]);
            payload["description"] = event.data["description"].clone();
            parts.schemas.insert(name.clone(), event.data);
            parts.message(&name, &event.tag, payload);
            keys.push(name);
        }
        let operation = json!({
            "action": "send",
            "channel": reference(&["channels", &channel]),
            "messages": of_channel(&channel, &keys),
            "bindings": { "nats": { "bindingVersion": "0.1.0" } },
        });
        parts.operations.insert(format!("append_{}", address.kind), operation);
        parts.channel(&channel, "log", &keys, told(address));
    }
}

fn told(Address { kind, subject, stream }: Address) -> Value {
    let variables = subject.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let parameters: Map<_, _> =
        variables.map(|name| (name.to_owned(), json!({ "description": meaning(name) }))).collect();
    let order = if kind == "receipt" { "They commute." } else { "Those of one subject are one order." };
    let mut told = json!({
        "address": subject,
        "title": format!("Facts of a {kind}"),
        "description": format!("Stored in the JetStream stream `{stream}`, under the deployment's prefix. {order}"),
        "x-jetstream-stream": stream,
    });
    if !parameters.is_empty() {
        told["parameters"] = parameters.into();
    }
    told
}

fn meaning(parameter: &str) -> &'static str {
    match parameter {
        "partition" => "From 0 on, as many as the deployment was created with",
        "gateway_id" => "One lease of a gateway",
        _ => "Whose facts they are, a UUID",
    }
}
