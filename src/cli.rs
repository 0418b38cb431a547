//! The command line: what it knows, each setting also an environment variable
//! and a key of the configuration file, and what it starts.

use crate::{
    args::{ATTACHMENTS, Embedded, LogArgs, NodeArgs},
    bench, chat,
    config::{self, Setting},
    embedded::{self, Servers},
    estimate, files,
    metrics::{self, Gauges, Listen},
    node::{Role, Settings},
    nodes::run,
    operate,
};
use anyhow::Context;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind, parser::ValueSource};
use events::log::{Durability, Options};
use std::{
    collections::BTreeSet,
    io::{Write, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
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
    Serve(Box<Serve>),
    /// Make views anew from the log beside those that serve, compare them, and swap them in.
    Rebuild(operate::rebuild::Options),
    /// Spread the views over other databases, made from the log beside those that serve.
    Reshard(operate::reshard::Options),
    /// List the facts that a view could not apply, or try them again.
    Quarantine(operate::quarantine::Options),
    /// Tell whether the log is what it was, prove it, and print who did what.
    Audit(operate::audit::Options),
    Events(Box<operate::events::Options>),
    Export(operate::export::Options),
    /// Say who operates the deployment.
    Operator(operate::operators::Options),
    /// Measure what herald does here, beside what its servers do bare, and check that nothing is lost.
    Bench(Box<Bench>),
    /// Tell how a thread stood at a time: who was in it, what was to be read, and who could read it.
    AsOf(operate::as_of::Options),
    /// Copy what cannot be made again into a folder, while all goes on.
    Backup(operate::backup::Options),
    /// Make a log of a backup, where there is none.
    Restore(Box<operate::restore::Options>),
    /// Look what is wrong with a deployment, and say what to do about it, also while parts of it are down.
    Doctor(operate::doctor::Options),
    /// Reckon what a deployment of so many people takes, and what gives way first.
    Estimate(Box<estimate::Options>),
    Chat(Box<chat::Options>),
    /// Fill a herald that runs with people who talk, whose password anybody may know.
    Demo(operate::demo::Options),
    /// See to the pushes that nobody took.
    Push(operate::push::Options),
    /// Show every setting that holds and where it comes from: flag, environment, file or default.
    Config(Box<Config>),
    /// Keep the embedded servers alive exactly as long as the process that asked for them.
    #[command(hide = true)]
    Guardian,
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
    /// The views: `postgres://user:password@host:port/database`; of several, each with its share of all people and threads,
    /// with commas between them and in the same order for all nodes.
    #[arg(long, env = "HERALD_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
}

#[derive(Debug, Args)]
struct Bench {
    #[command(flatten)]
    options: bench::Options,
    #[command(flatten)]
    log: LogArgs,
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
        if let Some(stray) = stray(&Self::command(), &read.matches) {
            let (command, flag) = (read.matches.subcommand_name().unwrap_or_default(), format!("--{stray}"));
            let told =
                format!("{flag} before `{command}` is for a herald without a command: give it after `{command}`");
            Self::command().error(ErrorKind::ArgumentConflict, told).exit();
        }
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
            show(config, settings)?;
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(Command::Estimate(options)) = command {
            return estimate::run(*options);
        }
        files::raise_limit();
        if let Some(Command::Bench(bench)) = command {
            let _observability = observability::init(&log, false)?;
            return measure(*bench);
        }
        let command = match command {
            Some(Command::Rebuild(options)) => {
                return operate(&log, async { operate::rebuild::run(options, pin_stop()?).await });
            }
            Some(Command::Reshard(options)) => {
                return operate(&log, async { operate::reshard::run(options, pin_stop()?).await });
            }
            Some(Command::AsOf(options)) => return operate(&log, operate::as_of::run(options)),
            Some(Command::Backup(options)) => {
                return operate(&log, async { operate::backup::run(options, pin_stop()?).await });
            }
            Some(Command::Restore(options)) => {
                return operate(&log, async { operate::restore::run(*options, pin_stop()?).await });
            }
            Some(Command::Quarantine(options)) => return operate(&log, operate::quarantine::run(options)),
            Some(Command::Doctor(options)) => return operate("off", operate::doctor::run(options)),
            Some(Command::Events(options)) => return operate(&log, operate::events::run(*options)),
            Some(Command::Export(options)) => return operate(&log, operate::export::run(options)),
            Some(Command::Chat(options)) => return operate(&log, chat::run(*options)),
            Some(Command::Demo(options)) => return operate(&log, operate::demo::run(options)),
            Some(Command::Push(options)) => return operate(&log, operate::push::run(options)),
            Some(Command::Audit(options)) => return operate(&log, operate::audit::run(options)),
            Some(Command::Operator(options)) => return operate(&log, operate::operators::run(options)),
            command => command,
        };
        let observability = observability::init(&log, metrics_listen != Listen::Off)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let data = if command.is_none() { Some(embedded.servers.data.clone()) } else { None };
        let gauges = Gauges::new(data);
        let work = async {
            match command {
                Some(Command::Serve(serve)) => run(roles(*serve)?, 1, &gauges, &mut pin_stop()?).await,
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

fn measure(Bench { options, log }: Bench) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async { bench::run(options, log.durability(1), log.partitions, pin_stop()?).await })
}

/// A flag before a command that only a herald without one has: it would be read and not heeded.
fn stray<'a>(command: &'a clap::Command, matches: &clap::ArgMatches) -> Option<&'a str> {
    matches.subcommand_name()?;
    let given = |arg: &&clap::Arg| matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    command.get_arguments().filter(|arg| !arg.is_global_set()).find(given)?.get_long()
}

async fn run_everything(embedded: Embedded, mut node: NodeArgs, gauges: &Gauges) -> anyhow::Result<()> {
    node.attachments.get_or_insert_with(|| embedded.servers.data.join(ATTACHMENTS).display().to_string());
    let asked = node.log.durability(embedded.servers.nats_nodes);
    let options = embedded.servers.options(asked)?;
    let edge = node.edge()?;
    let mut stop = pin_stop()?;
    let start = Servers::start(options);
    let mut servers = tokio::select! {
        servers = start => servers?,
        () = &mut stop => return Ok(()),
    };
    let (nats_url, monitor_url) = (servers.nats_url.clone(), Some(servers.nats_monitor_url.clone()));
    let log = self::options(nats_url, monitor_url, asked, node.log.partitions);
    let settings = node.settings(BTreeSet::from(Role::ALL), log, servers.database_url.clone(), edge);
    let outcome = tokio::select! {
        outcome = run(settings, embedded.nodes, gauges, &mut stop) => outcome,
        failure = servers.failed() => Err(failure.into()),
    };
    let stopped = servers.stop().await;
    outcome?;
    Ok(stopped?)
}

/// What a node is to do against servers that run elsewhere.
fn roles(serve: Serve) -> anyhow::Result<Settings> {
    let Serve { role, nats_url, nats_monitor_url, database_url, node } = serve;
    let nats_url = needed(nats_url, "--nats-url", "HERALD_NATS_URL")?;
    let log = options(nats_url, nats_monitor_url, node.log.durability(1), node.log.partitions);
    let database_url = needed(database_url, "--database-url", "HERALD_DATABASE_URL")?;
    let edge = node.edge()?;
    Ok(node.settings(role.into_iter().collect(), log, database_url, edge))
}

fn needed(url: Option<String>, flag: &str, variable: &str) -> anyhow::Result<String> {
    url.with_context(|| format!("{flag} is missing: give it, or set {variable}, or put it into the file of --config"))
}

pub(crate) fn options(
    nats_url: String,
    monitor_url: Option<String>,
    durability: Durability,
    partitions: Option<u16>,
) -> Options {
    Options { nats_url, monitor_url, prefix: String::new(), partitions, durability, max_bytes: MAX_BYTES }
}

/// Prints the settings that hold.
fn show(config: &Config, mut settings: Vec<Setting>) -> anyhow::Result<()> {
    for setting in settings.iter_mut().filter(|setting| setting.name == "durability") {
        setting.value = Some(config.serve.node.log.durability(config.embedded.servers.nats_nodes).to_string());
    }
    if config.json {
        return Ok(writeln!(stdout(), "{}", serde_json::to_string_pretty(&settings)?)?);
    }
    Ok(config::print(&settings, stdout())?)
}

pub(crate) type Stop = std::pin::Pin<Box<dyn Future<Output = ()>>>;

/// Resolves when the process is asked to stop, by Ctrl-C or SIGTERM.
pub(crate) fn pin_stop() -> anyhow::Result<Stop> {
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
