//! `timeline`: what was written, and the membership that governs who sees it.
//! Facts of threads only.

use crate::projection::Projection;
use events::{
    Aggregate, Envelope, Event, MessageKey, Text, ThreadEvent, ThreadId, Timestamp, UserId,
    event::{Number, ReceiptEvent, UserEvent},
};

/// Rows to add.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Timeline {
    pub(crate) messages: Vec<Message>,
    pub(crate) members: Vec<Member>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Message {
    pub(crate) sequence: u64,
    pub(crate) sent_at: Timestamp,
    pub(crate) number: Number,
    pub(crate) thread_id: ThreadId,
    pub(crate) sender_id: UserId,
    pub(crate) key: MessageKey,
    pub(crate) reply_to: Option<Number>,
    pub(crate) body: Text,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) joined_sequence: u64,
    pub(crate) joined_number: Number,
    pub(crate) thread_id: ThreadId,
    pub(crate) user_id: UserId,
}

impl Timeline {
    fn open(&mut self, thread_id: ThreadId, joined_sequence: u64, people: [UserId; 2]) {
        let member = |user_id| Member { joined_sequence, joined_number: 0, thread_id, user_id };
        self.members.extend(people.map(member));
    }
}

impl Projection for Timeline {
    fn project(&mut self, envelope: &Envelope) {
        let Aggregate::Thread(thread_id) = envelope.aggregate else { return };
        let sequence = envelope.position.sequence;
        let actor = || envelope.by.expect("what happens in a thread is done by somebody");
        match &envelope.event {
            Event::Thread(ThreadEvent::DirectOpened { peer }) => self.open(thread_id, sequence, [actor(), *peer]),
            Event::Thread(ThreadEvent::MessageSent { number, key, body, reply_to, opens }) => {
                if let Some(peer) = opens {
                    self.open(thread_id, sequence, [actor(), *peer]);
                }
                self.messages.push(Message {
                    sequence,
                    sent_at: envelope.at,
                    number: *number,
                    thread_id,
                    sender_id: actor(),
                    key: *key,
                    reply_to: *reply_to,
                    body: body.clone(),
                });
            }
            Event::User(
                UserEvent::SignedUp { .. }
                | UserEvent::SessionOpened { .. }
                | UserEvent::SessionRevoked { .. }
                | UserEvent::PasswordChanged { .. }
                | UserEvent::ProfileChanged { .. },
            )
            | Event::Receipts(ReceiptEvent::ReceiptsAdvanced { .. }) => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.members.is_empty()
    }
}
