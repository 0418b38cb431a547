//! Every claim of a username comes to the facts that it promises.

use super::progress::Progress;
use crate::accounts::{AccountError, Accounts};
use events::{
    EventLog, Partition,
    log::{BucketError, Entry},
};
use std::{collections::HashMap, time::Duration};
use tokio::time::sleep;

/// Records after which the progress is kept, at the latest.
const STRETCH: usize = 256;

/// Follows the claims.
pub struct Promises {
    log: EventLog,
    accounts: Accounts,
    progress: Progress,
}

impl Promises {
    /// Opens the bucket of the policies' positions.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn open(log: EventLog, accounts: Accounts) -> Result<Self, BucketError> {
        let progress = Progress::open(log.clone()).await?;
        Ok(Self { log, accounts, progress })
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
        let mut kept = self.progress.find(format!("claims.{partition}")).await?;
        let mut reached = kept.reached;
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
            match self.progress.keep(&mut kept, reached).await {
                // Another node was faster.
                Err(BucketError::Conflict) => return Ok(()),
                kept => kept?,
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
}
