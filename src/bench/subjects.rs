//! What people and threads take that say hardly anything: an account and a thread
//! with one message for each, straight into the log; and whether ten times as many
//! of them, and of partitions, take ten times as much, as `herald estimate` reckons.

use super::{
    Options,
    calibrate::{bench, figure},
    fill,
    progress::Progress,
    rebuild::abreast,
    report::{Check, Dash, Each, Finding, Setting, float},
    sizes::Sizes,
    target::Target,
    usage::Usage,
};
use crate::estimate::Costs;
use anyhow::Context;
use events::{Vector, log::Durability};
use serde::Serialize;
use serde_json::Value;
use std::fmt;
use tokio::time::Instant;

/// Of the small one, where nothing else is said.
const PARTITIONS: u16 = 4;
const TENFOLD: u64 = 10;

#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    setting: Setting,
    /// And as many threads.
    people: u64,
    partitions: usize,
    appends_per_s: f64,
    /// CPU of NATS for an append and for its readers, µs; the keys of people are appends too.
    nats_us_each: Option<f64>,
    /// Memory of NATS for each person, thread and key, what it caches of them included.
    subject_bytes: Option<f64>,
    /// Of the log on the disk, for each person with their thread.
    log_bytes: Option<f64>,
    /// Of all views with their indexes, for each person with their thread.
    view_bytes: f64,
    /// From the last append until the views have all.
    views_s: f64,
    check: Check,
}

pub(super) async fn measure(options: &Options, target: &Target, progress: &Progress) -> anyhow::Result<Finding> {
    let setting = Setting::read(options, target);
    let log = target.log.as_ref().context("--nats-url is missing")?;
    let url = target.database_url.as_ref().context("--database-url is missing")?;
    let people = options.events;
    let count = |end: &Vector| end.iter().map(|end| end.sequence).sum::<u64>();
    let facts_before = count(&log.end().await?);
    let (before, sizes_before) = (Usage::read(target.pids), Sizes::read(target).await?);
    let began = Instant::now();
    fill::sparsely(log, people, usize::from(options.body), progress).await?;
    let (filled, written) = (began.elapsed().as_secs_f64(), Instant::now());
    let end = log.end().await?;
    abreast(log, url, &end, progress).await?;
    let views_s = written.elapsed().as_secs_f64();
    let (after, sizes) = (Usage::read(target.pids), Sizes::read(target).await?);
    let facts = count(&end) - facts_before;
    let fault = (facts != people * 2).then(|| format!("{facts} facts are in the log and not {}", people * 2));

    let subjects = float(people * 3);
    let bytes_of = |sizes: &Sizes| float(sizes.tables.values().sum());
    let grown = Each::memory(&after).less(Each::memory(&before)).scaled(f64::from(1 << 20) / subjects);
    let files = sizes.log_files.zip(sizes_before.log_files);
    let report = Report {
        setting,
        people,
        partitions: log.names().partitions().count(),
        appends_per_s: subjects / filled,
        nats_us_each: Each::cpu(&before, &after).scaled(1e6 / subjects).nats,
        subject_bytes: grown.nats,
        log_bytes: files.map(|(after, before)| float(after.saturating_sub(before)) / float(people)),
        view_bytes: (bytes_of(&sizes) - bytes_of(&sizes_before)) / float(people),
        views_s,
        check: Check::of(facts, fault.into_iter().collect()),
    };
    Finding::of(&report, &report.check)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, people, partitions, appends_per_s, nats_us_each, subject_bytes, .. } = self;
        writeln!(f, "{setting}")?;
        writeln!(f, "\n{people} people and threads in {partitions} partitions, {appends_per_s:.0} appends a second")?;
        writeln!(f, "NATS {} CPU µs an append, {} bytes a subject", Dash(*nats_us_each, 1), Dash(*subject_bytes, 0))?;
        writeln!(
            f,
            "log {} bytes and views {:.0} bytes a person with their thread; views had all after {:.1} s",
            Dash(self.log_bytes, 0),
            self.view_bytes,
            self.views_s
        )?;
        write!(f, "{}", self.check.told("facts are in the log"))
    }
}

/// One figure of both, for one of each.
#[derive(Debug, Serialize)]
struct Compared {
    what: &'static str,
    /// What `herald estimate` reckons with, where it does.
    estimate: Option<f64>,
    once: Option<f64>,
    tenfold: Option<f64>,
    /// 1 where it grows as the estimate has it: by as much as there is more of it.
    ratio: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Comparison {
    people: u64,
    partitions: u16,
    durability: String,
    compared: Vec<Compared>,
}

/// Fills one log, then one with ten times the partitions, people and threads, each by a bench in a process of its own.
pub(super) async fn tenfold(people: u64, durability: Durability, partitions: Option<u16>) -> anyhow::Result<Finding> {
    let progress = Progress::new();
    let partitions = partitions.unwrap_or(PARTITIONS);
    let run = async |times: u64| {
        progress.step(&format!("{} people in {} partitions", people * times, u64::from(partitions) * times));
        let (people, partitions) = (people * times, u64::from(partitions) * times);
        bench(&format!("subjects --no-floors --events {people} --partitions {partitions}"), durability).await
    };
    let (once, tenfold) = (run(1).await?, run(TENFOLD).await?);
    progress.finish();
    let costs = Costs::default();
    let compare = |what, path, estimate| {
        let [once, tenfold] = [&once, &tenfold].map(|of: &Value| figure(of, path).ok());
        let ratio = once.zip(tenfold).map(|(once, tenfold)| tenfold / once);
        Compared { what, estimate, once, tenfold, ratio }
    };
    let compared = vec![
        compare("memory of NATS for a subject, bytes", "/subject_bytes", Some(costs.subject_bytes)),
        compare("CPU of NATS for an append, µs", "/nats_us_each", Some(costs.message_nats_us)),
        compare("log for a person and a thread, bytes", "/log_bytes", None),
        compare("views for a person and a thread, bytes", "/view_bytes", None),
        compare("appends a second", "/appends_per_s", None),
    ];
    let comparison = Comparison { people, partitions, durability: durability.to_string(), compared };
    let json = serde_json::to_string_pretty(&comparison)?;
    Ok(Finding { text: comparison.to_string(), json, passed: true })
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { people, partitions, durability, compared } = self;
        writeln!(
            f,
            "{people} people and threads in {partitions} partitions, and ten times as many of each, {durability}"
        )?;
        writeln!(f, "\n{:<42}{:>10}{:>10}{:>10}{:>8}", "for one of each", "estimate", "once", "tenfold", "ratio")?;
        for Compared { what, estimate, once, tenfold, ratio } in compared {
            let [estimate, once, tenfold] = [estimate, once, tenfold].map(|figure| Dash(*figure, 1).to_string());
            let ratio = Dash(*ratio, 2).to_string();
            writeln!(f, "{what:<42}{estimate:>10}{once:>10}{tenfold:>10}{ratio:>8}")?;
        }
        Ok(())
    }
}
