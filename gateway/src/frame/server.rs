//! What clients are told. A frame that comes from the log carries its position;
//! of several from one event only the last one does.

use super::{Attached, RequestId};
use crate::time::Time;
use axum::extract::ws::Utf8Bytes;
use events::{
    AttachmentId, MessageKey, Position, SessionId, ThreadId, UserId, Vector,
    event::{Number, Role},
};
use schemars::JsonSchema;
use serde::Serialize;
use uuid::Uuid;

/// A frame of the server's, except the answers to requests.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ServerFrame<'a> {
    /// Who is connected, and where what follows starts when nothing is resumed.
    Welcome {
        session_id: SessionId,
        user_id: UserId,
        time: Time,
        #[schemars(example = 25)]
        heartbeat_s: u64,
        epoch: Uuid,
        vector: &'a Vector,
    },
    /// Everything up to the vector has been sent; what follows, happens now.
    Live { vector: &'a Vector },
    /// What was asked for cannot be had: reload, and go on from the vector.
    Reset { vector: &'a Vector },
    /// Everything up to the vector has been sent to this socket.
    Pong { vector: &'a Vector },
    /// Somebody wrote, on whatever device.
    Message {
        thread_id: ThreadId,
        number: Number,
        key: MessageKey,
        sender_id: UserId,
        /// Null once its author was erased, or it was edited or deleted since: a frame that says so follows.
        #[schemars(example = &"Hello")]
        body: Option<&'a str>,
        reply_to: Option<Number>,
        mentions: &'a [UserId],
        attachments: Vec<Attached<'a>>,
        sent_at: Time,
        position: Position,
    },
    /// The text is another, or gone with its author.
    MessageEdited {
        thread_id: ThreadId,
        number: Number,
        body: Option<&'a str>,
        mentions: &'a [UserId],
        edited_at: Time,
        position: Position,
    },
    /// A message is gone for good; its number stays.
    MessageDeleted { thread_id: ThreadId, number: Number, position: Position },
    /// Somebody reacts to a message, or no longer.
    Reaction {
        thread_id: ThreadId,
        number: Number,
        user_id: UserId,
        #[schemars(example = &"👍")]
        emoji: &'a str,
        removed: bool,
        position: Position,
    },
    /// Something happened to a thread. The last that a removed member hears of it is that.
    Thread {
        thread_id: ThreadId,
        #[serde(flatten)]
        change: Change<'a>,
        by: UserId,
        time: Time,
        position: Position,
    },
    /// What somebody has got and read, up to and including those numbers; null where that is not new.
    Receipt {
        thread_id: ThreadId,
        user_id: UserId,
        delivered: Option<Number>,
        read: Option<Number>,
        time: Time,
        #[serde(skip_serializing_if = "Option::is_none")]
        position: Option<Position>,
    },
    /// How the person keeps a thread, all of it.
    Settings {
        thread_id: ThreadId,
        muted_until: Option<Time>,
        archived: bool,
        pinned: bool,
        time: Time,
        position: Position,
    },
    /// The person saved or removed a contact.
    Contact { user_id: UserId, alias: Option<&'a str>, removed: bool, time: Time, position: Position },
    /// Somebody is writing; it holds for a few seconds.
    Typing { thread_id: ThreadId, user_id: UserId },
    /// Somebody who is watched has come or gone.
    Presence {
        user_id: UserId,
        online: bool,
        /// Null where nobody knows, or it is not to be seen: nobody is told which.
        last_seen: Option<Time>,
    },
    /// The person blocked somebody, or no longer does.
    Block { user_id: UserId, removed: bool, time: Time, position: Position },
}

/// What happened to a thread.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(crate) enum Change<'a> {
    /// It is there, with that other person.
    #[serde(rename = "created")]
    DirectCreated {
        user_id: UserId,
    },
    #[serde(rename = "created")]
    GroupCreated {
        title: Option<&'a str>,
    },
    Renamed {
        title: Option<&'a str>,
    },
    MemberAdded {
        user_id: UserId,
        role: Role,
    },
    MemberRemoved {
        user_id: UserId,
    },
    MemberLeft {
        user_id: UserId,
    },
    RoleChanged {
        user_id: UserId,
        role: Role,
    },
    PictureChanged {
        picture: Option<AttachmentId>,
    },
}

/// It was carried out: what REST answers, under the request's id.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Ack<'a, A> {
    r#type: &'static str,
    id: &'a RequestId,
    #[serde(flatten)]
    answer: &'a A,
}

/// It was not carried out.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Error<'a, P> {
    r#type: &'static str,
    id: &'a RequestId,
    problem: &'a P,
}

impl ServerFrame<'_> {
    pub(crate) fn encode(&self) -> Utf8Bytes {
        encode(self)
    }
}

/// The answer to a request that was carried out: what REST answers, under the request's id.
pub(crate) fn ack(id: &RequestId, answer: &impl Serialize) -> Utf8Bytes {
    encode(&Ack { r#type: "ack", id, answer })
}

/// The answer to a request that was not carried out.
pub(crate) fn error(id: &RequestId, problem: &impl Serialize) -> Utf8Bytes {
    encode(&Error { r#type: "error", id, problem })
}

fn encode(frame: &impl Serialize) -> Utf8Bytes {
    serde_json::to_string(frame).expect("frames have text keys and no failing values").into()
}
