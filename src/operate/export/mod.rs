//! `herald export`: the log as files of Parquet, for analytics. Reads as any
//! consumer may, without a text; goes on where the last export ended, and each
//! fact is in it once, whatever broke it off.

mod row;
mod store;

use super::{INTERRUPTED, bar};
use crate::{
    cli::pin_stop,
    embedded::Addresses,
    secret::{self, hex},
};
use anyhow::{Context, bail};
use clap::Args;
use events::{cloudevent::source, log::Reading};
use row::{Names, rows, type_of};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{ErrorKind, Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};
use store::{Chunk, Store};

/// Facts that one request asks for.
const WINDOW: usize = 1_000;
/// Rows in memory, and so in files of one commit.
const ROWS: usize = 250_000;

/// Write the log as Parquet, by type and day, for analytics.
///
/// Each fact is a row (each receipt one of its own) in `events/type=…/day=…/…parquet`: who, when and how much, never a text.
/// What is there already stays; the next export goes on after it. A file counts once `manifest.json` names it, which is
/// written last: whatever an export left that was broken off goes with the next one.
///
/// People and threads have pseudonyms: the same for the same, made with a key that lies elsewhere (--key). Whoever has the
/// key can tell which pseudonym is whose.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Options {
    /// The folder to write to.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// The key of the pseudonyms, 64 hexadecimal digits; made where there is none [default: analytics.key in --data].
    #[arg(long, value_name = "FILE", conflicts_with = "ids")]
    key: Option<PathBuf>,
    /// Write ids as they are, instead of pseudonyms.
    #[arg(long)]
    ids: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// The log: `nats://consumer:password@host:port`, of a cluster several with commas between them. Without it the log is
    /// that of the herald that runs on the folder of --data.
    #[arg(long, env = "HERALD_NATS_URL", value_name = "URL", hide_env_values = true)]
    nats_url: Option<String>,
    /// The folder of all data of a herald that runs here with its own servers.
    #[arg(long, env = "HERALD_DATA", default_value = crate::args::DATA, value_name = "FOLDER")]
    data: PathBuf,
}

/// Exports what the log has got since the last time.
///
/// # Errors
/// When the log cannot be read, or the folder not be written, or holds something else.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let url = match &options.nats_url {
        Some(url) => url.clone(),
        None => Addresses::of(&options.data)?.consumer_url,
    };
    let reading = Reading::open(&url, "", false).await.context("the log was not opened")?;
    let (names, pseudonyms) = if options.ids {
        (Names::Plain, None)
    } else {
        let key = key(&options.key.unwrap_or_else(|| options.data.join("analytics.key")))?;
        (Names::keyed(&key), Some(hex(&Sha256::digest(key)[..8])))
    };
    let mut store = Store::open(&options.to, source(reading.epoch()), pseudonyms)?;
    let before = store.rows();
    let mut stop = pin_stop()?;
    let done = tokio::select! {
        exported = export(&reading, &mut store, &names) => {
            exported?;
            true
        }
        () = &mut stop => false,
    };
    if !done {
        // What is whole stays, and the next export goes on after it.
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let (rows, files, vector) = (store.rows(), store.manifest.files.len(), &store.manifest.vector);
    if options.json {
        let said = json!({ "rows": rows, "added": rows - before, "files": files, "vector": vector });
        writeln!(stdout(), "{said:#}")?;
    } else {
        writeln!(stdout(), "{} rows more, {rows} in {files} files, up to {vector}", rows - before)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn export(reading: &Reading, store: &mut Store, names: &Names) -> anyhow::Result<()> {
    let mut vector = store.vector()?;
    let mut open = Vec::new();
    let mut of = 0;
    for partition in reading.names().partitions() {
        let (after, end) = (vector.get(partition), reading.end_of(partition).await?);
        if end < after {
            bail!("the log ends at {partition}:{end}, before what was exported of it: it was cut short or restored");
        }
        of += end - after;
        if end > after {
            open.push((partition, reading.facts(partition, None, after, Some(end), WINDOW)));
        }
    }
    let progress = bar("{bar:30} {human_pos}/{human_len} facts, {per_sec}, {eta} left", of);
    while !open.is_empty() {
        let mut chunk = Chunk::new();
        let mut count = 0;
        // Partitions in turns: a day's files are as few as its rows allow.
        while count < ROWS && !open.is_empty() {
            let mut ended = Vec::new();
            for (index, (partition, facts)) in open.iter_mut().enumerate() {
                let Some(batch) = facts.next_batch(WINDOW).await? else {
                    ended.push(index);
                    continue;
                };
                for event in &batch {
                    vector.set(*partition, event.position.sequence);
                    let of_day = chunk.entry((type_of(event).to_owned(), event.time.date_naive())).or_default();
                    let rows = rows(event, names);
                    count += rows.len();
                    of_day.extend(rows);
                }
                progress.inc(u64::try_from(batch.len())?);
            }
            for index in ended.into_iter().rev() {
                open.remove(index);
            }
        }
        store.commit(&chunk, &vector)?;
    }
    progress.finish_and_clear();
    Ok(())
}

/// The key in a file, which is made where there is none.
fn key(path: &Path) -> anyhow::Result<[u8; 32]> {
    let shown = || path.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let made = secret::random()?;
            secret::keep(path, format!("{}\n", hex(&made)).as_bytes()).with_context(shown)?;
            return Ok(made);
        }
        Err(error) => return Err(error).with_context(shown),
    };
    let bytes = parse(text.trim()).with_context(|| format!("{}: a key is 64 hexadecimal digits", path.display()))?;
    Ok(bytes)
}

fn parse(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}
