//! What a runner tells of itself: the size of its batches, how long a commit
//! takes, and how often it had to begin again.

use crate::View;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use std::time::Duration;

const BATCH: &str = "herald_projection_batch_events";
const COMMIT: &str = "herald_projection_commit_duration_seconds";
const FAILURES: &str = "herald_projection_failures_total";
const PARKED: &str = "herald_projection_parked";

#[derive(Clone)]
pub(crate) struct Measures {
    batch: Histogram,
    commit: Histogram,
    failures: Counter,
    parked: Gauge,
}

impl Measures {
    pub(crate) fn of(view: View) -> Self {
        describe_histogram!(BATCH, Unit::Count, "Facts that were committed together.");
        describe_histogram!(COMMIT, Unit::Seconds, "Commits of a batch, rows and checkpoint.");
        describe_counter!(FAILURES, "Times that a runner began again from its checkpoint.");
        describe_gauge!(PARKED, Unit::Count, "Aggregates of which nothing is applied since a fact that could not be.");
        let view = view.name();
        Self {
            batch: histogram!(BATCH, "view" => view),
            commit: histogram!(COMMIT, "view" => view),
            failures: counter!(FAILURES, "view" => view),
            parked: gauge!(PARKED, "view" => view),
        }
    }

    pub(crate) fn committed(&self, events: usize, took: Duration) {
        let events = u32::try_from(events).expect("a batch is bounded");
        self.batch.record(events);
        self.commit.record(took);
    }

    pub(crate) fn parked(&self, aggregates: usize) {
        self.parked.set(f64::from(u32::try_from(aggregates).unwrap_or(u32::MAX)));
    }

    pub(crate) fn failed(&self) {
        self.failures.increment(1);
    }
}
