//! A conversation: who is in it, what number comes next, and which sends it has
//! already seen. Direct threads; groups share the members and the numbers.

mod sends;
#[cfg(test)]
mod tests;

pub use sends::{Content, Repeated};

use crate::decider::{Aggregate, Decider, Fact};
use events::{Event, MessageKey, Text, ThreadEvent, UserId, event::Number};
use sends::{Known, Sends};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A thread as its rules see it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Thread {
    members: BTreeSet<UserId>,
    last_number: Number,
    sends: Sends,
}

#[derive(Debug, Clone)]
pub enum Command {
    /// Open the direct thread of two people.
    OpenDirect {
        by: UserId,
        peer: UserId,
    },
    Send(Send),
}

/// One message on its way.
#[derive(Debug, Clone)]
pub struct Send {
    pub by: UserId,
    pub key: MessageKey,
    pub body: Text,
    pub content: Content,
    pub reply_to: Option<Number>,
    /// The peer with whom a direct thread is opened where there is none yet.
    pub opens: Option<UserId>,
    /// The sequence as of which the message log has no message of this sender with this key.
    pub absent_as_of: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("no such thread for this person")]
    NotAMember,
    #[error("there is no message of that number to reply to")]
    NoSuchMessage,
    #[error("the key was used for another message")]
    KeyReused,
    /// Only the message log can tell, once it has come to that sequence.
    #[error("whether the key was used is not known here")]
    KeyUnknown { as_of: u64 },
}

impl Thread {
    pub fn is_open(&self) -> bool {
        !self.members.is_empty()
    }

    pub fn has_member(&self, user_id: UserId) -> bool {
        self.members.contains(&user_id)
    }

    pub fn last_number(&self) -> Number {
        self.last_number
    }

    /// What was answered to that send before, if it is among the latest.
    pub fn repeated(&self, by: UserId, key: MessageKey) -> Option<Repeated> {
        self.sends.find(by, key)
    }

    fn decide_send(&self, send: &Send) -> Result<Option<ThreadEvent>, Rejection> {
        let opens = send.opens.filter(|_| !self.is_open());
        if opens.is_none() && !self.has_member(send.by) {
            return Err(Rejection::NotAMember);
        }
        match self.sends.knows(send.by, send.key, send.absent_as_of) {
            Known::Sent(first) if first.content.is_none_or(|first| first == send.content) => return Ok(None),
            Known::Sent(_) => return Err(Rejection::KeyReused),
            Known::Unsure { as_of } => return Err(Rejection::KeyUnknown { as_of }),
            Known::New => {}
        }
        if send.reply_to.is_some_and(|number| !(1..=self.last_number).contains(&number)) {
            return Err(Rejection::NoSuchMessage);
        }
        Ok(Some(ThreadEvent::MessageSent {
            number: self.last_number + 1,
            key: send.key,
            body: send.body.clone(),
            reply_to: send.reply_to,
            opens,
        }))
    }
}

impl Decider for Thread {
    type Command = Command;
    type Event = ThreadEvent;
    type Rejection = Rejection;

    fn decide(&self, command: &Command) -> Result<Option<ThreadEvent>, Rejection> {
        match command {
            Command::OpenDirect { .. } if self.is_open() => Ok(None),
            Command::OpenDirect { peer, .. } => Ok(Some(ThreadEvent::DirectOpened { peer: *peer })),
            Command::Send(send) => self.decide_send(send),
        }
    }

    fn evolve(&mut self, fact: Fact<'_, ThreadEvent>) {
        match fact.event {
            ThreadEvent::DirectOpened { peer } => self.members.extend(fact.by.into_iter().chain([*peer])),
            ThreadEvent::MessageSent { number, key, body, reply_to, opens } => {
                if let Some(peer) = opens {
                    self.members.extend(fact.by.into_iter().chain([*peer]));
                }
                self.last_number = *number;
                if let Some(by) = fact.by {
                    let content = body.as_str().map(|body| Content::of(*key, body, *reply_to));
                    let sent = Repeated { number: *number, sequence: fact.sequence, sent_at: fact.at, content };
                    self.sends.push(by, *key, sent);
                }
            }
        }
    }
}

impl Aggregate for Thread {
    const SHAPE: &'static str = "thread.1";

    fn own(event: &Event) -> Option<&ThreadEvent> {
        match event {
            Event::Thread(event) => Some(event),
            Event::User(_) | Event::Receipts(_) => None,
        }
    }

    fn weight(&self) -> usize {
        128 + self.members.len() * 32 + self.sends.weight()
    }
}
