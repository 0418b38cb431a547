//! The `herald` program as its users run it: a process of its own.

use crate::harness;
use rustix::process::{Pid, Signal, kill_process};
use std::process::{ExitStatus, Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinSet,
};

/// A running herald, ended with the test at the latest.
pub struct Process {
    pub url: String,
    child: Child,
    _log: JoinSet<()>,
}

impl Process {
    /// Starts it and waits until it says where it serves.
    pub async fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(harness::program())
            .args(arguments)
            .args(["--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let url = loop {
            let Some(line) = lines.next_line().await.unwrap() else { panic!("herald ended: {said:#?}") };
            if let Some(url) = line.strip_prefix("herald serves on ") {
                break url.to_owned();
            }
            said.push(line);
        };
        let mut log = JoinSet::new();
        // A full pipe would hold it up.
        log.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { url, child, _log: log }
    }

    /// kill -9.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(mut self) -> ExitStatus {
        let pid = Pid::from_raw(i32::try_from(self.child.id().unwrap()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        self.child.wait().await.unwrap()
    }
}
