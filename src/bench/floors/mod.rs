//! What the same servers do bare, in the same run: a figure of herald's means
//! something beside these.

mod connection;
mod copy;
mod socket;

use super::{
    Options,
    options::Work,
    progress::Progress,
    report::{Dash, float},
    target::Target,
    usage::{Sample, Usage},
};
use events::log::Load;
use serde::Serialize;
use std::{fmt, time::Duration};
use tokio::time::Instant;

const LASTING: Duration = Duration::from_secs(3);
/// What a message of 100 bytes comes to in the log, with its envelope.
const RECORD: usize = 512;
const SUBJECTS: u64 = 100;
const WINDOW: usize = 512;
/// Frames in one write.
const JOINED: usize = 16;
/// A message of 100 bytes as a frame.
const FRAME: usize = 370;
/// What a hello is answered.
const HELLO: usize = 512;

/// Those that a work is held against.
#[derive(Debug, Default, Serialize)]
pub(super) struct Floors {
    /// JetStream appends of 512 bytes with an expected sequence, many under way, on one stream; the log has one for each
    /// partition, and where NATS syncs each append those sync side by side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) append: Option<Floor>,
    /// The same, each one waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) append_one_by_one: Option<Floor>,
    /// Rows of the projector's transaction by COPY, 2,000 a batch, one writer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) project: Option<Floor>,
    /// Writes of 300 bytes to sockets, one for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) socket_write: Option<Floor>,
    /// The same, sixteen in one write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) socket_write_joined: Option<Floor>,
    /// Connections that are opened, ask once and are answered as a socket is, many at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connection: Option<Floor>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Floor {
    pub(super) per_second: f64,
    /// CPU microseconds of the server for each.
    pub(super) server_us: Option<f64>,
}

impl Floors {
    /// `None` where they are not asked for.
    pub(super) async fn measure(
        options: &Options,
        target: &Target,
        progress: &Progress,
    ) -> anyhow::Result<Option<Self>> {
        if options.no_floors {
            return Ok(None);
        }
        progress.step("floors");
        let mut floors = Self::default();
        match options.work {
            Work::Chat => floors.of_messages(options, target).await?,
            Work::Group => {
                floors.socket_write = Some(socket::measure(1, LASTING).await?);
                floors.socket_write_joined = Some(socket::measure(JOINED, LASTING).await?);
            }
            Work::Idle => floors.connection = Some(connection::measure(HELLO, LASTING).await?),
            Work::Resume => {
                let missed = FRAME * usize::try_from(options.missed)?;
                floors.connection = Some(connection::measure(HELLO + missed, LASTING).await?);
            }
            Work::Rebuild => floors.of_projection(options, target).await?,
            // Theirs are measured in turns with them; presence stands beside a message.
            Work::Reads | Work::Presence | Work::Subjects => {}
        }
        Ok(Some(floors))
    }

    async fn of_messages(&mut self, options: &Options, target: &Target) -> anyhow::Result<()> {
        self.socket_write = Some(socket::measure(1, LASTING).await?);
        if let Some(log) = &target.log {
            for (window, floor) in [(WINDOW, &mut self.append), (1, &mut self.append_one_by_one)] {
                let load = Load { bytes: RECORD, subjects: SUBJECTS, window, lasting: LASTING };
                let before = Usage::read(target.pids).nats;
                let appended = log.measure_floor(load).await?;
                let after = Usage::read(target.pids).nats;
                *floor = Some(Floor::of(appended.records, appended.took, before, after));
            }
        }
        self.of_projection(options, target).await
    }

    async fn of_projection(&mut self, options: &Options, target: &Target) -> anyhow::Result<()> {
        if let Some(url) = &target.database_url {
            let before = Usage::read(target.pids).postgres;
            let (began, rows) = (Instant::now(), copy::measure(url, options, LASTING).await?);
            let after = Usage::read(target.pids).postgres;
            self.project = Some(Floor::of(rows, began.elapsed(), before, after));
        }
        Ok(())
    }
}

impl Floor {
    fn of(count: u64, took: Duration, before: Option<Sample>, after: Option<Sample>) -> Self {
        let count = float(count);
        let used = before.zip(after).map(|(before, after)| after.cpu.saturating_sub(before.cpu));
        Self {
            per_second: count / took.as_secs_f64(),
            server_us: used.map(|used| used.as_secs_f64() * 1_000_000.0 / count),
        }
    }
}

impl fmt::Display for Floors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nfloors                 a second  server µs")?;
        for (name, floor) in [
            ("append, expected", self.append),
            ("append, one by one", self.append_one_by_one),
            ("projector's COPY", self.project),
            ("socket write", self.socket_write),
            ("16 joined", self.socket_write_joined),
            ("connection", self.connection),
        ] {
            if let Some(Floor { per_second, server_us }) = floor {
                writeln!(f, "{name:<20}{per_second:>11.0}{:>11}", Dash(server_us, 1))?;
            }
        }
        Ok(())
    }
}
