//! What people do in threads, as the edge calls it: looks up what a decision
//! needs, runs it through the handler, and answers in the edge's terms.

mod amending;
mod groups;
mod sending;

pub use amending::{Amend, Amended, Amendment, Shown, ShownMessage};
pub use groups::NewGroup;
pub use sending::{Absent, Send, Sent, To};

use crate::{
    attachments::Attachments,
    handler::{HandleError, Handled, Handler},
    people::People,
    picture::NoPicture,
    receipts::Receipts,
    thread::{self, Rejection, Thread},
    user::User,
};
use events::{
    Aggregate, Clock, Envelope, Event, EventLog, Ids, Position, ThreadEvent, ThreadId, UserId,
    event::{Number, Receipt},
    log::{LogError, Typing},
};

/// Memory for cached threads, in bytes.
const THREADS_CACHE: u64 = 256 << 20;

/// The door to all threads. Cheap to clone.
#[derive(Clone)]
pub struct Threads {
    log: EventLog,
    ids: Ids,
    handler: Handler<Thread>,
    users: Handler<User>,
    receipts: Receipts,
    attachments: Attachments,
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
    #[error("nobody has that id")]
    NoSuchPerson(Vec<UserId>),
    #[error("a direct thread needs another person")]
    OneselfOnly,
    /// Not there any more, not the caller's, or used for something else.
    #[error("there is no such upload of the caller's")]
    NoSuchUpload,
    #[error(transparent)]
    NoPicture(NoPicture),
    #[error("the other wants nothing from the caller")]
    Blocked,
    #[error("the caller's role does not allow it")]
    Forbidden,
    /// They want to be added by nobody, or not by the caller.
    #[error("the caller may not add them")]
    MayNotAdd(Vec<UserId>),
    #[error("a group has an owner as long as it has members")]
    LastOwner,
    #[error("a group has at most {} members", thread::MAX_MEMBERS)]
    Full,
    #[error("the id is of another thread")]
    IdTaken,
    #[error("only a group has a title, and members who come and go")]
    NotAGroup,
    #[error("the key was used for another message")]
    KeyReused,
    /// Look the key up in the `timeline` view, as of at least that position; if it is
    /// absent there, send again with the view's position as [`Absent`].
    #[error("whether the key was used is not known here")]
    KeyUnknown { thread_id: ThreadId, as_of: Position },
    /// Look the message up in the `timeline` view, as of at least that position, and amend again with
    /// what it shows.
    #[error("what the message is, is not known here")]
    NotShown { as_of: Position },
    #[error("the message was deleted")]
    Deleted,
    #[error("nobody reacts to one message in more than {} ways", thread::MAX_REACTIONS)]
    TooManyReactions,
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
    pub fn new(log: EventLog, clock: &Clock, ids: &Ids, users: Handler<User>, attachments: Attachments) -> Self {
        let handler = Handler::new(log.clone(), clock.clone(), ids.clone(), THREADS_CACHE);
        let receipts = Receipts::start(log.clone(), clock, ids);
        Self { log, ids: ids.clone(), handler, users, receipts, attachments }
    }

    /// The door to what people keep of each other, over the same caches.
    pub fn people(&self) -> People {
        People::new(self.handler.clone(), self.users.clone())
    }

    /// The door to the files that messages have.
    pub fn attachments(&self) -> Attachments {
        self.attachments.clone()
    }

    /// Notes a fact of the log: who has left a thread is believed no receipt on any node that has heard of it.
    pub fn observe(&self, envelope: &Envelope) {
        if let Event::Thread(ThreadEvent::MemberRemoved { .. } | ThreadEvent::MemberLeft { .. }) = envelope.event {
            self.handler.outdated(envelope.aggregate, envelope.position.sequence);
        }
    }

    /// Opens the direct thread of two people; it is there once, whoever asks.
    ///
    /// # Errors
    /// `NotFound` when nobody has that id, `OneselfOnly` when it is the caller's, `Blocked`; technical ones.
    pub async fn open_direct(&self, by: UserId, peer: UserId) -> Result<Opened, ThreadError> {
        let thread_id = self.direct(by, peer).await?;
        let handled = self.handle(thread_id, by, &thread::Command::OpenDirect { by, peer }, |_| ()).await?;
        Ok(Opened { thread_id, created: handled.at.is_some(), position: handled.position })
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

    /// Since when somebody is a member, as the log's leader confirms it: the sequence of their joining, and the thread's last
    /// number then.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn joining(&self, user_id: UserId, thread_id: ThreadId) -> Result<Option<(u64, Number)>, LogError> {
        let see = |thread: &Thread| thread.joining(user_id);
        Ok(self.handler.look(Aggregate::Thread(thread_id), see).await?.1)
    }

    /// Tells those who are connected that somebody is writing something in a thread.
    ///
    /// # Errors
    /// `NotFound` for who is no member, `Blocked` where one of the two wants nothing from the other; technical ones.
    pub async fn tell_typing(&self, by: UserId, thread_id: ThreadId) -> Result<(), ThreadError> {
        let see = |thread: &Thread| (thread.has_member(by), thread.is_blocked());
        match self.handler.look(Aggregate::Thread(thread_id), see).await? {
            (_, (false, _)) => Err(ThreadError::NotFound),
            (_, (true, true)) => Err(ThreadError::Blocked),
            (as_of, (true, false)) => Ok(self.log.tell_typing(&Typing { thread_id, user_id: by, as_of }).await?),
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

    async fn handle<T>(
        &self,
        thread_id: ThreadId,
        by: UserId,
        command: &thread::Command,
        see: impl Fn(&Thread) -> T,
    ) -> Result<Handled<T>, ThreadError> {
        let handled = self.handler.handle(Aggregate::Thread(thread_id), by, command, see).await;
        handled.map_err(|error| self.failed(thread_id, error))
    }

    fn failed(&self, thread_id: ThreadId, error: HandleError<Rejection>) -> ThreadError {
        let at = |sequence| Position { partition: self.log.names().partition(thread_id.uuid()), sequence };
        let rejection = match error {
            HandleError::Rejected(rejection) => rejection,
            HandleError::Conflict => return ThreadError::Conflict,
            HandleError::OutcomeUnknown(source) => return ThreadError::OutcomeUnknown(source),
            HandleError::Log(error) => return ThreadError::Unavailable(error),
        };
        match rejection {
            Rejection::NotAMember | Rejection::NoSuchMessage => ThreadError::NotFound,
            Rejection::NoSuchUpload | Rejection::NoPicture(NoPicture::NoSuchUpload) => ThreadError::NoSuchUpload,
            Rejection::NoPicture(error @ NoPicture::NotShown) => ThreadError::NoPicture(error),
            Rejection::Blocked => ThreadError::Blocked,
            Rejection::Forbidden => ThreadError::Forbidden,
            Rejection::LastOwner => ThreadError::LastOwner,
            Rejection::Full => ThreadError::Full,
            Rejection::IdTaken => ThreadError::IdTaken,
            Rejection::NotAGroup => ThreadError::NotAGroup,
            Rejection::Deleted => ThreadError::Deleted,
            Rejection::TooManyReactions => ThreadError::TooManyReactions,
            Rejection::KeyReused => ThreadError::KeyReused,
            Rejection::KeyUnknown { as_of } => ThreadError::KeyUnknown { thread_id, as_of: at(as_of) },
            Rejection::NotShown { as_of } => ThreadError::NotShown { as_of: at(as_of) },
        }
    }
}
