//! A NATS of a test's own whose store can be put back to what it was: a restored
//! backup, or what a power cut leaves of writes that were never synced.

use crate::{
    harness::{folder, program},
    process::signal_child,
};
use events::{
    EventLog, Ids,
    log::{Durability, Options},
};
use herald::embedded::{self, Apart};
use rustix::process::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tokio::process::Child;

pub struct Truth {
    apart: Apart,
    nats: Option<Child>,
    data: PathBuf,
}

impl Truth {
    pub async fn start() -> Self {
        let data = folder(&format!("truth-{}", Ids::random().next().simple()));
        let options = embedded::Options {
            data: data.clone(),
            durability: embedded::Durability::Unsynced,
            nats_nodes: 1,
            databases: 1,
            nats_server: None,
            postgres: None,
            postgres_fsync: false,
            program: program(),
            progress: false,
        };
        let apart = Apart::find(&options).await.unwrap();
        let nats = Some(apart.start_nats(0).await.unwrap());
        Self { apart, nats, data }
    }

    pub fn options(&self, partitions: u16) -> Options {
        Options {
            nats_url: self.apart.nats_url(),
            monitor_url: None,
            prefix: String::new(),
            partitions: Some(partitions),
            durability: Durability::Unsynced,
            max_bytes: 1 << 40,
        }
    }

    pub async fn open(&self, partitions: u16) -> EventLog {
        EventLog::open(&self.options(partitions), &Ids::random()).await.unwrap()
    }

    pub async fn restart(&mut self) {
        self.stop().await;
        self.nats = Some(self.apart.start_nats(0).await.unwrap());
    }

    /// Keeps a copy of all that is stored by now.
    pub async fn keep(&mut self) {
        self.stop().await;
        keep(&self.data);
        self.nats = Some(self.apart.start_nats(0).await.unwrap());
    }

    /// Back to what was kept.
    pub async fn go_back(&mut self) {
        self.go_back_and(|_| ()).await;
    }

    /// Back to what was kept, and to what is done to its files.
    pub async fn go_back_and<T>(&mut self, change: impl FnOnce(&Path) -> T) -> T {
        self.stop().await;
        go_back(&self.data);
        let changed = change(&self.data.join("nats/jetstream"));
        self.nats = Some(self.apart.start_nats(0).await.unwrap());
        changed
    }

    async fn stop(&mut self) {
        let mut nats = self.nats.take().unwrap();
        signal_child(&nats, Signal::TERM);
        nats.wait().await.unwrap();
    }
}

/// Copies the store of the NATS below a folder of data, which is stopped.
pub fn keep(data: &Path) {
    copy(&data.join("nats/jetstream"), &data.join("kept"));
}

/// Puts the copy in the store's place.
pub fn go_back(data: &Path) {
    fs::remove_dir_all(data.join("nats/jetstream")).unwrap();
    copy(&data.join("kept"), &data.join("nats/jetstream"));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
