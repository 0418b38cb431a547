//! Opening a log: its partitions and epoch are created once and checked at
//! every start, and so is the durability that its operator asked for.

use super::{
    ANSWER_TIMEOUT, Bucket, BucketError, Claim, EventLog, Inner, LogError, PRESENCE_LASTS, Partitioned,
    connect::{connect, without_secrets},
    keyring::Keyring,
    measures::Measures,
};
use crate::{Ids, Partition, subject::Names};
use async_nats::ConnectErrorKind;
use async_nats::jetstream::{
    Context, ErrorCode,
    context::{ContextBuilder, CreateStreamError, CreateStreamErrorKind, GetStreamError},
    stream::{self, Compression, DiscardPolicy, LastRawMessageError, RetentionPolicy, StorageType},
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    str::FromStr,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const DEFAULT_PARTITIONS: u16 = 4;
const MAX_PARTITIONS: u16 = 1_024;
const REPLICAS: usize = 3;
pub(super) const TOPOLOGY: &str = "LOG";
pub(super) const KEYS: &str = "KEYS";
/// What a cluster says while it elects or its nodes are still coming.
const PASSING: [ErrorCode; 4] = [
    ErrorCode::CLUSTER_NO_PEERS,
    ErrorCode::CLUSTER_NOT_AVAILABLE,
    ErrorCode::CLUSTER_NOT_LEADER,
    ErrorCode::INSUFFICIENT_RESOURCES,
];

/// What an acknowledged append has survived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// It is on the disk: NATS syncs before it acknowledges.
    Fsync,
    /// A quorum of three NATS nodes has it.
    Replicated,
    /// One NATS node has it in memory. For load tests and for trying.
    Unsynced,
}

/// Where a log is and what is expected of it.
#[derive(Debug, Clone)]
pub struct Options {
    pub nats_url: String,
    /// NATS' monitoring address, from which `fsync` is read back: `http://host:port`.
    pub monitor_url: Option<String>,
    /// Keeps deployments apart on one NATS; empty, or letters and digits.
    pub prefix: String,
    /// The number of partitions of a new log; of an existing one, what it must have.
    pub partitions: Option<u16>,
    pub durability: Durability,
    /// The most bytes that one partition may hold; appends beyond it are refused.
    pub max_bytes: i64,
}

/// Why a log was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("NATS at {url} does not answer: is it running, and is the address right?")]
    Connect { url: String, source: async_nats::ConnectError },
    #[error("NATS at {url} holds no log of herald's: is the address right?")]
    NoLog { url: String, source: GetStreamError },
    #[error("NATS at {url} shows no log of herald's: is the address right, and may this user read it?")]
    NotShown { url: String, source: LastRawMessageError },
    #[error("the keys of texts may not be read by this user of NATS")]
    NoKeys(#[source] BucketError),
    #[error("a restore into that NATS is under way, or was cut off: wait, or `herald restore --anew`")]
    Restoring,
    #[error("the log has {there} partitions, not {asked}: their number is fixed when it is created")]
    Partitions { there: u16, asked: u16 },
    #[error("a log has 1 to {MAX_PARTITIONS} partitions, not {0}")]
    PartitionsRange(u16),
    #[error("a prefix has letters and digits only")]
    Prefix,
    #[error("durability `{asked}` was asked for, but {found}")]
    Durability { asked: Durability, found: String },
    #[error("NATS' monitoring at {0} does not answer: is the address right?")]
    Monitor(String),
    #[error("the stream {stream} exists with another {what} than a log needs")]
    Stream { stream: String, what: &'static str },
    #[error("NATS did not create the stream {stream}")]
    CreateStream { stream: String, source: CreateStreamError },
    #[error("the log's own record of its partitions cannot be read")]
    Record(#[source] serde_json::Error),
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

impl OpenError {
    /// Whether waiting may help: NATS is away, or still electing. All else is for its operator to correct.
    pub fn passes(&self) -> bool {
        match self {
            Self::Connect { source, .. } => !matches!(
                source.kind(),
                ConnectErrorKind::ServerParse
                    | ConnectErrorKind::Authentication
                    | ConnectErrorKind::AuthorizationViolation
                    | ConnectErrorKind::Tls
            ),
            Self::CreateStream { source, .. } => match source.kind() {
                CreateStreamErrorKind::TimedOut | CreateStreamErrorKind::JetStreamUnavailable => true,
                CreateStreamErrorKind::JetStream(error) => PASSING.contains(&error.error_code()),
                CreateStreamErrorKind::EmptyStreamName
                | CreateStreamErrorKind::InvalidStreamName
                | CreateStreamErrorKind::DomainAndExternalSet
                | CreateStreamErrorKind::Response
                | CreateStreamErrorKind::NotFound
                | CreateStreamErrorKind::ResponseParse => false,
            },
            Self::Bucket(_) | Self::Monitor(_) | Self::Restoring => true,
            Self::NoLog { .. }
            | Self::NotShown { .. }
            | Self::NoKeys(_)
            | Self::Partitions { .. }
            | Self::PartitionsRange(_)
            | Self::Prefix
            | Self::Durability { .. }
            | Self::Stream { .. }
            | Self::Record(_) => false,
        }
    }
}

/// What a log is, under one key of a bucket of its own.
#[derive(Serialize, Deserialize)]
pub(super) struct Topology {
    pub(super) epoch: Uuid,
    pub(super) partitions: u16,
    /// Of a backup, and not all of it is there yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) restoring: bool,
}

impl Topology {
    pub(super) const KEY: &'static str = "topology";

    /// The record, and its revision.
    pub(super) async fn read(bucket: &Bucket) -> Result<Option<(Self, u64)>, LogError> {
        let Some(entry) = bucket.get(Self::KEY).await? else { return Ok(None) };
        let topology = serde_json::from_slice(&entry.value).map_err(|error| LogError::Unavailable(error.into()))?;
        Ok(Some((topology, entry.revision)))
    }

    pub(super) fn record(&self) -> bytes::Bytes {
        serde_json::to_vec(self).expect("a topology is plain data").into()
    }
}

impl EventLog {
    /// Connects, creates what a new log needs, and checks what an existing one has.
    ///
    /// # Errors
    /// When NATS cannot be reached, or is not what the options ask for.
    pub async fn open(options: &Options, ids: &Ids) -> Result<Self, OpenError> {
        Self::open_as(options, ids, false).await
    }

    /// The same; `restoring`: also one that is not whole yet.
    pub(super) async fn open_as(options: &Options, ids: &Ids, restoring: bool) -> Result<Self, OpenError> {
        let (client, context) = connected(options).await?;
        // The names of the undivided buckets do not depend on the number of partitions.
        let undivided = Names::new(&options.prefix, 1);
        let bucket = Bucket::open(&context, undivided.bucket(TOPOLOGY), options.durability, Duration::ZERO).await?;
        let topology = claim_topology(&bucket, options, ids).await?;
        if topology.restoring && !restoring {
            return Err(OpenError::Restoring);
        }
        let names = Names::new(&options.prefix, topology.partitions);
        let mut streams = Vec::new();
        for stream in names.streams() {
            streams.push(open_stream(&context, config(&names, stream, options), options.durability).await?);
        }
        let keys = Partitioned::open(&context, &names, KEYS, options.durability, Duration::ZERO).await?;
        let snapshots = Partitioned::open(&context, &names, "SNAPSHOTS", options.durability, Duration::ZERO).await?;
        let stopped = CancellationToken::new();
        tracing::info!(partitions = topology.partitions, epoch = %topology.epoch, durability = %options.durability, "log open");
        let log = Self(Arc::new(Inner {
            client,
            context,
            keyring: Keyring::new(names.clone(), keys),
            snapshots,
            measures: Measures::new(names.streams()),
            shared: names.streams().map(|_| OnceLock::new()).collect(),
            names,
            epoch: topology.epoch,
            topology: bucket,
            replaced: CancellationToken::new(),
            durability: options.durability,
            streams,
            _stop: stopped.clone().drop_guard(),
            stopped,
        }));
        log.watch_epoch();
        Ok(log)
    }

    /// Opens a log that is there, as an observer or an operator, whatever its durability is.
    ///
    /// # Errors
    /// When NATS cannot be reached, or holds no log.
    pub async fn attend(nats_url: &str) -> Result<Self, OpenError> {
        let client = connect(nats_url).await?;
        let stream = async_nats::jetstream::new(client).get_stream(Names::new("", 1).bucket_stream(TOPOLOGY)).await;
        let stream = stream.map_err(|source| OpenError::NoLog { url: without_secrets(nats_url), source })?;
        let replicated = stream.cached_info().config.num_replicas >= REPLICAS;
        let options = Options {
            nats_url: nats_url.to_owned(),
            monitor_url: None,
            prefix: String::new(),
            partitions: None,
            // Whether NATS syncs, the nodes have read back.
            durability: if replicated { Durability::Replicated } else { Durability::Unsynced },
            max_bytes: -1,
        };
        Self::open(&options, &Ids::random()).await
    }
}

/// Connects to what the options ask for.
pub(super) async fn connected(options: &Options) -> Result<(async_nats::Client, Context), OpenError> {
    if !options.prefix.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(OpenError::Prefix);
    }
    if let Some(asked) = options.partitions.filter(|asked| !(1..=MAX_PARTITIONS).contains(asked)) {
        return Err(OpenError::PartitionsRange(asked));
    }
    let client = connect(&options.nats_url).await?;
    let context = ContextBuilder::new()
        .timeout(ANSWER_TIMEOUT)
        .ack_timeout(ANSWER_TIMEOUT)
        .max_ack_inflight(65_536)
        .backpressure_on_inflight(true)
        .build(client.clone());
    check_sync(options).await?;
    if options.durability == Durability::Replicated && client.server_info().cluster.is_none() {
        let found = "NATS runs alone, and not as a cluster of three".to_owned();
        return Err(OpenError::Durability { asked: options.durability, found });
    }
    Ok((client, context))
}

async fn claim_topology(bucket: &Bucket, options: &Options, ids: &Ids) -> Result<Topology, OpenError> {
    let asked = options.partitions;
    let proposed = Topology { epoch: ids.next(), partitions: asked.unwrap_or(DEFAULT_PARTITIONS), restoring: false };
    let topology = match bucket.create(Topology::KEY, proposed.record()).await? {
        Claim::Ours(_) => proposed,
        Claim::Theirs(entry) => serde_json::from_slice(&entry.value).map_err(OpenError::Record)?,
    };
    match asked {
        Some(asked) if asked != topology.partitions => Err(OpenError::Partitions { there: topology.partitions, asked }),
        Some(_) | None => Ok(topology),
    }
}

/// A partition keeps all of its facts, and refuses new ones when it is full; presence lets go of its oldest.
pub(super) fn config(names: &Names, stream: Partition, options: &Options) -> stream::Config {
    let is_presence = stream == Partition::PRESENCE;
    stream::Config {
        discard: if is_presence { DiscardPolicy::Old } else { DiscardPolicy::New },
        max_age: if is_presence { PRESENCE_LASTS } else { Duration::ZERO },
        max_bytes: options.max_bytes,
        deny_delete: true,
        deny_purge: true,
        ..bare_stream(names.stream(stream), names.subjects(stream), options.durability)
    }
}

async fn open_stream(
    context: &Context,
    wanted: stream::Config,
    durability: Durability,
) -> Result<stream::Stream, OpenError> {
    let name = wanted.name.clone();
    let stream = context
        .get_or_create_stream(wanted.clone())
        .await
        .map_err(|source| OpenError::CreateStream { stream: name.clone(), source })?;
    let found = &stream.cached_info().config;
    let differs = [
        ("set of subjects", found.subjects != wanted.subjects),
        ("storage", found.storage != wanted.storage),
        ("retention", found.retention != wanted.retention || found.discard != wanted.discard),
        ("age", found.max_age != wanted.max_age),
        ("protection against deletion", !found.deny_delete || !found.deny_purge),
    ];
    if let Some((what, _)) = differs.into_iter().find(|(_, differs)| *differs) {
        return Err(OpenError::Stream { stream: name, what });
    }
    if durability == Durability::Replicated && found.num_replicas < REPLICAS {
        let found = format!("the stream {name} has {} replica", found.num_replicas);
        return Err(OpenError::Durability { asked: durability, found });
    }
    Ok(stream)
}

/// A stream that stores as those of the log do, and may be deleted.
pub(super) fn bare_stream(name: String, subjects: String, durability: Durability) -> stream::Config {
    stream::Config {
        name,
        subjects: vec![subjects],
        retention: RetentionPolicy::Limits,
        storage: StorageType::File,
        compression: Some(Compression::S2),
        num_replicas: durability.replicas(),
        ..stream::Config::default()
    }
}

/// `fsync` is a setting of the server: only its monitoring tells whether it is in force.
async fn check_sync(options: &Options) -> Result<(), OpenError> {
    if options.durability != Durability::Fsync {
        return Ok(());
    }
    let refuse = |found: &str| OpenError::Durability { asked: options.durability, found: found.to_owned() };
    let Some(url) = &options.monitor_url else {
        return Err(refuse("without NATS' monitoring address it cannot be read back whether NATS syncs"));
    };
    let varz = match timeout(ANSWER_TIMEOUT, varz(url)).await {
        Ok(Ok(varz)) => varz,
        Ok(Err(error)) if error.kind() != std::io::ErrorKind::ConnectionRefused => {
            return Err(refuse(&format!("NATS' monitoring cannot be read: {error}")));
        }
        Ok(Err(_)) | Err(_) => return Err(OpenError::Monitor(url.clone())),
    };
    if varz["jetstream"]["config"]["sync_always"] == true {
        Ok(())
    } else {
        Err(refuse("NATS acknowledges before it syncs: set `sync_interval: always` in its `jetstream` block"))
    }
}

pub(super) async fn varz(url: &str) -> std::io::Result<serde_json::Value> {
    let address = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(format!("GET /varz HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(serde_json::from_str(body)?)
}

impl Durability {
    pub(super) fn replicas(self) -> usize {
        match self {
            Self::Replicated => REPLICAS,
            Self::Fsync | Self::Unsynced => 1,
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fsync => "fsync",
            Self::Replicated => "replicated",
            Self::Unsynced => "unsynced",
        })
    }
}

impl FromStr for Durability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Fsync, Self::Replicated, Self::Unsynced]
            .into_iter()
            .find(|durability| durability.to_string() == text)
            .ok_or_else(|| "must be `fsync`, `replicated` or `unsynced`".to_owned())
    }
}
