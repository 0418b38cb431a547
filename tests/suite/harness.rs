//! Real servers for tests: one NATS and one Postgres for the whole run, and for
//! each test a deployment of its own, apart by stream prefix and database.

use command::Attachments;
use events::{
    Blobs, Clock, EventLog, Ids,
    log::{Durability, Options},
    shard::Map,
};
use gateway::push;
use herald::{
    embedded::{self, Servers},
    node::{Node, Role, Settings},
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};
use tokio::{runtime::Runtime, sync::oneshot, time::sleep};

/// The partitions of a test's log: more than one, so that order across them is nobody's luck.
pub const PARTITIONS: u16 = 4;

struct Urls {
    nats: String,
    monitor: String,
    database: String,
}

/// A log and a database of a test's own.
pub struct Deployment {
    pub log: EventLog,
    pub log_options: Options,
    pub database_url: String,
}

/// A whole herald in this process.
pub struct Herald {
    pub url: String,
    node: Node,
}

impl Deployment {
    /// On one database, or on as many as `HERALD_TEST_DATABASES` says.
    pub async fn new() -> Self {
        Self::over(databases()).await
    }

    /// On so many databases.
    pub async fn over(databases: u16) -> Self {
        let urls = urls().await;
        let prefix = unique();
        let mut database_urls = Vec::new();
        for index in 0..databases {
            database_urls.push(make_database(&format!("{prefix}x{index}")).await);
        }
        let database_url = database_urls.join(",");
        let log_options = Options {
            nats_url: urls.nats.clone(),
            monitor_url: None,
            prefix,
            partitions: Some(PARTITIONS),
            durability: Durability::Unsynced,
            max_bytes: 1 << 30,
        };
        let log = EventLog::open(&log_options, &Ids::random()).await.unwrap();
        Self { log, log_options, database_url }
    }

    /// One more node of the deployment, with all roles.
    pub async fn herald(&self) -> Herald {
        self.node(Role::ALL).await
    }

    pub async fn node(&self, roles: impl IntoIterator<Item = Role>) -> Herald {
        Herald::of(self.settings(roles)).await
    }

    /// A node whose clients are kept to their rates, behind those proxies.
    pub async fn limited(&self, proxies: &[&str]) -> Herald {
        let settings = self.settings(Role::ALL);
        let trusted_proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
        Herald::of(Settings { rate_limits: true, trusted_proxies, ..settings }).await
    }

    /// A node with all roles that serves operators too.
    pub async fn operated(&self) -> Herald {
        let operator_listen = Some(([127, 0, 0, 1], 0).into());
        Herald::of(Settings { operator_listen, ..self.settings(Role::ALL) }).await
    }

    /// A node that ends the sockets of those who do nothing for so long.
    pub async fn impatient(&self, idle_close: Duration) -> Herald {
        Herald::of(Settings { idle_close: Some(idle_close), ..self.settings(Role::ALL) }).await
    }

    /// One more node with all roles, which tells a receiver of what has not reached people.
    pub async fn pushing(&self, push: push::Settings) -> Herald {
        Herald::of(Settings { push: Some(push), ..self.settings(Role::ALL) }).await
    }

    /// Its databases.
    pub fn map(&self) -> Map {
        Map::of(&self.database_url)
    }

    /// A connection to each of them.
    pub async fn connections(&self) -> Vec<PgConnection> {
        let mut connections = Vec::new();
        for (_, url) in self.map().shards() {
            connections.push(PgConnection::connect(url).await.unwrap());
        }
        connections
    }

    fn settings(&self, roles: impl IntoIterator<Item = Role>) -> Settings {
        Settings {
            roles: BTreeSet::from_iter(roles),
            listen: ([127, 0, 0, 1], 0).into(),
            operator_listen: None,
            log: self.log_options.clone(),
            database_url: self.database_url.clone(),
            attachments: self.files().display().to_string(),
            allowed_origins: Vec::new(),
            rate_limits: false,
            trusted_proxies: Vec::new(),
            idle_close: None,
            push: None,
            tls: None,
        }
    }

    /// Where the deployment's files lie.
    pub fn files(&self) -> PathBuf {
        folder(&format!("files-{}", self.log_options.prefix))
    }

    /// Takes Postgres away from under the deployment: the database goes with all views in it.
    pub async fn wipe_postgres(&self) {
        for (share, _) in self.map().shards() {
            self.wipe_database(share.index()).await;
        }
    }

    /// Takes one database away, with all that lies in it.
    pub async fn wipe_database(&self, index: u16) {
        let mut admin = PgConnection::connect(&urls().await.database).await.unwrap();
        let drop = format!("DROP DATABASE {}x{index} WITH (FORCE)", self.log_options.prefix);
        sqlx::query(AssertSqlSafe(drop)).execute(&mut admin).await.unwrap();
    }
}

/// Makes an empty database, and tells its URL.
pub async fn make_database(name: &str) -> String {
    let urls = urls().await;
    let mut admin = PgConnection::connect(&urls.database).await.unwrap();
    sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut admin).await.unwrap();
    let (server, _database) = urls.database.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

#[expect(clippy::disallowed_methods, reason = "which deployments the same tests run on is not theirs to say")]
pub fn databases() -> u16 {
    std::env::var("HERALD_TEST_DATABASES").map_or(1, |databases| databases.parse().expect("a number of databases"))
}

/// A door to the files of a log, for tests that need one and no files.
pub async fn attachments(log: &EventLog, clock: &Clock) -> Attachments {
    let blobs = Blobs::open(folder("files").to_str().unwrap(), false).unwrap();
    Attachments::open(log.clone(), clock.clone(), Ids::random(), blobs).await.unwrap()
}

impl Herald {
    /// A herald on a deployment of its own.
    pub async fn start() -> Self {
        Deployment::new().await.herald().await
    }

    async fn of(settings: Settings) -> Self {
        let node = Node::start(settings).await.unwrap();
        let url = node.address().map(|address| format!("http://{address}")).unwrap_or_default();
        Self { url, node }
    }

    /// Where operators are served.
    pub fn operators_url(&self) -> String {
        format!("http://{}", self.node.operators_address().unwrap())
    }

    pub async fn stop(self) {
        self.node.stop().await;
    }
}

pub fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_herald").into()
}

/// A folder for this run's data; what runs that are over left behind goes first.
pub fn folder(name: &str) -> PathBuf {
    static SWEPT: OnceLock<()> = OnceLock::new();
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    SWEPT.get_or_init(|| {
        for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
            let of_process = entry.file_name().to_str().and_then(|name| name.split('-').next()?.parse::<u32>().ok());
            if of_process.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
                std::fs::remove_dir_all(entry.path()).ok();
            }
        }
    });
    root.join(format!("{}-{name}", std::process::id()))
}

/// What a fault's schedule says of its length; nothing is waited for.
pub async fn lasts(duration: Duration) {
    // A fault has a length of its own: there is no event at which it would be over.
    sleep(duration).await;
}

fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("t{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Where the tests' NATS tells what it does.
pub async fn monitor_url() -> String {
    urls().await.monitor.clone()
}

/// Starts the servers at the first call; they stop when this process ends.
async fn urls() -> &'static Urls {
    static URLS: OnceLock<Urls> = OnceLock::new();
    static STARTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one_at_a_time = STARTING.lock().await;
    if let Some(urls) = URLS.get() {
        return urls;
    }
    if let Some(filter) = option_env!("HERALD_TEST_LOG") {
        // For as long as this process: it ends with the tests.
        std::mem::forget(observability::init(filter, false).unwrap());
    }
    let (started, urls) = oneshot::channel();
    // A runtime of their own: each test's ends with the test.
    thread::spawn(move || {
        Runtime::new().unwrap().block_on(async {
            let servers = Servers::start(embedded::Options {
                data: folder("servers"),
                durability: embedded::Durability::Unsynced,
                nats_server: None,
                postgres: None,
                nats_nodes: 1,
                databases: 1,
                postgres_fsync: false,
                program: program(),
                progress: false,
            });
            let mut servers = servers.await.unwrap();
            started
                .send(Urls {
                    nats: servers.nats_url.clone(),
                    monitor: servers.nats_monitor_url.clone(),
                    database: servers.database_url.clone(),
                })
                .ok();
            panic!("a server of the tests ended: {}", servers.failed().await);
        });
    });
    let urls = urls.await.unwrap();
    URLS.get_or_init(|| urls)
}
