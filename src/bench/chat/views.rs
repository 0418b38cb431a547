//! When messages are in the views: their runners announce how far they have
//! come, and what was acknowledged below that is in. Of the views that show
//! messages, the later one counts.

use super::load::{InLog, Shared};
use crate::bench::histogram::Histogram;
use anyhow::Context;
use events::{
    EventLog, Vector,
    log::{Announcements, LogError},
};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

const LOOK: Duration = Duration::from_millis(25);
/// What was announced longer ago than this, in microseconds, is forgotten but for the newest.
const REMEMBERED: u64 = 60_000_000;

/// The watch on the views.
pub(super) struct Watch {
    stop: CancellationToken,
    task: JoinSet<Histogram>,
}

/// What is known of the views.
struct Views {
    shared: Arc<Shared>,
    applied: [Vector; 2],
    /// For each partition, when which sequence was in all views; both ascend.
    reached: HashMap<usize, Vec<(u64, u64)>>,
    waiting: Vec<InLog>,
    latency: Histogram,
}

impl Watch {
    pub(super) async fn start(log: &EventLog, shared: Arc<Shared>) -> Result<Self, LogError> {
        let timeline = log.announcements(projection::View::Timeline.name()).await?;
        let inbox = log.announcements(projection::View::Inbox.name()).await?;
        let views = Views {
            shared,
            applied: Default::default(),
            reached: HashMap::new(),
            waiting: Vec::new(),
            latency: Histogram::default(),
        };
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(views.follow([timeline, inbox], stop.clone()));
        Ok(Self { stop, task })
    }

    /// How long it took from when a message was due until the views had it.
    pub(super) async fn stop(mut self) -> anyhow::Result<Histogram> {
        self.stop.cancel();
        self.task.join_next().await.context("one task was started")?.context("the watch on the views broke")
    }
}

impl Views {
    async fn follow(mut self, announcements: [Announcements; 2], stop: CancellationToken) -> Histogram {
        let [mut timeline, mut inbox] = announcements;
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some((_, vector)) = timeline.next() => self.announced(0, &vector),
                Some((_, vector)) = inbox.next() => self.announced(1, &vector),
                _ = look.tick() => self.look(),
            }
        }
        self.look();
        self.latency
    }

    /// Each database tells of partitions of its own.
    fn announced(&mut self, view: usize, vector: &Vector) {
        let now = self.shared.origin.micros();
        vector.iter().for_each(|position| self.applied[view].raise(position));
        let [one, other] = &self.applied;
        for position in one.iter() {
            let both = position.sequence.min(other.get(position.partition));
            let reached = self.reached.entry(position.partition.0.into()).or_default();
            if reached.last().is_none_or(|(sequence, _)| *sequence < both) {
                reached.push((both, now));
            }
        }
    }

    fn look(&mut self) {
        self.waiting.append(&mut self.shared.in_log.lock().unwrap_or_else(PoisonError::into_inner));
        let mut projected = 0;
        let Self { waiting, reached, latency, shared, .. } = self;
        waiting.retain(|message| {
            let Some(at) = reached.get(&message.partition).and_then(|reached| when(reached, message.sequence)) else {
                return true;
            };
            projected += 1;
            if shared.counters.is_measured(message.due) {
                latency.record(at.saturating_sub(message.due));
            }
            false
        });
        shared.counters.projected.fetch_add(projected, Ordering::Relaxed);
        let now = shared.origin.micros();
        for reached in reached.values_mut() {
            let old = reached.partition_point(|(_, at)| at + REMEMBERED < now);
            reached.drain(..old.min(reached.len().saturating_sub(1)));
        }
    }
}

fn when(reached: &[(u64, u64)], sequence: u64) -> Option<u64> {
    let first = reached.partition_point(|(reached, _)| *reached < sequence);
    reached.get(first).map(|(_, at)| *at)
}
