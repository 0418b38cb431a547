//! The map of databases, once it was changed beneath nodes that run: from then on
//! they go by it, whatever their settings say.

use super::{BucketError, Claim, EventLog};
use crate::shard::Map;

/// In the bucket that tells what a log is.
const KEY: &str = "databases";

impl EventLog {
    /// The map that was published, and its revision; `None`: each node goes by its settings.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn published_map(&self) -> Result<Option<(Map, u64)>, BucketError> {
        let found = self.0.topology.get(KEY).await?;
        let read = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(Map::of);
        Ok(found.and_then(|entry| Some((read(&entry.value)?, entry.revision))))
    }

    /// Publishes a map in the place of the one of that revision, or as the first.
    ///
    /// # Errors
    /// [`BucketError::Conflict`] where somebody else published one meanwhile; `Unavailable` when NATS does not answer.
    pub async fn publish_map(&self, map: &Map, replaces: Option<u64>) -> Result<(), BucketError> {
        let record = map.to_string().into();
        match replaces {
            Some(revision) => self.0.topology.update(KEY, record, revision).await.map(drop),
            None => match self.0.topology.create(KEY, record).await? {
                Claim::Ours(_) => Ok(()),
                Claim::Theirs(_) => Err(BucketError::Conflict),
            },
        }
    }
}
