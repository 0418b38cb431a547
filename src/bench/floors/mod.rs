//! What the same servers do bare, in the same run: a figure of herald's means
//! something beside these.

mod copy;
mod socket;

use super::{
    Options,
    target::Target,
    usage::{Sample, Usage},
};
use events::log::Load;
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;

const LASTING: Duration = Duration::from_secs(3);
/// What a message of 100 bytes comes to in the log, with its envelope.
const RECORD: usize = 512;
const SUBJECTS: u64 = 100;
const WINDOW: usize = 512;

#[derive(Debug, Clone, Serialize)]
pub(super) struct Floors {
    /// JetStream appends of 512 bytes with an expected sequence, many under way, on one stream; the log has one for each
    /// partition, and where NATS syncs each append those sync side by side.
    pub(super) append: Option<Floor>,
    /// The same, each one waited for.
    pub(super) append_one_by_one: Option<Floor>,
    /// Rows of the projector's transaction by COPY, 2,000 a batch, one writer.
    pub(super) project: Option<Floor>,
    /// Writes of 300 bytes to sockets, one for each.
    pub(super) socket_write: Floor,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Floor {
    pub(super) per_second: f64,
    /// CPU microseconds of the server for each.
    pub(super) server_us: Option<f64>,
}

pub(super) async fn measure(target: &Target, options: &Options) -> anyhow::Result<Floors> {
    let mut floors =
        Floors { append: None, append_one_by_one: None, project: None, socket_write: socket::measure(LASTING).await? };
    if let Some(log) = &target.log {
        for (window, floor) in [(WINDOW, &mut floors.append), (1, &mut floors.append_one_by_one)] {
            let load = Load { bytes: RECORD, subjects: SUBJECTS, window, lasting: LASTING };
            let before = Usage::read(target.pids).nats;
            let appended = log.measure_floor(load).await?;
            let after = Usage::read(target.pids).nats;
            *floor = Some(Floor::of(appended.records, appended.took, before, after));
        }
    }
    if let Some(url) = &target.database_url {
        let before = Usage::read(target.pids).postgres;
        let (began, rows) = (Instant::now(), copy::measure(url, options, LASTING).await?);
        let after = Usage::read(target.pids).postgres;
        floors.project = Some(Floor::of(rows, began.elapsed(), before, after));
    }
    Ok(floors)
}

impl Floor {
    fn of(count: u64, took: Duration, before: Option<Sample>, after: Option<Sample>) -> Self {
        let count = super::report::float(count);
        let used = before.zip(after).map(|(before, after)| after.cpu.saturating_sub(before.cpu));
        Self {
            per_second: count / took.as_secs_f64(),
            server_us: used.map(|used| used.as_secs_f64() * 1_000_000.0 / count),
        }
    }
}
