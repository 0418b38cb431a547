//! A deployment whose every process can be hurt: NATS servers, a Postgres and
//! heralds at ports that they keep, with proxies between them.

use super::story::Story;
use crate::{
    harness::{databases, folder, program},
    process::{Process, free_address, signal_child},
    proxy::Proxy,
};
use events::{
    EventLog, Ids,
    log::{Durability, Options},
};
use herald::embedded::{self, Apart};
use rustix::process::Signal;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};
use tokio::{process::Child, time::timeout};

const MAX_BYTES: i64 = 1 << 40;
/// Longer than anything takes that heals at all, on a machine that is busy with other tests.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);

/// Who can be hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    Herald(usize),
    Nats(usize),
    Postgres,
}

pub(super) struct Rig {
    pub(super) story: Story,
    data: PathBuf,
    apart: Apart,
    nats: Vec<Option<Child>>,
    postgres: Option<Child>,
    heralds: Vec<Node>,
    durability: Durability,
    /// Between the heralds and NATS, where it is one server; and Postgres.
    pub(super) to_nats: Option<Proxy>,
    pub(super) to_postgres: Option<Proxy>,
}

struct Node {
    address: SocketAddr,
    program: PathBuf,
    process: Option<Process>,
}

impl Rig {
    /// Everything runs, and every herald is ready.
    pub(super) async fn start(story: &Story, nats_nodes: usize, heralds: usize) -> Self {
        let mut rig = Self::prepare(story, nats_nodes, heralds).await;
        for node in 0..nats_nodes {
            rig.revive(Victim::Nats(node)).await;
        }
        rig.revive(Victim::Postgres).await;
        rig.stand_between().await;
        for node in 0..heralds {
            rig.revive(Victim::Herald(node)).await;
        }
        rig.ready().await;
        rig
    }

    /// Nothing runs yet.
    pub(super) async fn prepare(story: &Story, nats_nodes: usize, heralds: usize) -> Self {
        let data = folder(&format!("faults-{}", Ids::random().next().simple()));
        let durability = if nats_nodes == 1 { Durability::Fsync } else { Durability::Replicated };
        let options = embedded::Options {
            data: data.clone(),
            durability: if nats_nodes == 1 { embedded::Durability::Fsync } else { embedded::Durability::Unsynced },
            nats_nodes,
            databases: databases(),
            nats_server: None,
            postgres: None,
            // What a killed process wrote the kernel still has.
            postgres_fsync: false,
            program: program(),
            progress: false,
        };
        let apart = Apart::find(&options).await.unwrap();
        Self {
            story: story.clone(),
            data,
            apart,
            nats: (0..nats_nodes).map(|_| None).collect(),
            postgres: None,
            heralds: (0..heralds)
                .map(|_| Node { address: free_address(), program: program(), process: None })
                .collect(),
            durability,
            to_nats: None,
            to_postgres: None,
        }
    }

    pub(super) fn urls(&self) -> Vec<String> {
        self.heralds.iter().map(|node| format!("http://{}", node.address)).collect()
    }

    pub(super) fn monitor_urls(&self) -> Vec<String> {
        self.apart.nats_monitor_urls()
    }

    pub(super) fn nats_url(&self) -> String {
        self.apart.nats_url()
    }

    /// Its databases, with commas between them.
    pub(super) fn database_url(&self) -> String {
        self.apart.database_url().unwrap()
    }

    pub(super) fn database_urls(&self) -> Vec<String> {
        self.database_url().split(',').map(str::to_owned).collect()
    }

    /// The database of that name, of the server that has them all.
    pub(super) fn database(&self, name: &str) -> String {
        self.database_urls()[0].replace("/herald?", &format!("/{name}?"))
    }

    /// Drops that database from under whoever uses it.
    pub(super) async fn drop_database(&self, name: &str) {
        let mut admin = PgConnection::connect(&self.database("postgres")).await.unwrap();
        sqlx::query(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).execute(&mut admin).await.unwrap();
        self.story.tell(format!("the database {name} is dropped"));
    }

    pub(super) async fn drop_databases(&self) {
        for url in self.database_urls() {
            let (_, name) = url.rsplit_once('/').unwrap();
            self.drop_database(name.split('?').next().unwrap()).await;
        }
    }

    /// kill -9, and until the process is gone.
    pub(super) async fn kill(&mut self, victim: Victim) {
        self.story.tell(format!("kill -9 {victim:?}"));
        match victim {
            Victim::Herald(node) => self.heralds[node].process.take().unwrap().kill().await,
            Victim::Nats(node) => self.nats[node].take().unwrap().kill().await.unwrap(),
            Victim::Postgres => self.postgres.take().unwrap().kill().await.unwrap(),
        }
    }

    /// SIGTERM (to Postgres its fast shutdown), and until the process is gone.
    pub(super) async fn terminate(&mut self, victim: Victim) {
        self.story.tell(format!("terminate {victim:?}"));
        let (child, signal) = match victim {
            Victim::Herald(node) => {
                assert!(self.heralds[node].process.take().unwrap().terminate().await.success());
                return;
            }
            Victim::Nats(node) => (self.nats[node].take(), Signal::TERM),
            Victim::Postgres => (self.postgres.take(), Signal::INT),
        };
        let mut child = child.unwrap();
        signal_child(&child, signal);
        child.wait().await.unwrap();
    }

    /// Freezes a process, or lets it go on.
    pub(super) fn freeze(&self, victim: Victim, frozen: bool) {
        self.story.tell(format!("{} {victim:?}", if frozen { "SIGSTOP" } else { "SIGCONT" }));
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        match victim {
            Victim::Herald(node) => self.heralds[node].process.as_ref().unwrap().signal(signal),
            Victim::Nats(node) => signal_child(self.nats[node].as_ref().unwrap(), signal),
            Victim::Postgres => signal_child(self.postgres.as_ref().unwrap(), signal),
        }
    }

    /// Starts it again, on the same data and port. Servers answer then; a herald takes its time.
    pub(super) async fn revive(&mut self, victim: Victim) {
        match victim {
            Victim::Herald(node) => self.heralds[node].process = Some(self.launch(node)),
            Victim::Nats(node) => self.nats[node] = Some(self.apart.start_nats(node).await.unwrap()),
            Victim::Postgres => self.postgres = Some(self.apart.start_postgres().await.unwrap()),
        }
        self.story.tell(format!("started {victim:?}"));
    }

    /// From its next start on a herald is of that build.
    pub(super) fn build(&mut self, node: usize, program: PathBuf) {
        self.heralds[node].program = program;
    }

    /// Does something to what NATS has stored, while it is stopped.
    pub(super) async fn while_nats_is_stopped(&mut self, change: fn(&Path)) {
        self.terminate(Victim::Nats(0)).await;
        change(&self.data);
        self.revive(Victim::Nats(0)).await;
    }

    /// How a herald ends by itself, and what it said last.
    pub(super) async fn ended(&mut self, node: usize) -> (ExitStatus, String) {
        let process = self.heralds[node].process.as_mut().unwrap();
        let status = timeout(PATIENCE, process.ended()).await.expect("it ends by itself");
        (status, process.said().lines().join("\n"))
    }

    /// What a herald holds in memory, in bytes.
    pub(super) fn resident(&self, node: usize) -> u64 {
        self.heralds[node].process.as_ref().unwrap().resident()
    }

    /// Puts the proxies before what runs now; heralds that are started from here on go through them.
    async fn stand_between(&mut self) {
        if self.nats.len() == 1 {
            self.to_nats = Some(Proxy::before(&self.apart.nats_url()).await);
        }
        self.to_postgres = Some(Proxy::before(&self.database_urls()[0]).await);
    }

    fn launch(&self, node: usize) -> Process {
        let (nats_url, database_url) = (self.apart.nats_url(), self.database_url());
        let through = |proxy: &Option<Proxy>, url: String| proxy.as_ref().map_or(url.clone(), |proxy| proxy.url(&url));
        let arguments = [
            "serve",
            "--durability",
            &self.durability.to_string(),
            "--nats-url",
            &through(&self.to_nats, nats_url),
            "--nats-monitor-url",
            &self.apart.nats_monitor_urls()[0],
            "--database-url",
            &through(&self.to_postgres, database_url),
            "--log",
            "info",
        ];
        Process::launch(&self.heralds[node].program, &arguments, self.heralds[node].address)
    }

    /// Until every herald says that it can serve, and has all its databases.
    pub(super) async fn ready(&self) {
        self.until("ready", |state| state["databases_away"] == json!([])).await;
    }

    /// Until the views have applied all of the log. Only when nobody writes any more: else there may be no such moment.
    pub(super) async fn settled(&self) {
        let no_lag = |state: &Value| state["views"].as_array().unwrap().iter().all(|view| view["lag"] == 0);
        self.until("settled", |state| state["databases_away"] == json!([]) && no_lag(state)).await;
    }

    /// Until every herald can serve and says so of itself.
    async fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let all = async {
            for url in self.urls() {
                while !readiness(&url).await.is_some_and(|state| holds(&state)) {}
            }
        };
        timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("it gets {what} unaided"));
        self.story.tell(format!("all are {what}"));
    }

    /// The log, not through any herald.
    pub(super) async fn log(&self) -> EventLog {
        let options = Options {
            nats_url: self.apart.nats_url(),
            monitor_url: Some(self.apart.nats_monitor_urls()[0].clone()),
            prefix: String::new(),
            partitions: None,
            durability: self.durability,
            max_bytes: MAX_BYTES,
        };
        EventLog::open(&options, &Ids::random()).await.unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for (node, Node { process, .. }) in self.heralds.iter().enumerate() {
                let said = process.as_ref().map(|process| process.said().lines().join("\n")).unwrap_or_default();
                self.story.tell(format!("herald {node} said last:\n{said}"));
            }
            self.story.tell_all();
        }
    }
}

/// What a herald says that can serve.
pub(super) async fn readiness(url: &str) -> Option<Value> {
    let answer = reqwest::get(format!("{url}/readyz")).await.ok()?;
    if answer.status().is_success() { answer.json().await.ok() } else { None }
}
