//! Making a log of a backup, where none is: marked as unfinished until all of it
//! is there, so that no node opens half of it. Never touches a log that nodes
//! have served.

use super::{
    BucketError, EventLog, LogError, Options,
    bucket::{Bucket, Claim},
    copy::CHUNK,
    topology::{self, OpenError, TOPOLOGY, Topology},
};
use crate::{EventId, Ids, Partition, Position, subject::Names};
use async_nats::{
    Client, Request,
    jetstream::{Context, response::Response, stream::Info},
};
use bytes::Bytes;
use futures_util::{TryStreamExt, future::try_join_all};
use serde::Deserialize;
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep};

/// How long NATS may take to take a chunk in, and to recover what it was given.
const CHUNK_TIMEOUT: Duration = Duration::from_secs(30);
const RECOVER_TIMEOUT: Duration = Duration::from_hours(1);
/// How long a cluster may take until all of its servers know of a stream that was just made.
const SETTLES: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(200);
/// Records under way at once.
const WINDOW: usize = 256;
/// The last events of each partition that are read again, texts and all.
const READ_AGAIN: u64 = 100;

/// Why a log was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("there is a log already: a backup is restored where there is none")]
    NotEmpty,
    #[error("a restore was begun here, and is under way or was cut off: --anew throws away what there is of it")]
    Unfinished,
    #[error("NATS refused partition {0}: {1}")]
    Refused(Partition, String),
    #[error("partition {partition} should end at {wanted} or later without gaps, and has {found} events up to {end}")]
    Incomplete { partition: Partition, wanted: u64, found: u64, end: u64 },
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// A log that is being made.
pub struct Restore {
    client: Client,
    context: Context,
    names: Names,
    options: Options,
    /// All that it may make, the one with the mark first.
    streams: Vec<String>,
    mark: Bucket,
}

/// Kinds of buckets, and whether each partition has one.
pub(super) type Kinds<'a> = &'a [(&'a str, bool)];

/// A partition that is being made.
pub struct StreamRestore<'a> {
    restore: &'a Restore,
    partition: Partition,
    deliver: String,
}

#[derive(Deserialize)]
struct Begun {
    deliver_subject: String,
}

impl Restore {
    /// Claims the place, under an epoch of its own. `anew`: what an unfinished restore has left is removed first.
    ///
    /// # Errors
    /// `NotEmpty`, `Unfinished`; when NATS does not answer.
    pub async fn begin(
        options: Options,
        partitions: u16,
        kinds: Kinds<'_>,
        anew: bool,
        ids: &Ids,
    ) -> Result<Self, RestoreError> {
        let options = Options { partitions: Some(partitions), ..options };
        let (client, context) = topology::connected(&options).await?;
        let names = Names::new(&options.prefix, partitions);
        let kept = Topology { epoch: ids.next(), partitions, restoring: true };
        let streams = streams(&names, kinds);
        let there = present(&context, &streams).await?;
        let mark = async || Bucket::open(&context, names.bucket(TOPOLOGY), options.durability, Duration::ZERO).await;
        if there.contains(&streams[0])
            && Topology::read(&mark().await?).await?.is_some_and(|(found, _)| found.restoring)
        {
            if !anew {
                return Err(RestoreError::Unfinished);
            }
            remove(&context, &there).await?;
        } else if !there.is_empty() {
            return Err(RestoreError::NotEmpty);
        }
        let mark = mark().await?;
        match patiently(async || Ok(mark.create(Topology::KEY, kept.record()).await?)).await? {
            Claim::Ours(_) => Ok(Self { client, context, names, options, streams, mark }),
            Claim::Theirs(_) => Err(RestoreError::NotEmpty),
        }
    }

    /// Begins to make a partition of the bytes that its copy had.
    ///
    /// # Errors
    /// When NATS does not answer or refuses.
    pub async fn stream(&self, end: Position, bytes: u64) -> Result<StreamRestore<'_>, RestoreError> {
        let Position { partition, sequence } = end;
        let config = topology::config(&self.names, partition, &self.options);
        let some_time = "1970-01-01T00:00:00Z";
        let state = json!({
            "messages": sequence, "bytes": bytes, "first_seq": 1, "last_seq": sequence,
            "first_ts": some_time, "last_ts": some_time, "consumer_count": 0,
        });
        let subject = format!("STREAM.RESTORE.{}", self.names.stream(partition));
        let ask = json!({ "config": config, "state": state });
        let answer = self.context.request(subject, &ask).await.map_err(|error| LogError::Unavailable(error.into()))?;
        match answer {
            Response::Ok(Begun { deliver_subject: deliver }) => Ok(StreamRestore { restore: self, partition, deliver }),
            Response::Err { error } => Err(RestoreError::Refused(partition, error.to_string())),
        }
    }

    /// Writes records of a kind of bucket, of a partition or undivided, in their order.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn records(
        &self,
        kind: &str,
        partition: Option<Partition>,
        records: &[(String, Bytes)],
    ) -> Result<(), LogError> {
        let name = match partition {
            Some(partition) => self.names.partitioned_bucket(kind, partition),
            None => self.names.bucket(kind),
        };
        let bucket = Bucket::open(&self.context, name, self.options.durability, Duration::ZERO).await?;
        for some in records.chunks(WINDOW) {
            // Of what came twice the later counts.
            let some: BTreeMap<&String, &Bytes> = some.iter().map(|(key, value)| (key, value)).collect();
            let bucket = &bucket;
            let put = |(key, value): (&String, &Bytes)| {
                let (key, value) = (key.clone(), value.clone());
                patiently(async move || Ok(bucket.put(&key, value.clone()).await?))
            };
            try_join_all(some.into_iter().map(put)).await?;
        }
        Ok(())
    }

    /// Looks whether all is there and can be read, and lets nodes open it.
    ///
    /// # Errors
    /// `Incomplete`; when NATS does not answer, or what it has cannot be read.
    pub async fn finish(&self, ends: &[(Position, Option<EventId>)], ids: &Ids) -> Result<EventLog, RestoreError> {
        let deadline = Instant::now() + SETTLES;
        let log = loop {
            match EventLog::open_as(&self.options, ids, true).await {
                Err(error) if error.passes() && Instant::now() < deadline => sleep(PAUSE).await,
                opened => break opened?,
            }
        };
        for &(wanted, id) in ends {
            let (partition, stream) = (wanted.partition, log.stream(wanted.partition));
            let state = patiently(async || Ok(stream.get_info().await?)).await?.state;
            let whole = state.messages == state.last_sequence && state.first_sequence <= 1;
            if !whole || state.last_sequence < wanted.sequence {
                let (found, end, wanted) = (state.messages, state.last_sequence, wanted.sequence);
                return Err(RestoreError::Incomplete { partition, wanted, found, end });
            }
            if patiently(async || log.event_id_at(wanted).await).await? != id {
                return Err(LogError::Foreign(wanted).into());
            }
            for sequence in state.last_sequence.saturating_sub(READ_AGAIN) + 1..=state.last_sequence {
                log.event_at(Position { partition, sequence }).await?;
            }
        }
        let found = Topology::read(&self.mark).await?.filter(|(found, _)| found.restoring);
        let (found, revision) = found.ok_or(RestoreError::NotEmpty)?;
        let finished = Topology { restoring: false, ..found }.record();
        self.mark.update(Topology::KEY, finished, revision).await?;
        Ok(log)
    }

    /// Removes what there is of it.
    ///
    /// # Errors
    /// When NATS does not answer: the mark stays, and the next restore is told.
    pub async fn abandon(&self) -> Result<(), RestoreError> {
        Ok(remove(&self.context, &present(&self.context, &self.streams).await?).await?)
    }
}

impl StreamRestore<'_> {
    /// Hands on the next bytes.
    ///
    /// # Errors
    /// When NATS does not answer, or will not have them.
    pub async fn write(&self, bytes: &Bytes) -> Result<(), RestoreError> {
        for start in (0..bytes.len()).step_by(CHUNK) {
            let chunk = bytes.slice(start..bytes.len().min(start + CHUNK));
            let answer = self.send(chunk, CHUNK_TIMEOUT).await?;
            if !answer.is_empty() {
                return Err(self.refused(&answer));
            }
        }
        Ok(())
    }

    /// Has NATS recover what it was given.
    ///
    /// # Errors
    /// When NATS does not answer, or finds it broken.
    pub async fn finish(self) -> Result<(), RestoreError> {
        let answer = self.send(Bytes::new(), RECOVER_TIMEOUT).await?;
        match serde_json::from_slice::<Response<Info>>(&answer) {
            Ok(Response::Ok(_)) => Ok(()),
            Ok(Response::Err { .. }) | Err(_) => Err(self.refused(&answer)),
        }
    }

    async fn send(&self, chunk: Bytes, patience: Duration) -> Result<Bytes, LogError> {
        let request = Request::new().payload(chunk).timeout(Some(patience));
        let answer = self.restore.client.send_request(self.deliver.clone(), request).await;
        answer.map(|answer| answer.payload).map_err(|error| LogError::Unavailable(error.into()))
    }

    fn refused(&self, answer: &Bytes) -> RestoreError {
        RestoreError::Refused(self.partition, String::from_utf8_lossy(answer).into_owned())
    }
}

/// Asks again while a cluster does not answer yet; what is asked does no more when it is asked twice.
async fn patiently<T>(work: impl AsyncFn() -> Result<T, LogError>) -> Result<T, LogError> {
    let deadline = Instant::now() + SETTLES;
    loop {
        match work().await {
            Err(LogError::Unavailable(_)) if Instant::now() < deadline => sleep(PAUSE).await,
            done => return done,
        }
    }
}

/// The streams of a log and its buckets, the one with the mark first.
fn streams(names: &Names, kinds: Kinds<'_>) -> Vec<String> {
    let of_kind = |(kind, divided): (&str, bool)| -> Vec<String> {
        if divided {
            names.partitions().map(|partition| names.partitioned_bucket(kind, partition)).collect()
        } else {
            vec![names.bucket(kind)]
        }
    };
    let own = [(TOPOLOGY, false), ("KEYS", true), ("SNAPSHOTS", true)];
    let buckets = own.into_iter().chain(kinds.iter().copied()).flat_map(of_kind).map(|bucket| format!("KV_{bucket}"));
    buckets.chain(names.streams().map(|stream| names.stream(stream))).collect()
}

async fn present(context: &Context, streams: &[String]) -> Result<Vec<String>, LogError> {
    let all: Result<Vec<String>, _> = context.stream_names().try_collect().await;
    let all = all.map_err(|error| LogError::Unavailable(error.into()))?;
    Ok(streams.iter().filter(|stream| all.contains(stream)).cloned().collect())
}

/// Removes streams, the one with the mark last: nobody takes what is left for a log.
async fn remove(context: &Context, there: &[String]) -> Result<(), LogError> {
    for stream in there.iter().rev() {
        context.delete_stream(stream).await.map_err(|error| LogError::Unavailable(error.into()))?;
    }
    Ok(())
}

impl From<BucketError> for RestoreError {
    fn from(error: BucketError) -> Self {
        Self::Log(error.into())
    }
}
