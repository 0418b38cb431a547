//! The socket's part of the document: each frame of either side, which of them
//! answers which, and why sockets end.

use super::{Parts, of_channel, reference};
use crate::{
    frame::{Ack, Error, Kind, ServerFrame},
    problem::Problem,
    sending::SendAnswer,
    session::CODES,
    socket::{ChangeAnswer, PROTOCOL},
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

const CHANNEL: &str = "socket";

const DESCRIPTION: &str = "\
    A WebSocket of JSON text frames. The client's first frame is `hello` with an access token, which is never in the \
    address; `welcome` answers it. If the hello resumes from a vector, everything missed comes next, in ascending order \
    within each partition; then `live`, and from there on what happens. The client keeps one vector: that of `welcome` \
    when it does not resume, raised by the `position` of each frame that it has processed, replaced by that of `live`; \
    that is its next `resume`. An `ack` never raises it. `reset`, when too much was missed or the log is another: \
    reload, and go on from its vector. A request carries an `id` of the client's; an `ack` or an `error` with the same \
    `id` answers it. Unknown fields of clients are refused, and unknown ones of the server may appear later. The server \
    pings; 60 s without any answer ends the socket.";

/// The schemas of the frames that clients say, by their type.
pub(super) fn client_frames() -> Vec<(Kind, String, Value)> {
    let mut generator = inlined(SchemaSettings::draft07());
    let kinds = Kind::json_schema(&mut generator).to_value();
    let of_kind = |told: &Value| {
        let kind: Kind = serde_json::from_value(told["const"].clone()).expect("a type of the enum's own");
        let mut schema = kind.schema(&mut generator).to_value();
        schema["description"] = told["description"].clone();
        let name = told["const"].as_str().expect("types are texts");
        (kind, name.to_owned(), typed(schema, name))
    };
    kinds["oneOf"].as_array().expect("an enum").iter().map(of_kind).collect()
}

/// The schemas of the frames that clients are told, under a name of each; the answers to requests come last.
pub(super) fn server_frames() -> Vec<(String, &'static str, Value)> {
    let mut generator = inlined(SchemaSettings::draft07().for_serialize());
    let Value::Array(frames) = ServerFrame::json_schema(&mut generator).to_value()["oneOf"].take() else {
        unreachable!("frames are an enum");
    };
    let told = |frame: Value| (frame["properties"]["type"]["const"].as_str().expect("a type").to_owned(), "", frame);
    let mut answer = |name: &str, suffix, schema: fn(&mut SchemaGenerator) -> schemars::Schema| {
        (name.to_owned(), suffix, typed(schema(&mut generator).to_value(), name))
    };
    let answers = [
        answer("ack", "_of_send", Ack::<SendAnswer>::json_schema),
        answer("ack", "_of_change", Ack::<ChangeAnswer>::json_schema),
        answer("error", "", Error::<Problem>::json_schema),
    ];
    frames.into_iter().map(told).chain(answers).collect()
}

pub(super) fn describe(parts: &mut Parts) {
    let mut keys = Vec::new();
    for (kind, name, schema) in client_frames() {
        let key = format!("client.{name}");
        message(parts, &key, &name, schema);
        let mut operation = operation("receive", &key);
        if let Some(answers) = answers(kind) {
            operation["reply"] = json!({ "channel": channel(), "messages": of_channel(CHANNEL, answers) });
        }
        parts.operations.insert(format!("receive_{name}"), operation);
        keys.push(key);
    }
    for (name, suffix, schema) in server_frames() {
        let key = format!("server.{name}{suffix}");
        let is_answer = is_correlated(&schema);
        message(parts, &key, &name, schema);
        if !is_answer {
            parts.operations.insert(format!("send_{name}"), operation("send", &key));
        }
        keys.push(key);
    }
    parts.channel(CHANNEL, "gateway", &keys, told());
}

fn message(parts: &mut Parts, key: &str, name: &str, schema: Value) {
    let is_correlated = is_correlated(&schema);
    parts.message(key, name, schema);
    if is_correlated {
        parts.messages[key]["correlationId"] = reference(&["components", "correlationIds", "request"]);
    }
}

/// Whether it is a request, or the answer to one.
fn is_correlated(schema: &Value) -> bool {
    schema["properties"]["id"].is_object()
}

fn told() -> Value {
    let codes: Map<_, _> = CODES.iter().map(|(code, meaning)| (code.to_string(), json!(meaning))).collect();
    json!({
        "address": "/v1/socket",
        "title": "The socket",
        "description": DESCRIPTION,
        "bindings": {
            "ws": {
                "method": "GET",
                "headers": {
                    "type": "object",
                    "properties": { "Sec-WebSocket-Protocol": { "type": "string", "const": PROTOCOL } },
                    "required": ["Sec-WebSocket-Protocol"],
                },
                "bindingVersion": "0.1.0",
            },
        },
        "x-close-codes": codes,
    })
}

fn operation(action: &str, key: &str) -> Value {
    json!({ "action": action, "channel": channel(), "messages": of_channel(CHANNEL, &[key]) })
}

fn channel() -> Value {
    reference(&["channels", CHANNEL])
}

/// What answers a frame, where something does.
fn answers(kind: Kind) -> Option<&'static [&'static str]> {
    match kind {
        Kind::Hello => Some(&["server.welcome"]),
        Kind::Send => Some(&["server.ack_of_send", "server.error"]),
        Kind::Edit | Kind::Delete | Kind::React | Kind::Unreact => Some(&["server.ack_of_change", "server.error"]),
        Kind::Ping => Some(&["server.pong"]),
        Kind::Receipt | Kind::Typing | Kind::Watch | Kind::Refresh => None,
    }
}

fn inlined(mut settings: SchemaSettings) -> SchemaGenerator {
    settings.inline_subschemas = true;
    settings.into_generator()
}

/// The schema of a frame that its `type` tells.
fn typed(mut schema: Value, name: &str) -> Value {
    schema["properties"]["type"] = json!({ "type": "string", "const": name });
    schema
}
