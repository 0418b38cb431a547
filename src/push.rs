//! Pushes on the command line: their settings, and what an operator does about
//! those that nobody took.

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use events::{
    Clock, EventLog, Ids,
    log::{BucketError, Options},
};
use gateway::push::{Dead, Endpoint, Outbox, Secret, Settings};
use serde_json::json;
use std::{
    fs,
    io::{Write, stdout},
    path::PathBuf,
    time::Duration,
};
use uuid::Uuid;

/// Who is told of messages that have not reached people, and what.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "a flag is called as its field")]
pub(crate) struct PushArgs {
    /// Where to post, signed, who has no socket open and got a message: an https address, or http on this machine.
    /// Nothing is pushed unless it is given.
    #[arg(long, env = "HERALD_PUSH_URL", value_name = "URL", global = true)]
    push_url: Option<Endpoint>,
    /// What pushes are signed with: `whsec_` and the base64 of 24 to 64 random bytes.
    #[arg(long, env = "HERALD_PUSH_SECRET", value_name = "SECRET", hide_env_values = true, global = true)]
    push_secret: Option<String>,
    /// A file that holds the secret instead.
    #[arg(long, env = "HERALD_PUSH_SECRET_FILE", value_name = "FILE", conflicts_with = "push_secret", global = true)]
    push_secret_file: Option<PathBuf>,
    /// Whether pushes tell the beginning of a text, who wrote it and a group's title, or ids and numbers only.
    #[arg(long, env = "HERALD_PUSH_TEXT", value_enum, default_value_t = crate::cli::Switch::Off, global = true)]
    push_text: crate::cli::Switch,
    /// Seconds whose messages are one push.
    #[arg(
        long,
        env = "HERALD_PUSH_WINDOW",
        default_value_t = 3,
        value_parser = clap::value_parser!(u16).range(1..=300),
        value_name = "SECONDS",
        global = true
    )]
    push_window: u16,
    /// Hours after which a push that nobody took is dead, and a message is not pushed any more.
    #[arg(
        long,
        env = "HERALD_PUSH_KEEP",
        default_value_t = 24,
        value_parser = clap::value_parser!(u16).range(1..=168),
        value_name = "HOURS",
        global = true
    )]
    push_keep: u16,
}

/// What an operator does about dead pushes.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the pushes that were refused, or that nobody took in time.
    Dead {
        /// Print JSON, one push a line.
        #[arg(long)]
        json: bool,
    },
    /// Have dead pushes posted again, all unless some are named. Who has got the messages since is left out.
    Retry {
        /// Which ones, by their ids.
        ids: Vec<Uuid>,
    },
}

impl PushArgs {
    /// What a node is told; `None`: nothing is pushed.
    ///
    /// # Errors
    /// When there is no secret for the address, or one that will not do; never with the secret in it.
    pub(crate) fn settings(&self) -> anyhow::Result<Option<Settings>> {
        let Some(endpoint) = self.push_url.clone() else { return Ok(None) };
        let (secret, from) = match (&self.push_secret, &self.push_secret_file) {
            (Some(secret), _) => (secret.clone(), "--push-secret or HERALD_PUSH_SECRET".to_owned()),
            (None, Some(file)) => {
                let shown = file.display();
                let secret = fs::read_to_string(file)
                    .with_context(|| format!("the secret of pushes cannot be read from {shown}"))?;
                (secret, format!("what is in {shown}"))
            }
            (None, None) => bail!(
                "--push-url needs a secret to sign with: set HERALD_PUSH_SECRET or HERALD_PUSH_SECRET_FILE; \
                 `echo whsec_$(openssl rand -base64 32)` makes one"
            ),
        };
        let secret: Secret = secret.parse().map_err(|error| anyhow::anyhow!("{from} {error}"))?;
        Ok(Some(Settings {
            endpoint,
            secret,
            text: self.push_text == crate::cli::Switch::On,
            window: Duration::from_secs(self.push_window.into()),
            again: Settings::AGAIN,
            keep: Duration::from_hours(self.push_keep.into()),
        }))
    }
}

/// Does it to the deployment of that log.
pub(crate) async fn run(command: Command, log: &Options) -> anyhow::Result<()> {
    let log = EventLog::open(log, &Ids::random()).await?;
    let outbox = Outbox::open(&log).await?;
    let dead = outbox.dead().await?;
    match command {
        Command::Dead { json } => print(&dead, json),
        Command::Retry { ids } => {
            let count = retry(&outbox, &dead, &ids).await?;
            Ok(writeln!(stdout(), "{count} pushes are posted again")?)
        }
    }
}

fn print(dead: &[Dead], as_json: bool) -> anyhow::Result<()> {
    let mut to = stdout().lock();
    for Dead { letter, died_at, reason } in dead {
        let people: std::collections::BTreeSet<_> = letter.pairs.iter().map(|(user_id, _)| user_id).collect();
        if as_json {
            let line = json!({
                "id": letter.id, "made_at": letter.made_at, "died_at": died_at, "reason": reason, "user_ids": people,
            });
            writeln!(to, "{line}")?;
        } else {
            let (id, made_at, people) = (letter.id, letter.made_at.to_rfc3339(), people.len());
            writeln!(to, "{id}  made {made_at}  about {people} people  {reason}")?;
        }
    }
    Ok(())
}

async fn retry(outbox: &Outbox, dead: &[Dead], ids: &[Uuid]) -> Result<usize, BucketError> {
    let now = Clock::system().now();
    let wanted: Vec<_> = dead.iter().filter(|dead| ids.is_empty() || ids.contains(&dead.letter.id)).collect();
    for dead in &wanted {
        outbox.revive(dead, now).await?;
    }
    Ok(wanted.len())
}
