//! Sockets that say hello and then nothing: how many a second, and what each
//! costs in memory and time while it is held.

use super::{
    Options,
    floors::Floors,
    people::{self, Person},
    progress::Progress,
    report::{Check, Columns, Dash, Each, Finding, Last, Latency, Percent, Setting, Shares, float},
    storm::Storm,
    target::Target,
    usage::{Sample, Usage},
};
use crate::files;
use serde::Serialize;
use std::{fmt, time::Duration};
use tokio::time::{Instant, sleep};

/// Memory is read once it has not changed by more than this share between two looks.
const STILL: f64 = 0.005;
const LOOK: Duration = Duration::from_secs(1);
const SETTLING: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize)]
struct Report {
    settings: Settings,
    hellos_per_second: f64,
    hello_ms: Latency,
    /// CPU microseconds for each hello.
    us_per_hello: Each<f64>,
    servers_us_per_hello: Option<f64>,
    /// Resident KiB for each connection, and for each of the later half: what was free before has been used up by then.
    kib_per_connection: Each<f64>,
    kib_per_later_connection: Each<f64>,
    memory_mib: Each<f64>,
    /// CPU microseconds a second for each connection that is held.
    us_per_held_second: Each<f64>,
    #[serde(flatten)]
    share: Shares,
    floors: Option<Floors>,
    /// Hellos a second, against bare connections.
    of_connection: Option<f64>,
    check: Check,
}

#[derive(Debug, Serialize)]
struct Settings {
    #[serde(flatten)]
    setting: Setting,
    people: usize,
    sockets: usize,
    at_once: u32,
    held_seconds: f64,
}

pub(super) async fn measure(options: &Options, target: &Target, progress: &Progress) -> anyhow::Result<Finding> {
    let setting = Setting::read(options, target);
    let sockets = u64::from(options.users) * u64::from(options.each);
    files::ensure(sockets)?;
    let floors = Floors::measure(options, target, progress).await?;
    progress.step("people");
    let people = people::gather(usize::try_from(options.users)?, options, target).await?;
    let owners: Vec<Person> = (0..options.each).flat_map(|_| people.all.iter().cloned()).collect();
    let (first, later) = owners.split_at(owners.len() / 2);

    let empty = settled(target, progress).await;
    let mut storm = Storm::new(target.address, usize::try_from(options.at_once)?);
    progress.step("the first half says hello");
    let mut took = storm.come(first, None).await?;
    let half = settled(target, progress).await;
    progress.step("the other half says hello");
    let before_later = Usage::read(target.pids);
    took += storm.come(later, None).await?;
    let after_later = Usage::read(target.pids);
    let full = settled(target, progress).await;

    progress.step("holding them");
    let (began, start) = (Instant::now(), Usage::read(target.pids));
    sleep(Duration::from_secs(options.seconds)).await;
    let (held, stop) = (began.elapsed().as_secs_f64(), Usage::read(target.pids));
    progress.step("asking each whether it lives");
    let passed = storm.pass().await?;

    let count = float(sockets);
    let hellos_per_second = count / took.as_secs_f64();
    let used = Each::cpu(&before_later, &after_later);
    let us_per_hello = used.scaled(1_000_000.0 / float(u64::try_from(later.len())?));
    let grown = |from: &Usage, to: &Usage, by: usize| {
        let bytes = |of: Sample| float(of.memory);
        Each::of(|of| Some((bytes(of(to)?) - bytes(of(from)?)) / 1_024.0 / float(u64::try_from(by).ok()?)))
    };
    let alive = u64::try_from(passed.told.len() - passed.faults.len())?;
    let report = Report {
        settings: Settings {
            setting,
            people: people.all.len(),
            sockets: owners.len(),
            at_once: options.at_once,
            held_seconds: held,
        },
        hellos_per_second,
        hello_ms: Latency::of(&passed.live),
        us_per_hello,
        servers_us_per_hello: us_per_hello.servers(),
        kib_per_connection: grown(&empty, &full, owners.len()),
        kib_per_later_connection: grown(&half, &full, later.len()),
        memory_mib: Each::memory(&full),
        us_per_held_second: Each::cpu(&start, &stop).scaled(1_000_000.0 / held / count),
        share: Shares::of(used, took.as_secs_f64() / 2.0),
        of_connection: floors.as_ref().and_then(|floors| Some(hellos_per_second / floors.connection?.per_second)),
        floors,
        check: Check::of(alive, passed.faults),
    };
    Finding::of(&report, &report.check)
}

/// Reads what is used once the memory of herald stands still.
async fn settled(target: &Target, progress: &Progress) -> Usage {
    progress.step("memory settles");
    let began = Instant::now();
    let memory = |usage: &Usage| float(usage.herald.map_or(0, |herald| herald.memory));
    let mut usage = Usage::read(target.pids);
    while began.elapsed() < SETTLING {
        sleep(LOOK).await;
        let before = std::mem::replace(&mut usage, Usage::read(target.pids));
        if (memory(&usage) - memory(&before)).abs() <= memory(&before) * STILL {
            break;
        }
    }
    usage
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { setting, people, sockets, at_once, held_seconds } = &self.settings;
        writeln!(f, "{setting}")?;
        writeln!(f, "{sockets} sockets of {people} people, {at_once} hellos at once, held for {held_seconds:.0} s")?;
        writeln!(f, "\nhellos a second     {:>11.0}", self.hellos_per_second)?;
        writeln!(f, "\n                            p50       p99     p99.9       max")?;
        writeln!(f, "{:<20}{}", "hello to live, ms", self.hello_ms)?;
        writeln!(f, "\n                         herald      NATS  Postgres     bench   servers")?;
        writeln!(f, "CPU µs a hello      {:>11}{}", Columns(self.us_per_hello, 0), Last(self.servers_us_per_hello, 0))?;
        writeln!(f, "KiB a connection    {:>11}", Columns(self.kib_per_connection, 2))?;
        writeln!(f, "  of the later half {:>11}", Columns(self.kib_per_later_connection, 2))?;
        writeln!(f, "memory, MiB         {:>11}", Columns(self.memory_mib, 1))?;
        writeln!(f, "CPU µs a second held{:>11}", Columns(self.us_per_held_second, 2))?;
        writeln!(f, "during the hellos: {}", self.share)?;
        if let Some(floors) = &self.floors {
            write!(f, "{floors}")?;
            writeln!(f, "of the floor: hellos {} of bare connections", Percent(self.of_connection))?;
        }
        write!(f, "kept in memory in all: {} MiB", Dash(self.memory_mib.herald, 0))?;
        self.check.told("sockets, each live and answering at the end").fmt(f)
    }
}
