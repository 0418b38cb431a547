//! One writes into a group and all others hear it: how many deliveries, what
//! each costs, and what becomes meanwhile of those who write to each other.

use super::{
    Options,
    chat::{
        check,
        load::{self, Cast, Moved},
    },
    floors::Floors,
    people::{self, People},
    progress::Progress,
    report::{Check, Columns, Dash, Each, Finding, Last, Latency, Percent, Setting, Shares, float, milliseconds},
    target::Target,
};
use anyhow::{Context, ensure};
use serde::Serialize;
use std::fmt;

/// As many as a group may have.
const MOST: u32 = 1_024;
/// Those who write to each other beside the group.
const BESIDE: usize = 20;

#[derive(Debug, Serialize)]
struct Report {
    settings: Settings,
    /// That the one wrote, a second.
    messages_per_second: f64,
    messages: u64,
    /// To all others, a second.
    deliveries_per_second: f64,
    deliveries: u64,
    /// From send to delivery.
    delivery_ms: Latency,
    arrived_ms: f64,
    beside: Beside,
    /// CPU microseconds for each delivery, those beside included.
    us_per_delivery: Each<f64>,
    servers_us_per_delivery: Option<f64>,
    #[serde(flatten)]
    share: Shares,
    memory_mib: Each<f64>,
    floors: Option<Floors>,
    /// Deliveries a second, against bare writes of one frame and of sixteen.
    of_socket_write: Option<f64>,
    of_socket_write_joined: Option<f64>,
    check: Check,
}

#[derive(Debug, Serialize)]
struct Settings {
    #[serde(flatten)]
    setting: Setting,
    members: usize,
    window: u32,
    body_bytes: u16,
    seconds: f64,
}

#[derive(Debug, Serialize)]
struct Beside {
    people: usize,
    per_second: f64,
    delivery_ms: Latency,
}

pub(super) async fn measure(options: &Options, target: &Target, progress: &Progress) -> anyhow::Result<Finding> {
    ensure!(options.users <= MOST, "a group has at most {MOST} members");
    let setting = Setting::read(options, target);
    let floors = Floors::measure(options, target, progress).await?;
    progress.step("people");
    let members = usize::try_from(options.users)?;
    let mut people = people::gather(members + BESIDE, options, target).await?;
    let mut beside = people.split_off(members);
    let People { http, all, .. } = people;
    People::pair(&http, &mut beside).await?;
    let thread_id = http.create_group(&all).await?;
    let members: Vec<_> = all.iter().map(|member| member.writing_in(&thread_id)).collect();

    progress.step("connecting");
    let closed_loop = Options { rate: None, ..options.clone() };
    let crowd = Cast::crowd(&closed_loop, target, &members).await?;
    let pairs = Cast::pairs(options, target, &beside).await?;
    let silent = Progress::silent();
    let (moved, meanwhile) =
        tokio::join!(load::run(&closed_loop, target, crowd, progress), load::run(options, target, pairs, &silent));
    let (moved, meanwhile) = (moved?, meanwhile?);

    progress.step("checking the views");
    let checks = (
        check::run(target, &http, &members, members.len(), &moved, progress).await,
        check::run(target, &http, &beside, 2, &meanwhile, progress).await,
    );
    let checks = [checks.0, checks.1].into_iter().collect::<anyhow::Result<Vec<_>>>();
    let checks = checks.context("the views were not read back")?;
    let messages = checks.iter().map(|check| check.verified).sum();
    let check = Check::of(messages, checks.into_iter().flat_map(|check| check.faults).collect());
    let settings = Settings {
        setting,
        members: members.len(),
        window: options.window,
        body_bytes: options.body,
        seconds: seconds(&moved),
    };
    let report = Report::new(settings, floors, beside.len(), &moved, &meanwhile, check);
    Finding::of(&report, &report.check)
}

fn seconds(moved: &Moved) -> f64 {
    float(moved.last.at - moved.first.at) / 1_000_000.0
}

impl Report {
    fn new(
        settings: Settings,
        floors: Option<Floors>,
        beside: usize,
        moved: &Moved,
        meanwhile: &Moved,
        check: Check,
    ) -> Self {
        let Moved { first, last, end, usage: [start, stop, _], .. } = moved;
        let deliveries = last.delivered - first.delivered;
        let deliveries_per_second = float(deliveries) / settings.seconds;
        let used = Each::cpu(start, stop);
        let us_per_delivery = used.scaled(1_000_000.0 / float(deliveries.max(1)));
        let of = |floor: Option<super::floors::Floor>| floor.map(|floor| deliveries_per_second / floor.per_second);
        let delivered_beside = meanwhile.last.delivered - meanwhile.first.delivered;
        Self {
            messages_per_second: float(last.acknowledged - first.acknowledged) / settings.seconds,
            messages: end.acknowledged,
            deliveries_per_second,
            deliveries: end.delivered,
            delivery_ms: Latency::of(&moved.delivery),
            arrived_ms: milliseconds(moved.drained_in),
            beside: Beside {
                people: beside,
                per_second: float(delivered_beside) / seconds(meanwhile),
                delivery_ms: Latency::of(&meanwhile.delivery),
            },
            us_per_delivery,
            servers_us_per_delivery: us_per_delivery.servers(),
            share: Shares::of(used, settings.seconds),
            memory_mib: Each::memory(stop),
            of_socket_write: floors.as_ref().and_then(|floors| of(floors.socket_write)),
            of_socket_write_joined: floors.as_ref().and_then(|floors| of(floors.socket_write_joined)),
            settings,
            floors,
            check,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { setting, members, window, body_bytes, seconds } = &self.settings;
        writeln!(f, "{setting}\na group of {members}, window {window}, {body_bytes} B, {seconds:.0} s")?;
        writeln!(f, "\n                          total   a second")?;
        writeln!(f, "{:<20}{:>11}{:>11.0}", "messages", self.messages, self.messages_per_second)?;
        writeln!(f, "{:<20}{:>11}{:>11.0}", "deliveries", self.deliveries, self.deliveries_per_second)?;
        let Beside { people, per_second, delivery_ms } = &self.beside;
        writeln!(f, "{:<20}{:>11}{per_second:>11.0}", format!("{people} beside, 1:1"), delivery_ms.count)?;
        writeln!(f, "\nsend to delivery, ms        p50       p99     p99.9       max")?;
        writeln!(f, "{:<20}{}", "in the group", self.delivery_ms)?;
        writeln!(f, "{:<20}{delivery_ms}", "beside, 1:1")?;
        writeln!(f, "\n                         herald      NATS  Postgres     bench   servers")?;
        writeln!(
            f,
            "CPU µs a delivery   {:>11}{}",
            Columns(self.us_per_delivery, 2),
            Last(self.servers_us_per_delivery, 2)
        )?;
        writeln!(f, "memory, MiB         {:>11}", Columns(self.memory_mib, 1))?;
        writeln!(f, "{}", self.share)?;
        if let Some(floors) = &self.floors {
            write!(f, "{floors}")?;
            writeln!(
                f,
                "of the floors: deliveries {} of writes, {} of joined ones",
                Percent(self.of_socket_write),
                Percent(self.of_socket_write_joined)
            )?;
        }
        writeln!(f, "the last was delivered {} ms after it was sent", Dash(Some(self.arrived_ms), 0))?;
        self.check.told("messages, each told once to every member, in order, without gaps, and in the views").fmt(f)
    }
}
