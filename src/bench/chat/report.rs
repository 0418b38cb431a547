//! What a run of a chat has shown, as one value.

use super::load::{Counts, Moved};
use crate::bench::{
    Options,
    floors::{Floor, Floors},
    people::People,
    report::{Check, Columns, Dash, Each, Last, Latency, Percent, Setting, Shares, float, micros, milliseconds},
    sizes::Sizes,
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

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
    #[serde(flatten)]
    setting: Setting,
    people: usize,
    window: Option<u32>,
    rate: Option<u32>,
    body_bytes: u16,
    seconds: f64,
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
struct Cpu {
    /// For each thousand messages, until they were in the views.
    seconds_per_1000: Each<f64>,
    /// Herald, NATS and Postgres together.
    servers_per_1000: Option<f64>,
    #[serde(flatten)]
    share: Shares,
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
        setting: Setting,
        floors: Option<Floors>,
        people: &People,
        moved: &Moved,
        before: &Sizes,
        after: &Sizes,
        check: Check,
    ) -> Self {
        let Moved { first, last, end, .. } = moved;
        let watched = moved.view.is_some();
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
                setting,
                people: people.all.len(),
                window: options.rate.is_none().then_some(options.window),
                rate: options.rate,
                body_bytes: options.body,
                seconds,
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
            memory_mib: Each::memory(&moved.usage[1]),
            bytes_per_message: Bytes::of(before, after, end.acknowledged),
            of_floor,
            per_second,
            floors,
            check,
        }
    }
}

impl Cpu {
    fn of(moved: &Moved, seconds: f64) -> Self {
        let messages = moved.end.acknowledged.saturating_sub(moved.first.acknowledged).max(1);
        let [start, end, drained] = &moved.usage;
        let seconds_per_1000 = Each::cpu(start, drained).scaled(1_000.0 / float(messages));
        Self {
            seconds_per_1000,
            servers_per_1000: seconds_per_1000.servers(),
            share: Shares::of(Each::cpu(start, end), seconds),
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
        let Settings { setting, people, window, rate, body_bytes, seconds } = settings;
        let load = match (window, rate) {
            (Some(window), _) => format!("window {window}"),
            (None, rate) => format!("{}/s", rate.unwrap_or_default()),
        };
        writeln!(f, "{setting}\n{people} people in pairs, {load}, {body_bytes} B, {seconds:.0} s")?;
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
            if let Some(latency) = latency {
                writeln!(f, "{name:<20}{latency}")?;
            }
        }
        writeln!(f, "views had all after {:>11} ms", Dash(self.views_caught_up_ms, 0))?;
        let per_1000 = cpu.seconds_per_1000;
        writeln!(f, "\n                         herald      NATS  Postgres     bench   servers")?;
        writeln!(f, "CPU s per 1,000     {:>11}{}", Columns(per_1000, 4), Last(cpu.servers_per_1000, 4))?;
        writeln!(f, "memory, MiB         {:>11}", Columns(*memory_mib, 1))?;
        writeln!(f, "{}", cpu.share)?;
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
        self.check.told("messages, each told once to both, in order, without gaps, and in the views").fmt(f)
    }
}
