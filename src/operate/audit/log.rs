//! The log held against what is kept and signed of it, and signed anew.

use crate::operate::{Attended, DIFFERENT, Deployment, bar, printable};
use ::audit::{Against, Ledger, PublicKey, Report, Signed};
use anyhow::{Context, bail};
use clap::Args;
use events::{Clock, Partition};
use serde_json::json;
use std::{
    fs::{self, OpenOptions},
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    deployment: Deployment,
    /// Heads that were written elsewhere: the log has to bear each of them out.
    #[arg(long, value_name = "FILE")]
    head: Vec<PathBuf>,
    /// The public keys that they are checked with, as `herald audit key` printed them; the deployment's own unless given.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Heads {
    #[command(flatten)]
    deployment: Deployment,
    /// A file that they are added to, made where there is none.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Key {
    #[command(flatten)]
    deployment: Deployment,
}

#[derive(Debug, Args)]
pub(super) struct Forget {
    #[command(flatten)]
    deployment: Deployment,
    /// The partition's number.
    partition: u16,
}

/// # Errors
/// When the deployment does not answer, or a file will not do.
pub(super) async fn verify(options: Verify) -> anyhow::Result<ExitCode> {
    let ledger = ledger(options.deployment).await?;
    let keys = keys(options.key.as_deref(), &ledger)?;
    let mut against = Vec::new();
    for file in &options.head {
        for signed in heads(file, &keys)? {
            against
                .push(Against { label: format!("head of {} events in {}", signed.head.size, file.display()), signed });
        }
    }
    let mut reports = Vec::new();
    for key in ledger.keys().len().try_into().map(partitions)? {
        let bar = bar("partition {prefix} {bar:30} {pos}/{len} {per_sec}, {eta} left", 0).with_prefix(key.to_string());
        let told = |at, of| {
            bar.set_length(of);
            bar.set_position(at);
        };
        reports.push(ledger.verify(key, &against, told).await?);
        bar.finish_and_clear();
    }
    let beyond = against.iter().find(|against| usize::from(against.signed.head.partition.0) >= reports.len());
    if let Some(Against { label, .. }) = beyond {
        bail!("the {label} is of a partition that the log does not have");
    }
    let mut to = stdout().lock();
    if options.json {
        let reports: Vec<_> = reports.iter().map(as_json).collect();
        writeln!(to, "{}", serde_json::to_string_pretty(&json!({ "partitions": reports }))?)?;
    } else {
        reports.iter().try_for_each(|report| writeln!(to, "{}", as_text(report)))?;
    }
    let is_sound = reports.iter().all(|report| report.findings.is_empty() && report.more == 0);
    Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
}

/// # Errors
/// When the deployment does not answer, the log is broken, or the file cannot be written.
pub(super) async fn head(options: Heads) -> anyhow::Result<ExitCode> {
    let ledger = ledger(options.deployment).await?;
    let mut notes = Vec::new();
    for partition in partitions(ledger.keys().len().try_into()?) {
        notes.push(ledger.seal(partition).await?.signed.note().to_owned());
    }
    let text = notes.join("\n");
    let Some(file) = options.to else {
        write!(stdout(), "{text}")?;
        return Ok(ExitCode::SUCCESS);
    };
    let write = || {
        let mut to = OpenOptions::new().create(true).append(true).open(&file)?;
        let gap = if to.metadata()?.len() > 0 { "\n" } else { "" };
        to.write_all(format!("{gap}{text}").as_bytes())?;
        to.sync_all()
    };
    write().with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// # Errors
/// When the deployment does not answer.
pub(super) async fn key(options: Key) -> anyhow::Result<ExitCode> {
    let keys = ledger(options.deployment).await?.keys();
    keys.iter().try_for_each(|key| writeln!(stdout(), "{key}"))?;
    Ok(ExitCode::SUCCESS)
}

/// # Errors
/// When the deployment does not answer.
pub(super) async fn forget(options: Forget) -> anyhow::Result<ExitCode> {
    let ledger = ledger(options.deployment).await?;
    let partition = Partition(options.partition);
    if usize::from(partition.0) >= ledger.keys().len() {
        bail!("the log has no partition {partition}");
    }
    ledger.forget(partition).await?;
    write!(stdout(), "{}", ledger.seal(partition).await?.signed.note())?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn ledger(deployment: Deployment) -> anyhow::Result<Ledger> {
    let Attended { log, .. } = deployment.attend().await?;
    Ok(Ledger::open(log, Clock::system()).await?)
}

/// The keys in a file, one a line, or the deployment's own.
fn keys(file: Option<&Path>, ledger: &Ledger) -> anyhow::Result<Vec<PublicKey>> {
    file.map_or_else(|| Ok(ledger.keys()), keys_in)
}

pub(super) fn keys_in(file: &Path) -> anyhow::Result<Vec<PublicKey>> {
    let in_file = || format!("in {}", file.display());
    let text = fs::read_to_string(file).with_context(in_file)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| line.parse().with_context(|| format!("{}: {}", in_file(), printable(line)))).collect()
}

pub(super) fn heads(file: &Path, keys: &[PublicKey]) -> anyhow::Result<Vec<Signed>> {
    let in_file = || format!("in {}", file.display());
    let text = fs::read_to_string(file).with_context(in_file)?;
    Signed::open_all(&text, keys).with_context(in_file)
}

fn partitions(count: u16) -> impl Iterator<Item = Partition> {
    (0..count).map(Partition)
}

fn as_text(report: &Report) -> String {
    let Report { partition, end, kept, borne_out, findings, more } = report;
    let verdict = if findings.is_empty() && *more == 0 { "as it was" } else { "CHANGED" };
    let first = format!(
        "partition {partition}: {verdict}; {end} events, hashes are kept of {kept}, a head of {borne_out} is borne out"
    );
    let named = findings.iter().map(|finding| format!("  {finding}"));
    let more = (*more > 0).then(|| format!("  and {more} more that are not as they were"));
    [first].into_iter().chain(named).chain(more).collect::<Vec<_>>().join("\n")
}

fn as_json(report: &Report) -> serde_json::Value {
    let Report { partition, end, kept, borne_out, findings, more } = report;
    let findings = findings.iter().map(|finding| {
        json!({
            "from": finding.from.to_string(),
            "to": finding.to.to_string(),
            "what": finding.found.name(),
            "detail": finding.to_string(),
        })
    });
    json!({
        "partition": partition.0,
        "events": end,
        "kept": kept,
        "borne_out": borne_out,
        "findings": findings.collect::<Vec<_>>(),
        "more": more,
    })
}
