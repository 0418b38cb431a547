//! Snapshots of aggregates' states: optional, replaceable, and verified against
//! the log when loaded. One of another shape, epoch or aggregate, or with a
//! changed byte, is as good as none. Their bytes tell no field's name: a state
//! that changes has another shape.

use super::{EventLog, LogError};
use crate::{Aggregate, EventId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A state after a certain event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot<S> {
    pub sequence: u64,
    pub event_id: EventId,
    pub state: S,
}

/// What must fit before the rest is looked at: it lies before the snapshot and says how to read that.
#[derive(PartialEq, Serialize, Deserialize)]
struct Head<'a> {
    shape: &'a str,
    epoch: Uuid,
    /// Of whose snapshot it is and what follows.
    checksum: [u8; 8],
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
            let (head, rest): (Head<'_>, _) = postcard::take_from_bytes(record)?;
            let ours = Head { shape, epoch: self.epoch(), checksum: checksum(aggregate, rest) };
            if head == ours { postcard::from_bytes(rest).map(Some) } else { Ok(None) }
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
        let snapshot = postcard::to_allocvec(snapshot).expect("a state is plain data");
        let head = Head { shape, epoch: self.epoch(), checksum: checksum(aggregate, &snapshot) };
        let mut value = postcard::to_allocvec(&head).expect("a head is plain data");
        value.extend_from_slice(&snapshot);
        Ok(bucket.put(&aggregate.to_string(), value.into()).await?)
    }
}

fn checksum(aggregate: Aggregate, snapshot: &[u8]) -> [u8; 8] {
    let digest = Sha256::new().chain_update(aggregate.to_string()).chain_update(snapshot).finalize();
    *digest.first_chunk().expect("SHA-256 has 32 bytes")
}
