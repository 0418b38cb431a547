//! `herald reshard`: other databases for the views, made from the log beside those
//! that serve, while everything runs.

use super::{
    Attended, Deployment, INTERRUPTED,
    rebuild::{self, Pace, attended},
};
use anyhow::{Context, ensure};
use clap::Args;
use events::shard::Map;
use projection::{BATCH, Error, Goal, Rebuild, View};
use std::{
    collections::BTreeSet,
    io::{Write, stderr, stdout},
    process::ExitCode,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    deployment: Deployment,
    /// The databases from then on, each `postgres://user:password@host:port/database`, with commas between them: partitions
    /// go to them in turn. One that does not exist is made. Nodes find the list in the log; those that start later too.
    #[arg(long, value_name = "URLS", required = true)]
    to: String,
    /// At most so many events of the log a second, so that those who chat do not feel it; `off`: as fast as it goes.
    #[arg(long, default_value = "off", value_name = "NUMBER")]
    pace: Pace,
    /// The most events in one transaction.
    #[arg(long, default_value_t = BATCH, value_name = "NUMBER", value_parser = rebuild::batch)]
    batch: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Reshards, and tells what came of it.
///
/// # Errors
/// When it cannot; what was done by then is gone on with by the next run.
pub(crate) async fn run(options: Options, stop: impl Future<Output = ()>) -> anyhow::Result<ExitCode> {
    let Options { deployment, to, pace, batch, json } = options;
    ensure!(
        !deployment.is_embedded(),
        "the embedded Postgres is at another port whenever it starts: herald --databases"
    );
    let Attended { log, database_url } = deployment.attend().await?;
    let replaces =
        log.published_map().await.context("the map of databases is not known")?.map(|(_, revision)| revision);
    let (from, to) = (Map::of(&database_url), Map::of(&to));
    let (databases, partitions) = (to.shards().map(|(_, url)| url).collect::<BTreeSet<_>>(), log.names().partitions());
    ensure!(databases.len() == usize::from(to.count()), "a database is named twice");
    ensure!(databases.len() <= partitions.count(), "there are more databases than partitions");
    let stopping = CancellationToken::new();
    let rebuild = Rebuild { views: View::ALL.to_vec(), goal: Goal::Swap, pace: pace.0, keep: Duration::ZERO, batch };
    let prepared = rebuild.prepare(log, &to, &stopping)?;
    let progress = prepared.progress();
    let rebuilt = match attended(prepared.reshard(&from, &to, replaces), &progress, stop, &stopping).await {
        Err(Error::Stopped) => {
            writeln!(stderr(), "herald: stopped; the same `herald reshard` goes on where this one was").ok();
            return Ok(ExitCode::from(INTERRUPTED));
        }
        rebuilt => rebuilt?,
    };
    if json {
        writeln!(stdout(), "{}", serde_json::to_string_pretty(&rebuild::as_json(&rebuilt))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    for view in &rebuilt {
        writeln!(stdout(), "{}", rebuild::summary(view, Goal::Swap))?;
    }
    let left = from.shards().filter(|(_, url)| !to.has(url)).count();
    writeln!(stdout(), "{} databases hold the views now; {left} hold nothing any more and may be dropped", to.count())?;
    Ok(ExitCode::SUCCESS)
}
