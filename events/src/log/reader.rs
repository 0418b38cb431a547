//! Our own reader of one partition: a pull consumer in the server's memory that
//! is made anew from our own last sequence after any error or silence. The
//! client library's ordered consumer can start over from the first event.

use super::{EventLog, LogError, WeakLog, decode::Stored};
use crate::{Envelope, EventId, Ids, Partition, Position};
use async_nats::jetstream::{
    consumer::{self, AckPolicy, DeliverPolicy, ReplayPolicy, pull},
    stream::Stream,
};
use chrono::TimeDelta;
use futures_util::{FutureExt, StreamExt, future::BoxFuture};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};

/// The server speaks at least this often; twice the time without a word is an error.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(1);
pub(super) const EXPIRES: Duration = Duration::from_secs(30);
const UNUSED_FOR: Duration = Duration::from_mins(1);
/// What one pull asks for: large windows are what makes reading fast.
pub(super) const WINDOW: usize = 5_000;
/// How often a reader that hears of nothing looks whether it was reconnected, and at every so many of these looks at
/// the end of the log.
pub(super) const LOOK: Duration = Duration::from_millis(500);
const LOOKS: u32 = 10;
pub(super) const PAUSES: [u64; 5] = [50, 100, 250, 500, 1_000];
/// How long an event that was read has to be missing: a leader that is cut off, and does not know it yet, may lack what
/// others have, and an election takes 4 to 9 seconds.
pub(super) const SECOND_LOOK: Duration = Duration::from_secs(10);

/// Reads a partition from a sequence on.
pub(super) struct Reader {
    log: WeakLog,
    partition: Partition,
    last: u64,
    /// The event at `last`, once it is known: by it another history is known.
    last_id: Option<EventId>,
    opening: Option<BoxFuture<'static, Result<Opened, LogError>>>,
    messages: Option<pull::Stream>,
    undecoded: Vec<Stored>,
    failures: usize,
    /// Since when the log does not hold what was read.
    foreign: Option<Instant>,
    silence: Silence,
    /// What lay in the log when the consumer was made: until that is read, nothing is heard.
    backlog: u64,
    /// How many connections the client had had when the consumer was made.
    connections: u64,
    looked: Instant,
    looks: u32,
    window: usize,
}

/// A consumer, the sequence that it starts after, and up to what sequence the log had events for it.
struct Opened {
    messages: pull::Stream,
    after: u64,
    last_id: Option<EventId>,
    backlog: u64,
    connections: u64,
}

/// Since when a reader does not hear the log; `None` while it does.
#[derive(Clone)]
pub(super) struct Silence(Arc<Mutex<Option<Instant>>>);

impl Reader {
    /// `last_id` is the event after which is read, where it is known.
    pub(super) fn new(
        log: WeakLog,
        partition: Partition,
        after: u64,
        last_id: Option<EventId>,
        silence: Silence,
    ) -> Self {
        Self {
            log,
            partition,
            last: after,
            last_id,
            opening: None,
            messages: None,
            undecoded: Vec::new(),
            failures: 0,
            foreign: None,
            silence,
            backlog: 0,
            connections: 0,
            looked: Instant::now(),
            looks: 0,
            window: WINDOW,
        }
    }

    /// Asks for so many events at once.
    pub(super) fn in_windows_of(mut self, events: usize) -> Self {
        self.window = events;
        self
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
                    self.foreign = None;
                    return Some(batch);
                }
                Err(error) => {
                    (self.messages, self.opening) = (None, None);
                    self.silence.begins();
                    if let Some(log) = self.log.upgrade() {
                        log.0.measures.read_failed(log.0.names.index(self.partition));
                        stopped.run_until_cancelled(self.doubt(&log, &error)).await?;
                    }
                    let pause = PAUSES[self.failures.min(PAUSES.len() - 1)];
                    self.failures += 1;
                    let partition = self.partition.0;
                    tracing::warn!(partition, after = self.last, %error, source = ?error, "reading the log failed");
                    stopped.run_until_cancelled(sleep(Duration::from_millis(pause))).await?;
                }
            }
        }
    }

    async fn try_next_batch(&mut self, max: usize) -> Result<Vec<Arc<Envelope>>, LogError> {
        while self.undecoded.is_empty() {
            let look = self.looked + LOOK;
            match timeout_at(look, self.messages().await?.next()).await {
                Ok(Some(message)) => self.take(message?)?,
                Ok(None) => return Err(LogError::Unavailable("the consumer ended".into())),
                Err(_) => self.look().await?,
            }
        }
        while self.undecoded.len() < max {
            let Some(Some(message)) = self.messages.as_mut().and_then(|messages| messages.next().now_or_never()) else {
                break;
            };
            self.take(message?)?;
        }
        let log = self.log.upgrade().ok_or_else(closed)?;
        // What lies before an event that cannot be read is given all the same.
        let batch = log.decode_prefix(&self.undecoded).await?;
        log.0.measures.read(log.0.names.index(self.partition), batch.len());
        self.last += batch.len() as u64;
        self.last_id = batch.last().map(|envelope| envelope.id).or(self.last_id);
        self.undecoded.drain(..batch.len());
        self.heard();
        Ok(batch)
    }

    /// The consumer's messages, made where there are none. Dropped half-way, the making goes on at the next call.
    /// Called when all that was taken is decoded.
    async fn messages(&mut self) -> Result<&mut pull::Stream, LogError> {
        if self.messages.is_none() {
            let (log, partition, last, last_id) = (self.log.clone(), self.partition, self.last, self.last_id);
            let window = self.window;
            let opening = self.opening.get_or_insert_with(|| open(log, partition, last, last_id, window).boxed());
            let Opened { messages, after, last_id, backlog, connections } = opening.await?;
            (self.opening, self.messages) = (None, Some(messages));
            (self.last, self.last_id, self.foreign) = (after, last_id, None);
            (self.backlog, self.connections, self.looked) = (backlog, connections, Instant::now());
            self.heard();
        }
        Ok(self.messages.as_mut().expect("made above"))
    }

    /// What was on its way when a connection broke is not sent again, and if nothing follows it no gap shows:
    /// after silence the connection and the end of the log are looked at.
    async fn look(&mut self) -> Result<(), LogError> {
        let log = self.log.upgrade().ok_or_else(closed)?;
        self.looked = Instant::now();
        self.looks += 1;
        if log.connections() != self.connections {
            self.messages = None;
        } else if self.looks.is_multiple_of(LOOKS) {
            let end = log.end_of(self.partition).await?;
            // Behind it lies what did not come; before it, what was read is gone: opening tells which.
            if end != self.last {
                self.messages = None;
            }
        }
        Ok(())
    }

    /// A log that for a while has not held what was read of it has another epoch from then on, so that whoever remembers
    /// anything of it knows.
    async fn doubt(&mut self, log: &EventLog, error: &LogError) {
        if !matches!(error, LogError::Foreign(_)) {
            return;
        }
        if self.foreign.get_or_insert_with(Instant::now).elapsed() >= SECOND_LOOK
            && let Err(error) = log.renew_epoch(&Ids::random()).await
        {
            tracing::warn!(%error, "the log's epoch cannot be renewed yet");
        }
    }

    /// Takes the next message, drops a duplicate, refuses a gap.
    fn take(&mut self, message: async_nats::jetstream::Message) -> Result<(), LogError> {
        let sequence = message.info().map_err(LogError::Unavailable)?.stream_sequence;
        let (partition, newest) = (self.partition, self.newest());
        if sequence > newest + 1 {
            return Err(LogError::Gap(partition, newest));
        }
        if sequence == newest + 1 {
            let async_nats::Message { subject, payload, .. } = message.split().0;
            self.undecoded.push(Stored { subject, position: Position { partition, sequence }, payload });
        }
        Ok(())
    }

    fn newest(&self) -> u64 {
        self.last + self.undecoded.len() as u64
    }

    fn heard(&self) {
        if self.last >= self.backlog {
            self.silence.ends();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.silence.begins();
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

    /// An error shows that nothing was heard for two heartbeats at the most.
    fn begins(&self) {
        self.lock().get_or_insert_with(|| Instant::now() - 2 * HEARTBEAT);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> LogError {
    LogError::Unavailable("the log is closed".into())
}

async fn open(
    log: WeakLog,
    partition: Partition,
    last: u64,
    last_id: Option<EventId>,
    window: usize,
) -> Result<Opened, LogError> {
    let log = log.upgrade().ok_or_else(closed)?;
    let connections = log.connections();
    // Of presence, what was too old is gone, and nobody misses it; a partition never lacks its beginning.
    let after = if partition == Partition::PRESENCE { last.max(log.outlived(partition).await?) } else { last };
    let last_id = log.verify(Position { partition, sequence: last }, last_id).await?;
    let policy = config(DeliverPolicy::ByStartSequence { start_sequence: after + 1 });
    let (pending, messages) = messages(log.stream(partition), policy, window).await?;
    Ok(Opened { messages, after, last_id, backlog: after + pending, connections })
}

/// How many messages lie there for a consumer, and they, so many asked for at once.
pub(super) async fn messages(
    stream: &Stream,
    config: pull::Config,
    window: usize,
) -> Result<(u64, pull::Stream), LogError> {
    let consumer = stream.create_consumer(config).await?;
    let pending = consumer.cached_info().num_pending;
    let messages = consumer.stream().max_messages_per_batch(window).heartbeat(HEARTBEAT).expires(EXPIRES).messages();
    Ok((pending, messages.await?))
}

pub(super) fn config(deliver_policy: DeliverPolicy) -> pull::Config {
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

/// The sequence after which lies all that was appended so long ago or later, by the server's own clock: it finds the
/// place for a consumer that starts there, and says when it made one.
pub(super) async fn sequence_before(stream: &Stream, ago: TimeDelta) -> Result<u64, LogError> {
    let now = probe(stream, DeliverPolicy::New).await?.created;
    let start = probe(stream, DeliverPolicy::ByStartTime { start_time: now - ago }).await?;
    Ok(start.delivered.stream_sequence)
}

/// What the server says of a consumer with that start.
async fn probe(stream: &Stream, start: DeliverPolicy) -> Result<consumer::Info, LogError> {
    let info = stream.create_consumer(config(start)).await?.cached_info().clone();
    if let Err(error) = stream.delete_consumer(&info.name).await {
        tracing::debug!(%error, "an ephemeral consumer stays until it is found unused");
    }
    Ok(info)
}
