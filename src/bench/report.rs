//! What all reports have in common: on what was measured, the figures and how
//! they are printed. What could not be measured is null in JSON and a dash here.

use super::{
    Options,
    histogram::Histogram,
    target::Target,
    usage::{Sample, Usage},
};
use serde::Serialize;
use std::{fmt, fs, time::Duration};

const MOST_FAULTS: usize = 10;

/// What a run has shown: printed for people, or as JSON with the same figures.
pub(super) struct Finding {
    pub(super) text: String,
    pub(super) json: String,
    pub(super) passed: bool,
}

/// On what was measured, and what.
#[derive(Debug, Serialize)]
pub(super) struct Setting {
    version: &'static str,
    work: String,
    durability: String,
    cores: usize,
    load_average_before: String,
}

/// What the check has found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Check {
    pub(super) passed: bool,
    /// How many of what was checked are right: messages, sockets or answers.
    pub(super) verified: u64,
    /// What is wrong, the first of it.
    pub(super) faults: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
    pub(super) count: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Each<T> {
    pub(super) herald: Option<T>,
    pub(super) nats: Option<T>,
    pub(super) postgres: Option<T>,
    pub(super) bench: Option<T>,
}

/// Who used how much of the CPU while something was measured.
#[derive(Debug, Serialize)]
pub(super) struct Shares {
    /// Of what all four used.
    pub(super) share_of_bench: Option<f64>,
    /// Of what the machine has: what all four used.
    pub(super) share_of_machine: Option<f64>,
}

impl Finding {
    pub(super) fn of(report: &(impl Serialize + fmt::Display), check: &Check) -> anyhow::Result<Self> {
        let json = serde_json::to_string_pretty(report)?;
        Ok(Self { text: report.to_string(), json, passed: check.passed })
    }
}

impl Setting {
    /// As it is before anything is measured.
    pub(super) fn read(options: &Options, target: &Target) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            work: options.work.to_string(),
            durability: target.durability.to_string(),
            cores: cores(),
            load_average_before: fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned(),
        }
    }
}

impl Check {
    pub(super) fn of(verified: u64, mut faults: Vec<String>) -> Self {
        faults.truncate(MOST_FAULTS);
        Self { passed: faults.is_empty(), verified, faults }
    }

    /// What was checked, as so many of that.
    pub(super) fn told<'a>(&'a self, of: &'a str) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            let verdict = if self.passed { "passed" } else { "FAILED" };
            write!(f, "\ncheck {verdict}: {} {of}", self.verified)?;
            self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
        })
    }
}

impl Latency {
    pub(super) fn of(histogram: &Histogram) -> Self {
        let [p50, p99, p999] = [500, 990, 999].map(|share| micros(histogram.per_mille(share)));
        Self { p50, p99, p999, max: micros(histogram.largest()), count: histogram.total() }
    }
}

pub(super) type Process = fn(&Usage) -> Option<Sample>;

impl Each<f64> {
    pub(super) fn of(figure: impl Fn(Process) -> Option<f64>) -> Self {
        Self {
            herald: figure(|usage| usage.herald),
            nats: figure(|usage| usage.nats),
            postgres: figure(|usage| usage.postgres),
            bench: figure(|usage| usage.bench),
        }
    }

    /// The CPU seconds between two moments.
    pub(super) fn cpu(before: &Usage, after: &Usage) -> Self {
        Self::of(|of| Some(of(after)?.cpu.saturating_sub(of(before)?.cpu).as_secs_f64()))
    }

    /// The resident MiB at a moment.
    pub(super) fn memory(at: &Usage) -> Self {
        Self::of(|of| Some(float(of(at)?.memory) / f64::from(1 << 20)))
    }

    /// Herald, NATS and Postgres together.
    pub(super) fn servers(self) -> Option<f64> {
        Some(self.herald? + self.nats? + self.postgres?)
    }

    /// What is left of it without that.
    pub(super) fn less(self, other: Self) -> Self {
        let less = |of: Option<f64>, other: Option<f64>| Some(of? - other?);
        Self {
            herald: less(self.herald, other.herald),
            nats: less(self.nats, other.nats),
            postgres: less(self.postgres, other.postgres),
            bench: less(self.bench, other.bench),
        }
    }

    pub(super) fn scaled(self, by: f64) -> Self {
        let scaled = |figure: Option<f64>| figure.map(|figure| figure * by);
        let Self { herald, nats, postgres, bench } = self;
        Self { herald: scaled(herald), nats: scaled(nats), postgres: scaled(postgres), bench: scaled(bench) }
    }
}

impl Shares {
    /// Of the CPU seconds that were used in a time.
    pub(super) fn of(used: Each<f64>, seconds: f64) -> Self {
        let all = used.servers().zip(used.bench).map(|(servers, bench)| servers + bench);
        let cores = f64::from(u32::try_from(cores()).unwrap_or(u32::MAX));
        Self {
            share_of_bench: used.bench.zip(all).map(|(bench, all)| bench / all),
            share_of_machine: all.map(|all| all / (seconds * cores)),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { work, durability, cores, load_average_before, .. } = self;
        write!(f, "{work}, {durability}, {cores} cores (load before: {load_average_before})")
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bench, machine) = (Percent(self.share_of_bench), Percent(self.share_of_machine));
        write!(f, "of the CPU used, the bench {bench}; of the machine, all {machine}")
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p99, p999, max, .. } = self;
        write!(f, "{p50:>11.2}{p99:>10.2}{p999:>10.2}{max:>10.2}")
    }
}

/// A figure, or a dash; and its decimals.
pub(super) struct Dash(pub(super) Option<f64>, pub(super) usize);

pub(super) struct Percent(pub(super) Option<f64>);

pub(super) struct Columns(pub(super) Each<f64>, pub(super) usize);

pub(super) struct Last(pub(super) Option<f64>, pub(super) usize);

impl fmt::Display for Dash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(figure, decimals) = self;
        f.pad(&figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.decimals$}")))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0)))
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Each { herald, nats, postgres, bench }, decimals) = self;
        for (index, figure) in [herald, nats, postgres, bench].into_iter().enumerate() {
            let width = if index == 0 { 11 } else { 10 };
            write!(f, "{:>width$}", Dash(*figure, *decimals).to_string())?;
        }
        Ok(())
    }
}

impl fmt::Display for Last {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10}", Dash(self.0, self.1).to_string())
    }
}

/// A count as a measure.
#[expect(clippy::cast_precision_loss, reason = "no count here comes near 2^53")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// Microseconds as milliseconds.
pub(super) fn micros(micros: u64) -> f64 {
    float(micros) / 1_000.0
}

pub(super) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
