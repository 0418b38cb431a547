//! A fact with all that is known of it, and its stored bytes. What the subject
//! says (whose fact it is) is not said again inside.

use crate::{
    Aggregate, Event, EventId, Position, Text, Timestamp, Trace, UserId,
    clock::millis,
    event::{DeploymentEvent, PresenceEvent, ReceiptEvent, ThreadEvent, UserEvent},
    seal::AuthorKey,
    text::Repr,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An event as it lies in the log, unsealed.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    pub position: Position,
    pub aggregate: Aggregate,
    pub id: EventId,
    /// Who did it; `None` where the system did.
    pub by: Option<UserId>,
    /// When it was decided.
    pub at: Timestamp,
    /// The trace in which it was appended, where that is sampled.
    pub trace: Option<Trace>,
    pub event: Event,
}

/// A fact on its way into the log: an envelope that has no position yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub aggregate: Aggregate,
    pub id: EventId,
    pub by: Option<UserId>,
    pub at: Timestamp,
    pub event: Event,
}

/// Why stored bytes are not an event that this build knows.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("not an event that this build knows")]
    Shape(#[from] serde_json::Error),
    #[error("a text without an author")]
    NoAuthor,
    #[error("a text that its author's key does not open")]
    Seal,
}

/// A fact as it is stored.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored<E> {
    id: EventId,
    /// Who did it; absent where the system did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<UserId>,
    /// When it was decided, in milliseconds since 1970.
    at: i64,
    /// The trace in which it was appended, where that is sampled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<Trace>,
    event: E,
}

/// A decoded event whose texts are still sealed.
pub(crate) struct SealedEnvelope(Envelope);

impl Draft {
    /// The bytes to store, texts sealed with the author's key, in the trace that they are appended in.
    ///
    /// # Errors
    /// When there is text and no author, or no key.
    pub fn encode(&self, key: Option<&AuthorKey>, trace: Option<Trace>) -> Result<Vec<u8>, DecodeError> {
        let mut event = self.event.clone();
        for (index, text) in event.texts_mut().into_iter().enumerate() {
            let key = key.ok_or(DecodeError::NoAuthor)?;
            let plain = text.as_str().ok_or(DecodeError::Seal)?;
            *text = Text::sealed(key.seal(self.id, index, self.aggregate, plain));
        }
        Ok(match &event {
            Event::User(event) => self.store(trace, event)?,
            Event::Thread(event) => self.store(trace, event)?,
            Event::Receipts(event) => self.store(trace, event)?,
            Event::Presence(event) => self.store(trace, event)?,
            Event::Deployment(event) => self.store(trace, event)?,
        })
    }

    pub fn into_envelope(self, position: Position, trace: Option<Trace>) -> Envelope {
        let Self { aggregate, id, by, at, event } = self;
        Envelope { position, aggregate, id, by, at, trace, event }
    }

    fn store<E: Serialize>(&self, trace: Option<Trace>, event: E) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&Stored { id: self.id, by: self.by, at: self.at.timestamp_millis(), trace, event })
    }
}

impl SealedEnvelope {
    /// The id of a stored event, whether or not this build knows its shape.
    pub(crate) fn id(bytes: &[u8]) -> Result<EventId, DecodeError> {
        #[derive(Deserialize)]
        struct Identity {
            id: EventId,
        }
        Ok(serde_json::from_slice::<Identity>(bytes)?.id)
    }

    /// Parses a stored fact. Once a shape has a successor, its tag stays a variant of its own (`MessageSent1`) that is read
    /// here alone: right after parsing a pure `From` turns it into the newest shape, so that no decider, projection or
    /// consumer knows two. Its golden sample stays, and then decodes as the successor. A successor is written only once
    /// every node reads it, and the old one by nobody any more.
    pub(crate) fn decode(position: Position, aggregate: Aggregate, bytes: &[u8]) -> Result<Self, DecodeError> {
        fn parse<E: for<'de> Deserialize<'de> + Into<Event>>(
            position: Position,
            aggregate: Aggregate,
            bytes: &[u8],
        ) -> Result<Envelope, DecodeError> {
            let Stored { id, by, at, trace, event } = serde_json::from_slice::<Stored<E>>(bytes)?;
            Ok(Envelope { position, aggregate, id, by, at: millis(at), trace, event: event.into() })
        }
        Ok(Self(match aggregate {
            Aggregate::User(_) => parse::<UserEvent>(position, aggregate, bytes)?,
            Aggregate::Thread(_) => parse::<ThreadEvent>(position, aggregate, bytes)?,
            Aggregate::Receipts(_) => parse::<ReceiptEvent>(position, aggregate, bytes)?,
            Aggregate::Gateway(_) => parse::<PresenceEvent>(position, aggregate, bytes)?,
            Aggregate::Deployment => parse::<DeploymentEvent>(position, aggregate, bytes)?,
        }))
    }

    /// With its texts sealed: not for others.
    pub(crate) fn event(&self) -> &Event {
        &self.0.event
    }

    /// Whose key the texts need; `None` where there are no texts.
    pub(crate) fn author(&mut self) -> Result<Option<UserId>, DecodeError> {
        if self.0.event.texts_mut().is_empty() {
            return Ok(None);
        }
        self.0.by.map(Some).ok_or(DecodeError::NoAuthor)
    }

    /// Opens the texts: readable with the author's key, erased where that was destroyed.
    pub(crate) fn unseal(mut self, key: Option<&AuthorKey>) -> Result<Envelope, DecodeError> {
        let Envelope { id, aggregate, .. } = self.0;
        for (index, text) in self.0.event.texts_mut().into_iter().enumerate() {
            *text = match (text.repr(), key) {
                (Repr::Sealed(sealed), Some(key)) => {
                    Text::new(&key.unseal(id, index, aggregate, sealed).ok_or(DecodeError::Seal)?)
                }
                (Repr::Sealed(_), None) => Text::ERASED,
                (Repr::Plain(_) | Repr::Erased, _) => continue,
            };
        }
        Ok(self.0)
    }
}
