//! What people do in threads, as the edge calls it: looks up what a decision
//! needs, runs it through the handler, and answers in the edge's terms.

use crate::{
    handler::{HandleError, Handler},
    receipts::Receipts,
    thread::{self, Content, Rejection, Thread},
    user::User,
};
use events::{
    Aggregate, Clock, EventLog, Ids, MessageKey, Position, Text, ThreadId, Timestamp, UserId,
    event::{Number, Receipt},
    log::LogError,
    text::Body,
};

/// Memory for cached threads and users, in bytes.
const THREADS_CACHE: u64 = 256 << 20;

/// The door to all threads. Cheap to clone.
#[derive(Clone)]
pub struct Threads {
    log: EventLog,
    handler: Handler<Thread>,
    users: Handler<User>,
    receipts: Receipts,
}

/// A message to send.
#[derive(Debug, Clone)]
pub struct Send {
    pub by: UserId,
    pub to: To,
    pub key: MessageKey,
    pub body: Body,
    pub reply_to: Option<Number>,
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

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    pub thread_id: ThreadId,
    pub created: bool,
    pub position: Position,
}

#[derive(Debug, thiserror::Error)]
pub enum ThreadError {
    #[error("no such thread, person or message for the caller")]
    NotFound,
    #[error("a direct thread needs another person")]
    OneselfOnly,
    #[error("the key was used for another message")]
    KeyReused,
    /// Look the key up in the `timeline` view, as of at least that position; if it is
    /// absent there, send again with the view's position as [`Absent`].
    #[error("whether the key was used is not known here")]
    KeyUnknown { thread_id: ThreadId, as_of: Position },
    #[error("the thread has no message of that number yet")]
    NumberBeyondLast { last: Number },
    #[error("the thread is changing too fast")]
    Conflict,
    #[error("the outcome is unknown")]
    OutcomeUnknown(#[source] LogError),
    #[error(transparent)]
    Unavailable(#[from] LogError),
}

impl Threads {
    /// `users` is the handler that accounts use too: one cache for a person's state.
    pub fn new(log: EventLog, clock: &Clock, ids: &Ids, users: Handler<User>) -> Self {
        let handler = Handler::new(log.clone(), clock.clone(), ids.clone(), THREADS_CACHE);
        let receipts = Receipts::start(log.clone(), clock, ids);
        Self { log, handler, users, receipts }
    }

    /// Opens the direct thread of two people; it is there once, whoever asks.
    ///
    /// # Errors
    /// `NotFound` when nobody has that id, `OneselfOnly` when it is the caller's; technical ones.
    pub async fn open_direct(&self, by: UserId, peer: UserId) -> Result<Opened, ThreadError> {
        let thread_id = self.direct(by, peer).await?;
        let command = thread::Command::OpenDirect { by, peer };
        let handled = self.handler.handle(Aggregate::Thread(thread_id), by, &command, |_| ()).await;
        let handled = handled.map_err(|error| self.failed(thread_id, error))?;
        Ok(Opened { thread_id, created: handled.at.is_some(), position: handled.position })
    }

    /// Sends a message; the same key again answers what it answered first.
    ///
    /// # Errors
    /// See [`ThreadError`].
    pub async fn send(&self, send: Send) -> Result<Sent, ThreadError> {
        let Send { by, to, key, body, reply_to, absent } = send;
        let (thread_id, opens) = match to {
            To::Thread(thread_id) => (thread_id, None),
            To::Peer(peer) => (self.direct(by, peer).await?, Some(peer)),
        };
        let partition = self.log.names().partition(thread_id.uuid());
        let command = thread::Command::Send(thread::Send {
            by,
            key,
            body: Text::from(&body),
            content: Content::of(key, body.as_str(), reply_to),
            reply_to,
            opens,
            absent_as_of: absent
                .filter(|absent| absent.as_of.partition == partition)
                .map(|absent| absent.as_of.sequence),
        });
        let id = Aggregate::Thread(thread_id);
        let handled = self.handler.handle(id, by, &command, |thread| thread.repeated(by, key)).await;
        let handled = handled.map_err(|error| self.failed(thread_id, error))?;
        let first = handled.seen.expect("the latest sends hold the one that was just made or repeated");
        let position = Position { partition, sequence: first.sequence };
        Ok(Sent { thread_id, number: first.number, position, sent_at: first.sent_at, repeated: handled.at.is_none() })
    }

    /// Moves the caller's watermarks in a thread, with the next coalesced fact of receipts.
    ///
    /// # Errors
    /// `NotFound` for who is no member, `NumberBeyondLast`; technical ones.
    pub async fn advance_receipt(
        &self,
        by: UserId,
        thread_id: ThreadId,
        delivered: Option<Number>,
        read: Option<Number>,
    ) -> Result<Position, ThreadError> {
        let read = read.unwrap_or(0);
        let delivered = delivered.unwrap_or(0).max(read);
        let id = Aggregate::Thread(thread_id);
        let see = |thread: &Thread| (thread.has_member(by), thread.last_number());
        let allows = |(member, last): (bool, Number)| member && delivered <= last;
        // What this node knows is enough to accept; a refusal is confirmed.
        let mut known = self.handler.glance(id, see).await?;
        if !allows(known) {
            known = self.handler.look(id, see).await?.1;
        }
        match known {
            (false, _) => Err(ThreadError::NotFound),
            (true, last) if delivered > last => Err(ThreadError::NumberBeyondLast { last }),
            (true, _) => Ok(self.receipts.advance(Receipt { thread_id, user_id: by, delivered, read }).await?),
        }
    }

    /// The id of the direct thread with somebody who exists.
    async fn direct(&self, by: UserId, peer: UserId) -> Result<ThreadId, ThreadError> {
        if by == peer {
            return Err(ThreadError::OneselfOnly);
        }
        let id = Aggregate::User(peer);
        // A person once signed up stays so: only a "no" needs the log's word.
        let exists =
            self.users.glance(id, User::is_signed_up).await? || self.users.look(id, User::is_signed_up).await?.1;
        if exists { Ok(ThreadId::direct(by, peer)) } else { Err(ThreadError::NotFound) }
    }

    fn failed(&self, thread_id: ThreadId, error: HandleError<Rejection>) -> ThreadError {
        match error {
            HandleError::Rejected(Rejection::NotAMember | Rejection::NoSuchMessage) => ThreadError::NotFound,
            HandleError::Rejected(Rejection::KeyReused) => ThreadError::KeyReused,
            HandleError::Rejected(Rejection::KeyUnknown { as_of }) => {
                let partition = self.log.names().partition(thread_id.uuid());
                ThreadError::KeyUnknown { thread_id, as_of: Position { partition, sequence: as_of } }
            }
            HandleError::Conflict => ThreadError::Conflict,
            HandleError::OutcomeUnknown(source) => ThreadError::OutcomeUnknown(source),
            HandleError::Log(error) => ThreadError::Unavailable(error),
        }
    }
}
