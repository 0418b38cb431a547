//! One aggregate's facts, oldest first, where there are too many to follow their
//! links one by one: the server picks them from the whole log, and no more than
//! what one request asks for is in memory.

use super::{EventLog, LogError, decode::Stored, history::previous, reader};
use crate::{Aggregate, Envelope, EventId, Partition, Position};
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures_util::{FutureExt, StreamExt};
use std::sync::Arc;

const BATCH: usize = 500;

/// The facts after a known one, up to the one that was the newest at the beginning.
pub struct Replay {
    log: EventLog,
    partition: Partition,
    messages: pull::Stream,
    last: u64,
    end: u64,
}

impl EventLog {
    /// Begins to read the facts of an aggregate after one that the caller knows, or all of them. `None`: the log does
    /// not hold that one.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn replay(
        &self,
        aggregate: Aggregate,
        known: Option<(u64, EventId)>,
    ) -> Result<Option<Replay>, LogError> {
        let partition = self.names().partition_of(aggregate);
        let last = known.map_or(0, |(sequence, _)| sequence);
        if self.own_id_at(aggregate, last).await? != known.map(|(_, id)| id) {
            return Ok(None);
        }
        let Some((end, _)) = self.newest(aggregate).await? else { return Ok(None) };
        let config = pull::Config {
            filter_subject: self.names().subject(aggregate),
            ..reader::config(DeliverPolicy::ByStartSequence { start_sequence: last + 1 })
        };
        let messages = reader::messages(self.stream(partition), config, reader::WINDOW).await?.1;
        Ok(Some(Replay { log: self.clone(), partition, messages, last, end }))
    }
}

impl Replay {
    /// Up to where it has come, and where it ends.
    pub fn progress(&self) -> (u64, u64) {
        (self.last, self.end)
    }

    /// The next facts; `None` behind the last.
    ///
    /// # Errors
    /// When NATS does not answer, a fact cannot be read, or one is missing.
    pub async fn next_batch(&mut self) -> Result<Option<Vec<Arc<Envelope>>>, LogError> {
        let mut batch = Vec::new();
        while self.last < self.end && batch.len() < BATCH {
            let message = if batch.is_empty() {
                self.messages.next().await
            } else {
                let Some(at_hand) = self.messages.next().now_or_never() else { break };
                at_hand
            };
            let message = message.ok_or_else(|| LogError::Unavailable("the consumer ended".into()))??;
            batch.push(self.take(message)?);
        }
        if batch.is_empty() { Ok(None) } else { self.log.decode(&batch).await.map(Some) }
    }

    /// Each fact names the one before it: none is left out, and none comes twice.
    fn take(&mut self, message: async_nats::jetstream::Message) -> Result<Stored, LogError> {
        let sequence = message.info().map_err(LogError::Unavailable)?.stream_sequence;
        let async_nats::Message { subject, payload, headers, .. } = message.split().0;
        if headers.as_ref().map_or(0, previous) != self.last {
            return Err(LogError::Gap(self.partition, self.last));
        }
        self.last = sequence;
        Ok(Stored { subject, position: Position { partition: self.partition, sequence }, payload })
    }
}
