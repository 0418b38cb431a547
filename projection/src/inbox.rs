//! `inbox`: the heads of threads, who is in them, and how far they have got and
//! read. Watermarks rise only, stay within the thread's last number at that
//! sequence, and belong to members; a time moves only with its number.

use crate::projection::Projection;
use events::{
    Aggregate, Envelope, Event, Text, ThreadEvent, ThreadId, Timestamp, UserId,
    event::{Number, Receipt, ReceiptEvent, UserEvent},
};
use std::collections::BTreeMap;

/// Rows to add and to change.
///
/// What a receipt comes to depends on the thread's last number. Where the batch has seen it, the
/// receipt is settled here; where not, it is left to the store, to be applied before the rest.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Inbox {
    pub(crate) unsettled: Vec<Unsettled>,
    pub(crate) heads: BTreeMap<ThreadId, Head>,
    pub(crate) members: BTreeMap<(ThreadId, UserId), Member>,
}

/// A receipt in a thread whose last number lies in the store, in the order of the log.
#[derive(Debug, PartialEq)]
pub(crate) struct Unsettled {
    pub(crate) receipt: Receipt,
    pub(crate) at: Timestamp,
}

/// What happened to a thread's head: it was opened, it got a message, or both.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Head {
    pub(crate) opened: Option<Opened>,
    pub(crate) last: Option<Last>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Opened {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Last {
    pub(crate) number: Number,
    pub(crate) sequence: u64,
    pub(crate) sender_id: UserId,
    pub(crate) body: Text,
    pub(crate) sent_at: Timestamp,
}

/// What happened to a membership.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Member {
    pub(crate) joined: Option<Joined>,
    pub(crate) delivered: Watermark,
    pub(crate) read: Watermark,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Joined {
    pub(crate) sequence: u64,
    pub(crate) at: Timestamp,
    pub(crate) peer_id: UserId,
}

/// Everything up to and including a number, and since when.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Watermark {
    pub(crate) number: Number,
    pub(crate) at: Option<Timestamp>,
}

impl Watermark {
    fn raise(&mut self, number: Number, at: Timestamp) {
        if number > self.number {
            *self = Self { number, at: Some(at) };
        }
    }
}

impl Member {
    fn raise(&mut self, delivered: Number, read: Number, at: Timestamp) {
        self.delivered.raise(delivered, at);
        self.read.raise(read, at);
    }
}

impl Head {
    fn last_number(&self) -> Number {
        self.last.as_ref().map_or(0, |last| last.number)
    }
}

impl Projection for Inbox {
    fn project(&mut self, envelope: &Envelope) {
        match (envelope.aggregate, &envelope.event) {
            (Aggregate::Thread(thread_id), Event::Thread(event)) => self.thread(envelope, thread_id, event),
            (_, Event::Receipts(ReceiptEvent::ReceiptsAdvanced { receipts })) => {
                for receipt in receipts {
                    self.receive(receipt, envelope.at);
                }
            }
            (
                _,
                Event::Thread(_)
                | Event::User(
                    UserEvent::SignedUp { .. }
                    | UserEvent::SessionOpened { .. }
                    | UserEvent::SessionRevoked { .. }
                    | UserEvent::PasswordChanged { .. }
                    | UserEvent::ProfileChanged { .. },
                ),
            ) => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.unsettled.is_empty() && self.heads.is_empty() && self.members.is_empty()
    }
}

impl Inbox {
    fn thread(&mut self, envelope: &Envelope, thread_id: ThreadId, event: &ThreadEvent) {
        let actor = envelope.by.expect("what happens in a thread is done by somebody");
        match event {
            ThreadEvent::DirectOpened { peer } => self.open(envelope, thread_id, [actor, *peer]),
            ThreadEvent::MessageSent { number, body, opens, key: _, reply_to: _ } => {
                if let Some(peer) = opens {
                    self.open(envelope, thread_id, [actor, *peer]);
                }
                self.heads.entry(thread_id).or_default().last = Some(Last {
                    number: *number,
                    sequence: envelope.position.sequence,
                    sender_id: actor,
                    body: body.clone(),
                    sent_at: envelope.at,
                });
                self.members.entry((thread_id, actor)).or_default().raise(*number, *number, envelope.at);
            }
        }
    }

    fn open(&mut self, envelope: &Envelope, thread_id: ThreadId, [one, other]: [UserId; 2]) {
        let (sequence, at) = (envelope.position.sequence, envelope.at);
        self.heads.entry(thread_id).or_default().opened = Some(Opened { sequence, at });
        for (user_id, peer_id) in [(one, other), (other, one)] {
            let joined = Some(Joined { sequence, at, peer_id });
            self.members.insert((thread_id, user_id), Member { joined, ..Member::default() });
        }
    }

    fn receive(&mut self, receipt: &Receipt, at: Timestamp) {
        let Receipt { thread_id, user_id, delivered, read } = *receipt;
        let delivered = delivered.max(read);
        let Some(head) = self.heads.get(&thread_id) else {
            let receipt = Receipt { thread_id, user_id, delivered, read };
            self.unsettled.push(Unsettled { receipt, at });
            return;
        };
        let last = head.last_number();
        let joined = self.members.contains_key(&(thread_id, user_id));
        // Who is in a thread that was there before the batch, the store knows; it leaves out the others.
        if head.opened.is_none() || joined {
            self.members.entry((thread_id, user_id)).or_default().raise(delivered.min(last), read.min(last), at);
        }
    }
}
