//! Facts of all partitions that a runner owns, merged and projected as they
//! arrive. Partitions take turns; within each, order is the log's.

use crate::{
    projection::{Projection, unsound},
    quarantine::{self, Ease, Parked},
    source::Source,
    store::checkpoint::Checkpoint,
};
use events::{Aggregate, Envelope, Partition, Trace, shard::Part};
use futures_util::future::{FutureExt, select_all};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::time::sleep;

/// How long facts wait for others that mean nothing to the view, or whose rows have time.
const QUIET: Duration = Duration::from_millis(250);

/// A batch names so many of the traces that it works for.
const TRACES: usize = 64;

/// Where a runner's batches come from. Nothing is lost where a method is dropped half-way.
pub(crate) struct Intake<P> {
    sources: Vec<Source>,
    batch: Batch<P>,
    part: Part,
    parked: Parked,
    max: usize,
    /// Where a fact is looked for that cannot be applied: the others wait that long. `None`: it is not.
    suspects: Option<Vec<Partition>>,
}

/// What goes into one transaction.
#[derive(Default)]
pub(crate) struct Batch<P> {
    pub(crate) writes: P,
    /// The last event of each partition that the batch has events of.
    pub(crate) moved: Checkpoint,
    pub(crate) events: usize,
    pub(crate) last: Option<Arc<Envelope>>,
    /// Why the last of its facts cannot be projected; then the rest says nothing either.
    pub(crate) failure: Option<String>,
    /// Some of the traces that its events belong to.
    pub(crate) traces: Vec<Trace>,
}

impl<P: Projection> Intake<P> {
    pub(crate) fn new(sources: Vec<Source>, part: Part, parked: Parked, ease: &Ease) -> Self {
        Self { sources, batch: Batch::default(), part, parked, max: ease.limit, suspects: ease.suspects.clone() }
    }

    /// Takes facts only as they are eased from here on.
    pub(crate) fn keep_to(&mut self, ease: &Ease) {
        self.max = ease.limit;
        self.suspects.clone_from(&ease.suspects);
    }

    /// Lets nothing more of an aggregate through, from the next batch on.
    pub(crate) fn park(&mut self, aggregate: Aggregate) {
        self.parked.park(aggregate);
    }

    /// Waits until there is something to commit: rows at once where they are hurried, all else after a while.
    pub(crate) async fn ready(&mut self) {
        self.some().await;
        let mut quiet = pin!(sleep(QUIET));
        while (self.batch.writes.is_empty() || !P::HURRIED) && !self.is_full() {
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
        let suspects = self.suspects.clone();
        let is_asked = |source: &&mut Source| suspects.as_ref().is_none_or(|some| some.contains(&source.partition()));
        // Whoever was asked first is asked last the next time.
        self.sources.rotate_left(1);
        let waiting = self.sources.iter_mut().filter(is_asked).map(|source| Box::pin(source.next_batch(turn)));
        let (events, ..) = select_all(waiting).await;
        self.batch.add(&events, &self.part, &self.parked);
        for index in 0..self.sources.len() {
            if self.is_full() {
                return;
            }
            let turn = self.turn();
            let source = &mut self.sources[index];
            if suspects.as_ref().is_none_or(|some| some.contains(&source.partition()))
                && let Some(events) = source.next_batch(turn).now_or_never()
            {
                self.batch.add(&events, &self.part, &self.parked);
            }
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.batch.events >= self.max || self.batch.failure.is_some() || self.batch.writes.is_full()
    }

    pub(crate) fn take(&mut self) -> Batch<P> {
        std::mem::take(&mut self.batch)
    }

    fn turn(&self) -> usize {
        P::TURN.min(self.max.saturating_sub(self.batch.events))
    }
}

impl<P: Projection> Batch<P> {
    pub(crate) fn add(&mut self, events: &[Arc<Envelope>], part: &Part, parked: &Parked) {
        for envelope in events {
            if self.failure.is_some() {
                return;
            }
            if let Some(fact) = parked.let_through(envelope)
                && let Some(fact) = P::part_of(part, &fact)
            {
                self.failure = project(&mut self.writes, &fact).err();
            }
            self.moved.mark(envelope.position, envelope.id);
            self.traces.extend(envelope.trace.filter(|_| self.traces.len() < TRACES));
            self.last = Some(Arc::clone(envelope));
            self.events += 1;
        }
    }
}

/// Projects a fact, or tells why it cannot be; then the writes are worth nothing.
pub(crate) fn project<P: Projection>(writes: &mut P, fact: &Envelope) -> Result<(), String> {
    if let Some(reason) = unsound(fact).filter(|_| P::concerns(&fact.event)) {
        return Err(reason);
    }
    let writes = AssertUnwindSafe(writes);
    catch_unwind(move || { writes }.project(fact)).map_err(|panic| quarantine::panicked(&*panic))
}
