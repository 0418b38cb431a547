//! The command line: what it knows, each setting also an environment variable
//! and a key of the configuration file, and what it starts.

use crate::{
    bench,
    config::{self, Setting},
    embedded::{self, Servers},
    files,
    metrics::{self, Gauges, Listen},
    node::{Node, Role, Settings},
    operate,
    push::PushArgs,
};
use anyhow::{Context, bail};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use events::log::{Durability, Options};
use futures_util::future::{join_all, select_all};
use std::{
    collections::BTreeSet,
    io::{IsTerminal, Write, stderr, stdout},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

/// More than any disk of today: the disk is the limit.
pub(crate) const MAX_BYTES: i64 = 1 << 40;

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
    /// Where Prometheus asks for metrics, at /metrics: an address, or `off`.
    #[arg(
        long,
        env = "HERALD_METRICS_LISTEN",
        default_value = "127.0.0.1:9090",
        global = true,
        value_name = "ADDRESS"
    )]
    metrics_listen: Listen,
    /// A file of settings, in TOML: one key for each, spelled as its flag with `_` for `-`.
    #[arg(long, env = "HERALD_CONFIG", global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[arg(skip)]
    settings: Vec<Setting>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run roles of a deployment against a NATS and a Postgres that run elsewhere.
    Serve(Serve),
    /// Make views anew from the log beside those that serve, compare them, and swap them in.
    Rebuild(operate::rebuild::Options),
    /// List the facts that a view could not apply, or try them again.
    Quarantine(operate::quarantine::Options),
    /// Tell whether the log is what it was, prove it, and print who did what.
    Audit(operate::audit::Options),
    /// Say who operates the deployment.
    Operator(operate::operators::Options),
    /// Measure what herald does here, beside what its servers do bare, and check that nothing is lost.
    Bench(Box<bench::Options>),
    /// See to the pushes that nobody took.
    Push(operate::push::Options),
    /// Show every setting that holds and where it comes from: flag, environment, file or default.
    Config(Config),
    /// Keep the embedded servers alive exactly as long as the process that asked for them.
    #[command(hide = true)]
    Guardian,
}

/// Where all data lies, and files in it.
pub(crate) const DATA: &str = "data";
const ATTACHMENTS: &str = "attachments";

/// Where the embedded servers come from and keep their data.
#[derive(Debug, Args)]
struct Embedded {
    /// The folder of all data of the embedded servers.
    #[arg(long, env = "HERALD_DATA", default_value = DATA, value_name = "FOLDER")]
    data: PathBuf,
    /// How many NATS servers to run: 1, or 3 as a cluster that survives the loss of one.
    #[arg(long, env = "HERALD_NATS_NODES", default_value_t = 1, value_parser = nats_nodes, value_name = "NUMBER")]
    nats_nodes: usize,
    /// How many herald nodes to run; the further ones listen on the ports that follow.
    #[arg(long, env = "HERALD_NODES", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16), value_name = "NUMBER")]
    nodes: u16,
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
    /// What an acknowledged message has survived: `fsync` (the default), `replicated` (the default
    /// with three embedded NATS servers) or `unsynced`.
    #[arg(long, env = "HERALD_DURABILITY", global = true)]
    durability: Option<Durability>,
    /// The number of partitions of a new log (4 unless given); of an existing one, what it must have.
    #[arg(long, env = "HERALD_PARTITIONS", value_name = "NUMBER", global = true)]
    partitions: Option<u16>,
    /// Where files lie, the same for all nodes: a folder (`attachments` in the folder of all data unless given), or in a
    /// build with the feature `s3` a bucket, `s3://bucket/prefix`.
    #[arg(long, env = "HERALD_ATTACHMENTS", value_name = "PLACE", global = true)]
    attachments: Option<String>,
    /// Other sites whose pages may open sockets, as `https://chat.example`.
    #[arg(long, env = "HERALD_ALLOWED_ORIGINS", value_delimiter = ',', value_name = "ORIGINS", global = true)]
    allowed_origins: Vec<String>,
    /// Whether clients are kept to their rates: `off` is for load tests.
    #[arg(long, env = "HERALD_RATE_LIMITS", value_enum, default_value_t = Switch::On, global = true)]
    rate_limits: Switch,
    /// The proxies whose X-Forwarded-For is believed: addresses, or networks as 10.0.0.0/8.
    #[arg(long, env = "HERALD_TRUSTED_PROXIES", value_delimiter = ',', value_name = "ADDRESSES", global = true)]
    trusted_proxies: Vec<gateway::Proxy>,
    /// Ends the sockets of those who do nothing for so long, as `30min`; none unless given. Sending, editing, reacting,
    /// reading, typing and watching is doing something; `ping` and `refresh` are not.
    #[arg(long, env = "HERALD_IDLE_CLOSE", value_parser = humantime::parse_duration, value_name = "DURATION", global = true)]
    idle_close: Option<Duration>,
    #[command(flatten)]
    push: PushArgs,
    /// Where operators are served, with tokens of `herald operator add`: an address; nowhere unless given.
    #[arg(long, env = "HERALD_OPERATOR_LISTEN", value_name = "ADDRESS", global = true)]
    operator_listen: Option<SocketAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Debug, Args)]
struct Serve {
    /// What this node does; the first three live in one process, and any of them starts the edge.
    #[arg(long, env = "HERALD_ROLE", value_enum, value_delimiter = ',', default_values_t = Role::ALL)]
    role: Vec<Role>,
    /// The log: `nats://host:port`, of a cluster several with commas between them.
    #[arg(long, env = "HERALD_NATS_URL", value_name = "URL", hide_env_values = true)]
    nats_url: Option<String>,
    /// NATS' monitoring address, `http://host:port`: there `fsync` is read back.
    #[arg(long, env = "HERALD_NATS_MONITOR_URL", value_name = "URL")]
    nats_monitor_url: Option<String>,
    /// The views: `postgres://user:password@host:port/database`.
    #[arg(long, env = "HERALD_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
}

#[derive(Debug, Args)]
struct Config {
    #[command(flatten)]
    embedded: Embedded,
    #[command(flatten)]
    serve: Serve,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Cli {
    /// Reads the command line and all else that settings come from. Ends the process where there is
    /// only something to tell, as for `--help`.
    ///
    /// # Errors
    /// When the configuration file will not do.
    pub fn read() -> anyhow::Result<Self> {
        let read = config::read(Self::command(), std::env::args_os().collect())?;
        let cli = Self::from_arg_matches(&read.matches).unwrap_or_else(|error| error.exit());
        Ok(Self { settings: read.settings("config"), ..cli })
    }

    /// Runs until the command is done, or the process is asked to stop.
    ///
    /// # Errors
    /// Whatever kept it from running, with the remedy where there is one.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let Self { command, embedded, node, log, metrics_listen, config: _, settings } = self;
        if let Some(Command::Guardian) = command {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            return Ok(runtime.block_on(embedded::guardian()));
        }
        if let Some(Command::Config(config)) = &command {
            show(config, &node, settings)?;
            return Ok(ExitCode::SUCCESS);
        }
        files::raise_limit();
        if let Some(Command::Bench(options)) = command {
            let _observability = observability::init(&log, false)?;
            return measure(*options, &node);
        }
        let command = match command {
            Some(Command::Rebuild(options)) => {
                return operate(&log, async { operate::rebuild::run(options, pin_stop()?).await });
            }
            Some(Command::Quarantine(options)) => return operate(&log, operate::quarantine::run(options)),
            Some(Command::Push(options)) => return operate(&log, operate::push::run(options)),
            Some(Command::Audit(options)) => return operate(&log, operate::audit::run(options)),
            Some(Command::Operator(options)) => return operate(&log, operate::operators::run(options)),
            command => command,
        };
        let observability = observability::init(&log, metrics_listen != Listen::Off)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let data = if command.is_none() { Some(embedded.data.clone()) } else { None };
        let gauges = Gauges::new(data);
        let work = async {
            match command {
                Some(Command::Serve(serve)) => run(roles(serve, node)?, 1, &gauges, &mut pin_stop()?).await,
                Some(_) | None => run_everything(embedded, node, &gauges).await,
            }
        };
        runtime.block_on(metrics::beside(metrics_listen, observability.metrics(), gauges.clone(), work))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints an error and its causes for a person, and says that it failed.
pub fn report(error: &anyhow::Error) -> ExitCode {
    // The error stream is the last place to say it: a failure there cannot be told.
    writeln!(stderr(), "herald: {error:#}").ok();
    ExitCode::FAILURE
}

/// Runs an operator's command; unless more is asked for, only warnings stand between what it answers.
fn operate(log: &str, work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let log = if log == observability::DEFAULT_FILTER { "warn" } else { log };
    let _observability = observability::init(log, false)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}

fn measure(options: bench::Options, node: &NodeArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (durability, partitions) = (durability(node, 1), node.partitions);
    runtime.block_on(async { bench::run(options, durability, partitions, pin_stop()?).await })
}

async fn run_everything(embedded: Embedded, mut node: NodeArgs, gauges: &Gauges) -> anyhow::Result<()> {
    node.attachments.get_or_insert_with(|| embedded.data.join(ATTACHMENTS).display().to_string());
    let Embedded { nats_nodes, nodes, .. } = embedded;
    let asked = durability(&node, nats_nodes);
    let durability = match (asked, nats_nodes) {
        (Durability::Fsync, 1) => embedded::Durability::Fsync,
        (Durability::Unsynced, _) | (Durability::Replicated, 2..) => embedded::Durability::Unsynced,
        (Durability::Replicated, _) => bail!("`replicated` needs three NATS servers: add --nats-nodes 3"),
        (Durability::Fsync, _) => bail!("with several NATS servers durability is `replicated` or `unsynced`"),
    };
    let push = node.push.settings()?;
    let mut stop = pin_stop()?;
    let start = Servers::start(embedded::Options {
        data: embedded.data,
        durability,
        nats_server: embedded.nats_server,
        postgres: embedded.postgres,
        nats_nodes,
        postgres_fsync: true,
        program: std::env::current_exe().context("this program's own file is not known")?,
        progress: stderr().is_terminal(),
    });
    let mut servers = tokio::select! {
        servers = start => servers?,
        () = &mut stop => return Ok(()),
    };
    let (nats_url, monitor_url) = (servers.nats_url.clone(), Some(servers.nats_monitor_url.clone()));
    let log = options(nats_url, monitor_url, asked, node.partitions);
    let settings = settings(node, log, BTreeSet::from(Role::ALL), servers.database_url.clone(), push);
    let outcome = tokio::select! {
        outcome = run(settings, nodes, gauges, &mut stop) => outcome,
        failure = servers.failed() => Err(failure.into()),
    };
    let stopped = servers.stop().await;
    outcome?;
    Ok(stopped?)
}

/// What a node is to do against servers that run elsewhere.
fn roles(serve: Serve, node: NodeArgs) -> anyhow::Result<Settings> {
    let Serve { role, nats_url, nats_monitor_url, database_url } = serve;
    let nats_url = needed(nats_url, "--nats-url", "HERALD_NATS_URL")?;
    let log = options(nats_url, nats_monitor_url, durability(&node, 1), node.partitions);
    let database_url = needed(database_url, "--database-url", "HERALD_DATABASE_URL")?;
    let push = node.push.settings()?;
    Ok(settings(node, log, role.into_iter().collect(), database_url, push))
}

fn needed(url: Option<String>, flag: &str, variable: &str) -> anyhow::Result<String> {
    url.with_context(|| format!("{flag} is missing: give it, or set {variable}, or put it into the file of --config"))
}

fn options(nats_url: String, monitor_url: Option<String>, durability: Durability, partitions: Option<u16>) -> Options {
    Options { nats_url, monitor_url, prefix: String::new(), partitions, durability, max_bytes: MAX_BYTES }
}

/// Prints the settings that hold.
fn show(config: &Config, node: &NodeArgs, mut settings: Vec<Setting>) -> anyhow::Result<()> {
    for setting in settings.iter_mut().filter(|setting| setting.name == "durability") {
        setting.value = Some(durability(node, config.embedded.nats_nodes).to_string());
    }
    if config.json {
        return Ok(writeln!(stdout(), "{}", serde_json::to_string_pretty(&settings)?)?);
    }
    Ok(config::print(&settings, stdout())?)
}

/// The one that was asked for, or the best that the servers can give.
fn durability(node: &NodeArgs, nats_nodes: usize) -> Durability {
    node.durability.unwrap_or(if nats_nodes > 1 { Durability::Replicated } else { Durability::Fsync })
}

fn nats_nodes(text: &str) -> Result<usize, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("must be 1 or 3: two are no safer than one".to_owned()),
    }
}

/// Runs so many nodes until one fails, or the process is asked to stop.
async fn run(settings: Settings, nodes: u16, gauges: &Gauges, stop: &mut Stop) -> anyhow::Result<()> {
    let edge = settings.has_edge();
    let mut running = Vec::new();
    let work = async {
        for settings in settings.successive(nodes)? {
            let node = Node::start(settings).await?;
            gauges.watch(node.sight());
            if edge {
                writeln!(stderr(), "herald serves on http://{}", node.address()?).ok();
            }
            running.push(node);
        }
        Err(select_all(running.iter_mut().map(|node| Box::pin(node.failed()))).await.0)
    };
    let outcome = tokio::select! {
        () = stop => Ok(()),
        failed = work => failed,
    };
    join_all(running.into_iter().map(Node::stop)).await;
    outcome
}

fn settings(
    node: NodeArgs,
    log: Options,
    roles: BTreeSet<Role>,
    database_url: String,
    push: Option<gateway::push::Settings>,
) -> Settings {
    let operator_listen = node.operator_listen;
    let NodeArgs { listen, attachments, allowed_origins, rate_limits, trusted_proxies, idle_close, .. } = node;
    let attachments = attachments.unwrap_or_else(|| format!("{DATA}/{ATTACHMENTS}"));
    let rate_limits = rate_limits == Switch::On;
    Settings {
        roles,
        listen,
        operator_listen,
        log,
        database_url,
        attachments,
        allowed_origins,
        rate_limits,
        trusted_proxies,
        idle_close,
        push,
    }
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
