//! What a run has shown, as one value: printed for people, or as JSON with the
//! same figures. What could not be measured is null there and a dash here.

use super::{
    Options,
    check::Check,
    floors::{Floor, Floors},
    histogram::Histogram,
    load::{Counts, Moved},
    people::People,
    sizes::Sizes,
    target::Target,
    usage::{Sample, Usage},
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, time::Duration};

/// Everything that is told.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    settings: Settings,
    sign_ups: SignUps,
    total: Rates<u64>,
    refused: BTreeMap<String, u64>,
    per_second: Rates<f64>,
    latency_ms: Latencies,
    /// From the last message that was sent until all were acknowledged and delivered, and until the views had them.
    arrived_ms: f64,
    views_caught_up_ms: Option<f64>,
    cpu: Cpu,
    memory_mib: Each<f64>,
    bytes_per_message: Bytes,
    floors: Option<Floors>,
    /// Acknowledged a second, against the floor of the log, and projected, against that of the projector.
    of_floor: OfFloor,
    pub(super) check: Check,
}

#[derive(Debug, Serialize)]
struct Settings {
    version: &'static str,
    durability: String,
    people: usize,
    window: Option<u32>,
    rate: Option<u32>,
    body_bytes: u16,
    seconds: f64,
    cores: usize,
    load_average_before: String,
}

#[derive(Debug, Serialize)]
struct SignUps {
    count: usize,
    per_second: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Rates<T> {
    sent: T,
    acknowledged: T,
    delivered: T,
    projected: Option<T>,
}

#[derive(Debug, Serialize)]
struct Latencies {
    ack: Latency,
    delivery: Latency,
    view: Option<Latency>,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
    count: u64,
}

#[derive(Debug, Serialize)]
struct Cpu {
    /// For each thousand messages, until they were in the views.
    seconds_per_1000: Each<f64>,
    /// Herald, NATS and Postgres together.
    servers_per_1000: Option<f64>,
    /// Of what all four used while it was measured.
    share_of_bench: Option<f64>,
    /// Of what the machine has: what all four used.
    share_of_machine: Option<f64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Each<T> {
    herald: Option<T>,
    nats: Option<T>,
    postgres: Option<T>,
    bench: Option<T>,
}

#[derive(Debug, Serialize)]
struct Bytes {
    log_stream: Option<f64>,
    log_files: Option<f64>,
    timeline_messages: Option<f64>,
    views: Option<f64>,
}

#[derive(Debug, Serialize)]
struct OfFloor {
    append: Option<f64>,
    project: Option<f64>,
}

impl Report {
    #[expect(clippy::too_many_arguments, reason = "a report is of everything")]
    pub(super) fn new(
        options: &Options,
        target: &Target,
        load_average_before: String,
        floors: Option<Floors>,
        people: &People,
        moved: &Moved,
        before: &Sizes,
        after: &Sizes,
        check: Check,
    ) -> Self {
        let Moved { first, last, end, .. } = moved;
        let watched = target.log.is_some();
        let seconds = micros(last.at - first.at) / 1_000.0;
        let rate = |of: fn(&Counts) -> u64| float(of(last) - of(first)) / seconds;
        let per_second = Rates {
            sent: rate(|counts| counts.sent),
            acknowledged: rate(|counts| counts.acknowledged),
            delivered: rate(|counts| counts.delivered),
            projected: watched.then(|| rate(|counts| counts.projected)),
        };
        let mut refused: BTreeMap<String, u64> = BTreeMap::new();
        for (problem, count) in moved.outcomes.iter().flat_map(|outcome| &outcome.refusals) {
            *refused.entry(problem.clone()).or_default() += count;
        }
        let floor = |of: fn(&Floors) -> Option<Floor>| Some(of(floors.as_ref()?)?.per_second);
        let of_floor = OfFloor {
            append: floor(|floors| floors.append).map(|floor| per_second.acknowledged / floor),
            project: per_second.projected.zip(floor(|floors| floors.project)).map(|(rate, floor)| rate / floor),
        };
        Self {
            settings: Settings {
                version: env!("CARGO_PKG_VERSION"),
                durability: target.durability.to_string(),
                people: people.all.len(),
                window: options.rate.is_none().then_some(options.window),
                rate: options.rate,
                body_bytes: options.body,
                seconds,
                cores: cores(),
                load_average_before,
            },
            sign_ups: SignUps {
                count: people.signed_up,
                per_second: (people.signed_up > 0)
                    .then(|| float(u64::try_from(people.signed_up).unwrap_or(u64::MAX)) / people.took.as_secs_f64()),
            },
            total: Rates {
                sent: end.sent,
                acknowledged: end.acknowledged,
                delivered: end.delivered,
                projected: watched.then_some(end.projected),
            },
            refused,
            latency_ms: Latencies {
                ack: Latency::of(&moved.ack),
                delivery: Latency::of(&moved.delivery),
                view: moved.view.as_ref().map(Latency::of),
            },
            arrived_ms: milliseconds(moved.drained_in),
            views_caught_up_ms: moved.projected_in.map(milliseconds),
            cpu: Cpu::of(moved, seconds),
            memory_mib: Each::of(|of| Some(float(of(&moved.usage[1])?.memory) / f64::from(1 << 20))),
            bytes_per_message: Bytes::of(before, after, end.acknowledged),
            of_floor,
            per_second,
            floors,
            check,
        }
    }
}

impl Latency {
    fn of(histogram: &Histogram) -> Self {
        let [p50, p99, p999] = [500, 990, 999].map(|share| micros(histogram.per_mille(share)));
        Self { p50, p99, p999, max: micros(histogram.largest()), count: histogram.total() }
    }
}

impl Cpu {
    fn of(moved: &Moved, seconds: f64) -> Self {
        let thousands = float(moved.end.acknowledged.saturating_sub(moved.first.acknowledged).max(1)) / 1_000.0;
        let each = Each::of(|of| Some(moved.used(of)[1]?.as_secs_f64() / thousands));
        let measured = Each::of(|of| Some(moved.used(of)[0]?.as_secs_f64()));
        let servers = |each: Each<f64>| Some(each.herald? + each.nats? + each.postgres?);
        let all = servers(measured).zip(measured.bench).map(|(servers, bench)| servers + bench);
        let cores = f64::from(u32::try_from(cores()).unwrap_or(u32::MAX));
        Self {
            seconds_per_1000: each,
            servers_per_1000: servers(each),
            share_of_bench: measured.bench.zip(all).map(|(bench, all)| bench / all),
            share_of_machine: all.map(|all| all / (seconds * cores)),
        }
    }
}

type Process = fn(&Usage) -> Option<Sample>;

impl Each<f64> {
    fn of(figure: impl Fn(Process) -> Option<f64>) -> Self {
        Self {
            herald: figure(|usage| usage.herald),
            nats: figure(|usage| usage.nats),
            postgres: figure(|usage| usage.postgres),
            bench: figure(|usage| usage.bench),
        }
    }
}

impl Bytes {
    fn of(before: &Sizes, after: &Sizes, messages: u64) -> Self {
        let each = |before: Option<u64>, after: Option<u64>| {
            Some(float(after?.saturating_sub(before?)) / float(messages.max(1)))
        };
        let messages = "timeline.messages";
        let views = |sizes: &Sizes| (!sizes.tables.is_empty()).then(|| sizes.tables.values().sum());
        Self {
            log_stream: each(before.log, after.log),
            log_files: each(before.log_files, after.log_files),
            timeline_messages: each(before.tables.get(messages).copied(), after.tables.get(messages).copied()),
            views: each(views(before), views(after)),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, sign_ups, total, per_second, latency_ms, cpu, memory_mib, bytes_per_message, .. } = self;
        let Settings { durability, people, window, rate, body_bytes, seconds, cores, load_average_before, .. } =
            settings;
        let load = match (window, rate) {
            (Some(window), _) => format!("window {window}"),
            (None, rate) => format!("{}/s", rate.unwrap_or_default()),
        };
        writeln!(
            f,
            "{people} people in pairs, {load}, {body_bytes} B, {seconds:.0} s, {durability}, {cores} cores \
             (load before: {load_average_before})"
        )?;
        writeln!(f, "sign-ups            {:>10} at {}/s", sign_ups.count, Dash(sign_ups.per_second, 0))?;
        writeln!(f, "\n                          total   a second")?;
        for (name, total, rate) in [
            ("sent", Some(total.sent), Some(per_second.sent)),
            ("acknowledged", Some(total.acknowledged), Some(per_second.acknowledged)),
            ("delivered", Some(total.delivered), Some(per_second.delivered)),
            ("projected", total.projected, per_second.projected),
        ] {
            let total = total.map_or_else(|| "-".to_owned(), |total| total.to_string());
            writeln!(f, "{name:<20}{total:>11}{:>11}", Dash(rate, 0))?;
        }
        for (problem, count) in &self.refused {
            writeln!(f, "refused             {count:>11} {problem}")?;
        }
        writeln!(f, "\nfrom send to, ms            p50       p99     p99.9       max")?;
        let Latencies { ack, delivery, view } = latency_ms;
        for (name, latency) in [("ack", Some(ack)), ("delivery", Some(delivery)), ("view", view.as_ref())] {
            if let Some(Latency { p50, p99, p999, max, .. }) = latency {
                writeln!(f, "{name:<20}{p50:>11.2}{p99:>10.2}{p999:>10.2}{max:>10.2}")?;
            }
        }
        writeln!(f, "views had all after {:>11} ms", Dash(self.views_caught_up_ms, 0))?;
        let per_1000 = cpu.seconds_per_1000;
        writeln!(f, "\n                         herald      NATS  Postgres     bench   servers")?;
        writeln!(f, "CPU s per 1,000     {:>11}{}", Columns(per_1000, 4), Last(cpu.servers_per_1000, 4))?;
        writeln!(f, "memory, MiB         {:>11}", Columns(*memory_mib, 1))?;
        writeln!(
            f,
            "of the CPU used, the bench {}; of the machine, all {}",
            Percent(cpu.share_of_bench),
            Percent(cpu.share_of_machine)
        )?;
        let Bytes { log_stream, log_files, timeline_messages, views } = bytes_per_message;
        writeln!(
            f,
            "\nbytes a message: log {} (on disk {}), timeline row and indexes {}, all views {}",
            Dash(*log_stream, 0),
            Dash(*log_files, 0),
            Dash(*timeline_messages, 0),
            Dash(*views, 0)
        )?;
        if let Some(floors) = &self.floors {
            write!(f, "{floors}")?;
            writeln!(
                f,
                "of the floors: acknowledged {} of append, projected {} of the transaction",
                Percent(self.of_floor.append),
                Percent(self.of_floor.project)
            )?;
        }
        let Check { passed, messages, faults } = &self.check;
        let verdict = if *passed { "passed" } else { "FAILED" };
        write!(
            f,
            "\ncheck {verdict}: {messages} messages, each told once to both, in order, without gaps, and in the views"
        )?;
        faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl fmt::Display for Floors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nfloors                 a second  server µs")?;
        for (name, floor) in [
            ("append, expected", self.append),
            ("append, one by one", self.append_one_by_one),
            ("projector's COPY", self.project),
            ("socket write", Some(self.socket_write)),
        ] {
            if let Some(Floor { per_second, server_us }) = floor {
                writeln!(f, "{name:<20}{per_second:>11.0}{:>11}", Dash(server_us, 1))?;
            }
        }
        Ok(())
    }
}

/// A figure, or a dash; and its decimals.
struct Dash(Option<f64>, usize);

struct Percent(Option<f64>);

struct Columns(Each<f64>, usize);

struct Last(Option<f64>, usize);

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
fn micros(micros: u64) -> f64 {
    float(micros) / 1_000.0
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
