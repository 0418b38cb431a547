//! What operators do with a deployment that runs: each command is a process of
//! its own beside the nodes, and speaks to the same log and the same views.

pub(crate) mod as_of;
pub(crate) mod audit;
pub mod backup;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod export;
pub(crate) mod operators;
pub(crate) mod push;
pub(crate) mod quarantine;
pub(crate) mod rebuild;
pub(crate) mod reshard;
pub(crate) mod restore;

use crate::embedded::Addresses;
use ::events::{EventLog, Share};
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use projection::View;
use std::{
    io::{IsTerminal, stderr},
    path::PathBuf,
};

/// Exit codes beyond success (0), failure (1) and a command line that will not do (2).
pub(crate) const DIFFERENT: u8 = 3;
/// Of a program that was interrupted, as shells tell it.
pub(crate) const INTERRUPTED: u8 = 130;

/// Which deployment is meant.
#[derive(Debug, Args)]
pub(crate) struct Deployment {
    /// The log: `nats://host:port`, of a cluster several with commas between them. Without it the deployment is the
    /// herald that runs on the folder of --data.
    #[arg(long, env = "HERALD_NATS_URL", value_name = "URL", hide_env_values = true)]
    nats_url: Option<String>,
    /// The views: `postgres://user:password@host:port/database`, of several databases all with commas between them, in the
    /// order that the nodes are given. Once they were resharded it is looked up.
    #[arg(long, env = "HERALD_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database_url: Option<String>,
    /// The folder of all data of a herald that runs here with its own servers.
    #[arg(long, env = "HERALD_DATA", default_value = crate::args::DATA, value_name = "FOLDER")]
    data: PathBuf,
}

/// A deployment's log and views.
pub(crate) struct Attended {
    pub(crate) log: EventLog,
    /// Of the databases that hold them, with commas between them.
    pub(crate) database_url: String,
}

/// Where a deployment's servers are.
struct Found {
    nats_url: String,
    database_url: Option<String>,
    nats_monitor_url: Option<String>,
    /// Of servers that herald runs itself.
    data: Option<PathBuf>,
}

impl Deployment {
    /// Whether it is the herald that runs here with its own servers.
    pub(crate) fn is_embedded(&self) -> bool {
        self.nats_url.is_none()
    }

    /// Finds it and opens its log.
    ///
    /// # Errors
    /// When there is none, with the remedy.
    pub(crate) async fn attend(self) -> anyhow::Result<Attended> {
        let Found { nats_url, database_url, .. } = self.find()?;
        let database_url = database_url
            .context("--database-url is missing: with --nats-url give it too, or set HERALD_DATABASE_URL")?;
        let log = attend(&nats_url).await?;
        let published = log.published_map().await.context("the map of databases is not known")?;
        let database_url = published.map_or(database_url, |(map, _)| map.to_string());
        Ok(Attended { log, database_url })
    }

    /// The same for who needs no views.
    ///
    /// # Errors
    /// As [`Deployment::attend`].
    pub(crate) async fn attend_log(self) -> anyhow::Result<EventLog> {
        attend(&self.find()?.nats_url).await
    }

    fn find(self) -> anyhow::Result<Found> {
        let Self { nats_url, database_url, data } = self;
        if let Some(nats_url) = nats_url {
            return Ok(Found { nats_url, database_url, nats_monitor_url: None, data: None });
        }
        let Addresses { nats_url, database_url, nats_monitor_url, .. } = Addresses::of(&data)?;
        let (database_url, nats_monitor_url) = (Some(database_url), Some(nats_monitor_url));
        Ok(Found { nats_url, database_url, nats_monitor_url, data: Some(data) })
    }
}

async fn attend(nats_url: &str) -> anyhow::Result<EventLog> {
    EventLog::attend(nats_url).await.context("the log was not opened")
}

/// A view, and its database where there are several.
pub(crate) fn named(view: View, share: Share) -> String {
    if share == Share::WHOLE { view.to_string() } else { format!("{view} {share}") }
}

/// How far something long has come, for who sits at a terminal.
pub(crate) fn bar(style: &str, of: u64) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    ProgressBar::new(of).with_style(ProgressStyle::with_template(style).expect("a template of ours"))
}

/// How much is shown of what others have written.
const SHOWN: usize = 200;

/// The beginning of a text as one line that neither a terminal nor a reader takes for anything else.
pub(crate) fn printable(text: &str) -> String {
    escaped(text.chars().take(SHOWN))
}

/// A text as one line that neither a terminal nor a reader takes for anything else.
pub(crate) fn one_line(text: &str) -> String {
    escaped(text.chars())
}

fn escaped(text: impl Iterator<Item = char>) -> String {
    // UAX #9: what turns the writing's direction, and what ends a line.
    let turns = |letter| matches!(letter, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let mut line = String::new();
    for letter in text {
        if letter.is_control() || turns(letter) {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line
}
