//! What is loaded: a herald that is there, or one that is started for the bench,
//! a process of its own on embedded servers with a folder of its own.

use super::Options;
use crate::embedded::{self, Servers};
use anyhow::{Context, bail, ensure};
use events::{EventLog, log::Durability};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::VecDeque,
    fs,
    io::{IsTerminal, stderr},
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::lookup_host,
    process::{Child, ChildStderr, Command},
    time::timeout,
};

const START: Duration = Duration::from_mins(2);
const DRAIN: Duration = Duration::from_secs(40);
/// The last lines of a herald that ended, which say why.
const LAST_LINES: usize = 8;

pub(super) struct Target {
    pub(super) url: String,
    pub(super) address: SocketAddr,
    pub(super) durability: Durability,
    pub(super) pids: Pids,
    /// As an observer.
    pub(super) log: Option<EventLog>,
    pub(super) nats_url: Option<String>,
    pub(super) database_url: Option<String>,
    /// Where the servers keep their files, if they are ours.
    pub(super) data: Option<PathBuf>,
}

/// The processes that are measured, where they are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pids {
    pub(super) herald: Option<u32>,
    pub(super) nats: Option<u32>,
    pub(super) postgres: Option<u32>,
}

/// What was started, and may end before its time.
pub(super) struct Running(Option<Started>);

struct Started {
    servers: Servers,
    herald: Child,
    output: Lines<BufReader<ChildStderr>>,
    last_lines: VecDeque<String>,
    /// Removed at the end.
    folder: Option<PathBuf>,
}

impl Target {
    pub(super) async fn find(
        options: &Options,
        durability: Durability,
        partitions: Option<u16>,
    ) -> anyhow::Result<(Self, Running)> {
        match &options.url {
            Some(url) => Self::given(options, url, durability).await,
            None => Self::start(options, durability, partitions).await,
        }
    }

    async fn given(options: &Options, url: &str, durability: Durability) -> anyhow::Result<(Self, Running)> {
        let address = address(url, options.anywhere).await?;
        for url in [&options.nats_url, &options.database_url].into_iter().flatten().flat_map(|urls| urls.split(',')) {
            self::address(url, options.anywhere).await?;
        }
        let log = match &options.nats_url {
            Some(url) => Some(EventLog::attend(url).await?),
            None => None,
        };
        let target = Self {
            url: url.trim_end_matches('/').to_owned(),
            address,
            durability,
            pids: Pids { herald: options.herald_pid, nats: options.nats_pid, postgres: options.postgres_pid },
            log,
            nats_url: options.nats_url.clone(),
            database_url: options.database_url.clone(),
            data: None,
        };
        Ok((target, Running(None)))
    }

    async fn start(
        options: &Options,
        durability: Durability,
        partitions: Option<u16>,
    ) -> anyhow::Result<(Self, Running)> {
        let temporary = std::env::temp_dir().join(format!("herald-bench-{}", std::process::id()));
        let folder = options.keep.is_none().then(|| temporary.clone());
        let data = options.keep.clone().unwrap_or(temporary);
        let started = Started::start(data.clone(), folder.clone(), durability, partitions).await;
        let (started, url) = match started {
            Ok(started) => started,
            Err(error) => {
                folder.map(fs::remove_dir_all);
                return Err(error);
            }
        };
        let servers = &started.servers;
        let target = Self {
            address: address(&url, false).await?,
            url,
            durability,
            pids: Pids {
                herald: started.herald.id(),
                nats: Some(servers.pids.nats),
                postgres: Some(servers.pids.postgres),
            },
            log: Some(EventLog::attend(&servers.nats_url).await?),
            nats_url: Some(servers.nats_url.clone()),
            database_url: Some(servers.database_url.clone()),
            data: Some(data),
        };
        Ok((target, Running(Some(started))))
    }
}

impl Running {
    /// Resolves when something ends that was started.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        match &mut self.0 {
            Some(started) => started.failed().await,
            None => std::future::pending().await,
        }
    }

    /// Ends what was started, and removes its data if they are temporary.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        match self.0 {
            Some(started) => started.stop().await,
            None => Ok(()),
        }
    }
}

impl Started {
    /// Starts the servers, and herald as its operator would.
    async fn start(
        data: PathBuf,
        folder: Option<PathBuf>,
        durability: Durability,
        partitions: Option<u16>,
    ) -> anyhow::Result<(Self, String)> {
        let program = std::env::current_exe().context("this program's own file is not known")?;
        let servers = Servers::start(embedded::Options {
            data,
            durability: match durability {
                Durability::Fsync => embedded::Durability::Fsync,
                Durability::Unsynced => embedded::Durability::Unsynced,
                Durability::Replicated => bail!("`replicated` needs three NATS nodes: give --url"),
            },
            nats_nodes: 1,
            databases: 1,
            nats_server: None,
            postgres: None,
            postgres_fsync: true,
            program: program.clone(),
            progress: stderr().is_terminal(),
        });
        let servers = servers.await?;
        let mut command = Command::new(program);
        command
            .args(["serve", "--nats-url", &servers.nats_url, "--nats-monitor-url", &servers.nats_monitor_url])
            .args(["--database-url", &servers.database_url, "--durability", &durability.to_string()])
            .args(["--listen", "127.0.0.1:0"])
            .env("HERALD_METRICS_LISTEN", "127.0.0.1:0")
            .env("HERALD_RATE_LIMITS", "off");
        if let Some(partitions) = partitions {
            command.args(["--partitions", &partitions.to_string()]);
        }
        let mut herald = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C in the terminal is for the bench.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("herald cannot be started")?;
        let output = BufReader::new(herald.stderr.take().expect("piped")).lines();
        let mut started = Self { servers, herald, output, last_lines: VecDeque::new(), folder };
        let url = timeout(START, started.serving()).await.context("herald did not start in time");
        match url.and_then(|url| url) {
            Ok(url) => {
                tracing::info!(process = started.herald.id(), url, "herald is started for the bench");
                Ok((started, url))
            }
            Err(error) => {
                started.stop().await.ok();
                Err(error)
            }
        }
    }

    /// Waits until herald says where it serves.
    async fn serving(&mut self) -> anyhow::Result<String> {
        while let Some(line) = self.line().await {
            if let Some(url) = line.strip_prefix("herald serves on ") {
                return Ok(url.to_owned());
            }
        }
        Err(self.ended())
    }

    /// What herald says next; read all the time, since a full pipe would hold it up.
    async fn line(&mut self) -> Option<String> {
        let line = self.output.next_line().await.ok()??;
        self.remember(line.clone());
        Some(line)
    }

    async fn failed(&mut self) -> anyhow::Error {
        loop {
            tokio::select! {
                line = self.output.next_line() => match line {
                    Ok(Some(line)) => self.remember(line),
                    Ok(None) | Err(_) => return self.ended(),
                },
                error = self.servers.failed() => return error.into(),
            }
        }
    }

    fn remember(&mut self, line: String) {
        self.last_lines.push_back(line);
        if self.last_lines.len() > LAST_LINES {
            self.last_lines.pop_front();
        }
    }

    fn ended(&self) -> anyhow::Error {
        anyhow::anyhow!("herald ended: {}", self.last_lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n"))
    }

    async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(pid) = self.herald.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            // It may have ended meanwhile.
            kill_process(pid, Signal::TERM).ok();
        }
        let ended = async {
            while self.line().await.is_some() {}
            self.herald.wait().await
        };
        let in_time = timeout(DRAIN, ended).await.is_ok();
        if !in_time {
            self.herald.kill().await.ok();
        }
        let stopped = self.servers.stop().await;
        if let Some(folder) = self.folder {
            fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
        stopped?;
        ensure!(in_time, "herald did not stop within {} s", DRAIN.as_secs());
        Ok(())
    }
}

/// Where a URL leads to: no further than this machine unless it is said so.
async fn address(url: &str, anywhere: bool) -> anyhow::Result<SocketAddr> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split('/').next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    ensure!(!url.starts_with("https:"), "the bench speaks plain HTTP only: load a node behind the proxy");
    let found: Vec<_> = lookup_host(authority).await.with_context(|| format!("{url} is no host:port"))?.collect();
    ensure!(
        anywhere || found.iter().all(|address| address.ip().is_loopback()),
        "{authority} is another machine: a load goes there with --anywhere only"
    );
    found.first().copied().with_context(|| format!("{authority} is not known"))
}
