//! `herald restore`: a log out of a backup, where there is none. It gets another
//! epoch, every session is over, and views are built from it by the nodes that
//! start next.

use super::{
    INTERRUPTED,
    backup::{Archive, bar, buckets, next_record},
};
use crate::{
    args::{LogArgs, ServerArgs},
    cli,
    embedded::Servers,
};
use anyhow::{Context, ensure};
use clap::Args;
use events::{Ids, Partition, Position, log::Restore};
use indicatif::ProgressBar;
use serde_json::json;
use std::{
    io::{Read, Write, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};
use tokio::time::Instant;

/// Under that key lies by what mark the store of files is known again.
const STORE: (&str, &str) = ("POLICIES", "store");
const RECORDS: usize = 2_048;
const PORTION: usize = 1 << 20;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The folder of the backup.
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// The folder of the keys: of the same backup or a newer one. The newest there is keeps those erased who are.
    #[arg(long, value_name = "FOLDER")]
    keys_from: PathBuf,
    /// The NATS to restore into, which holds no log: `nats://host:port`. Without it, herald's own servers are started on
    /// the folder of --data and stopped again.
    #[arg(long, env = "HERALD_NATS_URL", value_name = "URL", hide_env_values = true)]
    nats_url: Option<String>,
    /// NATS' monitoring address, `http://host:port`: there `fsync` is read back.
    #[arg(long, env = "HERALD_NATS_MONITOR_URL", value_name = "URL")]
    nats_monitor_url: Option<String>,
    #[command(flatten)]
    servers: ServerArgs,
    #[command(flatten)]
    log: LogArgs,
    /// Throw away what a restore has left that was cut off, and begin again.
    #[arg(long)]
    anew: bool,
    /// The files are lost: let nodes begin with an empty place for them. Who opens one is told that it is not there.
    #[arg(long)]
    without_files: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is restored, read and found whole.
struct Backup {
    log: Archive,
    keys: Archive,
    without_files: bool,
}

/// Restores; interrupted or failed, it leaves no log behind.
///
/// # Errors
/// When the backup is not whole, there is a log already, or NATS does not answer.
pub(crate) async fn run(options: Options, stop: impl Future<Output = ()>) -> anyhow::Result<ExitCode> {
    let Options { from, keys_from, nats_url, nats_monitor_url, servers, log, anew, without_files, json } = options;
    let began = Instant::now();
    let backup = Backup { log: Archive::open(&from)?, keys: Archive::open(&keys_from)?, without_files };
    backup.check(log.partitions)?;
    let mut stop = std::pin::pin!(stop);
    let (nats, own) = if let Some(nats_url) = nats_url {
        (cli::options(nats_url, nats_monitor_url, log.durability(1), None), None)
    } else {
        let asked = log.durability(servers.nats_nodes);
        let own = tokio::select! {
            own = Servers::start(servers.options(asked)?) => own?,
            () = &mut stop => return Ok(interrupted()),
        };
        (cli::options(own.nats_url.clone(), Some(own.nats_monitor_url.clone()), asked, None), Some(own))
    };
    let bar = bar("restores");
    let outcome = async {
        let restore = Restore::begin(nats, backup.log.manifest.partitions, &buckets(), anew, &Ids::random()).await?;
        let filled = tokio::select! {
            filled = backup.fill(&restore, &bar) => filled.map(Some),
            () = stop => Ok(None),
        };
        if !matches!(filled, Ok(Some(_))) {
            restore.abandon().await.context("what was restored by then is not removed: the next one needs --anew")?;
        }
        filled
    }
    .await;
    bar.finish_and_clear();
    if let Some(own) = own {
        own.stop().await?;
    }
    let Some(epoch) = outcome? else { return Ok(interrupted()) };
    let text = if json {
        let keys = backup.keys.manifest.records("KEYS");
        let told = json!({
            "epoch": epoch, "events": backup.log.manifest.events(), "keys": keys, "took_s": began.elapsed().as_secs_f64(),
        });
        serde_json::to_string_pretty(&told)?
    } else {
        backup.told(epoch, began.elapsed())
    };
    writeln!(stdout(), "{text}")?;
    Ok(ExitCode::SUCCESS)
}

fn interrupted() -> ExitCode {
    writeln!(stderr(), "herald: stopped; nothing was restored").ok();
    ExitCode::from(INTERRUPTED)
}

impl Backup {
    fn check(&self, asked: Option<u16>) -> anyhow::Result<()> {
        let (log, keys) = (&self.log.manifest, &self.keys.manifest);
        ensure!(!log.streams.is_empty(), "--from is a backup of keys only");
        ensure!(keys.records("KEYS").is_some(), "--keys-from holds no keys");
        ensure!(log.partitions == keys.partitions, "the keys are of another deployment: their partitions are others");
        ensure!(
            keys.taken_at >= log.taken_at,
            "the keys are older than the backup: whoever signed up in between would have none"
        );
        let there = log.partitions;
        ensure!(asked.is_none_or(|asked| asked == there), "the log has {there} partitions, and keeps them");
        Ok(())
    }

    async fn fill(&self, restore: &Restore, bar: &ProgressBar) -> anyhow::Result<uuid::Uuid> {
        for archive in [&self.keys, &self.log] {
            for bucket in &archive.manifest.buckets {
                let mut from = archive.read(&bucket.file)?;
                let mut records = Vec::new();
                loop {
                    let record = next_record(&mut from).with_context(|| bucket.file.clone())?;
                    let at_end = record.is_none();
                    let lost = |key: &str| self.without_files && (bucket.kind.as_str(), key) == STORE;
                    records.extend(record.filter(|(key, _)| !lost(key)));
                    if at_end || records.len() == RECORDS {
                        restore.records(&bucket.kind, bucket.partition.map(Partition), &records).await?;
                        bar.inc(records.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum());
                        records.clear();
                    }
                    if at_end {
                        break;
                    }
                }
            }
        }
        let mut ends = Vec::new();
        for stream in &self.log.manifest.streams {
            let end = Position { partition: Partition(stream.partition), sequence: stream.end };
            let (mut from, to) = (self.log.read(&stream.file)?, restore.stream(end, stream.bytes).await?);
            let mut portion = vec![0; PORTION];
            loop {
                let read = from.read(&mut portion)?;
                if read == 0 {
                    break;
                }
                to.write(&bytes::Bytes::copy_from_slice(&portion[..read])).await?;
                bar.inc(read as u64);
            }
            to.finish().await?;
            ends.push((end, stream.newest));
        }
        Ok(restore.finish(&ends, &Ids::random()).await?.epoch())
    }

    fn told(&self, epoch: uuid::Uuid, took: Duration) -> String {
        let manifest = &self.log.manifest;
        let (events, at) = (manifest.events(), manifest.taken_at.to_rfc3339());
        let files = if self.without_files {
            "the files are given up"
        } else {
            "copy the files to the place of --attachments before nodes start"
        };
        format!(
            "{events} events as of {at}, in {:.1} s; the log's epoch is {epoch}\n\
             every session is over; views are built when nodes start; {files}",
            took.as_secs_f64()
        )
    }
}
