//! What clients say. A request that can be answered (it has an `id`) gets its
//! faults as an `error` frame; anything else that is not as the contract has it
//! is a bad frame and ends the socket.

use events::{ThreadId, UserId, Vector, event::Number, id::InvalidId};
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use std::{borrow::Cow, str::FromStr};
use uuid::Uuid;

/// The most people whom one socket watches.
const MAX_WATCHED: usize = 500;

/// What a client chose to tell its requests apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum RequestId {
    Text(String),
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

/// The fields of `send`, in the words of the client: whoever executes it parses them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SendFrame {
    #[serde(rename = "type")]
    _type: Tag,
    pub(crate) id: RequestId,
    pub(crate) thread_id: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) key: String,
    pub(crate) body: String,
    pub(crate) reply_to: Option<Number>,
    pub(crate) attachments: Option<Vec<String>>,
    /// The client's trace (W3C Trace Context); one that cannot be read is none.
    pub(crate) traceparent: Option<String>,
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

/// The `type` of a frame that has been told by it already.
#[derive(Debug, Clone, PartialEq)]
struct Tag;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(default)]
    id: Option<Id>,
}

/// An `id` of any shape: whether one is needed, the kind of frame tells.
enum Id {
    Usable(RequestId),
    Unusable,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    #[serde(rename = "type")]
    _type: Tag,
    token: String,
    resume: Option<Vector>,
    epoch: Option<Uuid>,
    #[serde(rename = "device")]
    _device: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    #[serde(rename = "type")]
    _type: Tag,
    id: RequestId,
    thread_id: String,
    number: Number,
    body: String,
    traceparent: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    #[serde(rename = "type")]
    _type: Tag,
    id: RequestId,
    thread_id: String,
    number: Number,
    traceparent: Option<String>,
}

/// A `react` or an `unreact`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct React {
    #[serde(rename = "type")]
    _type: Tag,
    id: RequestId,
    thread_id: String,
    number: Number,
    emoji: String,
    traceparent: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receipt {
    #[serde(rename = "type")]
    _type: Tag,
    thread_id: String,
    delivered: Option<Number>,
    read: Option<Number>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typing {
    #[serde(rename = "type")]
    _type: Tag,
    thread_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Watch {
    #[serde(rename = "type")]
    _type: Tag,
    user_ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    #[serde(rename = "type")]
    _type: Tag,
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ping {
    #[serde(rename = "type")]
    _type: Tag,
}

impl ClientFrame {
    /// Parses a text message.
    ///
    /// # Errors
    /// When it is no frame of the contract, or a faulty one that asks for no answer.
    pub(crate) fn parse(text: &str) -> Result<Self, BadFrame> {
        let Head { kind, id } = parse(text)?;
        match &*kind {
            "hello" => {
                let Hello { token, resume, epoch, .. } = parse(text)?;
                Ok(Self::Hello { token, resume: resume.map(|vector| Resume { vector, epoch }) })
            }
            "receipt" => {
                let Receipt { thread_id, delivered, read, .. } = parse(text)?;
                Ok(Self::Receipt { thread_id: read_id("thread_id", &thread_id)?, delivered, read })
            }
            "refresh" => parse(text).map(|Refresh { token, .. }| Self::Refresh { token }),
            "ping" => parse::<Ping>(text).map(|_| Self::Ping),
            "send" => request(id, text, Self::Send),
            "edit" => request(id, text, Edit::amend),
            "delete" => request(id, text, Delete::amend),
            "react" => request(id, text, |react: React| react.amend(|emoji| Change::React { emoji })),
            "unreact" => request(id, text, |react: React| react.amend(|emoji| Change::Unreact { emoji })),
            "typing" => {
                let Typing { thread_id, .. } = parse(text)?;
                Ok(Self::Typing { thread_id: read_id("thread_id", &thread_id)? })
            }
            "watch" => {
                let Watch { user_ids, .. } = parse(text)?;
                if user_ids.len() > MAX_WATCHED {
                    return Err(BadFrame(format!("user_ids: at most {MAX_WATCHED}")));
                }
                let user_ids = user_ids.iter().map(|text| read_id("user_ids", text)).collect::<Result<_, _>>()?;
                Ok(Self::Watch { user_ids })
            }
            _ => Err(BadFrame("unknown type".to_owned())),
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
    const MAX_BYTES: usize = 128;
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

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}
