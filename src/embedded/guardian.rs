//! The guardian: a child of herald that starts the servers, and stops them at
//! the end of its standard input, which comes however herald ends. Out of the
//! terminal's reach, deaf to its signals, it needs no clean-up by its parent.

use std::fs::{File, TryLockError};
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Child;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::account::Account;
use super::nats::{self, Place};
use super::users::Passwords;
use super::{Durability, Error, Pids, postgres, process};

const STOPPING: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(20);

/// What to start; one line of JSON on standard input.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) data: PathBuf,
    pub(super) durability: Durability,
    pub(super) nats_nodes: usize,
    pub(super) nats_server: PathBuf,
    pub(super) nats_passwords: Passwords,
    pub(super) postgres: PathBuf,
    pub(super) postgres_fsync: bool,
    pub(super) account: Account,
}

/// What happened; one line of JSON each on standard output.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    Started(Started),
    Failed(Error),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Started {
    pub(super) nats: Vec<nats::Addresses>,
    pub(super) postgres_url: String,
    pub(super) pids: Pids,
}

/// The body of the hidden command `herald guardian`.
pub async fn guardian() -> ExitCode {
    let (Ok(_deaf), Some((plan, end))) = (deafen(), listen().await) else {
        let _ = writeln!(io::stderr(), "herald starts its guardian by itself: run `herald` instead");
        return ExitCode::from(2);
    };
    let mut servers = Running::default();
    let outcome = servers.run(&plan, end).await;
    if let Err(error) = &outcome {
        // Herald hears it at once, and waits for the end of this process.
        report(&Report::Failed(error.clone()));
    }
    servers.stop().await;
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Default)]
struct Running {
    places: Vec<Place>,
    nats: Vec<Option<Child>>,
    postgres: Option<Child>,
    lock: Option<File>,
}

impl Running {
    /// Runs the servers until the end of the input, or until one of them fails.
    async fn run(&mut self, plan: &Plan, mut end: oneshot::Receiver<()>) -> Result<(), Error> {
        tokio::select! {
            _ = &mut end => return Ok(()),
            started = self.start(plan) => report(&Report::Started(started?)),
        }
        tokio::select! {
            _ = &mut end => Ok(()),
            error = self.ended(plan) => Err(error),
        }
    }

    async fn start(&mut self, plan: &Plan) -> Result<Started, Error> {
        self.lock = Some(lock(&plan.data).await?);
        self.places = nats::places(&plan.data, plan.nats_nodes, plan.nats_nodes > 1)?;
        let nats = nats::start_all(plan, &self.places, &mut self.nats);
        let (addresses, postgres_url) = tokio::try_join!(nats, postgres::start(plan, None, &mut self.postgres))?;
        let id = |child: &Option<Child>| child.as_ref().and_then(Child::id).unwrap_or_default();
        Ok(Started {
            nats: addresses,
            postgres_url,
            pids: Pids { guardian: std::process::id(), nats: id(&self.nats[0]), postgres: id(&self.postgres) },
        })
    }

    async fn ended(&mut self, plan: &Plan) -> Error {
        loop {
            let postgres = self.postgres.as_mut().expect("started");
            let (node, error) = tokio::select! {
                ended = nats::ended(&mut self.nats, &self.places) => ended,
                error = postgres::ended(postgres, &plan.data) => return error,
            };
            if self.places.len() == 1 {
                return error;
            }
            // The others go on without it: that is what a cluster is for.
            let _ = writeln!(io::stderr(), "{error}\nit is started again");
            if let Err(error) = nats::start(plan, &self.places[node], &mut self.nats[node]).await {
                return error;
            }
        }
    }

    async fn stop(&mut self) {
        let nats = futures_util::future::join_all(self.nats.iter_mut().flatten().map(nats::end));
        let postgres = async {
            if let Some(child) = &mut self.postgres {
                postgres::end(child).await;
            }
        };
        tokio::join!(nats, postgres);
        // Only now may another guardian begin.
        drop(self.lock.take());
    }
}

/// Signals that go to every process of a session or service: it ends by its
/// input alone, after herald.
fn deafen() -> io::Result<[Signal; 3]> {
    Ok([signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?])
}

/// Reads the plan, and then the input to its end. A thread of its own: a read
/// from standard input cannot be given up, and would hold back the exit.
async fn listen() -> Option<(Plan, oneshot::Receiver<()>)> {
    let (told, plan) = oneshot::channel();
    let (over, end) = oneshot::channel();
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut line = String::new();
        let plan = input.read_line(&mut line).ok().and_then(|_| serde_json::from_str(&line).ok());
        let _ = told.send(plan);
        let _ = input.read_to_end(&mut Vec::new());
        let _ = over.send(());
    });
    Some((plan.await.ok()??, end))
}

/// Holds the data folder's servers. An earlier guardian may still be stopping
/// those that it started.
async fn lock(data: &Path) -> Result<File, Error> {
    let path = data.join("guardian.lock");
    let failed = |error: io::Error| Error::folder("lock", &path, &error);
    let mut file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    let locked = async {
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) => sleep(POLL).await,
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    };
    let stopping = || Error::Stopping {
        data: data.to_owned(),
        guardian: process::pid_in(&path).map_or_else(|| "?".to_owned(), |id| id.to_string()),
    };
    timeout(STOPPING, locked).await.map_err(|_| stopping())??;
    file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(file)
}

/// Herald may have ended: then nobody is left to be told.
fn report(report: &Report) {
    let mut line = serde_json::to_string(report).expect("a report is plain data");
    line.push('\n');
    let _ = io::stdout().write_all(line.as_bytes());
    let _ = io::stdout().flush();
}
