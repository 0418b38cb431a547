//! Whether the log is still the one that was opened. One that was restored,
//! replaced or cut short beneath a node has to be opened anew: going on would
//! mix two histories. Its epoch is how all others, clients too, are told.

use super::{EventLog, LogError, WeakLog, topology::Topology};
use crate::{EventId, Ids, Partition, Position};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// How often it is looked whether this node was reconnected, and how often at the epoch in any case.
const LOOK: Duration = Duration::from_millis(500);
const EPOCH_LOOK: Duration = Duration::from_secs(5);

impl EventLog {
    /// Random at the log's creation: another epoch means another history.
    pub fn epoch(&self) -> Uuid {
        self.0.epoch
    }

    /// Gives the log another epoch: whatever is remembered of it anywhere is of another history from now on, and every
    /// node starts anew. For who restored a log, or found it cut short. Does nothing where another was faster.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn renew_epoch(&self, ids: &Ids) -> Result<(), LogError> {
        if let Some((found, revision)) = self.topology().await?
            && found.epoch == self.epoch()
        {
            let renewed = Topology { epoch: ids.next(), ..found }.record();
            // What cannot be settled is looked at again: either the epoch is another by then, or it is still to be renewed.
            self.0.topology.update(Topology::KEY, renewed, revision).await?;
            tracing::error!("the log has another epoch from now on");
        }
        self.0.replaced.cancel();
        Ok(())
    }

    /// Resolves once the log is known to be another one than was opened: whoever goes on has to open it anew.
    pub async fn replaced(&self) {
        self.0.replaced.cancelled().await;
    }

    /// The event that was read at a position is still there; where it is not known yet, it is told.
    pub(super) async fn verify(&self, position: Position, known: Option<EventId>) -> Result<Option<EventId>, LogError> {
        if position.sequence == 0 {
            return Ok(None);
        }
        let found = self.event_id_at(position).await?;
        let too_old = async || Ok::<_, LogError>(position.sequence <= self.outlived(position.partition).await?);
        match (found, known) {
            (Some(found), Some(known)) if found != known => Err(LogError::Foreign(position)),
            (Some(found), _) => Ok(Some(found)),
            (None, known) if position.partition == Partition::PRESENCE && too_old().await? => Ok(known),
            (None, _) => Err(LogError::Foreign(position)),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "it ends with the log, of which it holds nothing")]
    pub(super) fn watch_epoch(&self) {
        tokio::spawn(self.0.stopped.clone().run_until_cancelled_owned(watch(self.weak())));
    }

    async fn topology(&self) -> Result<Option<(Topology, u64)>, LogError> {
        Topology::read(&self.0.topology).await
    }
}

/// Looks at the epoch now and then, and whenever this node was reconnected.
async fn watch(log: WeakLog) {
    let mut looked = (0, Instant::now());
    loop {
        sleep(LOOK).await;
        let Some(log) = log.upgrade() else { return };
        let connections = log.connections();
        if connections == looked.0 && looked.1.elapsed() < EPOCH_LOOK {
            continue;
        }
        match log.topology().await {
            Ok(Some((found, _))) if found.epoch != log.epoch() => {
                tracing::error!(opened = %log.epoch(), found = %found.epoch, "the log is another one than was opened");
                return log.0.replaced.cancel();
            }
            Ok(_) => looked = (connections, Instant::now()),
            Err(error) => tracing::debug!(%error, "the log's epoch is not known"),
        }
    }
}
