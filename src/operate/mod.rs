//! What operators do with a deployment that runs: each command is a process of
//! its own beside the nodes, and speaks to the same log and the same views.

pub(crate) mod audit;
pub(crate) mod operators;
pub(crate) mod push;
pub(crate) mod quarantine;
pub(crate) mod rebuild;

use crate::embedded::Addresses;
use anyhow::Context;
use clap::Args;
use events::EventLog;
use std::path::PathBuf;

/// Exit codes beyond success (0), failure (1) and a command line that will not do (2).
pub(crate) const DIFFERENT: u8 = 3;
/// Of a program that was interrupted, as shells tell it.
pub(crate) const INTERRUPTED: u8 = 130;

/// Which deployment is meant.
#[derive(Debug, Args)]
pub(crate) struct Deployment {
    /// The log: `nats://host:port`, of a cluster several with commas between them. Without it the deployment is the
    /// herald that runs on the folder of --data.
    #[arg(long, env = "HERALD_NATS_URL", value_name = "URL", hide_env_values = true, requires = "database_url")]
    nats_url: Option<String>,
    /// The views: `postgres://user:password@host:port/database`.
    #[arg(long, env = "HERALD_DATABASE_URL", value_name = "URL", hide_env_values = true, requires = "nats_url")]
    database_url: Option<String>,
    /// The folder of all data of a herald that runs here with its own servers.
    #[arg(long, env = "HERALD_DATA", default_value = crate::cli::DATA, value_name = "FOLDER")]
    data: PathBuf,
}

/// A deployment's log and views.
pub(crate) struct Attended {
    pub(crate) log: EventLog,
    pub(crate) database_url: String,
}

impl Deployment {
    /// Finds it and opens its log.
    ///
    /// # Errors
    /// When there is none, with the remedy.
    pub(crate) async fn attend(self) -> anyhow::Result<Attended> {
        let (nats_url, database_url) = if let (Some(nats_url), Some(url)) = (self.nats_url, self.database_url) {
            (nats_url, url)
        } else {
            let Addresses { nats_url, database_url, .. } = Addresses::of(&self.data)?;
            (nats_url, database_url)
        };
        let log = EventLog::attend(&nats_url).await.context("the log was not opened")?;
        Ok(Attended { log, database_url })
    }
}

/// How much is shown of what others have written.
const SHOWN: usize = 200;

/// A text as one line that no terminal takes for anything else.
pub(crate) fn printable(text: &str) -> String {
    let mut line = String::new();
    for letter in text.chars().take(SHOWN) {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line
}
