//! How far a policy has come: a sequence or revision under a key in one bucket,
//! good for one epoch of the log.

use events::{
    EventLog,
    log::{Bucket, BucketError, Claim, Entry},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where policies keep how far they have come.
#[derive(Clone)]
pub(super) struct Progress {
    log: EventLog,
    bucket: Bucket,
}

/// How far one has come, as it is kept.
pub(super) struct Kept {
    key: String,
    entry: Option<Entry>,
    pub(super) reached: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    /// Of the log: in another one the numbers mean something else.
    epoch: Uuid,
    revision: u64,
}

impl Progress {
    pub(super) async fn open(log: EventLog) -> Result<Self, BucketError> {
        let bucket = log.bucket("POLICIES").await?;
        Ok(Self { log, bucket })
    }

    pub(super) async fn find(&self, key: String) -> Result<Kept, BucketError> {
        let entry = self.bucket.get(&key).await?;
        let reached = entry.as_ref().and_then(|entry| serde_json::from_slice::<Reached>(&entry.value).ok());
        let reached = reached.filter(|reached| reached.epoch == self.log.epoch()).map_or(0, |reached| reached.revision);
        Ok(Kept { key, entry, reached })
    }

    /// Keeps that it has come further.
    ///
    /// # Errors
    /// `Conflict` where another node was faster.
    pub(super) async fn keep(&self, kept: &mut Kept, reached: u64) -> Result<(), BucketError> {
        let record = Reached { epoch: self.log.epoch(), revision: reached };
        let value = bytes::Bytes::from(serde_json::to_vec(&record).expect("a position is plain data"));
        let revision = match &kept.entry {
            Some(entry) => self.bucket.update(&kept.key, value.clone(), entry.revision).await?,
            None => match self.bucket.create(&kept.key, value.clone()).await? {
                Claim::Ours(revision) => revision,
                Claim::Theirs(_) => return Err(BucketError::Conflict),
            },
        };
        kept.entry = Some(Entry { value, revision });
        kept.reached = reached;
        Ok(())
    }
}
