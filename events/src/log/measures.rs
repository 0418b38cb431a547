//! What the log tells of itself: how long appending takes and how it ends, what
//! is read, how NATS is. Handles are resolved once: recording allocates nothing.

use super::{AppendError, EventLog, LogError};
use crate::{Partition, Position};
use async_nats::connection::State;
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
use std::{sync::atomic::Ordering, time::Duration};

const APPEND: &str = "herald_log_append_duration_seconds";
const READ: &str = "herald_log_read_events_total";
const FAILED: &str = "herald_log_read_failures_total";

pub(super) struct Measures {
    stored: Histogram,
    conflict: Histogram,
    unknown: Histogram,
    failed: Histogram,
    read: Vec<Counter>,
    read_failed: Vec<Counter>,
}

/// How far a partition goes, and what it takes.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    pub end: Position,
    pub bytes: u64,
    /// At so many it refuses to grow; `None`: the disk is the limit.
    pub max_bytes: Option<u64>,
}

impl Measures {
    pub(super) fn new(streams: impl Iterator<Item = Partition>) -> Self {
        describe_histogram!(APPEND, Unit::Seconds, "Appends of one fact until their outcome.");
        describe_counter!(READ, "Facts that were read from the log.");
        describe_counter!(FAILED, "Readers that had to begin anew.");
        let of = |name, stream: Partition| counter!(name, "partition" => stream.label());
        let (read, read_failed) = streams.map(|stream| (of(READ, stream), of(FAILED, stream))).unzip();
        Self {
            stored: histogram!(APPEND, "outcome" => "stored"),
            conflict: histogram!(APPEND, "outcome" => "conflict"),
            unknown: histogram!(APPEND, "outcome" => "unknown"),
            failed: histogram!(APPEND, "outcome" => "failed"),
            read,
            read_failed,
        }
    }

    pub(super) fn appended(&self, outcome: &Result<Position, AppendError>, took: Duration) {
        let histogram = match outcome {
            Ok(_) => &self.stored,
            Err(AppendError::Conflict) => &self.conflict,
            Err(AppendError::OutcomeUnknown(_)) => &self.unknown,
            Err(AppendError::Log(_)) => &self.failed,
        };
        histogram.record(took);
    }

    /// By the index of a stream among all of them.
    pub(super) fn read(&self, stream: usize, events: usize) {
        self.read[stream].increment(events as u64);
    }

    pub(super) fn read_failed(&self, stream: usize) {
        self.read_failed[stream].increment(1);
    }
}

impl EventLog {
    /// Whether there is a connection to NATS.
    pub fn is_connected(&self) -> bool {
        self.0.client.connection_state() == State::Connected
    }

    /// How often NATS was connected to since the log was opened.
    pub fn connects(&self) -> u64 {
        self.0.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// How far each partition and presence goes, and what it takes.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn extents(&self) -> Result<Vec<Extent>, LogError> {
        let mut extents = Vec::with_capacity(self.0.streams.len());
        for (partition, stream) in self.0.names.streams().zip(&self.0.streams) {
            let info = stream.get_info().await?;
            let end = Position { partition, sequence: info.state.last_sequence };
            extents.push(Extent { end, bytes: info.state.bytes, max_bytes: u64::try_from(info.config.max_bytes).ok() });
        }
        Ok(extents)
    }
}
