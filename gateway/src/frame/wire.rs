//! The frames of clients, field by field, as they are read and as the AsyncAPI
//! document has them: there is no second list of either.

use super::client::{MAX_WATCHED, RequestId};
use events::{AttachmentId, MessageKey, ThreadId, UserId, Vector, event::Number};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use std::borrow::Cow;
use uuid::Uuid;

/// What a frame of a client is, by its `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Comes first, within 5 s, and once: who it is, and from where on it missed what happened.
    Hello,
    /// Sends a message into a thread, or to a person.
    Send,
    /// Replaces the text of a message of one's own.
    Edit,
    /// Deletes a message for good.
    Delete,
    /// Reacts to a message with an emoji.
    React,
    /// Takes a reaction back.
    Unreact,
    /// What one has got and read, up to and including those numbers. Not answered.
    Receipt,
    /// One is writing: good for a few seconds, told at most every 3 s. Not answered.
    Typing,
    /// Whose presence to be told of, in place of those before; how they are comes at once.
    Watch,
    /// A new access token, before the one before ends. Not answered.
    Refresh,
    /// Answered by `pong`.
    Ping,
}

/// The fields of `send`, in the words of the client: whoever executes it parses them.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["thread_id"] }, { "required": ["to"] }]))]
pub(crate) struct SendFrame {
    #[serde(rename = "type")]
    _type: Tag,
    pub(crate) id: RequestId,
    /// Where to; else `to` is needed.
    #[schemars(with = "Option<ThreadId>")]
    pub(crate) thread_id: Option<String>,
    /// To whom, in the direct thread, which it opens.
    #[schemars(with = "Option<UserId>")]
    pub(crate) to: Option<String>,
    /// A UUIDv7 of the sender's: the same again sends nothing again.
    #[schemars(with = "MessageKey")]
    pub(crate) key: String,
    /// 1 to 32,768 bytes after NFC; may be empty beside attachments.
    #[schemars(example = &"Hello")]
    pub(crate) body: String,
    /// The number of a message in the same thread.
    pub(crate) reply_to: Option<Number>,
    /// Uploads of the sender's that nothing has used yet.
    #[schemars(with = "Option<Vec<AttachmentId>>", length(max = 10))]
    pub(crate) attachments: Option<Vec<String>>,
    /// The client's trace (W3C Trace Context); one that cannot be read is none.
    pub(crate) traceparent: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Hello {
    #[serde(rename = "type")]
    _type: Tag,
    #[schemars(example = &"eyJhbGciOiJFZERTQSJ9…")]
    pub(super) token: String,
    pub(super) resume: Option<Vector>,
    /// That of the `welcome` which the vector stems from: a vector of another log is answered with `reset`.
    pub(super) epoch: Option<Uuid>,
    #[serde(rename = "device")]
    _device: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    #[serde(rename = "type")]
    _type: Tag,
    pub(super) id: RequestId,
    #[schemars(with = "ThreadId")]
    pub(super) thread_id: String,
    pub(super) number: Number,
    #[schemars(example = &"Hello again")]
    pub(super) body: String,
    pub(super) traceparent: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Delete {
    #[serde(rename = "type")]
    _type: Tag,
    pub(super) id: RequestId,
    #[schemars(with = "ThreadId")]
    pub(super) thread_id: String,
    pub(super) number: Number,
    pub(super) traceparent: Option<String>,
}

/// A `react` or an `unreact`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct React {
    #[serde(rename = "type")]
    _type: Tag,
    pub(super) id: RequestId,
    #[schemars(with = "ThreadId")]
    pub(super) thread_id: String,
    pub(super) number: Number,
    #[schemars(example = &"👍")]
    pub(super) emoji: String,
    pub(super) traceparent: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("examples" = [{
    "type": "receipt",
    "thread_id": "0190b5a0-0000-7000-8000-000000000001",
    "delivered": 42,
    "read": 41,
}]))]
pub(super) struct Receipt {
    #[serde(rename = "type")]
    _type: Tag,
    #[schemars(with = "ThreadId")]
    pub(super) thread_id: String,
    pub(super) delivered: Option<Number>,
    pub(super) read: Option<Number>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Typing {
    #[serde(rename = "type")]
    _type: Tag,
    #[schemars(with = "ThreadId")]
    pub(super) thread_id: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Watch {
    #[serde(rename = "type")]
    _type: Tag,
    #[schemars(with = "Vec<UserId>", length(max = MAX_WATCHED))]
    pub(super) user_ids: Vec<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    #[serde(rename = "type")]
    _type: Tag,
    #[schemars(example = &"eyJhbGciOiJFZERTQSJ9…")]
    pub(super) token: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ping {
    #[serde(rename = "type")]
    _type: Tag,
}

/// The `type` of a frame that has been told by it already.
#[derive(Debug, Clone, PartialEq)]
struct Tag;

impl Kind {
    /// The fields of such a frame.
    pub(crate) fn schema(self, generator: &mut SchemaGenerator) -> Schema {
        match self {
            Self::Hello => Hello::json_schema(generator),
            Self::Send => SendFrame::json_schema(generator),
            Self::Edit => Edit::json_schema(generator),
            Self::Delete => Delete::json_schema(generator),
            Self::React | Self::Unreact => React::json_schema(generator),
            Self::Receipt => Receipt::json_schema(generator),
            Self::Typing => Typing::json_schema(generator),
            Self::Watch => Watch::json_schema(generator),
            Self::Refresh => Refresh::json_schema(generator),
            Self::Ping => Ping::json_schema(generator),
        }
    }
}

impl<'de> Deserialize<'de> for Tag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl JsonSchema for Tag {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "type".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}
