//! The log as it lies there, byte by byte: for who proves that it is what it
//! was. Decodes and unseals nothing; what the server cannot give is left out,
//! and shows as a gap in the sequences.

use super::{EventLog, LogError, reader};
use crate::{Partition, Position};
use async_nats::{
    HeaderMap,
    header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
    jetstream::{consumer::DeliverPolicy, consumer::pull, stream::LastRawMessageErrorKind},
};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::timeout;

const BATCH: usize = 5_000;
/// A server that has said nothing for so long, though the partition goes on, cannot read what comes next.
const STALL: Duration = Duration::from_secs(3);

/// An event as any client of NATS sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    pub position: Position,
    pub subject: String,
    /// The values of each header, in their order.
    pub headers: BTreeMap<String, Vec<String>>,
    pub payload: Bytes,
}

/// Reads a partition from a sequence on, up to where it ended at the beginning.
pub struct RawReader {
    log: EventLog,
    partition: Partition,
    messages: Option<pull::Stream>,
    last: u64,
    end: u64,
}

impl Raw {
    /// The sequence of the aggregate's event before this one, 0 of its first; `None` of facts that expect nothing.
    pub fn previous(&self) -> Option<u64> {
        let header: &str = NATS_EXPECTED_LAST_SUBJECT_SEQUENCE.as_ref();
        self.headers.get(header)?.first()?.parse().ok()
    }
}

impl EventLog {
    /// Begins to read the stored bytes of a partition after a sequence.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn raw(&self, partition: Partition, after: u64) -> Result<RawReader, LogError> {
        let end = self.end_of(partition).await?;
        Ok(RawReader { log: self.clone(), partition, messages: None, last: after, end })
    }
}

impl RawReader {
    /// Where the partition ended when reading began.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The next events; none behind the last.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn next_batch(&mut self) -> Result<Vec<Raw>, LogError> {
        let mut batch = Vec::new();
        while self.last < self.end && batch.len() < BATCH {
            let messages = match &mut self.messages {
                Some(messages) => messages,
                none => none.insert(consume(&self.log, self.partition, self.last).await?),
            };
            let message = if batch.is_empty() {
                timeout(STALL, messages.next()).await
            } else {
                let Some(at_hand) = messages.next().now_or_never() else { break };
                Ok(at_hand)
            };
            let Ok(message) = message else {
                self.messages = None;
                self.last = self.next_readable().await?.map_or(self.end, |next| next - 1);
                continue;
            };
            let message = message.ok_or_else(|| LogError::Unavailable("the consumer ended".into()))??;
            batch.push(self.take(message)?);
        }
        Ok(batch)
    }

    fn take(&mut self, message: async_nats::jetstream::Message) -> Result<Raw, LogError> {
        let sequence = message.info().map_err(LogError::Unavailable)?.stream_sequence;
        self.last = sequence;
        let async_nats::Message { subject, payload, headers, .. } = message.split().0;
        let position = Position { partition: self.partition, sequence };
        Ok(Raw {
            position,
            subject: subject.to_string(),
            headers: headers.as_ref().map(sorted).unwrap_or_default(),
            payload,
        })
    }

    /// The first sequence after the last one that the server can read; `None` where there is none any more.
    async fn next_readable(&self) -> Result<Option<u64>, LogError> {
        let stream = self.log.stream(self.partition);
        let all = self.log.names().subjects(self.partition);
        for sequence in self.last + 1..=self.end {
            match stream.get_first_raw_message_by_subject(all.clone(), sequence).await {
                Ok(message) if message.sequence >= sequence => return Ok(Some(message.sequence)),
                Ok(_) => {}
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(None),
                // It lies there and cannot be read; or NATS is away, which asking for the end tells.
                Err(_) => drop(self.log.end_of(self.partition).await?),
            }
        }
        Ok(None)
    }
}

async fn consume(log: &EventLog, partition: Partition, after: u64) -> Result<pull::Stream, LogError> {
    let config = reader::config(DeliverPolicy::ByStartSequence { start_sequence: after + 1 });
    Ok(reader::messages(log.stream(partition), config, reader::WINDOW).await?.1)
}

fn sorted(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let values = |values: &[async_nats::HeaderValue]| values.iter().map(|value| value.as_str().to_owned()).collect();
    headers.iter().map(|(name, all)| (name.to_string(), values(all))).collect()
}
