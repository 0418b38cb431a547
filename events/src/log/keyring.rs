//! The authors' keys: one 32-byte secret for each person, made before their
//! first fact. A destroyed key leaves an empty record, so that "erased" and
//! "not found" are never confused.

use super::{Bucket, BucketError, Claim, LogError, Partitioned};
use crate::{UserId, seal::AuthorKey, subject::Names};
use bytes::Bytes;
use quick_cache::sync::Cache;

/// The keys that a node holds in memory: about 1 KiB each.
const CACHED_KEYS: usize = 100_000;

/// Makes and finds authors' keys.
pub struct Keyring {
    names: Names,
    buckets: Partitioned,
    cache: Cache<UserId, Option<AuthorKey>>,
}

impl Keyring {
    pub(super) fn new(names: Names, buckets: Partitioned) -> Self {
        Self { names, buckets, cache: Cache::new(CACHED_KEYS) }
    }

    /// Makes a person's key; the one that is there where it was made before.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn make(&self, user_id: UserId) -> Result<AuthorKey, LogError> {
        let mut secret = [0; AuthorKey::BYTES];
        getrandom::fill(&mut secret).map_err(|error| BucketError::Unavailable(error.into()))?;
        let record = match self.bucket(user_id).create(&user_id.to_string(), Bytes::copy_from_slice(&secret)).await? {
            Claim::Ours(_) => Bytes::copy_from_slice(&secret),
            Claim::Theirs(entry) => entry.value,
        };
        let key = parse(&record);
        self.cache.insert(user_id, key.clone());
        key.ok_or(LogError::KeyMissing(user_id))
    }

    /// A person's key; `None` once it was destroyed.
    ///
    /// # Errors
    /// When there never was a key, or NATS does not answer.
    pub async fn get(&self, user_id: UserId) -> Result<Option<AuthorKey>, LogError> {
        if let Some(key) = self.cache.get(&user_id) {
            return Ok(key);
        }
        let entry = self.bucket(user_id).get(&user_id.to_string()).await?;
        let key = parse(&entry.ok_or(LogError::KeyMissing(user_id))?.value);
        self.cache.insert(user_id, key.clone());
        Ok(key)
    }

    fn bucket(&self, user_id: UserId) -> &Bucket {
        self.buckets.of(self.names.partition(user_id.uuid()))
    }
}

fn parse(record: &[u8]) -> Option<AuthorKey> {
    record.try_into().ok().map(AuthorKey::new)
}
