//! Changes of what was written: edits, deletions, reactions.

use super::{ThreadError, Threads};
use crate::thread;
use events::{Emoji, Position, Text, ThreadId, Timestamp, UserId, event::Number, text::Body};

pub use crate::thread::{Shown, ShownMessage};

/// A change of a message.
#[derive(Debug, Clone)]
pub struct Amend {
    pub by: UserId,
    pub thread_id: ThreadId,
    pub number: Number,
    pub change: Amendment,
    /// The message as the `timeline` view shows it to the caller, after [`ThreadError::NotShown`].
    pub shown: Option<Shown>,
}

#[derive(Debug, Clone)]
pub enum Amendment {
    /// `mentions` are those whom the text names: those of them who are members are mentioned.
    Edit {
        body: Body,
        mentions: Vec<UserId>,
    },
    Delete,
    React(Emoji),
    Unreact(Emoji),
}

/// Where the change lies, or the state in which it was already so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amended {
    pub position: Position,
    /// `None`: it was already so.
    pub at: Option<Timestamp>,
}

impl Threads {
    /// Changes a message; what is so already stays so.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` for who may not, `Deleted`, `TooManyReactions`, `NotShown`; technical ones.
    pub async fn amend(&self, amend: Amend) -> Result<Amended, ThreadError> {
        let Amend { by, thread_id, number, change, shown } = amend;
        let change = match change {
            Amendment::Edit { body, mentions } => thread::Change::Edit { body: Text::from(&body), mentions },
            Amendment::Delete => thread::Change::Delete,
            Amendment::React(emoji) => thread::Change::React(emoji),
            Amendment::Unreact(emoji) => thread::Change::Unreact(emoji),
        };
        let command = thread::Command::Amend(thread::Amend { by, number, change, shown });
        let handled = self.handle(thread_id, by, &command, |_| ()).await?;
        Ok(Amended { position: handled.position, at: handled.at })
    }
}
