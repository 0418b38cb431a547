//! What lies in NATS, as it is copied for a backup: a partition as the bytes that
//! the server gives of it, with its sequences, headers and times; a bucket as its
//! records. Reads only, and holds no more than what is on its way.

use super::{EventLog, LogError, bucket::Bucket, reader};
use crate::{Partition, Position};
use async_nats::{
    StatusCode, Subscriber,
    jetstream::{consumer::DeliverPolicy, consumer::pull, response::Response, stream::State},
};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::time::timeout;

/// What is sent at once; a server takes no more than it is configured to.
pub(super) const CHUNK: usize = 128 * 1024;
/// How long a server may be silent that has more to send.
const SILENT: Duration = Duration::from_secs(30);
/// The end of a partition's bytes that all is well with.
const NO_CONTENT: u16 = 204;
const BATCH: usize = 1_000;

/// A partition on its way into a backup.
pub struct StreamCopy {
    log: EventLog,
    chunks: Subscriber,
    connections: u64,
    taken: u64,
    /// The last event that is in it; what is appended meanwhile may be as well.
    pub end: Position,
    /// How many bytes its events have, uncompressed: more than are to come.
    pub bytes: u64,
}

/// A bucket's records on their way into a backup, the oldest first. One that is written meanwhile comes again: the later counts.
pub struct Records {
    bucket: Bucket,
    messages: pull::Stream,
    last: u64,
    pending: u64,
}

#[derive(Deserialize)]
struct Snapshot {
    state: State,
}

impl EventLog {
    /// Begins to copy a partition: all that is acknowledged by now is in the copy, and it has no gaps.
    ///
    /// # Errors
    /// When NATS does not answer, or is copying that partition for somebody else.
    pub async fn copy(&self, partition: Partition) -> Result<StreamCopy, LogError> {
        let (client, connections) = (&self.0.client, self.connections());
        let inbox = client.new_inbox();
        let chunks = client.subscribe(inbox.clone()).await?;
        let subject = format!("STREAM.SNAPSHOT.{}", self.names().stream(partition));
        let ask = json!({ "deliver_subject": inbox, "no_consumers": true, "chunk_size": CHUNK });
        let answer =
            self.0.context.request(subject, &ask).await.map_err(|error| LogError::Unavailable(error.into()))?;
        let state = match answer {
            Response::Ok(Snapshot { state }) => state,
            Response::Err { error } => return Err(LogError::Unavailable(error.into())),
        };
        let end = Position { partition, sequence: state.last_sequence };
        Ok(StreamCopy { log: self.clone(), chunks, connections, taken: 0, end, bytes: state.bytes })
    }
}

impl StreamCopy {
    /// The next bytes; `None` behind the last.
    ///
    /// # Errors
    /// When NATS ends it, or some of them were lost.
    pub async fn next(&mut self) -> Result<Option<Bytes>, LogError> {
        let failed = |reason: String| LogError::Unavailable(reason.into());
        let chunk = timeout(SILENT, self.chunks.next()).await.map_err(|error| LogError::Unavailable(error.into()))?;
        let chunk = chunk.ok_or_else(|| failed("the connection is closed".into()))?;
        if self.log.connections() != self.connections {
            return Err(failed("the connection was lost, and with it some of the bytes".into()));
        }
        if chunk.payload.is_empty() {
            return match chunk.status.as_ref().map(StatusCode::as_u16) {
                None | Some(NO_CONTENT) => Ok(None),
                Some(status) => {
                    Err(failed(format!("NATS gave up: {status} {}", chunk.description.unwrap_or_default())))
                }
            };
        }
        // Whoever does not say that it has come gets no more than a window; it ends with the chunk's number.
        if let Some(reply) = chunk.reply {
            self.taken += 1;
            if reply.rsplit('.').next() != Some(self.taken.to_string().as_str()) {
                return Err(failed(format!("chunk {} was lost", self.taken)));
            }
            self.log.0.client.publish(reply, Bytes::new()).await?;
        }
        Ok(Some(chunk.payload))
    }
}

impl Bucket {
    /// Begins to read all records.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn records(&self) -> Result<Records, LogError> {
        let (pending, messages) =
            reader::messages(self.stream(), reader::config(DeliverPolicy::All), reader::WINDOW).await?;
        Ok(Records { bucket: self.clone(), messages, last: 0, pending })
    }
}

impl Records {
    /// Some records; `None` once there are no more: then every record that there is was given.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn next_batch(&mut self) -> Result<Option<Vec<(String, Bytes)>>, LogError> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            // Another server than the bucket's leader may have answered so far.
            if self.pending == 0 && batch.is_empty() && self.bucket.next(self.last).await?.is_none() {
                return Ok(None);
            }
            let message = if batch.is_empty() {
                timeout(SILENT, self.messages.next()).await.map_err(|error| LogError::Unavailable(error.into()))?
            } else {
                let Some(at_hand) = self.messages.next().now_or_never() else { break };
                at_hand
            };
            let message = message.ok_or_else(|| LogError::Unavailable("the consumer ended".into()))??;
            let info = message.info().map_err(LogError::Unavailable)?;
            (self.last, self.pending) = (info.stream_sequence, info.pending);
            batch.extend(self.bucket.record(message.split().0));
        }
        Ok(Some(batch))
    }
}
