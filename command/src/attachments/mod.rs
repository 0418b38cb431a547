//! Files that people upload: an upload is a record in a bucket and sealed parts in
//! the store of blobs, for a day; a fact that uses it makes it last. The record is
//! there before the first part, so that whatever is left over is found.

mod record;
mod sniff;
mod upload;

pub(crate) use record::{USABLE_FOR, parse};
pub use upload::{Upload, Uploaded};

use crate::picture::Picture;
use events::{
    Attachment, AttachmentId, Blobs, Clock, EventLog, Ids, MessageKey, ThreadId, UserId,
    blobs::{BlobError, Part},
    log::{BucketError, LogError, Partitioned},
};
use record::Record;
use std::{sync::Arc, time::Duration};

/// How often a record is read anew because somebody else wrote it.
const ATTEMPTS: u32 = 8;

/// The door to all files. Cheap to clone.
#[derive(Clone)]
pub struct Attachments(Arc<Inner>);

struct Inner {
    log: EventLog,
    clock: Clock,
    ids: Ids,
    blobs: Blobs,
    uploads: Partitioned,
}

/// For what an upload is used: no other use may have it then, for it would go with the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Use {
    Message { thread_id: ThreadId, key: MessageKey },
    Portrait { user_id: UserId },
    GroupPicture { thread_id: ThreadId },
}

#[derive(Debug, thiserror::Error)]
pub enum AttachmentError {
    #[error("a file has no bytes")]
    Empty,
    #[error("a file has more than {} bytes", events::attachment::MAX_BYTES)]
    TooLarge,
    /// Whoever uploads is gone: their key was destroyed.
    #[error("nobody is here to own it")]
    NoOwner,
    #[error(transparent)]
    Store(#[from] BlobError),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl From<BucketError> for AttachmentError {
    fn from(error: BucketError) -> Self {
        Self::Log(error.into())
    }
}

impl Attachments {
    /// Opens the bucket of uploads beside the store of their bytes.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn open(log: EventLog, clock: Clock, ids: Ids, blobs: Blobs) -> Result<Self, BucketError> {
        let uploads = log.partitioned_bucket("UPLOADS", Duration::ZERO).await?;
        Ok(Self(Arc::new(Inner { log, clock, ids, blobs, uploads })))
    }

    /// An upload of one's own that no fact has used yet.
    ///
    /// # Errors
    /// Technical ones only.
    pub async fn unused(&self, owner: UserId, id: AttachmentId) -> Result<Option<Attachment>, AttachmentError> {
        let Some((record, _)) = self.0.find(id).await? else { return Ok(None) };
        if !record.is_ready(owner, self.0.clock.now()) {
            return Ok(None);
        }
        Ok(self.0.told(id, &record).await?)
    }

    /// All uploads of somebody's that no fact has used yet, ready or not. Reads all uploads of the day.
    ///
    /// # Errors
    /// Technical ones only.
    pub async fn all_unused(&self, owner: UserId) -> Result<Vec<Attachment>, AttachmentError> {
        let mut unused = Vec::new();
        for partition in self.0.log.names().partitions() {
            let mut after = 0;
            while let Some((key, entry)) = self.0.uploads.of(partition).next(after).await? {
                after = entry.revision;
                let Some((id, record)) = record::parse(&key, &entry.value) else { continue };
                if record.owner == owner {
                    unused.extend(self.0.told(id, &record).await?);
                }
            }
        }
        Ok(unused)
    }

    /// Has uploads of somebody's be used for that and nothing else, for ever; `None` where one of them is not theirs, not
    /// there any more, or used for something else.
    pub(crate) async fn claim(
        &self,
        owner: UserId,
        ids: &[AttachmentId],
        used: Use,
    ) -> Result<Option<Vec<Attachment>>, LogError> {
        let mut claimed = Vec::with_capacity(ids.len());
        for id in ids {
            match self.0.claim(owner, *id, used).await? {
                Some(attachment) => claimed.push(attachment),
                None => return Ok(None),
            }
        }
        Ok(Some(claimed))
    }

    /// An upload of somebody's, claimed as that picture.
    pub(crate) async fn picture(&self, owner: UserId, id: AttachmentId, used: Use) -> Result<Picture, LogError> {
        let found = self.claim(owner, &[id], used).await?.and_then(|mut claimed| claimed.pop());
        Ok(Picture { attachment_id: id, found })
    }

    /// The opened bytes of a part of a file.
    ///
    /// # Errors
    /// `Store` where it is not there or was changed, `NoOwner` once its author was erased; technical ones.
    pub async fn part(&self, author: UserId, part: Part) -> Result<bytes::Bytes, AttachmentError> {
        let key = self.0.log.keyring().get(author).await?.ok_or(AttachmentError::NoOwner)?;
        Ok(self.0.blobs.get(&key, part).await?)
    }

    /// The records, for who sees to what is left over.
    pub(crate) fn uploads(&self) -> &Partitioned {
        &self.0.uploads
    }

    /// Forgets that it was an upload: a fact has it now.
    pub(crate) async fn settle(&self, id: AttachmentId) -> Result<(), BucketError> {
        self.0.bucket(id).purge(&id.to_string()).await
    }

    /// Removes a file, and the record of its upload if there is one: the bytes first, so that what is left is found.
    pub(crate) async fn remove(&self, id: AttachmentId) -> Result<(), AttachmentError> {
        self.0.blobs.remove(id).await?;
        Ok(self.settle(id).await?)
    }
}

impl Inner {
    fn bucket(&self, id: AttachmentId) -> &events::log::Bucket {
        self.uploads.of(self.log.names().partition(id.uuid()))
    }

    async fn find(&self, id: AttachmentId) -> Result<Option<(Record, u64)>, BucketError> {
        let entry = self.bucket(id).get(&id.to_string()).await?;
        Ok(entry.and_then(|entry| Some((record::parse(&id.to_string(), &entry.value)?.1, entry.revision))))
    }

    async fn claim(&self, owner: UserId, id: AttachmentId, used: Use) -> Result<Option<Attachment>, LogError> {
        for _ in 0..ATTEMPTS {
            let Some((record, revision)) = self.find(id).await? else { return Ok(None) };
            if !record.is_ready(owner, self.clock.now()) || record.used.is_some_and(|other| other != used) {
                return Ok(None);
            }
            if record.used.is_none() {
                let claimed = record.clone().claimed(used);
                match self.bucket(id).update(&id.to_string(), claimed.encode(), revision).await {
                    Err(BucketError::Conflict) => continue,
                    claimed => drop(claimed?),
                }
            }
            return self.told(id, &record).await;
        }
        Err(LogError::Unstable)
    }

    /// What a fact will say of it; `None` once its owner was erased.
    async fn told(&self, id: AttachmentId, record: &Record) -> Result<Option<Attachment>, LogError> {
        let key = self.log.keyring().get(record.owner).await?;
        Ok(key.and_then(|key| record.told(id, &key)))
    }
}
