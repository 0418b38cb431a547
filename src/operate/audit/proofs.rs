//! Proofs for others: made of the log, checked without it.

use super::log::{heads, keys_in, ledger};
use crate::operate::{DIFFERENT, Deployment, printable};
use ::audit::{Consistency, Inclusion, InvalidProof, Signed};
use anyhow::{Context, bail};
use clap::Args;
use events::Position;
use std::{
    fs,
    io::{Write, stderr, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, Args)]
pub(super) struct Proof {
    #[command(flatten)]
    deployment: Deployment,
    /// The event's position, as 3:1289: proves that it is in the log of the newest head.
    #[arg(required_unless_present = "since", conflicts_with = "since")]
    position: Option<Position>,
    /// A file of heads, of which the newest of each partition counts, or of --partition alone: proves that the log of the
    /// newest head grew out of it.
    #[arg(long, value_name = "FILE", requires = "partition")]
    since: Option<PathBuf>,
    /// The partition that --since is about.
    #[arg(long, value_name = "NUMBER")]
    partition: Option<u16>,
}

#[derive(Debug, Args)]
pub(super) struct Check {
    /// The proof.
    file: PathBuf,
    /// The public keys, as `herald audit key` printed them when they were trusted.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Of a proof that the log grew: the file of heads that has the earlier one.
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
}

/// # Errors
/// When the deployment does not answer, the log is broken, or a file will not do.
pub(super) async fn prove(options: Proof) -> anyhow::Result<ExitCode> {
    let ledger = ledger(options.deployment).await?;
    let proof = match (options.position, options.since) {
        (Some(position), _) => ledger.inclusion(position).await?.to_string(),
        (None, Some(file)) => {
            let heads = heads(&file, &ledger.keys())?.into_iter();
            let of_it = heads.filter(|signed| Some(signed.head.partition.0) == options.partition);
            let earlier =
                of_it.max_by_key(|signed| signed.head.size).context("the file has no head of that partition")?;
            ledger.consistency(&earlier).await?.to_string()
        }
        (None, None) => bail!("a position or --since is missing"),
    };
    write!(stdout(), "{proof}")?;
    Ok(ExitCode::SUCCESS)
}

/// # Errors
/// When a file cannot be read.
pub(super) fn check(options: &Check) -> anyhow::Result<ExitCode> {
    let keys = keys_in(&options.key)?;
    let proof = fs::read_to_string(&options.file).with_context(|| options.file.display().to_string())?;
    let checked = match &options.head {
        None => Inclusion::check(&proof, &keys).map(|proof| {
            let event = String::from_utf8_lossy(&proof.event).lines().map(whole).collect::<Vec<_>>().join("\n");
            format!("{} is in {}\n\n{event}", proof.position(), log_of(&proof.signed))
        }),
        Some(file) => grown(&proof, file, &keys)?,
    };
    match checked {
        Ok(told) => {
            writeln!(stdout(), "{told}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            writeln!(stderr(), "herald: the proof proves nothing: {error}").ok();
            Ok(ExitCode::from(DIFFERENT))
        }
    }
}

fn grown(proof: &str, file: &Path, keys: &[::audit::PublicKey]) -> anyhow::Result<Result<String, InvalidProof>> {
    let mut checked = Err(InvalidProof::OtherHeads);
    for earlier in heads(file, keys)? {
        checked = Consistency::check(proof, &earlier, keys)
            .map(|proof| format!("{} grew out of that of the first {}", log_of(&proof.signed), earlier.head.size));
        if !matches!(checked, Err(InvalidProof::OtherHeads)) {
            break;
        }
    }
    Ok(checked)
}

fn log_of(signed: &Signed) -> String {
    let head = &signed.head;
    format!("partition {} of {} events, as signed at {}", head.partition, head.size, head.at.to_rfc3339())
}

/// A line as no terminal takes it for anything else, all of it.
fn whole(line: &str) -> String {
    let letters: Vec<char> = line.chars().collect();
    letters.chunks(100).map(|letters| printable(&letters.iter().collect::<String>())).collect()
}
