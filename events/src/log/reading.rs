//! The log as whoever may only read it sees it: through pull consumers of a few
//! facts at a time, by a user who needs no other right. Makes and changes nothing,
//! knows no key unless texts are asked for; a fact comes as consumers are told it.

use super::{
    ANSWER_TIMEOUT, LogError, OpenError, Partitioned,
    connect::{connect, user, without_secrets},
    decode::{Stored, keys},
    history::previous,
    keyring::Keyring,
    reader::{EXPIRES, HEARTBEAT, LOOK, PAUSES, SECOND_LOOK, config},
    topology::{KEYS, TOPOLOGY, Topology},
};
use crate::{
    Aggregate, CloudEvent, EventId, Ids, Partition, Position, Timestamp,
    cloudevent::Texts,
    subject::{DOMAIN, Names},
};
use async_nats::jetstream::{
    Context,
    consumer::{self, DeliverPolicy, pull},
    context::ContextBuilder,
    stream::{ConsumerCreateStrictErrorKind, LastRawMessageError},
};
use futures_util::{FutureExt, StreamExt};
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

/// How long NATS may be away before a reader gives up.
const PATIENCE: Duration = Duration::from_mins(1);
/// Bytes that one request asks for: above the largest fact, and little for who else reads.
const BYTES: usize = 1 << 20;
/// How many consumers of a partition a user of NATS may have at once, as `deploy/nats/accounts.conf` names them.
pub const READERS: u8 = 16;
/// How long a name stays taken whose reader was killed.
const UNUSED_FOR: Duration = Duration::from_secs(10);

/// A log that is read from outside. Clones share everything.
#[derive(Clone)]
pub struct Reading(Arc<Inner>);

struct Inner {
    client: async_nats::Client,
    context: Context,
    names: Names,
    epoch: Uuid,
    /// What the names of its consumers begin with.
    user: String,
    /// Where texts are asked for.
    keyring: Option<Keyring>,
}

/// Some or all facts of one partition, in order and none left out.
pub struct Facts {
    reading: Reading,
    partition: Partition,
    only: Option<Aggregate>,
    last: u64,
    /// The fact at `last`, where it was read here: by it another history is known.
    last_id: Option<EventId>,
    end: u64,
    window: usize,
    messages: Option<Messages>,
    queued: VecDeque<Stored>,
    done: bool,
    failing: Option<Instant>,
    failures: usize,
}

struct Messages {
    /// What its consumer is called.
    name: String,
    stream: pull::Stream,
    connections: u64,
    /// The first one is the fact that was read last, to be recognised.
    recognise: bool,
}

impl Reading {
    /// Connects to a log that is there, as any user that may read it. `prefix` as in [`super::Options`]; with `texts` the
    /// user must be one that may read the keys.
    ///
    /// # Errors
    /// When NATS cannot be reached, or shows no log, or no keys.
    pub async fn open(nats_url: &str, prefix: &str, texts: bool) -> Result<Self, OpenError> {
        let client = connect(nats_url).await?;
        let builder = || ContextBuilder::new().timeout(ANSWER_TIMEOUT);
        let undivided = Names::new(prefix, 1);
        let (own, imported) = (builder().build(client.clone()), builder().domain(DOMAIN).build(client.clone()));
        // Nodes' users and operators share the log's account; consumers have it from there.
        let (context, record) = match topology(&own, &undivided).await {
            Ok(record) => (own, record),
            Err(own_error) => match topology(&imported, &undivided).await {
                Ok(record) => (imported, record),
                Err(_) => return Err(OpenError::NotShown { url: without_secrets(nats_url), source: own_error }),
            },
        };
        let topology: Topology = serde_json::from_slice(&record).map_err(OpenError::Record)?;
        let names = Names::new(prefix, topology.partitions);
        let keyring = if texts {
            let buckets = Partitioned::existing(&context, &names, KEYS).await.map_err(OpenError::NoKeys)?;
            Some(Keyring::new(names.clone(), buckets))
        } else {
            None
        };
        let user = user(nats_url).unwrap_or_else(|| "reader".to_owned());
        Ok(Self(Arc::new(Inner { client, context, names, epoch: topology.epoch, user, keyring })))
    }

    pub fn names(&self) -> &Names {
        &self.0.names
    }

    pub fn epoch(&self) -> Uuid {
        self.0.epoch
    }

    /// The last sequence of a partition.
    ///
    /// # Errors
    /// When NATS does not answer, or refuses.
    pub async fn end_of(&self, partition: Partition) -> Result<u64, LogError> {
        self.before(partition, DeliverPolicy::New).await
    }

    /// The sequence after which lies all that was appended at that time or later, by NATS' clock.
    ///
    /// # Errors
    /// When NATS does not answer, or refuses.
    pub async fn sequence_at(&self, partition: Partition, time: Timestamp) -> Result<u64, LogError> {
        self.before(partition, DeliverPolicy::ByStartTime { start_time: time }).await
    }

    /// The facts of a partition, or of one aggregate in it, after a sequence and up to another one, `window` at once.
    /// Without an end there are always more to wait for.
    pub fn facts(
        &self,
        partition: Partition,
        only: Option<Aggregate>,
        after: u64,
        end: Option<u64>,
        window: usize,
    ) -> Facts {
        Facts {
            reading: self.clone(),
            partition,
            only,
            last: after,
            last_id: None,
            end: end.unwrap_or(u64::MAX),
            window,
            messages: None,
            queued: VecDeque::new(),
            done: end.is_some_and(|end| end <= after),
            failing: None,
            failures: 0,
        }
    }

    /// The sequence before the one at which a consumer with that start begins.
    async fn before(&self, partition: Partition, start: DeliverPolicy) -> Result<u64, LogError> {
        let consumer = self.consumer(partition, self.names().subjects(partition), config(start)).await?;
        let info = consumer.cached_info();
        self.let_go(partition, &info.name).await;
        Ok(info.delivered.stream_sequence)
    }

    /// One under a name that the user may use and nobody does. A name makes NATS hold the request to the filter that its
    /// subject tells, which is what a reader is allowed by.
    async fn consumer(
        &self,
        partition: Partition,
        filter_subject: String,
        config: pull::Config,
    ) -> Result<consumer::Consumer<pull::Config>, LogError> {
        let (id, stream) = (Ids::random().next(), self.names().stream(partition));
        // Whoever asks for the same under the same name would share it: what tells them apart makes it another.
        let metadata = HashMap::from([("reader".to_owned(), id.to_string())]);
        let config = pull::Config { filter_subject, metadata, inactive_threshold: UNUSED_FOR, ..config };
        let first = id.as_bytes()[15] % READERS;
        for number in (first..READERS).chain(0..first) {
            let name = Some(format!("{}-{}", self.0.user, number + 1));
            let made = pull::Config { name, ..config.clone() };
            match self.0.context.create_consumer_strict_on_stream(made, &stream).await {
                Err(error) if error.kind() == ConsumerCreateStrictErrorKind::AlreadyExists => {}
                made => return Ok(made?),
            }
        }
        Err(LogError::Unavailable(format!("this user has {READERS} readers of partition {partition} already").into()))
    }

    /// Gives a name back at once, if NATS can be told: a consumer that nobody uses goes by itself.
    async fn let_go(&self, partition: Partition, name: &str) {
        if let Err(error) = self.0.context.delete_consumer_from_stream(name, self.names().stream(partition)).await {
            tracing::debug!(%partition, name, %error, "a reader's name stays taken for a while");
        }
    }

    fn connections(&self) -> u64 {
        self.0.client.statistics().connects.load(Ordering::Relaxed)
    }

    async fn told(&self, batch: &[Stored]) -> Result<Vec<CloudEvent>, LogError> {
        let sealed = batch.iter().map(|stored| stored.sealed(self.names()).map(|sealed| (stored, sealed)));
        let sealed = sealed.collect::<Result<Vec<_>, _>>()?;
        let keys = match &self.0.keyring {
            Some(keyring) => {
                let authors: HashSet<_> = sealed.iter().filter_map(|(_, (_, author))| *author).collect();
                Some(keys(keyring, authors).await?)
            }
            None => None,
        };
        let told = sealed.into_iter().map(|(stored, (envelope, author))| {
            let texts = match (&keys, author) {
                (Some(keys), Some(author)) => {
                    Texts::Opened(keys.get(&author).ok_or(LogError::KeyMissing(author))?.as_ref())
                }
                (Some(_), None) | (None, _) => Texts::KeptBack,
            };
            let told = envelope.told(self.epoch(), &texts, stored.payload.len());
            told.map_err(|source| LogError::Unreadable { position: stored.position, source })
        });
        told.collect()
    }
}

impl Facts {
    /// The next facts, `max` at the most; `None` behind the last. While NATS is away it waits for a minute.
    ///
    /// # Errors
    /// When NATS stays away or refuses, a fact cannot be read, or the log does not hold what was read of it.
    pub async fn next_batch(&mut self, max: usize) -> Result<Option<Vec<CloudEvent>>, LogError> {
        loop {
            match self.try_next_batch(max).await {
                Ok(batch) => {
                    (self.failing, self.failures) = (None, 0);
                    return Ok(batch);
                }
                Err(error) if self.failing.get_or_insert_with(Instant::now).elapsed() < patience(&error) => {
                    tracing::warn!(partition = self.partition.0, after = self.last, %error, "reading the log failed");
                    self.let_go().await;
                    self.queued.clear();
                    sleep(Duration::from_millis(PAUSES[self.failures.min(PAUSES.len() - 1)])).await;
                    self.failures += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_next_batch(&mut self, max: usize) -> Result<Option<Vec<CloudEvent>>, LogError> {
        while self.queued.is_empty() && !self.done {
            self.receive().await?;
        }
        while self.queued.len() < max && !self.done {
            let Some(Some(message)) = self.messages.as_mut().and_then(|it| it.stream.next().now_or_never()) else {
                break;
            };
            self.take(message?)?;
        }
        let count = self.queued.len().min(max);
        let Some(newest) = count.checked_sub(1) else {
            self.let_go().await;
            return Ok(None);
        };
        let batch = &self.queued.make_contiguous()[..count];
        let told = self.reading.told(batch).await?;
        (self.last, self.last_id) = (batch[newest].position.sequence, Some(batch[newest].id()?));
        self.queued.drain(..count);
        Ok(Some(told))
    }

    /// Waits for a message. What was on its way when a connection broke is not sent again: then all is asked for anew.
    async fn receive(&mut self) -> Result<(), LogError> {
        if self.messages.is_none() {
            self.open().await?;
        }
        let Some(messages) = self.messages.as_mut().filter(|_| !self.done) else { return Ok(()) };
        match timeout_at(Instant::now() + LOOK, messages.stream.next()).await {
            Ok(Some(message)) => self.take(message?),
            Ok(None) => Err(LogError::Unavailable("the consumer ended".into())),
            Err(_) => {
                if messages.connections != self.reading.connections() {
                    self.let_go().await;
                }
                Ok(())
            }
        }
    }

    /// Reads no more for now.
    async fn let_go(&mut self) {
        if let Some(messages) = self.messages.take() {
            self.reading.let_go(self.partition, &messages.name).await;
        }
    }

    async fn open(&mut self) -> Result<(), LogError> {
        let reading = self.reading.clone();
        let connections = reading.connections();
        let recognise = self.last_id.is_some();
        if self.last > reading.end_of(self.partition).await? {
            return Err(LogError::Foreign(Position { partition: self.partition, sequence: self.last }));
        }
        let start_sequence = if recognise { self.last } else { self.last + 1 };
        let subject = self.only.map(|aggregate| reading.names().subject(aggregate));
        let filter = subject.unwrap_or_else(|| reading.names().subjects(self.partition));
        let start = config(DeliverPolicy::ByStartSequence { start_sequence });
        let consumer = reading.consumer(self.partition, filter, start).await?;
        if consumer.cached_info().num_pending == 0 && self.end != u64::MAX {
            self.done = true;
        }
        let name = consumer.cached_info().name.clone();
        let stream = consumer.stream().max_messages_per_batch(self.window).max_bytes_per_batch(BYTES);
        let stream = stream.heartbeat(HEARTBEAT).expires(EXPIRES).messages().await?;
        self.messages = Some(Messages { name, stream, connections, recognise });
        Ok(())
    }

    /// Takes the next message, drops a duplicate, refuses a gap, and sees where the end is.
    fn take(&mut self, message: async_nats::jetstream::Message) -> Result<(), LogError> {
        let info = message.info().map_err(LogError::Unavailable)?;
        let (sequence, pending) = (info.stream_sequence, info.pending);
        let async_nats::Message { subject, payload, headers, .. } = message.split().0;
        let position = Position { partition: self.partition, sequence };
        let stored = Stored { subject, position, payload };
        let bounded = self.end != u64::MAX;
        let last = self.queued.back().map_or(self.last, |stored| stored.position.sequence);
        let first = self.messages.as_mut().is_some_and(|messages| std::mem::take(&mut messages.recognise));
        if first && (sequence != self.last || Some(stored.id()?) != self.last_id) {
            return Err(LogError::Foreign(Position { partition: self.partition, sequence: self.last }));
        }
        self.done = bounded && (pending == 0 || sequence >= self.end);
        if sequence <= last || (bounded && sequence > self.end) {
            return Ok(());
        }
        // Of all facts each has the next sequence; of one aggregate's, each names the one before it.
        let before = if self.only.is_some() { headers.as_ref().map_or(0, previous) } else { sequence - 1 };
        let is_first = self.only.is_some() && self.last_id.is_none() && self.queued.is_empty();
        let follows = if is_first { before <= last } else { before == last };
        if !follows {
            return Err(LogError::Gap(self.partition, last));
        }
        self.queued.push_back(stored);
        Ok(())
    }
}

/// How long it may be that what fails passes.
fn patience(error: &LogError) -> Duration {
    match error {
        LogError::Unavailable(_) | LogError::Gap(..) => PATIENCE,
        LogError::Foreign(_) => SECOND_LOOK,
        LogError::Unreadable { .. }
        | LogError::Unstorable(_)
        | LogError::UnknownSubject(_)
        | LogError::KeyMissing(_)
        | LogError::Unstable => Duration::ZERO,
    }
}

async fn topology(context: &Context, names: &Names) -> Result<bytes::Bytes, LastRawMessageError> {
    let stream = context.get_stream_no_info(names.bucket_stream(TOPOLOGY)).await.expect("a bucket's stream has a name");
    let record = stream.get_last_raw_message_by_subject(&names.record(TOPOLOGY, Topology::KEY)).await?;
    Ok(record.payload)
}
