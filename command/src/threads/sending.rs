//! Messages on their way into a thread: once per sender and key, for ever.

use super::{ThreadError, Threads};
use crate::{
    attachments::Use,
    decider::Decider,
    thread::{self, Content},
};
use events::{
    Aggregate, AttachmentId, MessageKey, Position, Text, ThreadId, Timestamp, UserId, event::Number, text::Body,
};

/// A message to send.
#[derive(Debug, Clone)]
pub struct Send {
    pub by: UserId,
    pub to: To,
    pub key: MessageKey,
    pub body: Body,
    pub reply_to: Option<Number>,
    /// Whom the text names: those of them who are members are mentioned.
    pub mentions: Vec<UserId>,
    /// Uploads of the sender's.
    pub attachments: Vec<AttachmentId>,
    /// Proof that the key was not used, after [`ThreadError::KeyUnknown`].
    pub absent: Option<Absent>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    Thread(ThreadId),
    /// The direct thread with that person, which is opened if need be.
    Peer(UserId),
}

/// The `timeline` view, as of that position, holds no message of this sender with this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absent {
    pub as_of: Position,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    pub thread_id: ThreadId,
    pub number: Number,
    pub position: Position,
    pub sent_at: Timestamp,
    /// Answered from before: the message is in the log once.
    pub repeated: bool,
}

impl Threads {
    /// Sends a message; the same key again answers what it answered first.
    ///
    /// # Errors
    /// See [`ThreadError`].
    pub async fn send(&self, send: Send) -> Result<Sent, ThreadError> {
        let Send { by, to, key, body, reply_to, mentions, attachments, absent } = send;
        let (thread_id, opens) = match to {
            To::Thread(thread_id) => (thread_id, None),
            To::Peer(peer) => (self.direct(by, peer).await?, Some(peer)),
        };
        let content = Content::of(key, body.as_str(), reply_to, attachments.iter().copied());
        let used = Use::Message { thread_id, key };
        let found = self.attachments.found(by, &attachments).await?;
        let partition = self.log.names().partition(thread_id.uuid());
        let mut send = thread::Send {
            by,
            key,
            body: Text::from(&body),
            content,
            reply_to,
            opens,
            mentions,
            attachments: found,
            absent_as_of: absent
                .filter(|absent| absent.as_of.partition == partition)
                .map(|absent| absent.as_of.sequence),
        };
        if !attachments.is_empty() {
            // What is refused uses nothing up. Whether it is, is decided again on what is claimed.
            let asked = thread::Command::Send(send.clone());
            let would =
                self.handler.glance(Aggregate::Thread(thread_id), |thread| thread.decide(&asked).is_ok()).await?;
            send.attachments = if would { self.attachments.claim(by, &attachments, used).await? } else { None };
        }
        let command = thread::Command::Send(send);
        let handled = self.handle(thread_id, by, &command, |thread| thread.repeated(by, key)).await?;
        let first = handled.seen.expect("the latest sends hold the one that was just made or repeated");
        let position = Position { partition, sequence: first.sequence };
        Ok(Sent { thread_id, number: first.number, position, sent_at: first.sent_at, repeated: handled.at.is_none() })
    }
}
