//! What clients are told. A frame that comes from the log carries its position;
//! of several from one event only the last one does.

use super::RequestId;
use crate::time::Time;
use axum::extract::ws::Utf8Bytes;
use events::{MessageKey, Position, SessionId, ThreadId, UserId, Vector, event::Number};
use serde::Serialize;
use uuid::Uuid;

/// A frame of the server's, except the answers to requests.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ServerFrame<'a> {
    /// Who is connected, and where what follows starts when nothing is resumed.
    Welcome { session_id: SessionId, user_id: UserId, time: Time, heartbeat_s: u64, epoch: Uuid, vector: &'a Vector },
    /// Everything up to the vector has been sent; what follows, happens now.
    Live { vector: &'a Vector },
    /// What was asked for cannot be had: reload, and go on from the vector.
    Reset { vector: &'a Vector },
    /// Everything up to the vector has been sent to this socket.
    Pong { vector: &'a Vector },
    Message {
        thread_id: ThreadId,
        number: Number,
        key: MessageKey,
        sender_id: UserId,
        /// Null once its author was erased.
        body: Option<&'a str>,
        reply_to: Option<Number>,
        sent_at: Time,
        position: Position,
    },
    Thread {
        thread_id: ThreadId,
        #[serde(flatten)]
        change: Change,
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
}

/// What happened to a thread.
#[derive(Debug, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(crate) enum Change {
    /// It is there; a direct one names the other person.
    Created { user_id: UserId },
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
