//! Who hears what: pure, and the only place that knows. A thread's message and
//! its coming into being reach its members; a receipt the members of a small
//! thread, and the reader's own devices.

use events::{
    Aggregate, Envelope, Event, SessionId, ThreadEvent, ThreadId, UserId,
    event::{Number, Receipt, ReceiptEvent},
};
use std::collections::HashMap;

/// Receipts are told to others in threads of at most that many members.
pub(super) const SMALL: u32 = 32;

/// A thread's connected members.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// All members, connected or not.
    pub(super) size: u32,
    /// The sequence since which each sees the thread.
    pub(super) joined: HashMap<UserId, u64>,
}

/// One thing that an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tale {
    pub(super) thread_id: ThreadId,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Message,
    /// The actor opened it with that peer.
    Created {
        peer: UserId,
    },
    Receipt {
        reader: UserId,
        delivered: Number,
        read: Number,
    },
}

/// Two people who are in a thread since an event.
pub(super) struct Opening {
    pub(super) thread_id: ThreadId,
    pub(super) members: [UserId; 2],
}

impl Tale {
    /// Whether somebody hears it who is, or is not, in that room.
    pub(super) fn reaches(&self, listener: UserId, room: &Room, sequence: u64) -> bool {
        let sees = room.joined.get(&listener).is_some_and(|&joined| joined <= sequence);
        sees && match self.what {
            What::Message | What::Created { .. } => true,
            What::Receipt { reader, .. } => room.size <= SMALL || reader == listener,
        }
    }
}

/// What an event tells, in order.
pub(super) fn tales(envelope: &Envelope) -> Vec<Tale> {
    match (envelope.aggregate, &envelope.event) {
        (Aggregate::Thread(thread_id), Event::Thread(ThreadEvent::MessageSent { .. })) => {
            vec![Tale { thread_id, what: What::Message }]
        }
        (Aggregate::Thread(thread_id), Event::Thread(ThreadEvent::DirectOpened { peer })) => {
            vec![Tale { thread_id, what: What::Created { peer: *peer } }]
        }
        (_, Event::Receipts(ReceiptEvent::ReceiptsAdvanced { receipts })) => receipts.iter().map(receipt).collect(),
        (_, Event::Thread(_) | Event::User(_)) => Vec::new(),
    }
}

fn receipt(receipt: &Receipt) -> Tale {
    let Receipt { thread_id, user_id: reader, delivered, read } = *receipt;
    Tale { thread_id, what: What::Receipt { reader, delivered, read } }
}

/// The thread that an event opens, and for whom.
pub(super) fn opening(envelope: &Envelope) -> Option<Opening> {
    let (Aggregate::Thread(thread_id), Event::Thread(event), Some(by)) =
        (envelope.aggregate, &envelope.event, envelope.by)
    else {
        return None;
    };
    match event {
        ThreadEvent::DirectOpened { peer } | ThreadEvent::MessageSent { opens: Some(peer), .. } => {
            Some(Opening { thread_id, members: [by, *peer] })
        }
        ThreadEvent::MessageSent { opens: None, .. } => None,
    }
}

/// The sessions that an event ends, and whose.
pub(super) fn ended_sessions(envelope: &Envelope) -> Option<(UserId, &[SessionId])> {
    let (Aggregate::User(user_id), Event::User(event)) = (envelope.aggregate, &envelope.event) else { return None };
    Some((user_id, command::user::ended(event)))
}
