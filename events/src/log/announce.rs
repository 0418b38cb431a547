//! Checkpoints, announced on core NATS: a hint that may get lost, never a truth.

use super::{EventLog, LogError};
use crate::Vector;
use async_nats::Subscriber;
use futures_util::StreamExt;

/// The announcements of one view.
pub struct Announcements(Subscriber);

impl Announcements {
    /// The next vector that a runner announced; `None` when the connection is closed for good.
    pub async fn next(&mut self) -> Option<Vector> {
        loop {
            let message = self.0.next().await?;
            if let Some(vector) = std::str::from_utf8(&message.payload).ok().and_then(|text| text.parse().ok()) {
                return Some(vector);
            }
        }
    }
}

impl EventLog {
    /// Tells all nodes how far a view has come.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn announce(&self, view: &str, applied: &Vector) -> Result<(), LogError> {
        let subject = self.0.names.announcement(view);
        Ok(self.0.client.publish(subject, applied.to_string().into()).await?)
    }

    /// Listens to a view's announcements.
    ///
    /// # Errors
    /// When the client is closed.
    pub async fn announcements(&self, view: &str) -> Result<Announcements, LogError> {
        Ok(Announcements(self.0.client.subscribe(self.0.names.announcement(view)).await?))
    }
}
