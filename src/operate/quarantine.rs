//! `herald quarantine`: what views could not apply, and a second try at it.

use super::{Attended, DIFFERENT, Deployment, printable};
use clap::Args;
use events::shard::Map;
use projection::{Error, Quarantined, quarantined, redrive};
use serde_json::json;
use std::{
    io::{Write, stdout},
    process::ExitCode,
};

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    deployment: Deployment,
    /// Apply it again, by this build: in each view all or nothing. The exit code is 3 where something stays set aside.
    #[arg(long)]
    retry: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A fact that is or was set aside, and what came of trying it again.
struct Told {
    one: Quarantined,
    tried: Option<Result<u64, String>>,
}

/// Lists, or tries again.
///
/// # Errors
/// When the deployment does not answer.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Attended { log, database_url } = options.deployment.attend().await?;
    let databases = Map::of(&database_url);
    let mut told = Vec::new();
    for one in quarantined(&databases).await? {
        let tried = if options.retry {
            match redrive(&log, &databases, &one).await {
                Ok(facts) => Some(Ok(facts)),
                Err(Error::Poisoned { reason, .. }) => Some(Err(reason)),
                // Somebody else was faster.
                Err(Error::Gone) => continue,
                Err(error) => return Err(error.into()),
            }
        } else {
            None
        };
        told.push(Told { one, tried });
    }
    let text = if options.json {
        serde_json::to_string_pretty(&json!({ "quarantine": told.iter().map(Told::json).collect::<Vec<_>>() }))?
    } else if told.is_empty() {
        "nothing is set aside".to_owned()
    } else {
        told.iter().map(Told::line).collect::<Vec<_>>().join("\n")
    };
    writeln!(stdout(), "{text}")?;
    let stays = told.iter().any(|one| matches!(one.tried, Some(Err(_))));
    Ok(if stays { ExitCode::from(DIFFERENT) } else { ExitCode::SUCCESS })
}

impl Told {
    fn line(&self) -> String {
        let Self { one: Quarantined { view, share, position, aggregate_id, reason }, tried } = self;
        let of = aggregate_id.map_or_else(|| "receipts".to_owned(), |id| id.to_string());
        let came = match tried {
            None => printable(reason),
            Some(Ok(facts)) => format!("applied, {facts} facts"),
            Some(Err(reason)) => format!("stays: {}", printable(reason)),
        };
        format!("{} {position} {of}: {came}", super::named(*view, *share))
    }

    fn json(&self) -> serde_json::Value {
        let Self { one: Quarantined { view, share, position, aggregate_id, reason }, tried } = self;
        let (applied, reason) = match tried {
            None => (None, Some(reason)),
            Some(Ok(facts)) => (Some(facts), None),
            Some(Err(reason)) => (None, Some(reason)),
        };
        json!({
            "view": view.name(),
            "database": share.index(),
            "position": position.to_string(),
            "aggregate_id": aggregate_id,
            "reason": reason,
            "applied": applied,
        })
    }
}
