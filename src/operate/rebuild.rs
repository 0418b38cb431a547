//! `herald rebuild`: makes views anew from the log beside those that serve, and
//! swaps them in.

use super::{Attended, DIFFERENT, Deployment, INTERRUPTED, printable};
use anyhow::ensure;
use clap::Args;
use events::{Share, shard::Map};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use projection::{BATCH, Compared, Error, Goal, KEEP, Only, Progress, Rebuild, Rebuilt, Step, View};
use serde_json::{Value, json};
use std::{
    fmt,
    io::{IsTerminal, Write, stderr, stdout},
    num::NonZeroU32,
    process::ExitCode,
    str::FromStr,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

const FRAME: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The views to make anew: directory, timeline, inbox, search, presence or audit; all of them unless some are named.
    #[arg(value_name = "VIEW", value_parser = view)]
    views: Vec<View>,
    #[command(flatten)]
    deployment: Deployment,
    /// The one database to do it in, by its place in the list of databases, from 0; in all of them unless given.
    #[arg(long, value_name = "NUMBER")]
    database: Option<u16>,
    /// Only compare what is built with what serves, and drop it. The exit code is 3 where they differ.
    #[arg(long, conflicts_with = "rollback")]
    check: bool,
    /// Let the generation serve again that served before the last rebuild.
    #[arg(long)]
    rollback: bool,
    /// At most so many events of the log a second, so that those who chat do not feel it; `off`: as fast as it goes.
    #[arg(long, default_value = "off", value_name = "NUMBER")]
    pace: Pace,
    /// How long the generation that served is kept abreast for --rollback, in hours.
    #[arg(long, default_value_t = KEEP.as_secs() / 3_600, value_name = "HOURS", value_parser = clap::value_parser!(u64).range(1..=8_760))]
    keep: u64,
    /// The most events in one transaction.
    #[arg(long, default_value_t = BATCH, value_name = "NUMBER", value_parser = batch)]
    batch: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Pace(pub(super) Option<NonZeroU32>);

impl FromStr for Pace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self(None)),
            number => number.parse().map(|pace| Self(Some(pace))).map_err(|_| "must be a number or `off`".to_owned()),
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(pace) => write!(f, "{pace}"),
            None => f.write_str("off"),
        }
    }
}

pub(super) fn batch(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(batch) if (1..=100_000).contains(&batch) => Ok(batch),
        Ok(_) | Err(_) => Err("must be a number from 1 to 100000".to_owned()),
    }
}

fn view(text: &str) -> Result<View, String> {
    View::ALL.into_iter().find(|view| view.name() == text).ok_or_else(|| {
        let names: Vec<_> = View::ALL.iter().map(|view| view.name()).collect();
        format!("must be one of {}", names.join(", "))
    })
}

/// Rebuilds, and tells what came of it.
///
/// # Errors
/// When it cannot; what was done by then is gone on with by the next run.
pub(crate) async fn run(options: Options, stop: impl Future<Output = ()>) -> anyhow::Result<ExitCode> {
    let Options { views, deployment, database, check, rollback, pace, keep, batch, json } = options;
    let Attended { log, database_url } = deployment.attend().await?;
    let databases = Map::of(&database_url);
    ensure!(database.is_none_or(|database| database < databases.count()), "there are {} databases", databases.count());
    let goal = match (check, rollback) {
        (true, _) => Goal::Compare,
        (false, true) => Goal::RollBack,
        (false, false) => Goal::Swap,
    };
    let views = View::ALL.into_iter().filter(|view| views.is_empty() || views.contains(view)).collect();
    let keep = Duration::from_secs(keep * 3_600);
    let stopping = CancellationToken::new();
    let rebuild = Rebuild { views, goal, pace: pace.0, keep, batch };
    let shards = databases.shards().filter(|(share, _)| database.is_none_or(|database| database == share.index()));
    let rebuild = rebuild.prepare_in(log, shards, &stopping)?;
    let progress = rebuild.progress();
    let rebuilt = match attended(rebuild.run(), &progress, stop, &stopping).await {
        Err(Error::Stopped) => {
            writeln!(stderr(), "herald: stopped; the next `herald rebuild` goes on where this one was").ok();
            return Ok(ExitCode::from(INTERRUPTED));
        }
        rebuilt => rebuilt?,
    };
    let text = if json { serde_json::to_string_pretty(&as_json(&rebuilt))? } else { as_text(&rebuilt, goal) };
    writeln!(stdout(), "{text}")?;
    let differs = rebuilt.iter().flat_map(|view| view.tables.iter().flatten()).any(|table| !table.equal);
    Ok(if check && differs { ExitCode::from(DIFFERENT) } else { ExitCode::SUCCESS })
}

/// Does the work, and shows how far it has come; asked to stop, it is told to.
pub(super) async fn attended<T>(
    work: impl Future<Output = T>,
    progress: &[(View, Share, Progress)],
    stop: impl Future<Output = ()>,
    stopping: &CancellationToken,
) -> T {
    let mut work = Box::pin(work);
    let mut bars = std::pin::pin!(show(progress));
    let mut stop = std::pin::pin!(stop);
    let mut told = false;
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = &mut bars => {}
            () = &mut stop, if !told => {
                told = true;
                stopping.cancel();
            }
        }
    }
}

/// A bar for each view in each database, for who sits at a terminal. Never resolves.
async fn show(progress: &[(View, Share, Progress)]) {
    if !stderr().is_terminal() {
        return std::future::pending().await;
    }
    let bars = MultiProgress::new();
    let style =
        ProgressStyle::with_template("{prefix:>13} {bar:30} {pos}/{len} {rate} {msg}").expect("a template of ours");
    let rate = |state: &ProgressState, write: &mut dyn fmt::Write| {
        let left = HumanDuration(Duration::from_secs(state.eta().as_secs()));
        write!(write, "{:.0} events/s, {left:#} left", state.per_sec()).ok();
    };
    let style = style.with_key("rate", rate);
    let made: Vec<_> = progress
        .iter()
        .map(|(view, share, _)| {
            let bar = bars.add(ProgressBar::new(0).with_style(style.clone()).with_prefix(super::named(*view, *share)));
            bar.enable_steady_tick(FRAME);
            bar
        })
        .collect();
    loop {
        for (bar, (_, _, status)) in made.iter().zip(progress) {
            let status = *status.borrow();
            bar.set_length(status.of.max(status.applied));
            bar.set_position(status.applied);
            bar.set_message(doing(status.step));
        }
        tokio::time::sleep(FRAME).await;
    }
}

fn doing(step: Step) -> &'static str {
    match step {
        Step::Waiting => "waits",
        Step::Filling => "is filled",
        Step::Indexing => "gets its indexes",
        Step::Comparing => "is compared",
        Step::Swapping => "is swapped in",
        Step::Done => "is done",
    }
}

fn as_text(rebuilt: &[Rebuilt], goal: Goal) -> String {
    let mut lines = Vec::new();
    for view in rebuilt {
        lines.push(summary(view, goal));
        for table in view.tables.iter().flatten() {
            lines.push(of_table(table));
        }
        if view.tables.is_none() && goal != Goal::RollBack {
            lines.push("  not compared: what served was of another version, not at work, or made of facts that are too old to be kept".to_owned());
        }
    }
    lines.join("\n")
}

/// What became of a view in a database, in one line.
pub(super) fn summary(view: &Rebuilt, goal: Goal) -> String {
    let rate = per_second(view);
    let did = match goal {
        Goal::Swap | Goal::Renew | Goal::Compare => format!(
            "{} events in {:.1} s ({rate} events/s), {:.1} s in all",
            view.events,
            view.filling.as_secs_f64(),
            view.took.as_secs_f64()
        ),
        Goal::RollBack => format!("rolled back in {:.1} s", view.took.as_secs_f64()),
    };
    let stalled = view
        .stalled
        .map(|stalled| format!("; swapped in, the old one stood still for {:.1} ms", stalled.as_secs_f64() * 1e3));
    format!("{}: {did}{}", super::named(view.view, view.share), stalled.unwrap_or_default())
}

fn of_table(Compared { table, living, built, equal, differing }: &Compared) -> String {
    let verdict = if *equal { "equal".to_owned() } else { format!("DIFFERENT: {living} rows served") };
    let rows = differing.iter().map(|row| match row {
        Only::Living(row) => format!("\n    only served: {}", printable(row)),
        Only::Built(row) => format!("\n    only built:  {}", printable(row)),
    });
    format!("  {table:<12} {built:>10} rows, {verdict}{}", rows.collect::<String>())
}

pub(super) fn as_json(rebuilt: &[Rebuilt]) -> Value {
    let of = |view: &Rebuilt| {
        json!({
            "view": view.view.name(),
            "database": view.share.index(),
            "events": view.events,
            "events_per_s": per_second(view),
            "filling_s": view.filling.as_secs_f64(),
            "took_s": view.took.as_secs_f64(),
            "stalled_ms": view.stalled.map(|stalled| stalled.as_secs_f64() * 1e3),
            "tables": view.tables.as_ref().map(|tables| tables.iter().map(table_as_json).collect::<Vec<_>>()),
        })
    };
    json!({ "views": rebuilt.iter().map(of).collect::<Vec<_>>() })
}

fn table_as_json(Compared { table, living, built, equal, differing }: &Compared) -> Value {
    let row = |only: &Only| match only {
        Only::Living(row) => json!({ "only": "served", "row": row }),
        Only::Built(row) => json!({ "only": "built", "row": row }),
    };
    let differing: Vec<_> = differing.iter().map(row).collect();
    json!({ "table": table, "served": living, "built": built, "equal": equal, "differing": differing })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rate to be read"
)]
fn per_second(view: &Rebuilt) -> u64 {
    let seconds = view.filling.as_secs_f64();
    if seconds > 0.0 { (view.events as f64 / seconds) as u64 } else { 0 }
}
