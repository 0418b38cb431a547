//! One node: the roles it was given, composed from the rooms, started in the
//! order in which they need each other and stopped in the reverse one.

use crate::{
    databases::{self, Progress},
    metrics::Sight,
};
use anyhow::{Context, bail};
use audit::{Ledger, LedgerError};
use clap::ValueEnum;
use command::{
    Accounts, Attachments, Operators, Presence, Threads,
    accounts::AccountError,
    attachments::AttachmentError,
    handler::Handler,
    policy::{Files, Gateways, Promises},
};
use events::{
    Blobs, Clock, EventLog, Ids,
    log::{BucketError, Durability, Options},
};
use gateway::{
    App, Tls,
    hub::Hub,
    push::{self, Push, PushError},
};
use query::Views;
use std::{collections::BTreeSet, fmt, net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// Memory for cached users, in bytes.
const USERS_CACHE: u64 = 64 << 20;
/// Connections to each Postgres for queries; runners have one each besides.
const QUERY_CONNECTIONS: u32 = 16;
const PAUSE: Duration = Duration::from_millis(500);
/// Connections that wait to be accepted. All clients of a node that went come to another at once; who finds no room tries
/// again after a second. The system's own limit may be lower.
const BACKLOG: u32 = 4_096;
/// How old a claim is before somebody else than its maker sees to it.
const PROMISES_PAUSE: Duration = Duration::from_secs(5);
/// How often the log's newest events are sealed.
const SEALS_PAUSE: Duration = Duration::from_mins(1);
/// How often unused uploads are looked for.
const FILES_PAUSE: Duration = Duration::from_mins(10);
/// A signing key is published a day before it is used.
const KEYS_PAUSE: Duration = Duration::from_mins(1);

/// What a node does for a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Role {
    Command,
    Query,
    Gateway,
    Projection,
}

/// What a node needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    pub roles: BTreeSet<Role>,
    pub listen: SocketAddr,
    /// Where operators are served, if anywhere.
    pub operator_listen: Option<SocketAddr>,
    pub log: Options,
    /// The databases of the views, with commas between them, unless others were published.
    pub database_url: String,
    /// Where files lie: a folder that all nodes see, or a bucket.
    pub attachments: String,
    pub allowed_origins: Vec<String>,
    pub rate_limits: bool,
    pub trusted_proxies: Vec<gateway::Proxy>,
    /// How long somebody may do nothing over a socket; `None`: as long as they like.
    pub idle_close: Option<Duration>,
    /// Who is told of messages that have not reached people, if anybody.
    pub push: Option<push::Settings>,
    /// Where clients speak TLS with this node itself.
    pub tls: Option<Tls>,
}

/// A running node.
pub struct Node {
    log: EventLog,
    address: Option<SocketAddr>,
    operators_address: Option<SocketAddr>,
    progress: Progress,
    views: Option<Views>,
    /// The edge drains before the runners stop, so that what it answers is still applied.
    edge_stop: CancellationToken,
    edge: JoinSet<()>,
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Command, Self::Query, Self::Gateway, Self::Projection];
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command => "command",
            Self::Query => "query",
            Self::Gateway => "gateway",
            Self::Projection => "projection",
        })
    }
}

impl Settings {
    /// Commands, queries and sockets live in one process: the edge.
    pub fn has_edge(&self) -> bool {
        self.roles.iter().any(|role| *role != Role::Projection)
    }
}

impl Node {
    /// Starts the roles; returns once clients are served. While NATS is away it waits, and says so
    /// at its address; Postgres is waited for in the background.
    ///
    /// # Errors
    /// When the address cannot be had, or the log is not what was asked for.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let (clock, ids) = (Clock::system(), Ids::random());
        if settings.operator_listen.is_some() && !settings.has_edge() {
            bail!("operators are served by the roles command, query and gateway: leave out --operator-listen here");
        }
        let listener = if settings.has_edge() { Some(listen(settings.listen, "listen")?) } else { None };
        let meanwhile = async {
            match &listener {
                Some(listener) => gateway::wait(listener, settings.tls.as_ref()).await,
                None => std::future::pending().await,
            }
        };
        let log = tokio::select! {
            log = open(&settings.log, &ids) => log?,
            () = meanwhile => bail!("the listener ended"),
        };
        let mut node = Self {
            log: log.clone(),
            address: None,
            operators_address: None,
            progress: Progress::default(),
            views: None,
            edge_stop: CancellationToken::new(),
            edge: JoinSet::new(),
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        node.tasks.spawn(watch(log.clone(), node.stop.clone()));
        let published = opened("the map of databases", of_bucket, async || log.published_map().await).await?;
        let map = databases::holding(&log, published.map(|(map, _)| map), &settings.database_url)?;
        let (databases, mapped) = watch::channel(map.clone());
        if settings.roles.contains(&Role::Projection) {
            node.tasks.spawn(databases::project(log.clone(), mapped, node.progress.clone(), node.stop.clone()));
        }
        if settings.roles.contains(&Role::Projection) {
            let open = async || Ledger::open(log.clone(), clock.clone()).await;
            let ledger = opened("what is kept of the log", of_ledger, open).await?;
            node.tasks.spawn(until(node.stop.clone(), ledger.run(SEALS_PAUSE)));
        }
        if let Some(listener) = listener {
            let views = Views::new(log.names(), &map, QUERY_CONNECTIONS)?;
            node.views = Some(views.clone());
            node.start_edge(listener, settings, views, clock, ids).await?;
        }
        let (follow, stop) = (databases::follow(log, databases, node.views.clone()), node.stop.clone());
        node.tasks.spawn(async move { stop.run_until_cancelled(follow).await.unwrap_or(Ok(())) });
        Ok(node)
    }

    async fn start_edge(
        &mut self,
        listener: TcpListener,
        settings: Settings,
        views: Views,
        clock: Clock,
        ids: Ids,
    ) -> anyhow::Result<()> {
        let log = self.log.clone();
        self.address = Some(listener.local_addr()?);

        let users = Handler::new(log.clone(), clock.clone(), ids.clone(), USERS_CACHE);
        let blobs = Blobs::open(&settings.attachments, settings.log.durability != Durability::Unsynced)?;
        let open = async || Attachments::open(log.clone(), clock.clone(), ids.clone(), blobs.clone()).await;
        let passes = |error: &AttachmentError| matches!(error, AttachmentError::Log(_));
        let attachments = opened("the bucket of uploads", passes, open).await?;
        let open =
            async || Accounts::open(log.clone(), clock.clone(), ids.clone(), users.clone(), attachments.clone()).await;
        let passes = |error: &AccountError| matches!(error, AccountError::Unavailable(_));
        let accounts = opened("the accounts' buckets", passes, open).await?;
        let threads = Threads::new(log.clone(), &clock, &ids, users.clone(), attachments.clone());
        for view in query::View::ALL {
            self.tasks.spawn(until(self.stop.clone(), databases::hear(log.clone(), view, views.clone())));
        }
        let open = async || Presence::open(log.clone(), clock.clone(), ids.clone()).await;
        let (presence, keeper) = opened("the gateways' leases", of_bucket, open).await?;
        self.tasks.spawn(until(self.stop.clone(), keeper));
        let stop = self.stop.clone();
        let hub =
            Hub::start(log.clone(), clock.clone(), accounts.clone(), threads.clone(), presence, views.clone(), stop);
        let Settings {
            roles,
            operator_listen,
            allowed_origins,
            rate_limits,
            trusted_proxies,
            idle_close,
            push,
            tls,
            ..
        } = settings;
        if roles.contains(&Role::Command) {
            let open = async || Promises::open(log.clone(), accounts.clone()).await;
            let promises = opened("the policies' bucket", of_bucket, open).await?;
            self.tasks.spawn(until(self.stop.clone(), promises.run(PROMISES_PAUSE)));
            let open = async || Files::open(log.clone(), clock.clone(), attachments.clone()).await;
            let files = opened("the policies' bucket", of_bucket, open).await?;
            self.tasks.spawn(until(self.stop.clone(), files.run(FILES_PAUSE)));
            let open = async || Gateways::open(log.clone(), clock.clone(), ids.clone()).await;
            let gateways = opened("the gateways' leases", of_bucket, open).await?;
            self.tasks.spawn(until(self.stop.clone(), gateways.run()));
        }
        if let Some(settings) = push.filter(|_| roles.contains(&Role::Gateway)) {
            let open =
                async || Push::open(log.clone(), clock.clone(), ids.clone(), views.clone(), settings.clone()).await;
            let passes = |error: &PushError| matches!(error, PushError::Bucket(_));
            let push = opened("the bucket of pushes", passes, open).await?.run(self.stop.clone());
            self.tasks.spawn(async move {
                push.await;
                Ok(())
            });
        }
        self.tasks.spawn(until(self.stop.clone(), turn_keys(accounts.clone())));
        if !rate_limits {
            tracing::warn!("RATE LIMITS ARE OFF: anybody may guess passwords and flood, as fast as they can");
        }
        let edge = gateway::Settings { allowed_origins, rate_limits, trusted_proxies, idle_close };
        let open = async || Operators::open(log.clone(), clock.clone(), ids.clone(), users.clone()).await;
        let operators = opened("the operators' bucket", of_bucket, open).await?;
        let app = App::new(accounts, threads, views, hub, log, clock, edge);
        if let Some(tls) = tls.clone() {
            self.tasks.spawn(until(self.stop.clone(), renew(tls, signal(SignalKind::hangup())?)));
        }
        if let Some(address) = operator_listen {
            let listener = listen(address, "operator-listen")?;
            self.operators_address = Some(listener.local_addr()?);
            let (tls, stop) = (tls.clone(), self.edge_stop.clone());
            self.edge.spawn(gateway::serve_operators(listener, tls, app.clone(), operators, stop));
        }
        self.edge.spawn(gateway::serve(listener, tls, app, self.edge_stop.clone()));
        Ok(())
    }

    /// Where clients connect.
    ///
    /// # Errors
    /// When this node has no edge.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        self.address.context("a node without an edge listens nowhere")
    }

    /// Where operators are served, if this node does.
    pub fn operators_address(&self) -> Option<SocketAddr> {
        self.operators_address
    }

    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// What can be seen of it.
    pub fn sight(&self) -> Sight {
        Sight { log: self.log.clone(), progress: self.progress.clone(), views: self.views.clone() }
    }

    /// Resolves when a part of the node ends that should not.
    pub async fn failed(&mut self) -> anyhow::Error {
        loop {
            let ended = tokio::select! {
                Some(ended) = self.tasks.join_next() => ended,
                Some(ended) = self.edge.join_next() => ended.map(Ok),
                else => return std::future::pending().await,
            };
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                Err(panicked) => return anyhow::Error::new(panicked).context("a task of the node panicked"),
            }
        }
    }

    /// Answers what is under way, closes the sockets, and stops the runners.
    pub async fn stop(mut self) {
        self.edge_stop.cancel();
        while self.edge.join_next().await.is_some() {}
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// `flag`: where the address comes from.
fn listen(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().with_context(|| format!("{address} cannot be listened on: choose another address with --{flag}"))
}

/// Opens the log, waiting for a NATS that does not answer yet.
async fn open(options: &Options, ids: &Ids) -> anyhow::Result<EventLog> {
    loop {
        match EventLog::open(options, ids).await {
            Err(error) if error.passes() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "waiting for the log");
            }
            opened => return Ok(opened?),
        }
        sleep(PAUSE).await;
    }
}

/// Opens what lies in buckets, waiting for a NATS that does not answer.
async fn opened<T, E>(what: &str, passes: fn(&E) -> bool, open: impl AsyncFn() -> Result<T, E>) -> anyhow::Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    loop {
        match open().await {
            Err(error) if passes(&error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "waiting for {what}");
            }
            opened => return Ok(opened?),
        }
        sleep(PAUSE).await;
    }
}

fn of_ledger(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Log(_))
}

/// A bucket's failure passes: NATS is away, or another node was faster.
fn of_bucket(_: &BucketError) -> bool {
    true
}

/// Runs what never ends, until the node stops.
async fn until(stop: CancellationToken, work: impl Future<Output = ()>) -> anyhow::Result<()> {
    stop.run_until_cancelled(work).await;
    Ok(())
}

/// Fails once the log is another one than was opened: what this node remembers of it is of another history.
async fn watch(log: EventLog, stop: CancellationToken) -> anyhow::Result<()> {
    match stop.run_until_cancelled(log.replaced()).await {
        Some(()) => bail!("the log was restored, replaced or cut short beneath this node: start it anew"),
        None => Ok(()),
    }
}

/// Follows the signing keys, and makes the next one where it is due.
async fn turn_keys(accounts: Accounts) {
    loop {
        sleep(KEYS_PAUSE).await;
        if let Err(error) = accounts.turn_keys().await {
            tracing::warn!(%error, "the signing keys cannot be read, the former ones stay in use");
        }
    }
}

/// Reads the certificate again whenever the process is told to.
async fn renew(tls: Tls, mut told: Signal) {
    while told.recv().await.is_some() {
        match tls.renew() {
            Ok(()) => tracing::info!("the certificate was read again"),
            Err(error) => tracing::error!(%error, "the former certificate stays in use"),
        }
    }
}
