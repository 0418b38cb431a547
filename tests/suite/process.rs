//! The `herald` program as its users run it: a process of its own, killed,
//! stopped and asked to end by its id.

use crate::harness;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU16, Ordering},
    },
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    task::JoinSet,
};

/// Lines that are kept to be shown when something fails.
const KEPT: usize = 60;

/// A running herald, ended with the test at the latest.
pub struct Process {
    pub url: String,
    child: Child,
    said: Said,
    _log: JoinSet<()>,
}

/// What a process said last.
#[derive(Clone, Default)]
pub struct Said(Arc<Mutex<VecDeque<String>>>);

impl Process {
    /// Starts it at any free address and waits until it says where it serves.
    pub async fn start(arguments: &[&str]) -> Self {
        let mut child = spawn(&harness::program(), arguments, "127.0.0.1:0");
        let mut lines = lines(&mut child);
        let said = Said::default();
        let url = serving(&mut lines, &said).await;
        Self { url, child, _log: drain(lines, &said), said }
    }

    /// Starts it at an address, and does not wait for anything.
    pub fn launch(program: &Path, arguments: &[&str], address: SocketAddr) -> Self {
        let mut child = spawn(program, arguments, &address.to_string());
        let said = Said::default();
        let log = drain(lines(&mut child), &said);
        Self { url: format!("http://{address}"), child, said, _log: log }
    }

    /// kill -9.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().await.unwrap()
    }

    /// How it ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        self.child.wait().await.unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        signal_child(&self.child, signal);
    }

    /// What it holds in memory, in bytes.
    pub fn resident(&self) -> u64 {
        let pages = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id().unwrap())).unwrap();
        let resident: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
        resident * rustix::param::page_size() as u64
    }

    pub fn said(&self) -> &Said {
        &self.said
    }
}

impl Said {
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().cloned().collect()
    }

    fn note(&self, line: String) {
        let mut lines = self.0.lock().unwrap();
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
    }
}

/// Sends a signal to a child that has not been waited for.
pub fn signal_child(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// An address that is free, and stays so until it is used: below the ports that others are given who ask for any.
pub fn free_address() -> SocketAddr {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let first = 20_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    let next = NEXT.get_or_init(|| AtomicU16::new(first));
    let ports = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
    let mut addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    addresses.find(|address| TcpListener::bind(address).is_ok()).unwrap()
}

fn spawn(program: &Path, arguments: &[&str], listen: &str) -> Child {
    Command::new(program)
        .args(arguments)
        .args(["--listen", listen])
        .env("HERALD_RATE_LIMITS", "off")
        .env("HERALD_METRICS_LISTEN", "off")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

fn lines(child: &mut Child) -> Lines<BufReader<ChildStderr>> {
    BufReader::new(child.stderr.take().unwrap()).lines()
}

async fn serving(lines: &mut Lines<BufReader<ChildStderr>>, said: &Said) -> String {
    loop {
        let Some(line) = lines.next_line().await.unwrap() else { panic!("herald ended: {:#?}", said.lines()) };
        if let Some(url) = line.strip_prefix("herald serves on ") {
            return url.to_owned();
        }
        said.note(line);
    }
}

/// A full pipe would hold the process up.
fn drain(mut lines: Lines<BufReader<ChildStderr>>, said: &Said) -> JoinSet<()> {
    let said = said.clone();
    let mut log = JoinSet::new();
    log.spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            said.note(line);
        }
    });
    log
}
