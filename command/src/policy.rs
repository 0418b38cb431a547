//! What must follow, whoever began it and was cut off: every claim of a username
//! comes to the facts that it promises. A policy keeps how far it has come in a
//! bucket, by compare-and-set; its commands are idempotent, so that any number
//! of nodes may run it.

use crate::accounts::{AccountError, Accounts};
use events::{
    EventLog, Partition,
    log::{Bucket, BucketError, Claim, Entry},
};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, time::Duration};
use tokio::time::sleep;
use uuid::Uuid;

/// Records after which the progress is kept, at the latest.
const STRETCH: usize = 256;

/// Follows the claims.
pub struct Promises {
    log: EventLog,
    accounts: Accounts,
    positions: Bucket,
}

/// Up to what revision the records of a bucket were seen to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Reached {
    /// Of the log: in another one the revisions mean something else.
    epoch: Uuid,
    revision: u64,
}

impl Promises {
    /// Opens the bucket of the policies' positions.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn open(log: EventLog, accounts: Accounts) -> Result<Self, BucketError> {
        let positions = log.bucket("POLICIES").await?;
        Ok(Self { log, accounts, positions })
    }

    /// Sees to every claim once it is a pause old: by then whoever made it has done so, or never will.
    pub async fn run(self, pause: Duration) {
        let mut aged = HashMap::new();
        loop {
            for partition in self.log.names().partitions() {
                let seen = match aged.get(&partition) {
                    Some(until) => self.sweep(partition, *until).await,
                    None => Ok(()),
                };
                match (seen, self.accounts.claims().of(partition).last_revision().await) {
                    (Ok(()), Ok(newest)) => drop(aged.insert(partition, newest)),
                    (Err(error), _) => tracing::warn!(%partition, %error, "claims are not seen to yet"),
                    (_, Err(error)) => tracing::warn!(%partition, %error, "claims are not read yet"),
                }
            }
            sleep(pause).await;
        }
    }

    /// Sees to the claims of a partition up to a revision.
    async fn sweep(&self, partition: Partition, until: u64) -> Result<(), AccountError> {
        let key = format!("claims.{partition}");
        let mut kept = self.positions.get(&key).await?;
        let mut reached = kept.as_ref().map_or(0, |entry| self.revision(entry));
        while reached < until {
            for _ in 0..STRETCH {
                match self.accounts.claims().of(partition).next(reached).await? {
                    Some((_, claim)) if claim.revision <= until => {
                        self.see_to(&claim).await?;
                        reached = claim.revision;
                    }
                    Some(_) | None => {
                        reached = until;
                        break;
                    }
                }
            }
            match self.keep(&key, reached, kept).await {
                Ok(entry) => kept = Some(entry),
                // Another node was faster.
                Err(BucketError::Conflict) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn see_to(&self, claim: &Entry) -> Result<(), AccountError> {
        match self.accounts.keep_promise(&claim.value).await {
            // Nobody any more: erased.
            Ok(()) | Err(AccountError::BadCredentials) => Ok(()),
            Err(error @ AccountError::Inconsistent(_)) => {
                tracing::error!(revision = claim.revision, %error, "a claim cannot be seen to");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn keep(&self, key: &str, revision: u64, kept: Option<Entry>) -> Result<Entry, BucketError> {
        let reached = Reached { epoch: self.log.epoch(), revision };
        let value = bytes::Bytes::from(serde_json::to_vec(&reached).expect("a position is plain data"));
        let revision = match kept {
            Some(entry) => self.positions.update(key, value.clone(), entry.revision).await?,
            None => match self.positions.create(key, value.clone()).await? {
                Claim::Ours(revision) => revision,
                Claim::Theirs(_) => return Err(BucketError::Conflict),
            },
        };
        Ok(Entry { value, revision })
    }

    fn revision(&self, entry: &Entry) -> u64 {
        let reached = serde_json::from_slice::<Reached>(&entry.value).ok();
        reached.filter(|reached| reached.epoch == self.log.epoch()).map_or(0, |reached| reached.revision)
    }
}
