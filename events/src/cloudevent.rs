//! A fact as consumers are told it: CloudEvents 1.0, as JSON in one object.
//! Texts are kept back unless they were asked for; a sealed one never leaves.

use crate::{
    Event, EventId, Position, Timestamp, UserId,
    envelope::{DecodeError, SealedEnvelope},
    seal::AuthorKey,
    text::Repr,
};
use serde::{Serialize, Serializer};
use serde_json::Value;
use uuid::Uuid;

/// What the texts of a fact become.
pub(crate) enum Texts<'a> {
    /// Null, and the event says so.
    KeptBack,
    /// Readable, or null where the key was destroyed.
    Opened(Option<&'a AuthorKey>),
}

/// A fact with its context attributes (CloudEvents 1.0.2, and the extensions `position`, `sealed`, those of Auth Context
/// and of Distributed Tracing). The stream of presence is not told, so the position is one of the log's.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CloudEvent {
    specversion: &'static str,
    pub id: EventId,
    /// The log, and which history of it: another epoch is another source.
    pub source: String,
    /// `herald.` and the name of its schema.
    #[serde(rename = "type")]
    pub kind: String,
    pub subject: String,
    #[serde(serialize_with = "in_milliseconds")]
    pub time: Timestamp,
    datacontenttype: &'static str,
    /// The `$id` of its schema.
    dataschema: String,
    pub position: Position,
    authtype: &'static str,
    /// Who did it; `None` where the system did.
    #[serde(rename = "authid", skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    /// There are texts, and they were not asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
    pub data: Value,
    /// What it takes in the log, in bytes.
    #[serde(skip)]
    pub stored: usize,
}

/// The source of a log's facts.
pub fn source(epoch: Uuid) -> String {
    format!("urn:uuid:{epoch}")
}

/// What a schema is called, `thread.message_sent.1`, as an absolute URI.
pub fn schema_id(name: &str) -> String {
    format!("urn:herald:schema:{name}")
}

impl SealedEnvelope {
    /// Tells it, of a log of that epoch; `stored` is how many bytes it takes there.
    pub(crate) fn told(self, epoch: Uuid, texts: &Texts<'_>, stored: usize) -> Result<CloudEvent, DecodeError> {
        let (kind, mut named) = as_json(self.event())?;
        let fields = named.as_object_mut().and_then(|named| std::mem::take(named).into_iter().next());
        let (tag, mut data) = fields.expect("a fact is tagged by its name");
        let seals = self.event().texts().into_iter().filter_map(|text| match text.repr() {
            Repr::Sealed(sealed) => Some(sealed.clone()),
            Repr::Plain(_) | Repr::Erased => None,
        });
        let seals: Vec<String> = seals.collect();
        let (envelope, sealed) = match texts {
            Texts::KeptBack => (self.unseal(None)?, !seals.is_empty()),
            Texts::Opened(key) => (self.unseal(*key)?, false),
        };
        let opened = envelope.event.texts().into_iter().map(|text| text.as_str().map(str::to_owned));
        let texts: Vec<_> = seals.into_iter().zip(opened).collect();
        replace(&mut data, &texts);
        let name = format!("{kind}.{tag}");
        Ok(CloudEvent {
            specversion: "1.0",
            id: envelope.id,
            source: source(epoch),
            kind: format!("herald.{name}"),
            subject: envelope.aggregate.to_string(),
            time: envelope.at,
            datacontenttype: "application/json",
            dataschema: schema_id(&name),
            position: envelope.position,
            authtype: if envelope.by.is_some() { "app_user" } else { "system" },
            by: envelope.by,
            traceparent: envelope.trace.map(|trace| format!("00-{trace}-01")),
            sealed,
            data,
            stored,
        })
    }
}

impl CloudEvent {
    /// Whether somebody means this type: by its whole name, without `herald.`, or without kind or version as well.
    pub fn is_called(&self, name: &str) -> bool {
        let Some(of_kind) = self.kind.strip_prefix("herald.") else { return false };
        let tag = of_kind.split_once('.').map_or(of_kind, |(_, tag)| tag);
        let unversioned =
            |name: &str| name.rsplit_once('.').map_or_else(|| name.to_owned(), |(name, _)| name.to_owned());
        [&self.kind, of_kind, tag].contains(&name)
            || [unversioned(of_kind), unversioned(tag)].iter().any(|is| is == name)
    }
}

fn as_json(event: &Event) -> serde_json::Result<(&'static str, Value)> {
    Ok(match event {
        Event::User(event) => ("user", serde_json::to_value(event)?),
        Event::Thread(event) => ("thread", serde_json::to_value(event)?),
        Event::Receipts(event) => ("receipt", serde_json::to_value(event)?),
        Event::Deployment(event) => ("deployment", serde_json::to_value(event)?),
        Event::Presence(event) => ("gateway", serde_json::to_value(event)?),
    })
}

/// A text is found by its seal, which nothing else in the fact is equal to: it holds 128 bits that only its key makes.
fn replace(value: &mut Value, texts: &[(String, Option<String>)]) {
    match value {
        Value::String(found) => {
            if let Some((_, text)) = texts.iter().find(|(seal, _)| seal == found) {
                *value = text.clone().map_or(Value::Null, Value::String);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, texts)),
        Value::Object(fields) => fields.values_mut().for_each(|value| replace(value, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn in_milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&time.format("%Y-%m-%dT%H:%M:%S%.3fZ"))
}
