//! `herald bench`: a load process beside a running herald. It moves messages
//! between people over sockets, measures, checks what it moved, and reports it
//! beside what the same servers do bare. It runs as a client and an observer:
//! nothing of a node is in this process.

mod check;
mod floors;
mod histogram;
mod load;
mod options;
mod pace;
mod people;
mod progress;
mod report;
mod scan;
mod sizes;
mod talker;
mod target;
mod usage;
mod views;
mod wire;

pub use options::Options;

use anyhow::Context;
use events::log::Durability;
use progress::Progress;
use report::Report;
use sizes::Sizes;
use std::{
    fs,
    io::{Write, stdout},
    process::ExitCode,
};
use target::Target;

/// Of a program that was interrupted, as shells tell it.
const INTERRUPTED: u8 = 130;

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
    // Not given up half-way: what is started by then could not be stopped in order.
    let (target, mut running) = Target::find(&options, durability, partitions).await?;
    let outcome = tokio::select! {
        outcome = measure(&options, &target) => outcome.map(Some),
        error = running.failed() => Err(error),
        () = &mut stop => Ok(None),
    };
    drop(target);
    let stopped = running.stop().await;
    let Some(report) = outcome? else { return Ok(ExitCode::from(INTERRUPTED)) };
    stopped?;
    tell(&report, options.json)?;
    Ok(if report.check.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn measure(options: &Options, target: &Target) -> anyhow::Result<Report> {
    let progress = Progress::new();
    let load_average = fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned();
    progress.step("floors");
    let floors = if options.no_floors { None } else { Some(floors::measure(target, options).await?) };
    progress.step("people");
    let people = people::gather(options, target).await?;
    let before = Sizes::read(target).await?;
    let moved = load::run(options, target, &people, &progress).await?;
    let after = Sizes::read(target).await?;
    progress.step("checking the views");
    let check = check::run(target, &people, &moved, &progress).await.context("the views were not read back")?;
    progress.finish();
    Ok(Report::new(options, target, load_average, floors, &people, &moved, &before, &after, check))
}

fn tell(report: &Report, json: bool) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{report}")?;
    }
    Ok(())
}
