//! Who is writing something, told from node to node on core NATS: it is worth
//! nothing a moment later, so it is kept nowhere and may get lost.

use super::{EventLog, LogError};
use crate::{Position, ThreadId, UserId};
use async_nats::Subscriber;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

/// Somebody is writing something in a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Typing {
    pub thread_id: ThreadId,
    pub user_id: UserId,
    /// Where the thread stood when they were found to be a member: whoever has not heard that far does not know who
    /// was removed.
    pub as_of: Position,
}

/// What the nodes tell.
pub struct Typings(Subscriber);

impl Typings {
    /// The next that a node told; `None` when the connection is closed for good.
    pub async fn next(&mut self) -> Option<Typing> {
        loop {
            let message = self.0.next().await?;
            if let Ok(typing) = serde_json::from_slice(&message.payload) {
                return Some(typing);
            }
        }
    }
}

impl EventLog {
    /// Tells all nodes that somebody is writing.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn tell_typing(&self, typing: &Typing) -> Result<(), LogError> {
        let told = serde_json::to_vec(typing).expect("ids and a position are plain data");
        Ok(self.0.client.publish(self.0.names.typing(), told.into()).await?)
    }

    /// Listens to what the nodes tell.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn typings(&self) -> Result<Typings, LogError> {
        Ok(Typings(self.0.client.subscribe(self.0.names.typing()).await?))
    }
}
