//! Checkpoints, announced on core NATS: a hint that may get lost, never a truth.

use super::{EventLog, LogError};
use crate::{Share, Vector};
use async_nats::Subscriber;
use futures_util::StreamExt;

/// The announcements of one view.
pub struct Announcements(Subscriber);

impl Announcements {
    /// How far a runner told to have come next, and in which database; `None` when the connection is closed for good.
    pub async fn next(&mut self) -> Option<(Share, Vector)> {
        loop {
            let message = self.0.next().await?;
            if let Some(told) = std::str::from_utf8(&message.payload).ok().and_then(read) {
                return Some(told);
            }
        }
    }
}

fn read(text: &str) -> Option<(Share, Vector)> {
    let (share, vector) = text.split_once(' ')?;
    Some((share.parse().ok()?, vector.parse().ok()?))
}

impl EventLog {
    /// Tells all nodes how far a view has come in a database.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn announce(&self, view: &str, share: Share, applied: &Vector) -> Result<(), LogError> {
        let subject = self.0.names.announcement(view);
        Ok(self.0.client.publish(subject, format!("{share} {applied}").into()).await?)
    }

    /// Listens to a view's announcements.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn announcements(&self, view: &str) -> Result<Announcements, LogError> {
        Ok(Announcements(self.0.client.subscribe(self.0.names.announcement(view)).await?))
    }
}
