//! `herald operator`: who operates a deployment.

use super::{Attended, Deployment, printable};
use clap::{Args, Subcommand};
use command::{Operators, handler::Handler, operators::Operator};
use events::{Clock, EventLog, Ids, text::Line};
use std::{
    io::{Write, stdout},
    process::ExitCode,
};

/// Memory for the few accounts that a command looks at, in bytes.
const CACHE: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make somebody an operator, and print their token: it is shown this once.
    Add {
        #[command(flatten)]
        deployment: Deployment,
        /// What they are called in the audit.
        #[arg(value_parser = |text: &str| Line::parse(text).map_err(|error| error.to_string()))]
        name: Line,
    },
    /// List the operators.
    List {
        #[command(flatten)]
        deployment: Deployment,
    },
    /// Have an operator's token be good for nothing.
    Remove {
        #[command(flatten)]
        deployment: Deployment,
        name: String,
    },
}

/// Does it.
///
/// # Errors
/// When the deployment does not answer, or there is, or is not, such an operator.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let mut to = stdout();
    match options.command {
        Command::Add { deployment, name } => {
            let (_, token) = attend(deployment).await?.add(&name).await?;
            writeln!(to, "{token}")?;
        }
        Command::List { deployment } => {
            for Operator { operator_id, name } in attend(deployment).await?.list().await? {
                writeln!(to, "{operator_id}  {}", printable(&name))?;
            }
        }
        Command::Remove { deployment, name } => {
            attend(deployment).await?.remove(&name).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn attend(deployment: Deployment) -> anyhow::Result<Operators> {
    let Attended { log, .. } = deployment.attend().await?;
    open(&log).await
}

/// The door for operators of a deployment's log.
pub(super) async fn open(log: &EventLog) -> anyhow::Result<Operators> {
    let (clock, ids) = (Clock::system(), Ids::random());
    let users = Handler::new(log.clone(), clock.clone(), ids.clone(), CACHE);
    Ok(Operators::open(log.clone(), clock, ids, users).await?)
}
