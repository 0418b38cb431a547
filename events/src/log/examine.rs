//! A look at NATS from outside, for who asks what is wrong: nothing is created,
//! nothing is opened, and each question stands alone.

use super::{
    LogError, OpenError, connect,
    topology::{self, TOPOLOGY, Topology},
};
use crate::{Partition, Timestamp, subject::Names};
use async_nats::{Client, jetstream::Context};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// What NATS is told to say that it does not have something.
const NOT_FOUND: u64 = 404;

/// A connection to ask by.
pub struct Examination {
    client: Client,
    context: Context,
}

/// Which server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    pub name: String,
    pub version: String,
    pub cluster: Option<String>,
}

/// What the log says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub epoch: Uuid,
    pub partitions: u16,
    /// Of a restore that is under way, or was cut off.
    pub restoring: bool,
    pub names: Names,
}

/// A stream of the log as its leader tells.
#[derive(Debug, Clone, Deserialize)]
pub struct StreamState {
    pub config: StreamConfig,
    pub state: Extents,
    pub cluster: Option<Group>,
    /// The server's clock.
    pub ts: Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
pub struct StreamConfig {
    pub num_replicas: usize,
    pub storage: String,
    pub discard: String,
    pub max_bytes: i64,
    #[serde(default)]
    pub deny_delete: bool,
    #[serde(default)]
    pub deny_purge: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Extents {
    pub messages: u64,
    pub bytes: u64,
    pub first_seq: u64,
    pub last_seq: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Group {
    #[serde(default)]
    pub leader: Option<String>,
    #[serde(default)]
    pub replicas: Vec<Peer>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Peer {
    pub name: String,
    #[serde(default)]
    pub current: bool,
    #[serde(default)]
    pub offline: bool,
}

/// A record of a bucket, and when it was written.
#[derive(Debug, Clone)]
pub struct Written {
    pub key: String,
    pub value: Vec<u8>,
    pub at: Timestamp,
}

/// What a server tells at its monitoring address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Monitored {
    /// Whether it syncs before it acknowledges.
    pub sync_always: bool,
    /// The bytes that it may store, and those that it does.
    pub max_store: Option<u64>,
    pub used_store: Option<u64>,
}

impl Examination {
    /// Connects to one server.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn begin(url: &str) -> Result<Self, OpenError> {
        let client = connect::connect(url).await?;
        Ok(Self { context: async_nats::jetstream::new(client.clone()), client })
    }

    pub fn server(&self) -> Server {
        let info = self.client.server_info();
        Server { name: info.server_name, version: info.version, cluster: info.cluster }
    }

    /// What the log says that it is; `None` where there is none.
    ///
    /// # Errors
    /// When NATS does not answer, or what it has cannot be read.
    pub async fn log(&self) -> Result<Option<Named>, LogError> {
        let bucket = Names::new("", 1).bucket(TOPOLOGY);
        let Some(record) = self.record(&bucket, Topology::KEY).await? else { return Ok(None) };
        let topology: Topology = serde_json::from_slice(&record.value).map_err(unavailable)?;
        let Topology { epoch, partitions, restoring } = topology;
        Ok(Some(Named { epoch, partitions, restoring, names: Names::new("", partitions) }))
    }

    /// A partition or presence; `None` where there is no such stream.
    ///
    /// # Errors
    /// When NATS does not answer, as of a stream without a leader.
    pub async fn stream(&self, names: &Names, partition: Partition) -> Result<Option<StreamState>, LogError> {
        self.ask(format!("STREAM.INFO.{}", names.stream(partition)), &json!({})).await
    }

    /// A record; `None` where there is none, or no such bucket.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn record(&self, bucket: &str, key: &str) -> Result<Option<Written>, LogError> {
        let question = json!({ "last_by_subj": format!("$KV.{bucket}.{key}") });
        Ok(self.message(bucket, &question).await?.map(|(_, written)| written))
    }

    /// All records of a small bucket.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn records(&self, bucket: &str) -> Result<Vec<Written>, LogError> {
        let (mut all, mut next) = (Vec::new(), 1);
        loop {
            let question = json!({ "seq": next, "next_by_subj": format!("$KV.{bucket}.>") });
            let Some((sequence, written)) = self.message(bucket, &question).await? else { return Ok(all) };
            next = sequence + 1;
            all.push(written);
        }
    }

    async fn message(&self, bucket: &str, question: &Value) -> Result<Option<(u64, Written)>, LogError> {
        #[derive(Deserialize)]
        struct Answer {
            message: Message,
        }
        #[derive(Deserialize)]
        struct Message {
            subject: String,
            seq: u64,
            #[serde(default)]
            data: String,
            time: Timestamp,
        }
        let answer: Option<Answer> = self.ask(format!("STREAM.MSG.GET.KV_{bucket}"), question).await?;
        let written = |Answer { message }: Answer| {
            let key =
                message.subject.rsplit_once(&format!("{bucket}.")).map_or(String::new(), |(_, key)| key.to_owned());
            let value = STANDARD.decode(message.data).map_err(unavailable)?;
            Ok((message.seq, Written { key, value, at: message.time }))
        };
        answer.map(written).transpose()
    }

    async fn ask<T: DeserializeOwned>(&self, subject: String, question: &Value) -> Result<Option<T>, LogError> {
        let answer: Value = self.context.request(subject, question).await.map_err(unavailable)?;
        match answer.get("error") {
            Some(error) if error["code"] == NOT_FOUND => Ok(None),
            Some(error) => Err(LogError::Unavailable(error["description"].to_string().into())),
            None => serde_json::from_value(answer).map(Some).map_err(unavailable),
        }
    }
}

/// What a server tells at its monitoring address, `http://host:port`.
///
/// # Errors
/// When it does not answer.
pub async fn monitored(url: &str, patience: Duration) -> std::io::Result<Monitored> {
    let varz = tokio::time::timeout(patience, topology::varz(url)).await??;
    let jetstream = &varz["jetstream"];
    Ok(Monitored {
        sync_always: jetstream["config"]["sync_always"] == true,
        max_store: jetstream["config"]["max_storage"].as_u64(),
        used_store: jetstream["stats"]["storage"].as_u64(),
    })
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> LogError {
    LogError::Unavailable(error.into())
}
