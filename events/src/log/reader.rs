//! Our own reader of one partition: a pull consumer in the server's memory that
//! is made anew from our own last sequence after any error or silence. The
//! client library's ordered consumer can start over from the first event.

use super::{LogError, WeakLog, decode::Stored};
use crate::{Envelope, Partition, Position, Timestamp};
use async_nats::jetstream::{
    consumer::{AckPolicy, DeliverPolicy, ReplayPolicy, pull},
    stream::Stream,
};
use futures_util::{FutureExt, StreamExt};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// The server speaks at least this often; twice the time without a word is an error.
const HEARTBEAT: Duration = Duration::from_secs(1);
const EXPIRES: Duration = Duration::from_secs(30);
const UNUSED_FOR: Duration = Duration::from_mins(1);
/// What one pull asks for: large windows are what makes reading fast.
const WINDOW: usize = 5_000;
const PAUSES: [u64; 5] = [50, 100, 250, 500, 1_000];

/// Reads a partition from a sequence on.
pub(super) struct Reader {
    log: WeakLog,
    partition: Partition,
    last: u64,
    messages: Option<pull::Stream>,
    undecoded: Vec<Stored>,
    failures: usize,
    silence: Silence,
}

/// Since when the server is not heard by a reader; `None` while it is.
#[derive(Clone)]
pub(super) struct Silence(Arc<Mutex<Option<Instant>>>);

impl Reader {
    pub(super) fn new(log: WeakLog, partition: Partition, after: u64, silence: Silence) -> Self {
        Self { log, partition, last: after, messages: None, undecoded: Vec::new(), failures: 0, silence }
    }

    /// Waits for an event and takes what else is at hand, up to `max`; `None` once the log is closed.
    /// Dropped half-way, it loses nothing.
    pub(super) async fn next_batch(&mut self, max: usize) -> Option<Vec<Arc<Envelope>>> {
        loop {
            let stopped = self.log.stopped.clone();
            let result = stopped.run_until_cancelled(self.try_next_batch(max)).await?;
            match result {
                Ok(batch) => {
                    self.failures = 0;
                    return Some(batch);
                }
                Err(error) => {
                    self.messages = None;
                    self.silence.begins();
                    let pause = PAUSES[self.failures.min(PAUSES.len() - 1)];
                    self.failures += 1;
                    let partition = self.partition.0;
                    tracing::warn!(partition, after = self.last, %error, source = ?error, "reading the log failed");
                    stopped.run_until_cancelled(sleep(Duration::from_millis(pause))).await?;
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<(), LogError> {
        if self.messages.is_none() {
            let log = self.log.upgrade().ok_or_else(closed)?;
            let start_sequence = self.last + self.undecoded.len() as u64 + 1;
            self.messages = Some(open(log.stream(self.partition), start_sequence).await?);
            self.silence.ends();
        }
        Ok(())
    }

    async fn try_next_batch(&mut self, max: usize) -> Result<Vec<Arc<Envelope>>, LogError> {
        self.connect().await?;
        let messages = self.messages.as_mut().expect("connected above");
        while self.undecoded.is_empty() {
            let ended = || LogError::Unavailable("the consumer ended".into());
            let message = messages.next().await.ok_or_else(ended)??;
            take(&mut self.undecoded, self.partition, self.last, message)?;
        }
        while self.undecoded.len() < max {
            let Some(Some(message)) = messages.next().now_or_never() else { break };
            take(&mut self.undecoded, self.partition, self.last, message?)?;
        }
        let log = self.log.upgrade().ok_or_else(closed)?;
        let batch = log.decode(&self.undecoded).await?;
        self.last += batch.len() as u64;
        self.undecoded.clear();
        Ok(batch)
    }
}

impl Silence {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(Some(Instant::now()))))
    }

    pub(super) fn lasts(&self) -> Duration {
        self.lock().map(|since| since.elapsed()).unwrap_or_default()
    }

    fn ends(&self) {
        *self.lock() = None;
    }

    fn begins(&self) {
        self.lock().get_or_insert_with(Instant::now);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> LogError {
    LogError::Unavailable("the log is closed".into())
}

/// Takes the next message, drops a duplicate, refuses a gap.
fn take(
    undecoded: &mut Vec<Stored>,
    partition: Partition,
    last: u64,
    message: async_nats::jetstream::Message,
) -> Result<(), LogError> {
    let sequence = message.info().map_err(LogError::Unavailable)?.stream_sequence;
    let newest = last + undecoded.len() as u64;
    if sequence > newest + 1 {
        return Err(LogError::Gap(partition, newest));
    }
    if sequence == newest + 1 {
        let async_nats::Message { subject, payload, .. } = message.split().0;
        undecoded.push(Stored { subject, position: Position { partition, sequence }, payload });
    }
    Ok(())
}

async fn open(stream: &Stream, start_sequence: u64) -> Result<pull::Stream, LogError> {
    let consumer = stream.create_consumer(config(DeliverPolicy::ByStartSequence { start_sequence })).await?;
    let messages = consumer.stream().max_messages_per_batch(WINDOW).heartbeat(HEARTBEAT).expires(EXPIRES).messages();
    Ok(messages.await?)
}

fn config(deliver_policy: DeliverPolicy) -> pull::Config {
    pull::Config {
        deliver_policy,
        ack_policy: AckPolicy::None,
        replay_policy: ReplayPolicy::Instant,
        inactive_threshold: UNUSED_FOR,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    }
}

/// The server finds the place: a consumer from that moment on says where it starts.
pub(super) async fn sequence_before(stream: &Stream, moment: Timestamp) -> Result<u64, LogError> {
    let start_time = DeliverPolicy::ByStartTime { start_time: moment };
    let consumer = stream.create_consumer(config(start_time)).await?;
    let before = consumer.cached_info().delivered.stream_sequence;
    let name = consumer.cached_info().name.clone();
    if let Err(error) = stream.delete_consumer(&name).await {
        tracing::debug!(%error, "an ephemeral consumer stays until it is found unused");
    }
    Ok(before)
}
