//! `herald backup`: what cannot be made again, into a folder, while all goes on.
//! First what must not be ahead of the facts, then the facts, then what they
//! name; the keys of texts last, and apart.

mod archive;
mod places;
mod records;

pub use places::{PLACES, Place};
pub(crate) use {
    archive::{Archive, BucketFile, Manifest, StreamFile},
    places::buckets,
    records::next as next_record,
};

use super::{Deployment, INTERRUPTED};
use anyhow::ensure;
use archive::{FORMAT, FileWriter, Writer};
use clap::Args;
use events::{Clock, EventLog, Partition, Position, log::Bucket};
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use records::frame;
use serde_json::json;
use std::{
    io::{IsTerminal, Write, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};
use tokio::time::Instant;

/// Partitions that are copied at once.
const AT_ONCE: usize = 4;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The folder of the backup; it must not exist or be empty.
    #[arg(long, value_name = "FOLDER", required_unless_present = "keys_to")]
    to: Option<PathBuf>,
    /// The folder of the keys that texts are sealed and heads are signed with, to be kept elsewhere: who has both can read
    /// everything, and without the keys nobody reads any text again. Alone, only they are backed up: whom a newer one knows
    /// as erased stays erased.
    #[arg(long, value_name = "FOLDER")]
    keys_to: Option<PathBuf>,
    #[command(flatten)]
    deployment: Deployment,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What was written.
struct Written {
    log: Option<(PathBuf, Manifest)>,
    keys: Option<(PathBuf, Manifest)>,
    took: Duration,
}

/// Backs up; interrupted, it leaves nothing behind.
///
/// # Errors
/// When the deployment does not answer, or the disk does not take it.
pub(crate) async fn run(options: Options, stop: impl Future<Output = ()>) -> anyhow::Result<ExitCode> {
    let Options { to, keys_to, deployment, json } = options;
    ensure!(to.is_none() || to != keys_to, "the keys get a folder of their own, to be kept elsewhere");
    let bar = bar("backs up");
    let work = async {
        let (log, began) = (deployment.attend_log().await?, Instant::now());
        let mut written = Written { log: None, keys: None, took: Duration::ZERO };
        if let Some(to) = to {
            let manifest = back_up(&log, &to, &bar).await?;
            written.log = Some((to, manifest));
        }
        if let Some(to) = keys_to {
            let manifest = back_up_keys(&log, &to, &bar).await?;
            written.keys = Some((to, manifest));
        }
        anyhow::Ok(Written { took: began.elapsed(), ..written })
    };
    let written = tokio::select! {
        written = work => written?,
        () = stop => {
            writeln!(stderr(), "herald: stopped; nothing was backed up").ok();
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    bar.finish_and_clear();
    writeln!(stdout(), "{}", if json { serde_json::to_string_pretty(&written.json())? } else { written.text() })?;
    Ok(ExitCode::SUCCESS)
}

async fn back_up(log: &EventLog, to: &std::path::Path, bar: &ProgressBar) -> anyhow::Result<Manifest> {
    let writer = Writer::begin(to)?;
    let mut manifest = empty(log);
    for (kind, place) in PLACES {
        if let Place::Before { divided } = *place {
            manifest.buckets.extend(copy_buckets(log, &writer, kind, divided, bar).await?);
        }
    }
    let streams = log.names().partitions().map(|partition| copy_stream(log, &writer, partition, bar));
    manifest.streams = stream::iter(streams).buffered(AT_ONCE).try_collect().await?;
    manifest.taken_at = Clock::system().now();
    for (kind, place) in PLACES {
        if let Place::After { divided } = *place {
            manifest.buckets.extend(copy_buckets(log, &writer, kind, divided, bar).await?);
        }
    }
    writer.finish(&manifest)?;
    Ok(manifest)
}

async fn back_up_keys(log: &EventLog, to: &std::path::Path, bar: &ProgressBar) -> anyhow::Result<Manifest> {
    let writer = Writer::begin(to)?;
    let mut manifest = empty(log);
    for (kind, place) in PLACES {
        if let Place::Keys { divided } = *place {
            manifest.buckets.extend(copy_buckets(log, &writer, kind, divided, bar).await?);
        }
    }
    writer.finish(&manifest)?;
    Ok(manifest)
}

fn empty(log: &EventLog) -> Manifest {
    Manifest {
        format: FORMAT,
        herald: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at: Clock::system().now(),
        epoch: log.epoch(),
        partitions: u16::try_from(log.names().partitions().count()).expect("as many as there are numbers for"),
        streams: Vec::new(),
        buckets: Vec::new(),
    }
}

async fn copy_stream(
    log: &EventLog,
    writer: &Writer,
    partition: Partition,
    bar: &ProgressBar,
) -> anyhow::Result<StreamFile> {
    let mut copy = log.copy(partition).await?;
    let (end, bytes) = (copy.end, copy.bytes);
    let newest = log.event_id_at(end).await?;
    let name = format!("{}.snapshot", log.names().stream(partition));
    let mut file = writer.file(name.clone())?;
    while let Some(chunk) = copy.next().await? {
        file.write(&chunk)?;
        bar.inc(chunk.len() as u64);
    }
    let file_bytes = file.finish()?;
    let Position { sequence: end, .. } = end;
    Ok(StreamFile { partition: partition.0, end, newest, bytes, file: name, file_bytes })
}

async fn copy_buckets(
    log: &EventLog,
    writer: &Writer,
    kind: &str,
    divided: bool,
    bar: &ProgressBar,
) -> anyhow::Result<Vec<BucketFile>> {
    let mut buckets = Vec::new();
    if divided {
        let of_partitions = log.partitioned_bucket(kind, Duration::ZERO).await?;
        for partition in log.names().partitions() {
            let name = log.names().partitioned_bucket(kind, partition);
            buckets.push((Some(partition.0), name, of_partitions.of(partition).clone()));
        }
    } else {
        buckets.push((None, log.names().bucket(kind), log.bucket(kind).await?));
    }
    let copies = buckets.into_iter().map(async |(partition, name, bucket)| {
        let file = format!("{name}.records");
        let (records, file_bytes) = copy_bucket(&bucket, writer.file(file.clone())?, bar).await?;
        anyhow::Ok(BucketFile { kind: kind.to_owned(), partition, records, file, file_bytes })
    });
    stream::iter(copies).buffered(AT_ONCE).try_collect().await
}

/// How many records it has, and the bytes of its file.
async fn copy_bucket(bucket: &Bucket, mut file: FileWriter<'_>, bar: &ProgressBar) -> anyhow::Result<(u64, u64)> {
    let (mut records, mut count) = (bucket.records().await?, 0);
    while let Some(some) = records.next_batch().await? {
        let mut frames = Vec::new();
        for (key, value) in &some {
            frame(key, value, &mut frames);
        }
        file.write(&frames)?;
        count += some.len() as u64;
        bar.inc(frames.len() as u64);
    }
    Ok((count, file.finish()?))
}

/// Bytes that have passed, for who sits at a terminal.
pub(crate) fn bar(prefix: &'static str) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {prefix} {msg} {bytes} {bytes_per_sec}");
    let bar = ProgressBar::no_length().with_style(style.expect("a template of ours")).with_prefix(prefix);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

impl Written {
    fn text(&self) -> String {
        let mut lines = Vec::new();
        if let Some((to, manifest)) = &self.log {
            let (events, bytes) = (manifest.events(), manifest.file_bytes());
            lines.push(format!(
                "{}: {events} events of {} partitions, {bytes} bytes",
                to.display(),
                manifest.partitions
            ));
            lines.extend(of_buckets(manifest));
            lines.push(
                "  files are not in it: copy the place of --attachments after this, and keep it with this".to_owned(),
            );
        }
        match &self.keys {
            Some((to, manifest)) => {
                lines.push(format!("{}: the keys of texts; keep them elsewhere", to.display()));
                lines.extend(of_buckets(manifest));
            }
            None => lines.push(
                "WITHOUT KEYS: no text in this backup can be read again unless the keys are backed up after it, \
                 with --keys-to"
                    .to_owned(),
            ),
        }
        lines.push(format!("took {:.1} s", self.took.as_secs_f64()));
        lines.join("\n")
    }

    fn json(&self) -> serde_json::Value {
        let of = |written: &Option<(PathBuf, Manifest)>| {
            written.as_ref().map(|(to, manifest)| json!({ "folder": to, "manifest": manifest }))
        };
        json!({ "log": of(&self.log), "keys": of(&self.keys), "took_s": self.took.as_secs_f64() })
    }
}

fn of_buckets(manifest: &Manifest) -> Vec<String> {
    let line = |(kind, _): &(&str, bool)| {
        let records = manifest.records(kind)?;
        Some(format!("  {:<12} {records:>10} records", kind.to_lowercase()))
    };
    buckets().iter().filter_map(line).collect()
}
