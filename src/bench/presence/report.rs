//! What watching, coming back and a storm have shown.

use crate::bench::report::{Check, Columns, Each, Last, Latency, Setting};
use serde::Serialize;
use std::fmt;

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) settings: Settings,
    /// CPU microseconds for a message of two people's, beside which the others stand.
    pub(super) us_per_message: Each<f64>,
    pub(super) message_ms: Latency,
    pub(super) seen_by_one: Changes,
    pub(super) seen_by_all: Changes,
    pub(super) flaps: Flaps,
    pub(super) storm: StormOf,
    pub(super) check: Check,
}

#[derive(Debug, Serialize)]
pub(super) struct Settings {
    #[serde(flatten)]
    pub(super) setting: Setting,
    pub(super) movers: usize,
    pub(super) watchers: usize,
    pub(super) rate: u32,
}

/// People who come and go.
#[derive(Debug, Serialize)]
pub(super) struct Changes {
    /// CPU microseconds for each coming and each going, the connection that comes and goes included.
    pub(super) us_per_change: Each<f64>,
    /// From the beginning of the connection until a watcher is told.
    pub(super) came_to_told_ms: Latency,
    /// That the watchers were told.
    pub(super) frames: u64,
}

/// People who lose their connection and come back before they are taken to be gone.
#[derive(Debug, Serialize)]
pub(super) struct Flaps {
    /// CPU microseconds for each, the connection included.
    pub(super) us_each: Each<f64>,
    /// The same while another device stays, so that nobody could seem gone.
    pub(super) us_each_beside: Each<f64>,
    pub(super) count: usize,
    pub(super) facts: Option<u64>,
    pub(super) frames: u64,
}

/// All who come back, and those who write meanwhile.
#[derive(Debug, Serialize)]
pub(super) struct StormOf {
    pub(super) sockets: usize,
    pub(super) all_live_ms: f64,
    pub(super) live_ms: Latency,
    pub(super) message_ms: Latency,
}

impl Flaps {
    /// Of what is no news nothing may be said.
    pub(super) fn faults(&self) -> Vec<String> {
        let is_silent = self.frames == 0 && self.facts.unwrap_or(0) == 0;
        let said = || format!("{:?} facts and {} frames of nothing new", self.facts, self.frames);
        if is_silent { Vec::new() } else { vec![said()] }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { setting, movers, watchers, rate } = &self.settings;
        writeln!(f, "{setting}\n{movers} people come and go, {watchers} watch them;")?;
        writeln!(f, "{} sockets come back beside {rate} messages a second", self.storm.sockets)?;
        writeln!(f, "\nCPU µs                   herald      NATS  Postgres     bench   servers")?;
        let all = format!("a change, {watchers}");
        for (name, us) in [
            ("a message", self.us_per_message),
            ("a change, 1 watcher", self.seen_by_one.us_per_change),
            (&all, self.seen_by_all.us_per_change),
            ("a flap", self.flaps.us_each),
            ("  beside a device", self.flaps.us_each_beside),
        ] {
            writeln!(f, "{name:<20}{:>11}{}", Columns(us, 0), Last(us.servers(), 0))?;
        }
        writeln!(f, "\nms                          p50       p99     p99.9       max")?;
        for (name, ms) in [
            ("coming, 1 watcher", &self.seen_by_one.came_to_told_ms),
            ("coming, all", &self.seen_by_all.came_to_told_ms),
            ("a message", &self.message_ms),
            ("  in the storm", &self.storm.message_ms),
            ("hello in the storm", &self.storm.live_ms),
        ] {
            writeln!(f, "{name:<20}{ms}")?;
        }
        writeln!(f, "\nall live after {:.0} ms", self.storm.all_live_ms)?;
        let facts = self.flaps.facts.map_or_else(|| "-".to_owned(), |facts| facts.to_string());
        write!(f, "{} flaps: {facts} facts, {} frames", self.flaps.count, self.flaps.frames)?;
        self.check.told("frames of presence, sockets that live and messages").fmt(f)
    }
}
