//! `herald bench`: a load process beside a running herald. It uses it as clients
//! do, measures, checks what it was told, and reports it beside what the same
//! servers do bare. It runs as a client and an observer: nothing of a node is
//! in this process.

mod calibrate;
mod chat;
mod fill;
mod floors;
mod group;
mod histogram;
mod idle;
mod options;
mod people;
mod presence;
mod progress;
mod reads;
mod rebuild;
mod report;
mod resume;
mod scan;
mod sizes;
mod socket;
mod storm;
mod subjects;
mod target;
mod transcript;
mod usage;
mod wire;

pub use options::Options;

use crate::operate::INTERRUPTED;
use events::log::Durability;
use options::Work;
use progress::Progress;
use report::Finding;
use std::{
    io::{Write, stdout},
    process::ExitCode,
};
use target::Target;

/// Runs the bench until it is done or `stop` resolves; whatever it started is gone afterwards.
///
/// # Errors
/// When it cannot measure. What it measured and found wrong is told by the exit code.
pub async fn run(
    options: Options,
    durability: Durability,
    partitions: Option<u16>,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<ExitCode> {
    let mut stop = std::pin::pin!(stop);
    if let Some(file) = &options.calibrate {
        return tokio::select! {
            told = calibrate::calibrate(file, durability) => {
                writeln!(stdout(), "{}", told?)?;
                Ok(ExitCode::SUCCESS)
            }
            () = stop => Ok(ExitCode::from(INTERRUPTED)),
        };
    }
    if let Some(people) = options.tenfold {
        return tokio::select! {
            found = subjects::tenfold(people, durability, partitions) => {
                let Finding { text, json, .. } = found?;
                writeln!(stdout(), "{}", if options.json { json } else { text })?;
                Ok(ExitCode::SUCCESS)
            }
            () = stop => Ok(ExitCode::from(INTERRUPTED)),
        };
    }
    // Not given up half-way: what is started by then could not be stopped in order.
    let (target, mut running) = Target::find(&options, durability, partitions).await?;
    let outcome = tokio::select! {
        outcome = measure(&options, &target) => outcome.map(Some),
        error = running.failed() => Err(error),
        () = &mut stop => Ok(None),
    };
    drop(target);
    let stopped = running.stop().await;
    let Some(Finding { text, json, passed }) = outcome? else { return Ok(ExitCode::from(INTERRUPTED)) };
    stopped?;
    writeln!(stdout(), "{}", if options.json { json } else { text })?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(options: &Options, target: &Target) -> anyhow::Result<Finding> {
    let progress = Progress::new();
    let finding = match options.work {
        Work::Chat => chat::measure(options, target, &progress).await,
        Work::Group => group::measure(options, target, &progress).await,
        Work::Idle => idle::measure(options, target, &progress).await,
        Work::Resume => resume::measure(options, target, &progress).await,
        Work::Presence => presence::measure(options, target, &progress).await,
        Work::Reads => reads::measure(options, target, &progress).await,
        Work::Rebuild => rebuild::measure(options, target, &progress).await,
        Work::Subjects => subjects::measure(options, target, &progress).await,
    };
    progress.finish();
    finding
}
