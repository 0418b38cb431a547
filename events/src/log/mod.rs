//! The log on JetStream: the one door through which facts enter (append) and
//! leave (load, subscribe), and the buckets beside it. What NATS answers is
//! turned into the log's own terms here and nowhere else.

mod announce;
mod append;
mod bucket;
mod connect;
mod copy;
mod decode;
mod epoch;
mod error;
pub mod examine;
mod floor;
mod history;
mod keyring;
mod map;
mod measures;
mod raw;
mod reader;
mod reading;
mod replay;
mod restore;
mod snapshot;
mod subscription;
mod topology;
mod typing;

pub use announce::Announcements;
pub use append::AppendError;
pub use bucket::{Bucket, BucketError, Claim, Entry, Partitioned};
pub use copy::{Records, StreamCopy};
pub use error::LogError;
pub use floor::{Appended, Load};
pub use history::History;
pub use measures::Extent;
pub use raw::{Raw, RawReader};
pub use reading::{Facts, READERS, Reading};
pub use replay::Replay;
pub use restore::{Restore, RestoreError, StreamRestore};
pub use snapshot::Snapshot;
pub use subscription::Subscription;
pub use topology::{Durability, OpenError, Options};
pub use typing::{Typing, Typings};

use crate::{Aggregate, Partition, Position, Vector, subject::Names};
use async_nats::jetstream::{Context, stream::Stream};
use chrono::TimeDelta;
use keyring::Keyring;
use measures::Measures;
use std::{
    sync::{Arc, OnceLock, atomic::Ordering},
    time::Duration,
};
use subscription::Shared;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

/// How long a publish waits for its acknowledgement, and a request for its answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long facts of presence are kept.
pub const PRESENCE_LASTS: Duration = Duration::from_hours(48);

/// A deployment's log. Clones share everything.
#[derive(Clone)]
pub struct EventLog(Arc<Inner>);

struct Inner {
    client: async_nats::Client,
    context: Context,
    names: Names,
    epoch: Uuid,
    topology: Bucket,
    /// Cancelled once the log is known to be another one than was opened.
    replaced: CancellationToken,
    durability: Durability,
    streams: Vec<Stream>,
    keyring: Keyring,
    snapshots: Partitioned,
    shared: Vec<OnceLock<Shared>>,
    measures: Measures,
    stopped: CancellationToken,
    _stop: DropGuard,
}

impl EventLog {
    pub fn names(&self) -> &Names {
        &self.0.names
    }

    /// The last sequence of every partition.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn end(&self) -> Result<Vector, LogError> {
        let mut end = Vector::default();
        for partition in self.0.names.partitions() {
            end.set(partition, self.end_of(partition).await?);
        }
        Ok(end)
    }

    /// The last sequence of one partition, or of presence.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn end_of(&self, partition: Partition) -> Result<u64, LogError> {
        Ok(self.stream(partition).get_info().await?.state.last_sequence)
    }

    /// The sequence after which facts are kept: what lies up to it was too old. 0 in all but the stream of presence.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn outlived(&self, partition: Partition) -> Result<u64, LogError> {
        Ok(self.stream(partition).get_info().await?.state.first_sequence.saturating_sub(1))
    }

    /// The sequence after which lies all that was appended so long ago or later, by NATS' clock.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn sequence_before(&self, partition: Partition, ago: TimeDelta) -> Result<u64, LogError> {
        reader::sequence_before(self.stream(partition), ago).await
    }

    /// Up to where the node's tails have heard the log, in the partitions that are followed.
    pub fn heard(&self) -> Vector {
        let heard = |(partition, shared): (Partition, &OnceLock<Shared>)| {
            let sequence = shared.get().and_then(Shared::last)?;
            Some(Position { partition, sequence })
        };
        self.0.names.partitions().zip(&self.0.shared).filter_map(heard).collect()
    }

    /// All facts of a partition, or of presence, after a sequence, in order and without gaps, from now on.
    pub fn subscribe(&self, partition: Partition, after: u64) -> Subscription {
        let shared = self.0.shared[self.0.names.index(partition)].get_or_init(|| Shared::start(self.weak(), partition));
        Subscription::new(self, partition, after, shared.clone())
    }

    /// How long the node's tails of the partitions have heard nothing from NATS, not even a heartbeat: the worst of them.
    pub fn silent_for(&self) -> Duration {
        let partitions = self.0.names.partitions().zip(&self.0.shared);
        partitions.filter_map(|(_, shared)| shared.get()).map(Shared::silent_for).max().unwrap_or_default()
    }

    /// Opens a small bucket, creating it where it does not exist.
    ///
    /// # Errors
    /// When NATS does not answer or refuses.
    pub async fn bucket(&self, kind: &str) -> Result<Bucket, BucketError> {
        Bucket::open(&self.0.context, self.0.names.bucket(kind), self.0.durability, Duration::ZERO).await
    }

    /// Opens a small bucket whose records are gone after that time.
    ///
    /// # Errors
    /// When NATS does not answer or refuses.
    pub async fn fading_bucket(&self, kind: &str, max_age: Duration) -> Result<Bucket, BucketError> {
        Bucket::open(&self.0.context, self.0.names.bucket(kind), self.0.durability, max_age).await
    }

    /// Opens a kind of bucket that grows with the users, one for each partition. A record that was
    /// not written again for `max_age` is gone; zero: it stays.
    ///
    /// # Errors
    /// When NATS does not answer or refuses.
    pub async fn partitioned_bucket(&self, kind: &str, max_age: Duration) -> Result<Partitioned, BucketError> {
        Partitioned::open(&self.0.context, &self.0.names, kind, self.0.durability, max_age).await
    }

    pub fn keyring(&self) -> &Keyring {
        &self.0.keyring
    }

    /// How many connections to NATS this log has had. What was read on an earlier one may be lost by now.
    pub fn connections(&self) -> u64 {
        self.0.client.statistics().connects.load(Ordering::Relaxed)
    }

    fn stream(&self, partition: Partition) -> &Stream {
        &self.0.streams[self.0.names.index(partition)]
    }

    fn stream_of(&self, aggregate: Aggregate) -> &Stream {
        self.stream(self.0.names.partition_of(aggregate))
    }

    fn weak(&self) -> WeakLog {
        WeakLog { inner: Arc::downgrade(&self.0), stopped: self.0.stopped.clone() }
    }
}

/// What the tails hold: a log that is dropped by all others ends them.
#[derive(Clone)]
struct WeakLog {
    inner: std::sync::Weak<Inner>,
    stopped: CancellationToken,
}

impl WeakLog {
    fn upgrade(&self) -> Option<EventLog> {
        self.inner.upgrade().map(EventLog)
    }
}
