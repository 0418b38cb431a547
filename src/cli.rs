//! The command line and its settings, each also an environment variable: the
//! one place where they are read.

use crate::{
    embedded::{self, Servers},
    node::{Node, Role, Settings},
};
use anyhow::{Context, bail};
use clap::{Args, Parser, Subcommand};
use events::log::{Durability, Options};
use std::{
    collections::BTreeSet,
    io::{IsTerminal, Write, stderr},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};
use tokio::signal::unix::{SignalKind, signal};

/// More than any disk of today: the disk is the limit.
const MAX_BYTES: i64 = 1 << 40;

/// Herald: a messaging backend, event-sourced on NATS JetStream and Postgres.
///
/// Without a command, everything runs here: NATS and Postgres are installed for the user if need
/// be, started on free loopback ports with their data under ./data, and stopped with herald.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    embedded: Embedded,
    #[command(flatten)]
    node: NodeArgs,
    /// What is logged: a level (error, warn, info, debug, trace) or a list of target=level.
    #[arg(long, env = "HERALD_LOG", default_value = observability::DEFAULT_FILTER, global = true, value_name = "FILTER")]
    log: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run roles of a deployment against a NATS and a Postgres that run elsewhere.
    Serve(Serve),
    /// Keep the embedded servers alive exactly as long as the process that asked for them.
    #[command(hide = true)]
    Guardian,
}

/// Where the embedded servers come from and keep their data.
#[derive(Debug, Args)]
struct Embedded {
    /// The folder of all data of the embedded servers.
    #[arg(long, env = "HERALD_DATA", default_value = "data", value_name = "FOLDER")]
    data: PathBuf,
    /// A nats-server to run instead of the one that herald installs.
    #[arg(long, env = "HERALD_NATS_SERVER", value_name = "FILE")]
    nats_server: Option<PathBuf>,
    /// The bin folder of the Postgres to run instead of the system's or the one that herald installs.
    #[arg(long, env = "HERALD_POSTGRES", value_name = "FOLDER")]
    postgres: Option<PathBuf>,
}

/// What every node of a deployment is told.
#[derive(Debug, Args)]
struct NodeArgs {
    /// Where clients connect.
    #[arg(long, env = "HERALD_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS", global = true)]
    listen: SocketAddr,
    /// What an acknowledged message has survived: `fsync`, `replicated` or `unsynced`.
    #[arg(long, env = "HERALD_DURABILITY", default_value = "fsync", global = true)]
    durability: Durability,
    /// The number of partitions of a new log (4 unless given); of an existing one, what it must have.
    #[arg(long, env = "HERALD_PARTITIONS", value_name = "NUMBER", global = true)]
    partitions: Option<u16>,
    /// Other sites whose pages may open sockets, as `https://chat.example`.
    #[arg(long, env = "HERALD_ALLOWED_ORIGINS", value_delimiter = ',', value_name = "ORIGINS", global = true)]
    allowed_origins: Vec<String>,
}

#[derive(Debug, Args)]
struct Serve {
    /// What this node does; the first three live in one process, and any of them starts the edge.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Role::ALL)]
    role: Vec<Role>,
    /// The log: `nats://host:port`.
    #[arg(long, env = "HERALD_NATS_URL", value_name = "URL")]
    nats_url: String,
    /// NATS' monitoring address, `http://host:port`: there `fsync` is read back.
    #[arg(long, env = "HERALD_NATS_MONITOR_URL", value_name = "URL")]
    nats_monitor_url: Option<String>,
    /// The views: `postgres://user:password@host:port/database`.
    #[arg(long, env = "HERALD_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: String,
}

impl Cli {
    /// Runs until the command is done, or the process is asked to stop.
    ///
    /// # Errors
    /// Whatever kept it from running, with the remedy where there is one.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Self { command, embedded, node, log } = self;
        if let Some(Command::Guardian) = command {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            return Ok(runtime.block_on(embedded::guardian()));
        }
        observability::init(&log)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        match command {
            Some(Command::Serve(serve)) => runtime.block_on(run_roles(serve, node))?,
            Some(Command::Guardian) | None => runtime.block_on(run_everything(embedded, node))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints an error and its causes for a person, and says that it failed.
pub fn report(error: &anyhow::Error) -> ExitCode {
    // The error stream is the last place to say it: a failure there cannot be told.
    writeln!(stderr(), "herald: {error:#}").ok();
    ExitCode::FAILURE
}

async fn run_everything(embedded: Embedded, node: NodeArgs) -> anyhow::Result<()> {
    let durability = match node.durability {
        Durability::Fsync => embedded::Durability::Fsync,
        Durability::Unsynced => embedded::Durability::Unsynced,
        Durability::Replicated => bail!("`replicated` needs three NATS nodes: the embedded one is alone"),
    };
    let mut stop = pin_stop()?;
    let start = Servers::start(embedded::Options {
        data: embedded.data,
        durability,
        nats_server: embedded.nats_server,
        postgres: embedded.postgres,
        postgres_fsync: true,
        program: std::env::current_exe().context("this program's own file is not known")?,
        progress: stderr().is_terminal(),
    });
    let mut servers = tokio::select! {
        servers = start => servers?,
        () = &mut stop => return Ok(()),
    };
    let settings = settings(
        node,
        BTreeSet::from(Role::ALL),
        servers.nats_url.clone(),
        Some(servers.nats_monitor_url.clone()),
        servers.database_url.clone(),
    );
    let outcome = tokio::select! {
        outcome = run(settings, &mut stop) => outcome,
        failure = servers.failed() => Err(failure.into()),
    };
    let stopped = servers.stop().await;
    outcome?;
    Ok(stopped?)
}

async fn run_roles(serve: Serve, node: NodeArgs) -> anyhow::Result<()> {
    let Serve { role, nats_url, nats_monitor_url, database_url } = serve;
    let settings = settings(node, role.into_iter().collect(), nats_url, nats_monitor_url, database_url);
    run(settings, &mut pin_stop()?).await
}

async fn run(settings: Settings, stop: &mut Stop) -> anyhow::Result<()> {
    let edge = settings.has_edge();
    let mut node = tokio::select! {
        node = Node::start(settings) => node?,
        () = &mut *stop => return Ok(()),
    };
    if edge {
        writeln!(stderr(), "herald serves on http://{}", node.address()?).ok();
    }
    let failure = tokio::select! {
        () = stop => None,
        error = node.failed() => Some(error),
    };
    node.stop().await;
    failure.map_or(Ok(()), Err)
}

fn settings(
    node: NodeArgs,
    roles: BTreeSet<Role>,
    nats_url: String,
    monitor_url: Option<String>,
    database_url: String,
) -> Settings {
    let NodeArgs { listen, durability, partitions, allowed_origins } = node;
    let log = Options { nats_url, monitor_url, prefix: String::new(), partitions, durability, max_bytes: MAX_BYTES };
    Settings { roles, listen, log, database_url, allowed_origins }
}

type Stop = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// Resolves when the process is asked to stop, by Ctrl-C or SIGTERM.
fn pin_stop() -> anyhow::Result<Stop> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(Box::pin(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
    }))
}
