//! What clients say. A request that can be answered (it has an `id`) gets its
//! faults as an `error` frame; anything else that is not as the contract has it
//! is a bad frame and ends the socket.

use super::wire::{Delete, Edit, Hello, Kind, Ping, React, Receipt, Refresh, SendFrame, Typing, Watch};
use events::{ThreadId, UserId, Vector, event::Number, id::InvalidId};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use std::str::FromStr;
use uuid::Uuid;

/// The most people whom one socket watches.
pub(super) const MAX_WATCHED: usize = 500;

/// What a client chose to tell its requests apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum RequestId {
    Text(#[schemars(length(max = "RequestId::MAX_BYTES"), example = &"7")] String),
    Number(u64),
}

/// Where a client has come, and of which log, if it says so: in one of another epoch the vector means something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resume {
    pub(crate) vector: Vector,
    pub(crate) epoch: Option<Uuid>,
}

/// A frame of a client, well-formed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ClientFrame {
    Hello {
        token: String,
        resume: Option<Resume>,
    },
    Send(SendFrame),
    Amend(AmendFrame),
    Receipt {
        thread_id: ThreadId,
        delivered: Option<Number>,
        read: Option<Number>,
    },
    Refresh {
        token: String,
    },
    Ping,
    /// A request that is answered with its fault.
    Refused {
        id: RequestId,
        fault: Fault,
    },
    Typing {
        thread_id: ThreadId,
    },
    Watch {
        user_ids: Vec<UserId>,
    },
}

/// An `edit`, `delete`, `react` or `unreact`, in the words of the client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AmendFrame {
    pub(crate) id: RequestId,
    pub(crate) thread_id: String,
    pub(crate) number: Number,
    pub(crate) change: Change,
    pub(crate) traceparent: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Edit { body: String },
    Delete,
    React { emoji: String },
    Unreact { emoji: String },
}

/// What is wrong with a request: a field is missing, unknown or of another kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The field at fault, `.` for the frame itself.
    pub(crate) path: String,
    pub(crate) error: String,
}

/// Not a frame of the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadFrame(String);

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    id: Option<Id>,
}

/// An `id` of any shape: whether one is needed, the kind of frame tells.
enum Id {
    Usable(RequestId),
    Unusable,
}

impl ClientFrame {
    /// Parses a text message.
    ///
    /// # Errors
    /// When it is no frame of the contract, or a faulty one that asks for no answer.
    pub(crate) fn parse(text: &str) -> Result<Self, BadFrame> {
        let Head { kind, id } = parse(text)?;
        match kind {
            Kind::Hello => {
                let Hello { token, resume, epoch, .. } = parse(text)?;
                Ok(Self::Hello { token, resume: resume.map(|vector| Resume { vector, epoch }) })
            }
            Kind::Receipt => {
                let Receipt { thread_id, delivered, read, .. } = parse(text)?;
                Ok(Self::Receipt { thread_id: read_id("thread_id", &thread_id)?, delivered, read })
            }
            Kind::Refresh => parse(text).map(|Refresh { token, .. }| Self::Refresh { token }),
            Kind::Ping => parse::<Ping>(text).map(|_| Self::Ping),
            Kind::Send => request(id, text, Self::Send),
            Kind::Edit => request(id, text, Edit::amend),
            Kind::Delete => request(id, text, Delete::amend),
            Kind::React => request(id, text, |react: React| react.amend(|emoji| Change::React { emoji })),
            Kind::Unreact => request(id, text, |react: React| react.amend(|emoji| Change::Unreact { emoji })),
            Kind::Typing => {
                let Typing { thread_id, .. } = parse(text)?;
                Ok(Self::Typing { thread_id: read_id("thread_id", &thread_id)? })
            }
            Kind::Watch => {
                let Watch { user_ids, .. } = parse(text)?;
                if user_ids.len() > MAX_WATCHED {
                    return Err(BadFrame(format!("user_ids: at most {MAX_WATCHED}")));
                }
                let user_ids = user_ids.iter().map(|text| read_id("user_ids", text)).collect::<Result<_, _>>()?;
                Ok(Self::Watch { user_ids })
            }
        }
    }

    /// Whether the person does something with it, and not their client by itself.
    pub(crate) fn is_deed(&self) -> bool {
        match self {
            Self::Hello { .. }
            | Self::Send(_)
            | Self::Amend(_)
            | Self::Refused { .. }
            | Self::Typing { .. }
            | Self::Watch { .. } => true,
            // That something was delivered, a client says whether or not anybody looks.
            Self::Receipt { read, .. } => read.is_some(),
            Self::Refresh { .. } | Self::Ping => false,
        }
    }

    /// Whether it asks for something to be done, and is answered.
    pub(crate) fn is_request(&self) -> bool {
        match self {
            Self::Send(_) | Self::Amend(_) | Self::Refused { .. } => true,
            Self::Hello { .. }
            | Self::Receipt { .. }
            | Self::Typing { .. }
            | Self::Watch { .. }
            | Self::Refresh { .. }
            | Self::Ping => false,
        }
    }
}

impl Edit {
    fn amend(self) -> ClientFrame {
        let Self { id, thread_id, number, body, traceparent, .. } = self;
        ClientFrame::Amend(AmendFrame { id, thread_id, number, change: Change::Edit { body }, traceparent })
    }
}

impl Delete {
    fn amend(self) -> ClientFrame {
        let Self { id, thread_id, number, traceparent, .. } = self;
        ClientFrame::Amend(AmendFrame { id, thread_id, number, change: Change::Delete, traceparent })
    }
}

impl React {
    fn amend(self, change: impl FnOnce(String) -> Change) -> ClientFrame {
        let Self { id, thread_id, number, emoji, traceparent, .. } = self;
        ClientFrame::Amend(AmendFrame { id, thread_id, number, change: change(emoji), traceparent })
    }
}

fn read_id<I: FromStr<Err = InvalidId>>(field: &str, text: &str) -> Result<I, BadFrame> {
    text.parse().map_err(|error| BadFrame(format!("{field}: {error}")))
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, BadFrame> {
    serde_json::from_str(text).map_err(|error| BadFrame(error.to_string()))
}

/// A request, or its fault: who asked is told.
fn request<'a, T: Deserialize<'a>>(
    id: Option<Id>,
    text: &'a str,
    frame: impl FnOnce(T) -> ClientFrame,
) -> Result<ClientFrame, BadFrame> {
    let id = answerable(id)?;
    Ok(serde_json::from_str(text).map_or_else(|_| ClientFrame::Refused { id, fault: fault::<T>(text) }, frame))
}

/// Where a request is at fault: it is read again, as following where one reads costs all that are not.
fn fault<'a, T: Deserialize<'a>>(text: &'a str) -> Fault {
    let read = serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_str(text));
    // What comes after the frame is no field's fault.
    let (path, error) = read.err().map_or_else(
        || (".".to_owned(), "something follows the frame".to_owned()),
        |error| (error.path().to_string(), error.into_inner().to_string()),
    );
    Fault { path, error }
}

fn answerable(id: Option<Id>) -> Result<RequestId, BadFrame> {
    match id {
        Some(Id::Usable(id)) => Ok(id),
        Some(Id::Unusable) => {
            Err(BadFrame(format!("id: a number or a text of at most {} bytes", RequestId::MAX_BYTES)))
        }
        None => Err(BadFrame("missing field `id`".to_owned())),
    }
}

impl RequestId {
    pub(super) const MAX_BYTES: usize = 128;
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Id::deserialize(deserializer)? {
            Id::Usable(id) => Ok(id),
            Id::Unusable => Err(serde::de::Error::custom("not a request id")),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Any {
            Text(String),
            Number(u64),
            Other(IgnoredAny),
        }
        Ok(match Any::deserialize(deserializer)? {
            Any::Text(text) if text.len() <= RequestId::MAX_BYTES => Self::Usable(RequestId::Text(text)),
            Any::Number(number) => Self::Usable(RequestId::Number(number)),
            Any::Text(_) | Any::Other(_) => Self::Unusable,
        })
    }
}
