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
    log::{BucketError, Claim, LogError, Partitioned},
};
use record::Record;
use std::{sync::Arc, time::Duration};

/// How often a record is read anew because somebody else wrote it.
const ATTEMPTS: u32 = 8;
/// Under that key lies by what mark the store of files is known again.
const STORE: &str = "store";

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

impl Use {
    /// Whether that may be the same use, asked for again. A message is one for ever; a picture may have been replaced
    /// since, and its file go with that.
    fn is_again(self, other: Self) -> bool {
        match self {
            Self::Message { .. } => self == other,
            Self::Portrait { .. } | Self::GroupPicture { .. } => false,
        }
    }
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
    /// `AnotherStore` where the deployment's files lie elsewhere; when NATS or the store does not answer.
    pub async fn open(log: EventLog, clock: Clock, ids: Ids, blobs: Blobs) -> Result<Self, AttachmentError> {
        let uploads = log.partitioned_bucket("UPLOADS", Duration::ZERO).await?;
        know_again(&log, &ids, &blobs).await?;
        Ok(Self(Arc::new(Inner { log, clock, ids, blobs, uploads })))
    }

    /// An upload of one's own that no fact has used yet.
    ///
    /// # Errors
    /// Technical ones only.
    pub async fn unused(&self, owner: UserId, id: AttachmentId) -> Result<Option<Attachment>, AttachmentError> {
        Ok(self.0.ready(owner, id).await?)
    }

    /// All uploads of somebody's that no fact has used yet.
    ///
    /// # Errors
    /// Technical ones only.
    pub async fn all_unused(&self, owner: UserId) -> Result<Vec<Attachment>, AttachmentError> {
        let mut unused = Vec::new();
        let mut after = 0;
        while let Some((key, entry)) = self.0.bucket(owner).next_below(&owner.to_string(), after).await? {
            after = entry.revision;
            let Some((id, record)) = record::parse(&key, &entry.value) else { continue };
            if record.is_whole() {
                unused.extend(self.0.told(id, &record).await?);
            }
        }
        Ok(unused)
    }

    /// Uploads of somebody's as they are; `None` where one of them is not theirs, or not there any more.
    pub(crate) async fn found(&self, owner: UserId, ids: &[AttachmentId]) -> Result<Option<Vec<Attachment>>, LogError> {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            match self.0.ready(owner, *id).await? {
                Some(attachment) => found.push(attachment),
                None => return Ok(None),
            }
        }
        Ok(Some(found))
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

    /// An upload of somebody's, claimed as that picture once it is known that it would do.
    pub(crate) async fn picture(
        &self,
        owner: UserId,
        id: AttachmentId,
        used: Use,
        would_do: impl AsyncFnOnce(Picture) -> Result<bool, LogError>,
    ) -> Result<Picture, LogError> {
        let found = self.found(owner, &[id]).await?.and_then(|mut found| found.pop());
        let picture = Picture { attachment_id: id, found };
        if picture.found.is_none() || !would_do(picture.clone()).await? {
            return Ok(picture.unclaimed());
        }
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
    pub(crate) async fn settle(&self, owner: UserId, id: AttachmentId) -> Result<(), BucketError> {
        self.0.bucket(owner).purge(&record::key(owner, id)).await
    }

    /// Removes a file, and the record of its upload if there is one: the bytes first, so that what is left is found.
    pub(crate) async fn remove(&self, owner: UserId, id: AttachmentId) -> Result<(), AttachmentError> {
        self.0.blobs.remove(id).await?;
        Ok(self.settle(owner, id).await?)
    }

    /// Leaves a file to whoever looks for what is left over.
    pub(crate) async fn leave(&self, owner: UserId, id: AttachmentId) -> Result<(), BucketError> {
        self.0.bucket(owner).put(&record::key(owner, id), Record::leftover(owner).encode()).await
    }
}

/// The first node marks the store and notes the mark; all others must find it there.
async fn know_again(log: &EventLog, ids: &Ids, blobs: &Blobs) -> Result<(), AttachmentError> {
    let bucket = log.bucket("POLICIES").await?;
    let noted = if let Some(entry) = bucket.get(STORE).await? {
        entry.value
    } else {
        let mark = ids.next();
        blobs.mark(mark).await?;
        match bucket.create(STORE, mark.to_string().into()).await? {
            Claim::Ours(_) => return Ok(()),
            Claim::Theirs(entry) => entry.value,
        }
    };
    let mark = std::str::from_utf8(&noted).ok().and_then(|mark| mark.parse().ok()).ok_or(BlobError::AnotherStore)?;
    if blobs.is_marked(mark).await? { Ok(()) } else { Err(BlobError::AnotherStore.into()) }
}

impl Inner {
    fn bucket(&self, owner: UserId) -> &events::log::Bucket {
        self.uploads.of(self.log.names().partition(owner.uuid()))
    }

    async fn find(&self, owner: UserId, id: AttachmentId) -> Result<Option<(Record, u64)>, BucketError> {
        let key = record::key(owner, id);
        let entry = self.bucket(owner).get(&key).await?;
        Ok(entry.and_then(|entry| Some((record::parse(&key, &entry.value)?.1, entry.revision))))
    }

    /// An upload that waits for its use.
    async fn ready(&self, owner: UserId, id: AttachmentId) -> Result<Option<Attachment>, LogError> {
        match self.find(owner, id).await? {
            Some((record, _)) if record.is_ready(owner, self.clock.now()) => self.told(id, &record).await,
            Some(_) | None => Ok(None),
        }
    }

    async fn claim(&self, owner: UserId, id: AttachmentId, used: Use) -> Result<Option<Attachment>, LogError> {
        for _ in 0..ATTEMPTS {
            let Some((record, revision)) = self.find(owner, id).await? else { return Ok(None) };
            if !record.is_ready(owner, self.clock.now()) || record.used.is_some_and(|other| !other.is_again(used)) {
                return Ok(None);
            }
            if record.used.is_none() {
                let claimed = record.clone().claimed(used);
                match self.bucket(owner).update(&record::key(owner, id), claimed.encode(), revision).await {
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
