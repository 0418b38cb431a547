//! Which stream of the log an aggregate lives in, and every NATS name of ours:
//! no other file spells a subject, a stream or a bucket.

use crate::{GatewayId, Partition, ThreadId, UserId};
use sha2::{Digest, Sha256};
use std::fmt;
use uuid::Uuid;

/// What events belong to: one aggregate is one literal subject and one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Aggregate {
    User(UserId),
    Thread(ThreadId),
    /// The receipts of a partition's threads, coalesced; they commute and need no expectation.
    Receipts(Partition),
    /// Who is connected to a gateway, while it holds one lease; in the stream of presence.
    Gateway(GatewayId),
    /// What concerns the deployment as a whole; there is one.
    Deployment,
}

/// By what JetStream domain consumers find the log: their account imports that, and nothing else.
pub(crate) const DOMAIN: &str = "herald";

/// What the subjects of presence begin with.
const PRESENCE: &str = "presence";

/// Where the facts of a kind of aggregate lie, for who reads the log: `{…}` stands for what varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// As [`crate::schema::EventSchema`] names it.
    pub kind: &'static str,
    pub subject: &'static str,
    pub stream: &'static str,
}

/// Every subject that facts lie under, without a deployment's prefix.
pub const ADDRESSES: [Address; 5] = [
    Address { kind: "user", subject: "evt.{partition}.user.{user_id}", stream: "EVENTS_{partition}" },
    Address { kind: "thread", subject: "evt.{partition}.thread.{thread_id}", stream: "EVENTS_{partition}" },
    Address { kind: "receipt", subject: "evt.{partition}.receipt", stream: "EVENTS_{partition}" },
    Address { kind: "deployment", subject: "evt.0.deployment", stream: "EVENTS_0" },
    Address { kind: "gateway", subject: "presence.{gateway_id}", stream: "PRESENCE" },
];

/// The names of one deployment: its prefix keeps deployments apart on one NATS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    prefix: String,
    partitions: u16,
}

impl Names {
    /// The names under a prefix (empty, or letters and digits) with that many partitions.
    pub fn new(prefix: &str, partitions: u16) -> Self {
        assert!(partitions > 0, "a log has at least one partition");
        Self { prefix: prefix.to_owned(), partitions }
    }

    pub fn partitions(&self) -> impl Iterator<Item = Partition> + use<> {
        (0..self.partitions).map(Partition)
    }

    /// The partitions, and after them the stream of presence.
    pub(crate) fn streams(&self) -> impl Iterator<Item = Partition> + use<> {
        self.partitions().chain([Partition::PRESENCE])
    }

    /// Where something of a stream stands in a list of all [`Names::streams`].
    pub(crate) fn index(&self, stream: Partition) -> usize {
        usize::from(if stream == Partition::PRESENCE { self.partitions } else { stream.0 })
    }

    /// The partition that owns a user or a thread: stable for the life of the deployment.
    pub fn partition(&self, id: Uuid) -> Partition {
        self.partition_of_bytes(id.as_bytes())
    }

    /// The partition that owns a record of a partitioned bucket which belongs to no user or thread yet.
    pub fn partition_of_record(&self, key: &str) -> Partition {
        self.partition_of_bytes(key.as_bytes())
    }

    fn partition_of_bytes(&self, bytes: &[u8]) -> Partition {
        let digest = Sha256::digest(bytes);
        let head = u64::from_be_bytes(digest[..8].try_into().expect("SHA-256 has 32 bytes"));
        let index = head % u64::from(self.partitions);
        Partition(u16::try_from(index).expect("an index below the number of partitions"))
    }

    pub fn partition_of(&self, aggregate: Aggregate) -> Partition {
        match aggregate {
            Aggregate::User(id) => self.partition(id.uuid()),
            Aggregate::Thread(id) => self.partition(id.uuid()),
            Aggregate::Receipts(partition) => partition,
            Aggregate::Gateway(_) => Partition::PRESENCE,
            Aggregate::Deployment => Partition(0),
        }
    }

    pub fn subject(&self, aggregate: Aggregate) -> String {
        let partition = self.partition_of(aggregate);
        let dot = self.dot();
        match aggregate {
            Aggregate::User(id) => format!("{dot}evt.{partition}.user.{id}"),
            Aggregate::Thread(id) => format!("{dot}evt.{partition}.thread.{id}"),
            Aggregate::Receipts(_) => format!("{dot}evt.{partition}.receipt"),
            Aggregate::Gateway(id) => format!("{dot}{PRESENCE}.{id}"),
            Aggregate::Deployment => format!("{dot}evt.{partition}.deployment"),
        }
    }

    /// What [`Names::subject`] spelled; `None` for a subject of a shape that this build does not know.
    pub fn parse(&self, subject: &str) -> Option<Aggregate> {
        let subject = subject.strip_prefix(&self.dot())?;
        if let Some(gateway) = subject.strip_prefix(PRESENCE) {
            return gateway.strip_prefix('.')?.parse().ok().map(Aggregate::Gateway);
        }
        let rest = subject.strip_prefix("evt.")?;
        let mut tokens = rest.split('.');
        let partition = Partition(tokens.next()?.parse().ok()?);
        let aggregate = match (tokens.next()?, tokens.next()) {
            ("user", Some(id)) => Aggregate::User(id.parse().ok()?),
            ("thread", Some(id)) => Aggregate::Thread(id.parse().ok()?),
            ("receipt", None) => Aggregate::Receipts(partition),
            ("deployment", None) => Aggregate::Deployment,
            _ => return None,
        };
        (tokens.next().is_none() && self.partition_of(aggregate) == partition).then_some(aggregate)
    }

    /// All subjects of a stream.
    pub fn subjects(&self, stream: Partition) -> String {
        if stream == Partition::PRESENCE {
            return format!("{}{PRESENCE}.*", self.dot());
        }
        format!("{}evt.{stream}.>", self.dot())
    }

    pub fn stream(&self, stream: Partition) -> String {
        if stream == Partition::PRESENCE {
            return format!("{}PRESENCE", self.underscore());
        }
        format!("{}EVENTS_{stream}", self.underscore())
    }

    /// The bucket of a small, undivided kind of record.
    pub fn bucket(&self, kind: &str) -> String {
        format!("{}{kind}", self.underscore())
    }

    /// Where such a bucket's records lie.
    pub(crate) fn bucket_stream(&self, kind: &str) -> String {
        format!("KV_{}", self.bucket(kind))
    }

    /// One record of such a bucket.
    pub(crate) fn record(&self, kind: &str, key: &str) -> String {
        format!("$KV.{}.{key}", self.bucket(kind))
    }

    /// A partition's bucket of a kind of record that grows with the users.
    pub fn partitioned_bucket(&self, kind: &str, partition: Partition) -> String {
        format!("{}{kind}_{partition}", self.underscore())
    }

    /// Where nodes tell each other who is writing something.
    pub fn typing(&self) -> String {
        format!("{}typing", self.dot())
    }

    /// Where runners announce the checkpoints of a view.
    pub fn announcement(&self, view: &str) -> String {
        format!("{}checkpoint.{view}", self.dot())
    }

    /// The stream that the log's server is measured with.
    pub(crate) fn floor_stream(&self) -> String {
        format!("{}FLOOR", self.underscore())
    }

    /// A subject of that stream; `*` for all of them.
    pub(crate) fn floor_subject(&self, name: &str) -> String {
        format!("{}floor.{name}", self.dot())
    }

    fn dot(&self) -> String {
        if self.prefix.is_empty() { String::new() } else { format!("{}.", self.prefix) }
    }

    fn underscore(&self) -> String {
        if self.prefix.is_empty() { String::new() } else { format!("{}_", self.prefix) }
    }
}

impl fmt::Display for Aggregate {
    /// The form without partition, as snapshots are keyed and consumers are told.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user.{id}"),
            Self::Thread(id) => write!(f, "thread.{id}"),
            Self::Receipts(partition) => write!(f, "receipt.{partition}"),
            Self::Gateway(id) => write!(f, "gateway.{id}"),
            Self::Deployment => f.write_str("deployment"),
        }
    }
}
