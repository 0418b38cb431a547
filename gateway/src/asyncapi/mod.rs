//! The AsyncAPI document: the socket, frame by frame, and the log's streams,
//! fact by fact, with the schemas of the types that are read and written.

mod example;
mod log;
mod socket;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::told;

use serde_json::{Map, Value, json};

const DESCRIPTION: &str = "\
    What happens, as it happens: the socket of clients, and the streams of the log for those who audit and analyse. \
    Operations are named from the server's side: it receives what clients say, and sends what they are told.";

/// The whole document (AsyncAPI 3.0.0).
pub fn document() -> Value {
    let mut parts = Parts::default();
    socket::describe(&mut parts);
    log::describe(&mut parts);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Herald",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "gateway": server("127.0.0.1:8080", "ws", "Where clients connect; `wss` behind what ends TLS"),
            "log": server("127.0.0.1:4222", "nats", "NATS with JetStream: for read-only consumers of facts the domain `herald`"),
        },
        "channels": parts.channels,
        "operations": parts.operations,
        "components": {
            "messages": parts.messages,
            "schemas": parts.schemas,
            "correlationIds": {
                "request": {
                    "description": "What the client chose to tell its requests apart",
                    "location": "$message.payload#/id",
                },
            },
        },
    })
}

fn server(host: &str, protocol: &str, description: &str) -> Value {
    let host = json!({ "default": host, "description": "As this deployment has it" });
    json!({ "host": "{host}", "protocol": protocol, "description": description, "variables": { "host": host } })
}

#[derive(Default)]
struct Parts {
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
    schemas: Map<String, Value>,
}

impl Parts {
    /// Adds a message with an example of its payload; a summary is the first line of what its schema says.
    fn message(&mut self, key: &str, name: &str, mut payload: Value) {
        let description = payload.as_object_mut().and_then(|payload| payload.remove("description"));
        let example = example::of(&payload, &self.schemas);
        self.messages.insert(
            key.to_owned(),
            json!({
                "name": name,
                "title": name,
                "summary": description.unwrap_or_default(),
                "payload": payload,
                "examples": [{ "payload": example }],
            }),
        );
    }

    fn channel(&mut self, name: &str, server: &str, messages: &[String], mut channel: Value) {
        channel["servers"] = json!([reference(&["servers", server])]);
        let messages = messages.iter().map(|key| (key.clone(), reference(&["components", "messages", key])));
        channel["messages"] = messages.collect();
        self.channels.insert(name.to_owned(), channel);
    }
}

fn reference(path: &[&str]) -> Value {
    json!({ "$ref": format!("#/{}", path.join("/")) })
}

/// Some of a channel's messages, as operations name them.
fn of_channel(channel: &str, messages: &[impl AsRef<str>]) -> Value {
    messages.iter().map(|message| reference(&["channels", channel, "messages", message.as_ref()])).collect()
}
