//! What people keep of each other and of their threads: contacts, blocks, and
//! how a thread is shown to them. A block is a fact of the direct thread, so that
//! it and a message are one order; the rest are facts of the person.

use crate::{
    handler::{HandleError, Handler},
    thread::{self, Thread},
    user::{self, User},
};
use events::{
    Aggregate, Position, Text, ThreadId, UserId,
    event::Number,
    log::LogError,
    text::{About, Line},
};

pub use crate::user::Keep;

/// The door to what people keep. Cheap to clone.
#[derive(Clone)]
pub struct People {
    threads: Handler<Thread>,
    users: Handler<User>,
}

#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    #[error("no such person or thread for the caller")]
    NotFound,
    #[error("that is the caller")]
    Oneself,
    #[error("that is more than anybody may keep")]
    TooMany,
    #[error("this is changing too fast")]
    Conflict,
    #[error("the outcome is unknown")]
    OutcomeUnknown(#[source] LogError),
    #[error(transparent)]
    Unavailable(#[from] LogError),
}

impl People {
    pub(crate) fn new(threads: Handler<Thread>, users: Handler<User>) -> Self {
        Self { threads, users }
    }

    /// Keeps somebody as a contact, under that alias or none.
    ///
    /// # Errors
    /// `NotFound` for who is not there or has blocked the caller, `Oneself`, `TooMany`; technical ones.
    pub async fn save_contact(
        &self,
        by: UserId,
        user_id: UserId,
        alias: Option<&Line>,
    ) -> Result<Position, PersonError> {
        self.exists(by, user_id).await?;
        let direct = Aggregate::Thread(ThreadId::direct(by, user_id));
        if self.threads.look(direct, |thread| thread.is_blocked_by(user_id)).await?.1 {
            return Err(PersonError::NotFound);
        }
        self.user(by, &user::Command::SaveContact { user_id, alias: alias.map(Text::from) }).await
    }

    /// # Errors
    /// Technical ones only.
    pub async fn remove_contact(&self, by: UserId, user_id: UserId) -> Result<Position, PersonError> {
        self.user(by, &user::Command::RemoveContact { user_id }).await
    }

    /// Wants nothing from somebody any more.
    ///
    /// # Errors
    /// `NotFound` for who is not there, `Oneself`; technical ones.
    pub async fn block(&self, by: UserId, peer: UserId) -> Result<Position, PersonError> {
        self.exists(by, peer).await?;
        self.direct(by, peer, &thread::Command::Block { by, peer }).await
    }

    /// # Errors
    /// Technical ones only.
    pub async fn unblock(&self, by: UserId, peer: UserId) -> Result<Position, PersonError> {
        self.direct(by, peer, &thread::Command::Unblock { by, peer }).await
    }

    /// Tells the operators of a message that the caller sees, and why; told already and not seen to yet is as good.
    ///
    /// # Errors
    /// `TooMany`; technical ones.
    pub async fn report(
        &self,
        by: UserId,
        thread_id: ThreadId,
        number: Number,
        reason: &About,
    ) -> Result<Position, PersonError> {
        self.user(by, &user::Command::Report { thread_id, number, reason: Text::from(reason) }).await
    }

    /// Changes how a thread is shown to the caller.
    ///
    /// # Errors
    /// `NotFound` for who is no member, `TooMany`; technical ones.
    pub async fn keep_thread(&self, by: UserId, thread_id: ThreadId, keep: Keep) -> Result<Position, PersonError> {
        let is_member = |thread: &Thread| thread.has_member(by);
        if !self.threads.look(Aggregate::Thread(thread_id), is_member).await?.1 {
            return Err(PersonError::NotFound);
        }
        self.user(by, &user::Command::KeepThread { thread_id, keep }).await
    }

    async fn exists(&self, by: UserId, user_id: UserId) -> Result<(), PersonError> {
        if by == user_id {
            return Err(PersonError::Oneself);
        }
        let exists = self.users.look(Aggregate::User(user_id), User::is_signed_up).await?.1;
        if exists { Ok(()) } else { Err(PersonError::NotFound) }
    }

    async fn user(&self, by: UserId, command: &user::Command) -> Result<Position, PersonError> {
        let handled = self.users.handle(Aggregate::User(by), by, command, |_| ()).await;
        Ok(handled.map_err(failed)?.position)
    }

    async fn direct(&self, by: UserId, peer: UserId, command: &thread::Command) -> Result<Position, PersonError> {
        let id = Aggregate::Thread(ThreadId::direct(by, peer));
        Ok(self.threads.handle(id, by, command, |_| ()).await.map_err(failed)?.position)
    }
}

/// Of all that an aggregate refuses, only the bounds of what one keeps can be reached from here.
fn failed<R>(error: HandleError<R>) -> PersonError {
    match error {
        HandleError::Rejected(_) => PersonError::TooMany,
        HandleError::Conflict => PersonError::Conflict,
        HandleError::OutcomeUnknown(source) => PersonError::OutcomeUnknown(source),
        HandleError::Log(error) => PersonError::Unavailable(error),
    }
}
