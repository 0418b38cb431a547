//! Records beside the log: a JetStream key-value bucket. Reads are answered by
//! the bucket's leader, writes are create-if-absent or compare-and-set, and an
//! unknown outcome is settled by reading.

use super::Durability;
use crate::{Partition, subject::Names};
use async_nats::jetstream::{
    Context, context, kv,
    stream::{self, LastRawMessageErrorKind},
};
use bytes::Bytes;
use std::time::Duration;

/// One bucket. Keys are letters, digits, `-`, `_`, `=` and `.`.
#[derive(Clone, Debug)]
pub struct Bucket(kv::Store);

/// A kind of record that grows with the users: a bucket for each partition.
#[derive(Clone, Debug)]
pub struct Partitioned(Vec<Bucket>);

/// A record and the revision that a compare-and-set must name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub value: Bytes,
    pub revision: u64,
}

/// What a create-if-absent found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The record is ours, at that revision.
    Ours(u64),
    /// Somebody was there before.
    Theirs(Entry),
}

/// A bucket's failure.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    #[error("the bucket does not answer")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the record was changed by another")]
    Conflict,
}

impl Bucket {
    /// A record that was not written again for `max_age` is gone; zero: it stays.
    pub(super) async fn open(
        context: &Context,
        name: String,
        durability: Durability,
        max_age: Duration,
    ) -> Result<Self, BucketError> {
        let config = kv::Config {
            bucket: name,
            history: 1,
            num_replicas: durability.replicas(),
            max_bytes: -1,
            max_age,
            compression: true,
            ..kv::Config::default()
        };
        context.create_key_value(config).await.map(Self).map_err(unavailable)
    }

    /// One that is there, for whoever makes none.
    pub(super) async fn existing(context: &Context, name: String) -> Result<Self, BucketError> {
        context.get_key_value(name).await.map(Self).map_err(unavailable)
    }

    /// The newest record under a key, as the bucket's leader has it.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn get(&self, key: &str) -> Result<Option<Entry>, BucketError> {
        let subject = format!("{}{key}", self.0.prefix);
        match self.0.stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) if message.headers.get("KV-Operation").is_some() => Ok(None),
            Ok(message) => Ok(Some(Entry { value: message.payload, revision: message.sequence })),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// The oldest record that was written after a revision, with its key.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn next(&self, after: u64) -> Result<Option<(String, Entry)>, BucketError> {
        self.next_of(format!("{}>", self.0.prefix), after).await
    }

    /// The oldest record after a revision among those whose key begins with a word and a dot.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn next_below(&self, word: &str, after: u64) -> Result<Option<(String, Entry)>, BucketError> {
        self.next_of(format!("{}{word}.>", self.0.prefix), after).await
    }

    pub(super) fn stream(&self) -> &stream::Stream {
        &self.0.stream
    }

    /// What a message of the bucket's stream says: a key and its record, unless it tells that there is none any more.
    pub(super) fn record(&self, message: async_nats::Message) -> Option<(String, Bytes)> {
        let says_other = message.headers.is_some_and(|headers| headers.get("KV-Operation").is_some());
        let key = message.subject.strip_prefix(self.0.prefix.as_str()).filter(|_| !says_other)?;
        Some((key.to_owned(), message.payload))
    }

    async fn next_of(&self, wanted: String, after: u64) -> Result<Option<(String, Entry)>, BucketError> {
        let mut from = after + 1;
        loop {
            let all = wanted.clone();
            let message = match self.0.stream.get_first_raw_message_by_subject(all, from).await {
                Ok(message) => message,
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(None),
                Err(error) => return Err(unavailable(error)),
            };
            let key = message.subject.strip_prefix(self.0.prefix.as_str());
            match key.filter(|_| message.headers.get("KV-Operation").is_none()) {
                Some(key) => {
                    let entry = Entry { value: message.payload, revision: message.sequence };
                    return Ok(Some((key.to_owned(), entry)));
                }
                None => from = message.sequence + 1,
            }
        }
    }

    /// The revision of the newest write.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn last_revision(&self) -> Result<u64, BucketError> {
        self.0.stream.get_info().await.map(|info| info.state.last_sequence).map_err(unavailable)
    }

    /// How many records there are.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn count(&self) -> Result<u64, BucketError> {
        self.0.stream.get_info().await.map(|info| info.state.messages).map_err(unavailable)
    }

    /// Writes a record unless there is one.
    ///
    /// # Errors
    /// When NATS does not answer: the record may or may not be there.
    pub async fn create(&self, key: &str, value: Bytes) -> Result<Claim, BucketError> {
        let source = match self.0.create(key, value.clone()).await {
            Ok(revision) => return Ok(Claim::Ours(revision)),
            Err(error) => error,
        };
        match self.get(key).await? {
            Some(entry) if entry.value == value => Ok(Claim::Ours(entry.revision)),
            Some(entry) => Ok(Claim::Theirs(entry)),
            None => Err(unavailable(source)),
        }
    }

    /// Replaces a record that is still at a revision, and returns the new one.
    ///
    /// # Errors
    /// [`BucketError::Conflict`] when it is not; `Unavailable` when NATS does not answer.
    pub async fn update(&self, key: &str, value: Bytes, revision: u64) -> Result<u64, BucketError> {
        match self.0.update(key, value.clone(), revision).await {
            Ok(revision) => Ok(revision),
            Err(error) => match self.get(key).await? {
                Some(entry) if entry.value == value && entry.revision > revision => Ok(entry.revision),
                Some(entry) if entry.revision == revision => Err(unavailable(error)),
                Some(_) | None => Err(BucketError::Conflict),
            },
        }
    }

    /// Writes a record whatever is there: for what can be made again.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn put(&self, key: &str, value: Bytes) -> Result<(), BucketError> {
        self.0.put(key, value).await.map(drop).map_err(unavailable)
    }

    /// Removes a record; nothing is left in its place.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn purge(&self, key: &str) -> Result<(), BucketError> {
        let subject = format!("{}{key}", self.0.prefix);
        self.0.stream.purge().filter(subject).await.map(drop).map_err(unavailable)
    }
}

impl Partitioned {
    pub(super) async fn open(
        context: &Context,
        names: &Names,
        kind: &str,
        durability: Durability,
        max_age: Duration,
    ) -> Result<Self, BucketError> {
        let mut buckets = Vec::new();
        for partition in names.partitions() {
            buckets.push(Bucket::open(context, names.partitioned_bucket(kind, partition), durability, max_age).await?);
        }
        Ok(Self(buckets))
    }

    pub(super) async fn existing(context: &Context, names: &Names, kind: &str) -> Result<Self, BucketError> {
        let mut buckets = Vec::new();
        for partition in names.partitions() {
            buckets.push(Bucket::existing(context, names.partitioned_bucket(kind, partition)).await?);
        }
        Ok(Self(buckets))
    }

    pub fn of(&self, partition: Partition) -> &Bucket {
        &self.0[usize::from(partition.0)]
    }
}

impl From<context::CreateKeyValueError> for BucketError {
    fn from(error: context::CreateKeyValueError) -> Self {
        unavailable(error)
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> BucketError {
    BucketError::Unavailable(error.into())
}
