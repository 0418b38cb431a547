//! The shape of each fact as a JSON Schema, derived from the types that are
//! stored. `events/schema/` holds one for each tag, kept equal by a test.

use crate::{
    AttachmentId, Emoji, EventId, GatewayId, MessageKey, Position, SessionId, Text, ThreadId, Trace, UserId, Vector,
    attachment::MediaType,
    cloudevent::schema_id,
    envelope::Stored,
    event::{DeploymentEvent, PresenceEvent, ReceiptEvent, ThreadEvent, UserEvent},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Facts of one kind and shape.
#[derive(Debug, Clone, PartialEq)]
pub struct EventSchema {
    /// What the fact belongs to: `user`, `thread`, `receipt`, `gateway` or `deployment`.
    pub kind: &'static str,
    /// Its name and version, `message_sent.1`.
    pub tag: String,
    /// What happened, in its fields.
    pub data: Value,
    /// The bytes that lie in the log: who and when around the tag and what happened.
    pub stored: Value,
}

impl EventSchema {
    /// What no other has: tags alone are not told apart by what they belong to.
    pub fn name(&self) -> String {
        format!("{}.{}", self.kind, self.tag)
    }

    /// What happened, as a document of its own.
    pub fn document(&self) -> Value {
        let mut document = self.data.clone();
        document["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        document["$id"] = json!(schema_id(&self.name()));
        document["title"] = json!(self.name());
        document
    }
}

/// Every shape that this build writes or reads.
pub fn of_events() -> Vec<EventSchema> {
    let kinds = [
        of_kind::<UserEvent>("user"),
        of_kind::<ThreadEvent>("thread"),
        of_kind::<ReceiptEvent>("receipt"),
        of_kind::<PresenceEvent>("gateway"),
        of_kind::<DeploymentEvent>("deployment"),
    ];
    kinds.into_iter().flatten().collect()
}

fn of_kind<E: JsonSchema>(kind: &'static str) -> Vec<EventSchema> {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    settings.meta_schema = None;
    let mut stored = settings.into_generator().into_root_schema_for::<Stored<E>>().to_value();
    stored.as_object_mut().expect("an envelope has fields").remove("title");
    let events = stored["properties"]["event"]["oneOf"].take();
    let of_event = |event: Value| {
        let (tag, mut data) = event["properties"].as_object().and_then(only).expect("a fact is tagged by its name");
        if let Some(description) = event.get("description") {
            data["description"] = description.clone();
        }
        let mut stored = stored.clone();
        stored["properties"]["event"] = event;
        EventSchema { kind, tag, data, stored }
    };
    let Value::Array(events) = events else { unreachable!("facts of a kind are an enum") };
    events.into_iter().map(of_event).collect()
}

fn only(properties: &Map<String, Value>) -> Option<(String, Value)> {
    let (tag, data) = properties.iter().next().filter(|_| properties.len() == 1)?;
    Some((tag.clone(), data.clone()))
}

macro_rules! of_text {
    ($($name:ident)+: $schema:tt) => {$(
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )+};
}

of_text!(Position: { "type": "string", "pattern": "^[0-9]+:[0-9]+$", "examples": ["3:1289"] });
of_text!(Vector: {
    "type": "string",
    "pattern": "^([0-9]+:[0-9]+(,[0-9]+:[0-9]+)*)?$",
    "examples": ["0:17,3:1289"]
});
of_text!(UserId ThreadId SessionId GatewayId EventId AttachmentId MessageKey: { "type": "string", "format": "uuid" });
of_text!(Emoji: { "type": "string", "description": "One emoji (UTS #51)." });
of_text!(MediaType: { "type": "string", "description": "A media type (RFC 6838), without parameters." });
of_text!(Trace: { "type": "string", "description": "A trace and a span of it, `trace-span` in hexadecimal." });
of_text!(Text: {
    "type": ["string", "null"],
    "description": "Sealed with its author's key in the log; readable at the edge, null once its author was erased."
});
