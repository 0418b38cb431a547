//! What nodes and the embedded servers are told on the command line, for each
//! command that starts some: nothing here starts anything.

use crate::{
    embedded,
    node::{Role, Settings},
    push::PushArgs,
};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use events::log::{Durability, Options};
use std::{
    collections::BTreeSet,
    io::{IsTerminal, stderr},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

/// Where all data lies, and files in it.
pub(crate) const DATA: &str = "data";
pub(crate) const ATTACHMENTS: &str = "attachments";

/// Where the embedded servers come from and keep their data.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// The folder of all data of the embedded servers.
    #[arg(long, env = "HERALD_DATA", default_value = DATA, value_name = "FOLDER")]
    pub(crate) data: PathBuf,
    /// How many NATS servers to run: 1, or 3 as a cluster that survives the loss of one.
    #[arg(long, env = "HERALD_NATS_NODES", default_value_t = 1, value_parser = nats_nodes, value_name = "NUMBER")]
    pub(crate) nats_nodes: usize,
    /// How many databases of the one Postgres to spread the views over, for trying; always as many as at first.
    #[arg(long, env = "HERALD_DATABASES", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16), value_name = "NUMBER")]
    pub(crate) databases: u16,
    /// A nats-server to run instead of the one that herald installs.
    #[arg(long, env = "HERALD_NATS_SERVER", value_name = "FILE")]
    pub(crate) nats_server: Option<PathBuf>,
    /// The bin folder of the Postgres to run instead of the system's or the one that herald installs.
    #[arg(long, env = "HERALD_POSTGRES", value_name = "FOLDER")]
    pub(crate) postgres: Option<PathBuf>,
}

/// What runs with its own servers.
#[derive(Debug, Args)]
pub(crate) struct Embedded {
    #[command(flatten)]
    pub(crate) servers: ServerArgs,
    /// How many herald nodes to run; the further ones listen on the ports that follow.
    #[arg(long, env = "HERALD_NODES", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16), value_name = "NUMBER")]
    pub(crate) nodes: u16,
}

/// What a log is created with, and has to be.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct LogArgs {
    /// What an acknowledged message has survived: `fsync` (the default), `replicated` (the default
    /// with three embedded NATS servers) or `unsynced`.
    #[arg(long, env = "HERALD_DURABILITY")]
    pub(crate) durability: Option<Durability>,
    /// The number of partitions of a new log (4 unless given); of an existing one, what it must have.
    #[arg(long, env = "HERALD_PARTITIONS", value_name = "NUMBER")]
    pub(crate) partitions: Option<u16>,
}

/// What every node of a deployment is told.
#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// Where clients connect.
    #[arg(long, env = "HERALD_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) log: LogArgs,
    /// A file with the certificate that clients are answered with, and its chain, in PEM; without it a proxy in front
    /// speaks TLS. It is read again at SIGHUP.
    #[arg(long, env = "HERALD_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// A file with the certificate's key, in PEM.
    #[arg(long, env = "HERALD_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Where files lie, the same for all nodes: a folder (`attachments` in the folder of all data unless given), or in a
    /// build with the feature `s3` a bucket, `s3://bucket/prefix`.
    #[arg(long, env = "HERALD_ATTACHMENTS", value_name = "PLACE")]
    pub(crate) attachments: Option<String>,
    /// Other sites whose pages may open sockets, as `https://chat.example`.
    #[arg(long, env = "HERALD_ALLOWED_ORIGINS", value_delimiter = ',', value_name = "ORIGINS")]
    pub(crate) allowed_origins: Vec<String>,
    /// Whether clients are kept to their rates: `off` is for load tests.
    #[arg(long, env = "HERALD_RATE_LIMITS", value_enum, default_value_t = Switch::On)]
    pub(crate) rate_limits: Switch,
    /// The proxies whose X-Forwarded-For is believed: addresses, or networks as 10.0.0.0/8.
    #[arg(long, env = "HERALD_TRUSTED_PROXIES", value_delimiter = ',', value_name = "ADDRESSES")]
    pub(crate) trusted_proxies: Vec<gateway::Proxy>,
    /// Ends the sockets of those who do nothing for so long, as `30min`; none unless given. Sending, editing, reacting,
    /// reading, typing and watching is doing something; `ping` and `refresh` are not.
    #[arg(long, env = "HERALD_IDLE_CLOSE", value_parser = humantime::parse_duration, value_name = "DURATION")]
    pub(crate) idle_close: Option<Duration>,
    #[command(flatten)]
    pub(crate) push: PushArgs,
    /// Where operators are served, with tokens of `herald operator add`: an address; nowhere unless given.
    #[arg(long, env = "HERALD_OPERATOR_LISTEN", value_name = "ADDRESS")]
    pub(crate) operator_listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

impl ServerArgs {
    /// How to start the servers, so that they can give that durability.
    ///
    /// # Errors
    /// When they cannot, with the remedy.
    pub(crate) fn options(self, durability: Durability) -> anyhow::Result<embedded::Options> {
        let durability = match (durability, self.nats_nodes) {
            (Durability::Fsync, 1) => embedded::Durability::Fsync,
            (Durability::Unsynced, _) | (Durability::Replicated, 2..) => embedded::Durability::Unsynced,
            (Durability::Replicated, _) => bail!("`replicated` needs three NATS servers: add --nats-nodes 3"),
            (Durability::Fsync, _) => bail!("with several NATS servers durability is `replicated` or `unsynced`"),
        };
        Ok(embedded::Options {
            data: self.data,
            durability,
            nats_server: self.nats_server,
            postgres: self.postgres,
            nats_nodes: self.nats_nodes,
            databases: self.databases,
            postgres_fsync: true,
            program: std::env::current_exe().context("this program's own file is not known")?,
            progress: stderr().is_terminal(),
        })
    }
}

impl LogArgs {
    /// The durability that was asked for, or the best that the servers can give.
    pub(crate) fn durability(self, nats_nodes: usize) -> Durability {
        self.durability.unwrap_or(if nats_nodes > 1 { Durability::Replicated } else { Durability::Fsync })
    }
}

/// What of the edge is read from elsewhere before anything starts.
pub(crate) struct Edge {
    push: Option<gateway::push::Settings>,
    tls: Option<gateway::Tls>,
}

impl NodeArgs {
    /// Reads what settings name: secrets, certificates.
    ///
    /// # Errors
    /// When they cannot be read or will not do.
    pub(crate) fn edge(&self) -> anyhow::Result<Edge> {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(gateway::Tls::read(certificate.clone(), key.clone())?),
            (None, _) | (_, None) => None,
        };
        Ok(Edge { push: self.push.settings()?, tls })
    }

    /// All that a node is told.
    pub(crate) fn settings(self, roles: BTreeSet<Role>, log: Options, database_url: String, edge: Edge) -> Settings {
        let Edge { push, tls } = edge;
        let Self {
            listen,
            operator_listen,
            attachments,
            allowed_origins,
            rate_limits,
            trusted_proxies,
            idle_close,
            ..
        } = self;
        Settings {
            roles,
            listen,
            operator_listen,
            log,
            database_url,
            attachments: attachments.unwrap_or_else(|| format!("{DATA}/{ATTACHMENTS}")),
            allowed_origins,
            rate_limits: rate_limits == Switch::On,
            trusted_proxies,
            idle_close,
            push,
            tls,
        }
    }
}

fn nats_nodes(text: &str) -> Result<usize, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("must be 1 or 3: two are no safer than one".to_owned()),
    }
}
