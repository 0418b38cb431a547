//! Snapshots of aggregates' states: optional, replaceable, and verified against
//! the log when loaded. One of another shape or epoch is as good as none.

use super::{EventLog, LogError};
use crate::{Aggregate, EventId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// A state after a certain event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot<S> {
    pub sequence: u64,
    pub event_id: EventId,
    pub state: S,
}

#[derive(Serialize, Deserialize)]
struct Record<S> {
    shape: String,
    epoch: Uuid,
    snapshot: S,
}

/// What must fit before the rest is looked at.
#[derive(Deserialize)]
struct Head {
    shape: String,
    epoch: Uuid,
}

impl EventLog {
    /// The snapshot of an aggregate, where there is one of that shape and of this log's epoch.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn snapshot<S: DeserializeOwned>(
        &self,
        aggregate: Aggregate,
        shape: &str,
    ) -> Result<Option<Snapshot<S>>, LogError> {
        let bucket = self.0.snapshots.of(self.names().partition_of(aggregate));
        let Some(entry) = bucket.get(&aggregate.to_string()).await? else { return Ok(None) };
        let fits = |head: &Head| head.shape == shape && head.epoch == self.epoch();
        if !serde_json::from_slice(&entry.value).is_ok_and(|head| fits(&head)) {
            return Ok(None);
        }
        Ok(serde_json::from_slice::<Record<Snapshot<S>>>(&entry.value).ok().map(|record| record.snapshot))
    }

    /// Keeps a snapshot in place of the former one.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn keep_snapshot<S: Serialize>(
        &self,
        aggregate: Aggregate,
        shape: &str,
        snapshot: &Snapshot<S>,
    ) -> Result<(), LogError> {
        let bucket = self.0.snapshots.of(self.names().partition_of(aggregate));
        let record = Record { shape: shape.to_owned(), epoch: self.epoch(), snapshot };
        let value = serde_json::to_vec(&record).expect("a state is plain data");
        Ok(bucket.put(&aggregate.to_string(), value.into()).await?)
    }
}
