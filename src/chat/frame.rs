//! What the socket and history tell, as far as a terminal shows it. What is not
//! known here is heard and passed over: later heralds may tell more.

use events::{Position, Timestamp, Vector};
use serde::Deserialize;
use uuid::Uuid;

/// One frame of the socket.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Frame {
    /// Of one that comes from the log.
    pub(super) position: Option<Position>,
    #[serde(flatten)]
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum What {
    Welcome {
        epoch: Uuid,
        vector: Vector,
    },
    Live {
        vector: Vector,
    },
    Reset {
        vector: Vector,
    },
    Pong {
        vector: Vector,
    },
    Ack {
        id: Uuid,
        number: u32,
    },
    Error {
        id: Uuid,
        problem: Problem,
    },
    Message(Message),
    MessageEdited {
        thread_id: Uuid,
        number: u32,
        body: Option<String>,
    },
    MessageDeleted {
        thread_id: Uuid,
        number: u32,
    },
    Reaction {
        thread_id: Uuid,
        number: u32,
        user_id: Uuid,
        emoji: String,
        removed: bool,
    },
    Thread(Notice),
    Receipt {
        thread_id: Uuid,
        user_id: Uuid,
        delivered: Option<u32>,
        read: Option<u32>,
    },
    #[serde(other)]
    Other,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Problem {
    pub(super) title: String,
    #[serde(default)]
    pub(super) detail: String,
    /// Seconds after which it may be.
    pub(super) retry_after: Option<u64>,
}

/// An entry of a thread's history.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Entry {
    Message(Message),
    Notice(Notice),
}

/// What somebody wrote. Of history, the thread is nil: it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    pub(super) thread_id: Uuid,
    pub(super) number: u32,
    pub(super) key: Uuid,
    pub(super) sender_id: Uuid,
    /// `None`: deleted, or its author erased.
    pub(super) body: Option<String>,
    pub(super) sent_at: Timestamp,
    #[serde(default)]
    pub(super) attachments: Vec<Attachment>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Attachment {
    pub(super) name: Option<String>,
}

/// What happened to a thread.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Notice {
    #[serde(default)]
    pub(super) thread_id: Uuid,
    #[serde(alias = "event")]
    pub(super) change: String,
    pub(super) by: Uuid,
    pub(super) user_id: Option<Uuid>,
    pub(super) role: Option<String>,
    pub(super) title: Option<String>,
    pub(super) time: Timestamp,
}
