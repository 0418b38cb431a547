//! What clients are told. A frame that comes from the log carries its position;
//! of several from one event only the last one does.

use super::{Attached, RequestId};
use crate::time::Time;
use axum::extract::ws::Utf8Bytes;
use events::{
    AttachmentId, MessageKey, Position, SessionId, ThreadId, UserId, Vector,
    event::{Number, Role},
};
use serde::Serialize;
use uuid::Uuid;

/// A frame of the server's, except the answers to requests.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ServerFrame<'a> {
    /// Who is connected, and where what follows starts when nothing is resumed.
    Welcome {
        session_id: SessionId,
        user_id: UserId,
        time: Time,
        heartbeat_s: u64,
        epoch: Uuid,
        vector: &'a Vector,
    },
    /// Everything up to the vector has been sent; what follows, happens now.
    Live {
        vector: &'a Vector,
    },
    /// What was asked for cannot be had: reload, and go on from the vector.
    Reset {
        vector: &'a Vector,
    },
    /// Everything up to the vector has been sent to this socket.
    Pong {
        vector: &'a Vector,
    },
    Message {
        thread_id: ThreadId,
        number: Number,
        key: MessageKey,
        sender_id: UserId,
        /// Null once its author was erased, or it was edited or deleted since: a frame that says so follows.
        body: Option<&'a str>,
        reply_to: Option<Number>,
        mentions: &'a [UserId],
        attachments: Vec<Attached<'a>>,
        sent_at: Time,
        position: Position,
    },
    MessageEdited {
        thread_id: ThreadId,
        number: Number,
        body: Option<&'a str>,
        mentions: &'a [UserId],
        edited_at: Time,
        position: Position,
    },
    MessageDeleted {
        thread_id: ThreadId,
        number: Number,
        position: Position,
    },
    Reaction {
        thread_id: ThreadId,
        number: Number,
        user_id: UserId,
        emoji: &'a str,
        removed: bool,
        position: Position,
    },
    Thread {
        thread_id: ThreadId,
        #[serde(flatten)]
        change: Change<'a>,
        by: UserId,
        time: Time,
        position: Position,
    },
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
    Contact {
        user_id: UserId,
        alias: Option<&'a str>,
        removed: bool,
        time: Time,
        position: Position,
    },
    Typing {
        thread_id: ThreadId,
        user_id: UserId,
    },
    /// Null where nobody knows, or it is not to be seen: nobody is told which.
    Presence {
        user_id: UserId,
        online: bool,
        last_seen: Option<Time>,
    },
    Block {
        user_id: UserId,
        removed: bool,
        time: Time,
        position: Position,
    },
}

/// What happened to a thread.
#[derive(Debug, Clone, Copy, Serialize)]
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

#[derive(Serialize)]
struct Ack<'a, A> {
    r#type: &'static str,
    id: &'a RequestId,
    #[serde(flatten)]
    answer: &'a A,
}

#[derive(Serialize)]
struct Error<'a, P> {
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
