//! `herald events`: the log as CloudEvents, one a line, for audit and analytics.
//! Reads with a consumer's rights unless texts are asked for, and so much a second
//! that those who chat do not feel it.

mod bound;
mod line;
mod output;
mod pace;

use super::{DIFFERENT, INTERRUPTED};
use crate::{cli::pin_stop, embedded::Addresses};
use anyhow::{Context, bail, ensure};
use bound::Bound;
use clap::Args;
use events::{
    Aggregate, CloudEvent, Partition, ThreadId, UserId, Vector,
    cloudevent::source,
    log::{LogError, Reading},
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use line::Line;
use output::Output;
use pace::{Limit, Pace};
use std::{
    collections::BTreeSet,
    io::{Write, stderr, stdout},
    path::PathBuf,
    process::ExitCode,
};

/// Read the log, as CloudEvents 1.0, one a line.
///
/// Facts of a partition come in their order and none is left out; those of different partitions come as they are read,
/// not sorted by time. Each line has the `vector` of all that was read by then: `--from` with that of the last line that
/// you have taken in goes on after it, without a gap. Presence is not in it: it is kept for two days only.
///
/// What people write is sealed in the log, and null here unless --text opens it: `"sealed": true` says so.
///
/// Exit codes: 0 all was read, or nobody reads on; 1 failed; 2 a command line that will not do; 3 the log is not the
/// --source that was asked for; 130 interrupted.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(crate) struct Options {
    /// After what to begin: the `vector` of a line, a position as 3:1289, a time as 2026-01-31T12:00:00Z (when facts were
    /// appended, by NATS' clock), `start` or `end`. A partition that a vector does not name is read from its beginning.
    #[arg(long, default_value = "start", value_name = "START")]
    from: Bound,
    /// Up to where to read, a vector, a position or a time as above, or `end`: where the log ends now. Of a partition that
    /// a vector does not name nothing is read.
    #[arg(long, default_value = "end", value_name = "END", conflicts_with = "follow")]
    to: Bound,
    /// Go on with what happens from now on, until interrupted.
    #[arg(long, short)]
    follow: bool,
    /// Only facts of these threads. One thread or user alone is picked by NATS; of several, all partitions that they lie
    /// in are read. Receipts are not told by thread.
    #[arg(long, value_name = "ID")]
    thread: Vec<ThreadId>,
    /// Only facts of these people's accounts (with --thread: these as well).
    #[arg(long, value_name = "ID")]
    user: Vec<UserId>,
    /// Only what these people did.
    #[arg(long, value_name = "ID")]
    by: Vec<UserId>,
    /// Only facts of these types: `message_sent`, `message_sent.1` or `thread.message_sent.1`.
    #[arg(long = "type", value_name = "NAME")]
    kind: Vec<String>,
    /// Open the texts: only for who may read the keys that seal them, as operators may. Null is then what was erased.
    #[arg(long)]
    text: bool,
    /// At most so many facts a second are read, printed or not; `off`: as fast as it goes.
    #[arg(long, default_value = "5000", value_name = "NUMBER")]
    rate: Limit,
    /// At most so many bytes a second of the log are read; `off`: as many as there are.
    #[arg(long, default_value = "4000000", value_name = "NUMBER")]
    bytes: Limit,
    /// Go on only if this is the `source` of the log: it is another one once the log was restored or found cut short.
    #[arg(long, value_name = "URN")]
    source: Option<String>,
    /// Print JSON, which is all that it prints in any case.
    #[arg(long)]
    json: bool,
    /// Print the address by which a consumer's own NATS client reads the log of the herald that runs here, password
    /// included, and nothing else.
    #[arg(long, conflicts_with_all = ["nats_url", "follow", "text"])]
    credentials: bool,
    /// The log: `nats://consumer:password@host:port`, of a cluster several with commas between them. Without it the log is
    /// that of the herald that runs on the folder of --data.
    #[arg(long, env = "HERALD_NATS_URL", value_name = "URL", hide_env_values = true)]
    nats_url: Option<String>,
    /// The folder of all data of a herald that runs here with its own servers.
    #[arg(long, env = "HERALD_DATA", default_value = crate::args::DATA, value_name = "FOLDER")]
    data: PathBuf,
}

/// Which facts are printed, of those that are read.
struct Wanted {
    subjects: BTreeSet<String>,
    by: Vec<UserId>,
    kinds: Vec<String>,
}

/// Reads and prints.
///
/// # Errors
/// When the log cannot be read; the message says up to where it was.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    if options.credentials {
        writeln!(stdout(), "{}", Addresses::of(&options.data)?.consumer_url)?;
        return Ok(ExitCode::SUCCESS);
    }
    let url = if let Some(url) = &options.nats_url {
        url.clone()
    } else {
        let Addresses { nats_url, consumer_url, .. } = Addresses::of(&options.data)?;
        if options.text { nats_url } else { consumer_url }
    };
    let reading = Reading::open(&url, "", options.text).await.context("the log was not opened")?;
    let there = source(reading.epoch());
    if let Some(asked) = options.source.as_ref().filter(|asked| **asked != there) {
        writeln!(stderr(), "herald: the log is {there} and not {asked}: begin anew with --from start").ok();
        return Ok(ExitCode::from(DIFFERENT));
    }
    let output = Output::start(stdout());
    let mut stop = pin_stop()?;
    let outcome = tokio::select! {
        outcome = print(&options, &reading, &output) => outcome,
        // Nobody reads on.
        ended = output.ended() => {
            ended?;
            return Ok(ExitCode::SUCCESS);
        }
        () = &mut stop => {
            output.give_up().await?;
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    tokio::select! {
        finished = output.finish() => finished?,
        () = stop => return Ok(ExitCode::from(INTERRUPTED)),
    }
    outcome.map(|()| ExitCode::SUCCESS)
}

async fn print(options: &Options, reading: &Reading, output: &Output) -> anyhow::Result<()> {
    let pace = Pace::new(options.rate, options.bytes);
    let (mut facts, mut vector) = facts(options, reading, pace.portion()).await?;
    let wanted = Wanted::new(options);
    while let Some(batch) = facts.next().await {
        let batch = batch.with_context(|| format!("reading failed; what was read is up to --from {vector}"))?;
        let mut lines = Vec::new();
        for event in &batch {
            vector.raise(event.position);
            if wanted.has(event) {
                Line { event, vector: &vector }.write(&mut lines)?;
            }
        }
        if !output.write(lines).await {
            // Whoever reads has gone, and is told of by itself.
            return std::future::pending().await;
        }
        pace.take(batch.len(), batch.iter().map(|event| event.stored).sum()).await;
    }
    Ok(())
}

type Batches = stream::SelectAll<BoxStream<'static, Result<Vec<CloudEvent>, LogError>>>;

/// All partitions side by side, and the vector after which they begin.
async fn facts(options: &Options, reading: &Reading, portion: usize) -> anyhow::Result<(Batches, Vector)> {
    let names = reading.names();
    let partitions: Vec<_> = names.partitions().collect();
    let aggregates: Vec<_> = aggregates(options).collect();
    let mut batches = Batches::new();
    let mut vector = Vector::default();
    for bound in [&options.from, &options.to] {
        if let Bound::Vector(bound) = bound
            && let Some(position) = bound.iter().find(|position| !partitions.contains(&position.partition))
        {
            bail!("there is no partition of {position}: the log has {}, from 0 on", partitions.len());
        }
    }
    for &partition in &partitions {
        let after = options.from.sequence(reading, partition).await?.unwrap_or(0);
        vector.set(partition, after);
        let here: Vec<_> = aggregates.iter().filter(|it| names.partition_of(**it) == partition).collect();
        if !aggregates.is_empty() && here.is_empty() {
            continue;
        }
        let end = if options.follow { None } else { Some(end(options, reading, partition, after).await?) };
        let only = if aggregates.len() == 1 { here.first().map(|only| **only) } else { None };
        let facts = reading.facts(partition, only, after, end, portion * 2);
        let batches_of = stream::unfold(Some(facts), move |facts| async move {
            let mut facts = facts?;
            match facts.next_batch(portion).await.transpose()? {
                Ok(batch) => Some((Ok(batch), Some(facts))),
                Err(error) => Some((Err(error), None)),
            }
        });
        batches.push(batches_of.boxed());
    }
    Ok((batches, vector))
}

/// The last sequence that is wanted of a partition.
async fn end(options: &Options, reading: &Reading, partition: Partition, after: u64) -> anyhow::Result<u64> {
    let there = reading.end_of(partition).await?;
    ensure!(
        after <= there,
        "--from is at {partition}:{after}, and the log ends at {partition}:{there}: it is another log, or was cut short"
    );
    Ok(options.to.sequence(reading, partition).await?.map_or(there, |end| end.min(there)))
}

fn aggregates(options: &Options) -> impl Iterator<Item = Aggregate> {
    let threads = options.thread.iter().copied().map(Aggregate::Thread);
    threads.chain(options.user.iter().copied().map(Aggregate::User))
}

impl Wanted {
    fn new(options: &Options) -> Self {
        let subjects = aggregates(options).map(|aggregate| aggregate.to_string()).collect();
        Self { subjects, by: options.by.clone(), kinds: options.kind.clone() }
    }

    fn has(&self, event: &CloudEvent) -> bool {
        (self.subjects.is_empty() || self.subjects.contains(&event.subject))
            && (self.by.is_empty() || event.by.is_some_and(|by| self.by.contains(&by)))
            && (self.kinds.is_empty() || self.kinds.iter().any(|kind| event.is_called(kind)))
    }
}
