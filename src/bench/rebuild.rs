//! All views but search made anew from a log of so many messages, as an operator
//! would: by `herald rebuild` in a process of its own, beside the projector's
//! bare transaction on the same servers.

use super::{
    Options,
    fill::fill,
    floors::Floors,
    progress::Progress,
    report::{Check, Dash, Each, Finding, Percent, Setting, float},
    target::Target,
    usage::Usage,
};
use anyhow::{Context, ensure};
use events::{EventLog, Vector, shard::Map};
use query::Views;
use serde::{Deserialize, Serialize};
use std::{fmt, process::Stdio, time::Duration};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

const VIEWS: [&str; 4] = ["directory", "timeline", "inbox", "presence"];
const LOOK: Duration = Duration::from_millis(250);
/// For how long the views may take to come abreast of what was written.
const ABREAST: Duration = Duration::from_mins(8);

#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    setting: Setting,
    events: u64,
    floors: Option<Floors>,
    /// Of the log, until all views had applied them.
    events_per_s: f64,
    /// Against the projector's bare transaction.
    of_floor: Option<f64>,
    /// CPU microseconds for each event, all processes but herald's node, which does nothing meanwhile.
    us_each: Each<f64>,
    seconds: f64,
    views: Vec<Rebuilt>,
    check: Check,
}

/// What `herald rebuild --json` says.
#[derive(Debug, Deserialize)]
struct Said {
    views: Vec<Rebuilt>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Rebuilt {
    view: String,
    events: u64,
    events_per_s: f64,
    filling_s: f64,
    took_s: f64,
    stalled_ms: Option<f64>,
    tables: Option<Vec<Compared>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Compared {
    table: String,
    built: u64,
    equal: bool,
}

pub(super) async fn measure(options: &Options, target: &Target, progress: &Progress) -> anyhow::Result<Finding> {
    let setting = Setting::read(options, target);
    let (log, url) = (target.log.as_ref().context("--nats-url is missing")?, target.database_url.as_ref());
    let url = url.context("--database-url is missing")?;
    fill(log, options.events, usize::from(options.body), progress).await?;
    let end = log.end().await?;
    abreast(log, url, &end, progress).await?;
    let floors = Floors::measure(options, target, progress).await?;

    progress.step("rebuilding");
    let before = Usage::read(target.pids);
    let began = Instant::now();
    let rebuild = Command::new(std::env::current_exe()?)
        .arg("rebuild")
        .args(VIEWS)
        .args(["--json", "--nats-url", target.nats_url.as_deref().context("--nats-url is missing")?])
        .args(["--database-url", url])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = rebuild.await?;
    let (took, after) = (began.elapsed(), Usage::read(target.pids));
    ensure!(output.status.success(), "herald rebuild failed: {}", output.status);
    let Said { views } = serde_json::from_slice(&output.stdout).context("what herald rebuild says")?;

    let events = end.iter().map(|end| end.sequence).sum();
    let slowest = views.iter().map(|view| view.filling_s).fold(0.0, f64::max);
    let events_per_s = float(events) / slowest;
    let mut faults = Vec::new();
    let mut rows = 0;
    for (view, table) in views.iter().flat_map(|view| view.tables.iter().flatten().map(move |table| (view, table))) {
        rows += table.built;
        faults
            .extend((!table.equal).then(|| format!("{}.{} differs from the one that served", view.view, table.table)));
    }
    let of_floor = floors.as_ref().and_then(|floors| Some(events_per_s / floors.project?.per_second));
    let us_each = Each::cpu(&before, &after).scaled(1e6 / float(events));
    let check = Check::of(rows, faults);
    let seconds = took.as_secs_f64();
    let report = Report { setting, events, floors, events_per_s, of_floor, us_each, seconds, views, check };
    Finding::of(&report, &report.check)
}

/// Waits until the views have all that was written.
pub(super) async fn abreast(log: &EventLog, url: &str, end: &Vector, progress: &Progress) -> anyhow::Result<()> {
    let views = Views::new(log.names(), &Map::of(url), 1)?;
    let began = Instant::now();
    for view in [query::View::Directory, query::View::Timeline, query::View::Inbox] {
        loop {
            let applied = views.refresh(view).await?;
            if applied.covers(end) {
                break;
            }
            ensure!(began.elapsed() < ABREAST, "{view} is not abreast: it is at {applied}, and the log ends at {end}");
            let left: u64 = end.iter().map(|end| end.sequence.saturating_sub(applied.get(end.partition))).sum();
            progress.step(&format!("the {view} view comes abreast: {left} left"));
            sleep(LOOK).await;
        }
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, events, floors, events_per_s, of_floor, us_each, seconds, views, check } = self;
        writeln!(f, "{setting}")?;
        if let Some(floors) = floors {
            floors.fmt(f)?;
        }
        writeln!(
            f,
            "\n{events} events at {events_per_s:.0} a second, {} of the projector's floor",
            Percent(*of_floor)
        )?;
        let Each { nats, postgres, .. } = us_each;
        writeln!(f, "NATS {}, Postgres {} CPU µs an event; {seconds:.1} s in all", Dash(*nats, 1), Dash(*postgres, 1))?;
        writeln!(f, "\nview          events a second   filling s    in all s  stalled ms")?;
        for Rebuilt { view, events_per_s, filling_s, took_s, stalled_ms, .. } in views {
            writeln!(f, "{view:<14}{events_per_s:>15.0}{filling_s:>12.1}{took_s:>12.1}{:>12}", Dash(*stalled_ms, 1))?;
        }
        write!(f, "{}", check.told("rows are as those that served"))
    }
}
