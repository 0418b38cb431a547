//! Snapshots of aggregates' states: optional, replaceable, and verified against
//! the log when loaded. One of another shape or epoch is as good as none. Their
//! bytes tell no field's name: a state that changes has another shape.

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

/// What must fit before the rest is looked at: it lies before the snapshot and says how to read that.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    shape: &'a str,
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
        let read = |record| -> postcard::Result<Option<Snapshot<S>>> {
            let (Head { shape: theirs, epoch }, rest) = postcard::take_from_bytes(record)?;
            if theirs == shape && epoch == self.epoch() { postcard::from_bytes(rest).map(Some) } else { Ok(None) }
        };
        Ok(read(&entry.value).unwrap_or_default())
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
        let head = Head { shape, epoch: self.epoch() };
        let value = postcard::to_allocvec(&(head, snapshot)).expect("a state is plain data");
        Ok(bucket.put(&aggregate.to_string(), value.into()).await?)
    }
}
