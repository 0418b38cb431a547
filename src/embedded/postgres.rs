//! The embedded Postgres: its cluster, its start, its end. A cluster takes
//! its name only when complete, so an interrupted start leaves none behind.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::guardian::Plan;
use super::users;
use super::{Error, READY_MINUTES, ports, process};
use crate::secret;

const NAME: &str = "PostgreSQL";
const USER: &str = "herald";
const ATTEMPTS: usize = 40;
const PAUSE: Duration = Duration::from_millis(250);
const POLL: Duration = Duration::from_millis(10);

/// Fast, then immediate shutdown; its own children follow a killed postmaster.
const END: [(Signal, Duration); 3] = [
    (Signal::INT, Duration::from_secs(30)),
    (Signal::QUIT, Duration::from_secs(10)),
    (Signal::KILL, Duration::from_secs(10)),
];

/// The cluster's folder.
pub(super) fn cluster(data: &Path) -> PathBuf {
    data.join("postgres/cluster")
}

/// Starts the server into `slot`, so that it is ended even if this is dropped.
/// Answers with its URL, which has no database yet.
/// `port`: the one to listen on, however often it is started; else any that is free.
pub(super) async fn start(plan: &Plan, port: Option<u16>, slot: &mut Option<Child>) -> Result<String, Error> {
    let cluster = cluster(&plan.data);
    let log = plan.data.join("postgres/postgres.log");
    process::end_leftover(&cluster.join("postmaster.pid"), &cluster, &END).await;
    if !cluster.join("PG_VERSION").exists() {
        create(plan, &cluster, &log).await?;
    }
    forget_stranger(&cluster)?;
    for _ in 0..ATTEMPTS {
        let free = || ports::free(1).map(|ports| ports[0]).map_err(|_| Error::PortTaken { server: NAME.into() });
        let port = port.map_or_else(free, Ok)?;
        let child = slot.insert(launch(plan, &cluster, &log, port)?);
        let started = timeout(Duration::from_mins(READY_MINUTES), ready(child, &cluster))
            .await
            .map_err(|_| Error::Slow { server: NAME.into(), minutes: READY_MINUTES, log: log.clone() })?;
        let Err(status) = started else {
            return url(plan, port);
        };
        *slot = None;
        let tail = process::tail(&log);
        if !passes(&tail) {
            return Err(Error::exited(NAME, &status, &log, tail));
        }
        sleep(PAUSE).await;
    }
    Err(Error::PortTaken { server: NAME.into() })
}

/// The URL of the server at a port, without a database.
pub(super) fn url(plan: &Plan, port: u16) -> Result<String, Error> {
    let password = cluster(&plan.data).join("herald.password");
    let password = fs::read_to_string(&password).map_err(|error| Error::folder("read", &password, &error))?;
    Ok(format!("postgres://{USER}:{}@127.0.0.1:{port}", password.trim()))
}

/// Resolves when the server ends.
pub(super) async fn ended(child: &mut Child, data: &Path) -> Error {
    let status = child.wait().await.map_or_else(|error| error.to_string(), |status| status.to_string());
    let log = data.join("postgres/postgres.log");
    Error::exited(NAME, &status, &log, process::tail(&log))
}

pub(super) async fn end(child: &mut Child) {
    process::end(child, &END).await;
}

/// Whether what stopped a start goes away: our port was taken between finding
/// and using it, or children of a killed postmaster are still ending.
pub(super) fn passes(tail: &str) -> bool {
    ["Address already in use", "is still in use"].iter().any(|words| tail.contains(words))
}

async fn create(plan: &Plan, cluster: &Path, log: &Path) -> Result<(), Error> {
    let new = cluster.with_extension("new");
    let password = plan.data.join("postgres/password");
    let step = |doing: &'static str, path: &Path| {
        let path = path.to_owned();
        move |error: io::Error| Error::folder(doing, &path, &error)
    };
    if new.exists() {
        fs::remove_dir_all(&new).map_err(step("remove", &new))?;
    }
    users::password().and_then(|made| secret::keep(&password, made.as_bytes())).map_err(step("write", &password))?;
    plan.account.own(&password).map_err(step("give away", &password))?;

    let mut initdb = command(plan, "initdb");
    initdb.arg("--pgdata").arg(&new).arg("--pwfile").arg(&password).args(["--username", USER]);
    initdb.args(["--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--data-checksums"]);
    if !plan.postgres_fsync {
        initdb.arg("--no-sync");
    }
    let (out, err) = process::open_log(log).map_err(step("write", log))?;
    let mut child = initdb.stdout(out).stderr(err).kill_on_drop(true).spawn().map_err(|error| not_run(plan, &error))?;
    let status = child.wait().await.map_err(step("create", &new))?;
    if !status.success() {
        return Err(Error::exited("initdb", &status.to_string(), log, process::tail(log)));
    }
    fs::rename(&password, new.join("herald.password")).map_err(step("write", &new))?;
    fs::rename(&new, cluster).map_err(step("create", cluster))
}

/// After a reboot another program may have the old postmaster's process id,
/// which Postgres takes for a running postmaster.
fn forget_stranger(cluster: &Path) -> Result<(), Error> {
    let file = cluster.join("postmaster.pid");
    match process::pid_in(&file) {
        Some(id) if process::exists(id) && !process::has_argument(id, cluster) => {
            fs::remove_file(&file).map_err(|error| Error::folder("remove", &file, &error))
        }
        Some(_) | None => Ok(()),
    }
}

fn launch(plan: &Plan, cluster: &Path, log: &Path, port: u16) -> Result<Child, Error> {
    let (out, err) = process::open_log(log).map_err(|error| Error::folder("write", log, &error))?;
    let fsync = if plan.postgres_fsync { "on" } else { "off" };
    let mut postgres = command(plan, "postgres");
    postgres.arg("-D").arg(cluster);
    for setting in [
        "listen_addresses=127.0.0.1",
        &format!("port={port}"),
        // One door, the same on every machine and under every account.
        "unix_socket_directories=",
        &format!("fsync={fsync}"),
        "synchronous_commit=on",
        // Each of several nodes has runners and questions in each of several databases.
        "max_connections=400",
        "shared_buffers=256MB",
        "max_wal_size=2GB",
        "wal_compression=on",
        "timezone=UTC",
        "log_timezone=UTC",
        "log_checkpoints=off",
    ] {
        postgres.arg("-c").arg(setting);
    }
    postgres.stdout(out).stderr(err).kill_on_drop(true);
    postgres.spawn().map_err(|error| not_run(plan, &error))
}

/// `Err` holds the status of a server that ended instead.
async fn ready(child: &mut Child, cluster: &Path) -> Result<(), String> {
    let file = cluster.join("postmaster.pid");
    loop {
        if let Some(status) = child.try_wait().ok().flatten() {
            return Err(status.to_string());
        }
        let text = fs::read_to_string(&file).unwrap_or_default();
        if child.id().is_some_and(|id| says_ready(&text, id)) {
            return Ok(());
        }
        sleep(POLL).await;
    }
}

/// Line 1 of `postmaster.pid` is the process id, line 8 the state.
pub(super) fn says_ready(text: &str, id: u32) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(&id.to_string()) && lines.nth(6) == Some("ready")
}

fn command(plan: &Plan, program: &str) -> Command {
    let mut command = plan.account.command(&plan.postgres.join(program));
    // Its messages are told apart by their English words.
    command.env("LC_ALL", "C").current_dir(plan.data.join("postgres")).stdin(Stdio::null());
    command
}

fn not_run(plan: &Plan, error: &io::Error) -> Error {
    Error::NotAServer {
        server: NAME.into(),
        path: plan.postgres.clone(),
        option: super::wheel::POSTGRES.option.into(),
        reason: error.to_string(),
    }
}
