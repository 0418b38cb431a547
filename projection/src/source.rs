//! Where a partition's facts come from: the node's log, or one reading of it that
//! several views share.

use crate::store::checkpoint::Checkpoint;
use events::{Envelope, EventLog, Partition, Vector, log::Subscription};
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::mpsc::Receiver;

/// Facts of one partition, in order.
pub(crate) type Facts = Arc<[Arc<Envelope>]>;

/// One partition's facts after a sequence, and up to another one.
pub(crate) struct Source {
    partition: Partition,
    origin: Origin,
    last: u64,
    until: u64,
}

enum Origin {
    Log(Box<Subscription>),
    /// What was received and not yet asked for comes first.
    Shared(Receiver<Facts>, VecDeque<Arc<Envelope>>),
}

impl Source {
    /// What the log has after the checkpoint, and will have.
    pub(crate) fn all(checkpoint: &Checkpoint, log: &EventLog) -> Vec<Self> {
        let source = |(partition, last)| Self {
            partition,
            origin: Origin::Log(Box::new(log.subscribe(partition, last))),
            last,
            until: u64::MAX,
        };
        checkpoint.iter().map(|(partition, mark)| source((partition, mark.sequence))).collect()
    }

    /// What the log has between the checkpoint and the vector.
    pub(crate) fn up_to(checkpoint: &Checkpoint, log: &EventLog, until: &Vector) -> Vec<Self> {
        let mut sources = Self::all(checkpoint, log);
        for source in &mut sources {
            source.until = until.get(source.partition);
        }
        sources
    }

    /// What others read too, after that sequence.
    pub(crate) fn shared(partition: Partition, facts: Receiver<Facts>, after: u64) -> Self {
        Self { partition, origin: Origin::Shared(facts, VecDeque::new()), last: after, until: u64::MAX }
    }

    pub(crate) fn partition(&self) -> Partition {
        self.partition
    }

    /// Waits for a fact and takes what else is at hand, up to `max`; for ever once there is nothing more to come.
    /// Dropped half-way, it loses nothing.
    pub(crate) async fn next_batch(&mut self, max: usize) -> Vec<Arc<Envelope>> {
        let left = usize::try_from(self.until.saturating_sub(self.last)).unwrap_or(usize::MAX);
        if left == 0 {
            return std::future::pending().await;
        }
        let facts = self.origin.next_batch(self.last, max.min(left)).await;
        self.last = facts.last().map_or(self.last, |fact| fact.position.sequence);
        facts
    }
}

impl Origin {
    async fn next_batch(&mut self, last: u64, max: usize) -> Vec<Arc<Envelope>> {
        match self {
            Self::Log(subscription) => subscription.next_batch(max).await,
            Self::Shared(facts, received) => {
                while received.is_empty() {
                    match facts.recv().await {
                        Some(batch) => {
                            received.extend(batch.iter().filter(|fact| fact.position.sequence > last).cloned());
                        }
                        None => return std::future::pending().await,
                    }
                }
                received.drain(..max.min(received.len())).collect()
            }
        }
    }
}
