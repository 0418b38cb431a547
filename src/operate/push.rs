//! `herald push`: what an operator does about pushes that nobody took.

use super::Deployment;
use clap::{Args, Subcommand};
use events::{Clock, log::BucketError};
use gateway::push::{Dead, Outbox};
use serde_json::json;
use std::{
    collections::BTreeSet,
    io::{Write, stdout},
    process::ExitCode,
};
use uuid::Uuid;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

/// What an operator does about dead pushes.
#[derive(Debug, Subcommand)]
enum Command {
    /// List the pushes that were refused, or that nobody took in time.
    Dead {
        #[command(flatten)]
        deployment: Deployment,
        /// Print JSON, one push a line.
        #[arg(long)]
        json: bool,
    },
    /// Have dead pushes posted again, all unless some are named. Who has got the messages since is left out.
    Retry {
        #[command(flatten)]
        deployment: Deployment,
        /// Which ones, by their ids.
        ids: Vec<Uuid>,
    },
}

/// Does it.
///
/// # Errors
/// When the deployment does not answer.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    match options.command {
        Command::Dead { deployment, json } => print(&outbox(deployment).await?.dead().await?, json)?,
        Command::Retry { deployment, ids } => {
            let outbox = outbox(deployment).await?;
            let count = retry(&outbox, &outbox.dead().await?, &ids).await?;
            writeln!(stdout(), "{count} pushes are posted again")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn outbox(deployment: Deployment) -> anyhow::Result<Outbox> {
    Ok(Outbox::open(&deployment.attend_log().await?).await?)
}

fn print(dead: &[Dead], as_json: bool) -> anyhow::Result<()> {
    let mut to = stdout().lock();
    for Dead { letter, died_at, reason } in dead {
        let people: BTreeSet<_> = letter.pairs.iter().map(|(user_id, _)| user_id).collect();
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
