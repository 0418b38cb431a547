//! `herald doctor`: what is wrong with a deployment and what to do about it. Each
//! part is looked at by itself and for a bounded time, so that what is down hides
//! nothing else. Changes nothing.

mod finding;
mod log;
mod postgres;
mod views;

use super::{DIFFERENT, Deployment};
use clap::Args;
use events::{
    Blobs, Timestamp, Vector,
    log::{Durability, examine::Named},
    shard::Map,
};
use finding::{Area, Finding, Verdict};
use serde_json::json;
use std::{
    io::{Write, stdout},
    path::Path,
    process::ExitCode,
    time::Duration,
};
use tokio::time::timeout;

/// How long a part may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clocks that differ by so much make tokens of one node strange to another.
const SKEW_WARNS: i64 = 1_000;
const SKEW_FAILS: i64 = 5_000;
/// Of the disk.
const FREE_WARNS: u64 = 20;
const FREE_FAILS: u64 = 5;

#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    deployment: Deployment,
    /// NATS' monitoring address, `http://host:port`, of a cluster several with commas between them: there durability and
    /// the room for the log are read.
    #[arg(long, env = "HERALD_NATS_MONITOR_URL", value_name = "URL", value_delimiter = ',')]
    nats_monitor_url: Vec<String>,
    /// What an acknowledged message is promised to survive: `fsync`, `replicated` or `unsynced`.
    #[arg(long, env = "HERALD_DURABILITY")]
    durability: Option<Durability>,
    /// Where files lie: looked at where it is given.
    #[arg(long, env = "HERALD_ATTACHMENTS", value_name = "PLACE")]
    attachments: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What one part tells the others.
#[derive(Default)]
struct Told {
    log: Option<Named>,
    ends: Option<Vector>,
    /// By NATS' clock, and by this machine's when it said so.
    clock: Option<(Timestamp, Timestamp)>,
    /// By which mark the store of files is known.
    mark: Option<String>,
}

/// Looks at everything, and says what it found. The exit code is 3 where something fails.
///
/// # Errors
/// When it is not known where the deployment is.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let Options { deployment, mut nats_monitor_url, durability, mut attachments, json } = options;
    let found = deployment.find()?;
    nats_monitor_url.extend(found.nats_monitor_url.clone().filter(|_| nats_monitor_url.is_empty()));
    if let Some(data) = &found.data {
        attachments.get_or_insert_with(|| data.join(crate::args::ATTACHMENTS).display().to_string());
    }
    let (mut findings, told) = log::look(&found.nats_url, &nats_monitor_url, durability).await;
    findings.extend(clock("NATS", told.clock));
    match &found.database_url {
        Some(urls) => {
            for (share, url) in Map::of(urls).shards() {
                let (of_postgres, clock_there) = postgres::look(url).await;
                findings.extend(of_postgres);
                findings.extend(clock("Postgres", clock_there));
                findings.extend(views::look(url, share, &told).await);
            }
        }
        None => findings.push(Finding::warns(Area::Postgres, "was not looked at").remedy("give --database-url")),
    }
    findings.extend(found.data.as_deref().map(disk));
    findings.push(files(attachments.as_deref(), told.mark.as_deref()).await);
    tell(&findings, json)?;
    let fails = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    Ok(if fails { ExitCode::from(DIFFERENT) } else { ExitCode::SUCCESS })
}

fn tell(findings: &[Finding], as_json: bool) -> anyhow::Result<()> {
    let text = if as_json {
        serde_json::to_string_pretty(&json!({ "findings": findings }))?
    } else {
        findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    Ok(writeln!(stdout(), "{text}")?)
}

fn clock(of: &str, clock: Option<(Timestamp, Timestamp)>) -> Option<Finding> {
    let (theirs, ours) = clock?;
    let apart = (theirs - ours).num_milliseconds();
    let what = format!("{of}' clock is {apart} ms from this machine's");
    let remedy = "have all machines follow one time (chrony, NTP)";
    Some(match apart.abs() {
        apart if apart >= SKEW_FAILS => Finding::fails(Area::Clock, what).remedy(remedy),
        apart if apart >= SKEW_WARNS => Finding::warns(Area::Clock, what).remedy(remedy),
        _ => Finding::ok(Area::Clock, what),
    })
}

fn disk(data: &Path) -> Finding {
    let disk = match rustix::fs::statvfs(data) {
        Ok(disk) => disk,
        Err(error) => return Finding::fails(Area::Disk, format!("{}: {error}", data.display())),
    };
    let (free, size) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
    let percent = free.saturating_mul(100) / size.max(1);
    let what = format!("{percent} % of {} free under {}", finding::bytes(size), data.display());
    let remedy = "make room, or move the folder to a larger disk: a full one refuses messages";
    match percent {
        percent if percent < FREE_FAILS => Finding::fails(Area::Disk, what).remedy(remedy),
        percent if percent < FREE_WARNS => Finding::warns(Area::Disk, what).remedy(remedy),
        _ => Finding::ok(Area::Disk, what),
    }
}

/// Whether the store of files is the one that the deployment knows.
async fn files(place: Option<&str>, mark: Option<&str>) -> Finding {
    let Some(place) = place else {
        return Finding::warns(Area::Files, "were not looked at").remedy("give --attachments");
    };
    let Some(mark) = mark.and_then(|mark| mark.parse().ok()) else {
        return Finding::warns(Area::Files, "it is not known yet by what mark their place is known");
    };
    if !place.contains("://") && !Path::new(place).exists() {
        return Finding::fails(Area::Files, format!("{place} is not there")).remedy("mount or restore it");
    }
    let marked = async { Blobs::open(place, false)?.is_marked(mark).await };
    match timeout(PATIENCE, marked).await {
        Ok(Ok(true)) => Finding::ok(Area::Files, format!("{place} is the deployment's")),
        Ok(Ok(false)) => Finding::fails(Area::Files, format!("{place} is not the deployment's place of files"))
            .remedy("give every node the same --attachments; after a restore copy the files there first"),
        Ok(Err(error)) => Finding::fails(Area::Files, format!("{place}: {error}")),
        Err(_) => Finding::fails(Area::Files, format!("{place} does not answer")),
    }
}
