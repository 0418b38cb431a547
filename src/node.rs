//! One node: the roles it was given, composed from the rooms, started in the
//! order in which they need each other and stopped in the reverse one.

use anyhow::Context;
use clap::ValueEnum;
use command::{Accounts, Threads, handler::Handler};
use events::{Clock, EventLog, Ids, log::Options};
use gateway::{App, hub::Hub};
use projection::{Runner, View};
use query::{Freshness, Views};
use std::{collections::BTreeSet, fmt, net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

/// Memory for cached users, in bytes.
const USERS_CACHE: u64 = 64 << 20;
/// Connections to Postgres for queries; runners have one each besides.
const QUERY_CONNECTIONS: u32 = 16;
const PAUSE: Duration = Duration::from_millis(500);

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
    pub log: Options,
    pub database_url: String,
    pub allowed_origins: Vec<String>,
}

/// A running node.
pub struct Node {
    log: EventLog,
    address: Option<SocketAddr>,
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
    /// Starts the roles; returns once clients are served.
    ///
    /// # Errors
    /// When the log or the address cannot be had.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        let (clock, ids) = (Clock::system(), Ids::random());
        let log = EventLog::open(&settings.log, &ids).await?;
        let mut node = Self {
            log: log.clone(),
            address: None,
            edge_stop: CancellationToken::new(),
            edge: JoinSet::new(),
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        if settings.roles.contains(&Role::Projection) {
            for view in View::ALL {
                let runner = Runner::new(view, log.clone(), &settings.database_url)?;
                let stop = node.stop.clone();
                node.tasks.spawn(async move { runner.run(stop).await.with_context(|| format!("view {view}")) });
            }
        }
        if settings.has_edge() {
            node.start_edge(settings, clock, ids).await?;
        }
        Ok(node)
    }

    async fn start_edge(&mut self, settings: Settings, clock: Clock, ids: Ids) -> anyhow::Result<()> {
        let log = self.log.clone();
        let listen = settings.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("{listen} cannot be listened on: choose another address with --listen or HERALD_LISTEN")
        })?;
        self.address = Some(listener.local_addr()?);

        let users = Handler::new(log.clone(), clock.clone(), ids.clone(), USERS_CACHE);
        let accounts = Accounts::open(log.clone(), clock.clone(), ids.clone(), users.clone()).await?;
        let threads = Threads::new(log.clone(), &clock, &ids, users);
        let freshness = Freshness::default();
        let views = Views::new(&settings.database_url, QUERY_CONNECTIONS, freshness.clone())?;
        for view in query::View::ALL {
            self.tasks.spawn(follow(log.clone(), view, views.clone(), freshness.clone(), self.stop.clone()));
        }
        let hub = Hub::start(log.clone(), accounts.clone(), self.stop.clone());
        let edge = gateway::Settings { allowed_origins: settings.allowed_origins };
        let app = App::new(accounts, threads, views, hub, log, clock, edge);
        self.edge.spawn(gateway::serve(listener, app, self.edge_stop.clone()));
        Ok(())
    }

    /// Where clients connect.
    ///
    /// # Errors
    /// When this node has no edge.
    pub fn address(&self) -> anyhow::Result<SocketAddr> {
        self.address.context("a node without an edge listens nowhere")
    }

    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// Resolves when a part of the node ends that should not.
    pub async fn failed(&mut self) -> anyhow::Error {
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                Err(panicked) => return anyhow::Error::new(panicked).context("a task of the node panicked"),
            }
        }
        std::future::pending().await
    }

    /// Answers what is under way, closes the sockets, and stops the runners.
    pub async fn stop(mut self) {
        self.edge_stop.cancel();
        while self.edge.join_next().await.is_some() {}
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Hands a view's announcements on; a lost one costs a waiter a look at the checkpoint.
async fn follow(
    log: EventLog,
    view: query::View,
    views: Views,
    freshness: Freshness,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let follow = async {
        loop {
            match log.announcements(view.name()).await {
                Ok(mut announcements) => {
                    // What was announced before anybody listened. Not readable yet: it will be announced.
                    if let Err(error) = views.refresh(view).await {
                        tracing::debug!(%view, %error, "how far the view has come is not known yet");
                    }
                    while let Some(applied) = announcements.next().await {
                        freshness.announced(view, &applied);
                    }
                }
                Err(error) => tracing::warn!(%view, %error, "announcements are not heard"),
            }
            sleep(PAUSE).await;
        }
    };
    stop.run_until_cancelled(follow).await;
    Ok(())
}
