//! Facts of all partitions that a runner owns, merged and projected as they
//! arrive. Partitions take turns; within each, order is the log's.

use crate::{projection::Projection, source::Source, store::checkpoint::Checkpoint};
use events::{Envelope, Trace};
use futures_util::future::{FutureExt, select_all};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::time::sleep;

/// How long facts that mean nothing to the view wait for others before they move the checkpoint alone.
const QUIET: Duration = Duration::from_millis(250);

/// A batch names so many of the traces that it works for.
const TRACES: usize = 64;

/// Where a runner's batches come from. Nothing is lost where a method is dropped half-way.
pub(crate) struct Intake<P> {
    sources: Vec<Source>,
    batch: Batch<P>,
    max: usize,
}

/// What goes into one transaction.
#[derive(Default)]
pub(crate) struct Batch<P> {
    pub(crate) writes: P,
    /// The last event of each partition that the batch has events of.
    pub(crate) moved: Checkpoint,
    pub(crate) events: usize,
    /// Some of the traces that its events belong to.
    pub(crate) traces: Vec<Trace>,
}

impl<P: Projection> Intake<P> {
    pub(crate) fn new(sources: Vec<Source>, max: usize) -> Self {
        Self { sources, batch: Batch::default(), max }
    }

    /// Waits until there is something to commit: rows at once, a mere move of the checkpoint after a while.
    pub(crate) async fn ready(&mut self) {
        self.some().await;
        let mut quiet = pin!(sleep(QUIET));
        while self.batch.writes.is_empty() && !self.is_full() {
            tokio::select! {
                () = &mut quiet => return,
                () = self.more() => {}
            }
        }
    }

    /// Waits until there is anything, if only to move the checkpoint.
    pub(crate) async fn some(&mut self) {
        while self.batch.events == 0 {
            self.more().await;
        }
    }

    /// Waits for facts of any partition, then takes a turn of each, as far as the batch has room.
    pub(crate) async fn more(&mut self) {
        let turn = self.turn().max(1);
        let waiting = self.sources.iter_mut().map(|source| Box::pin(source.next_batch(turn)));
        let (events, first, others) = select_all(waiting).await;
        drop(others);
        self.batch.add(&events);
        for index in (0..self.sources.len()).filter(|&index| index != first) {
            if self.is_full() {
                return;
            }
            let turn = self.turn();
            if let Some(events) = self.sources[index].next_batch(turn).now_or_never() {
                self.batch.add(&events);
            }
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.batch.events >= self.max || self.batch.writes.is_full()
    }

    pub(crate) fn take(&mut self) -> Batch<P> {
        std::mem::take(&mut self.batch)
    }

    fn turn(&self) -> usize {
        P::TURN.min(self.max.saturating_sub(self.batch.events))
    }
}

impl<P: Projection> Batch<P> {
    pub(crate) fn add(&mut self, events: &[Arc<Envelope>]) {
        for envelope in events {
            self.writes.project(envelope);
            self.moved.mark(envelope.position, envelope.id);
            self.traces.extend(envelope.trace.filter(|_| self.traces.len() < TRACES));
        }
        self.events += events.len();
    }
}
