//! The states that a node holds, bounded by their size. Writers of one
//! aggregate queue on its cell. A state is kept as a snapshot every so many
//! events and when it leaves the cache changed.

use super::measures::CacheMeasures;
use crate::decider::{Aggregate, Fact};
use events::{Aggregate as Id, Envelope, EventId, EventLog, log::Snapshot};
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter, sync};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc};

/// A snapshot is due after that many events; of a large state after more, so that it costs each no more than so many
/// bytes.
const SNAPSHOT_EVERY: u64 = 64;
const SNAPSHOT_BYTES: u64 = 512;
/// Snapshots that wait to be kept; one more is left out, as all are optional.
const WAITING: usize = 256;
/// About what a cell takes beside its state, in bytes.
const EMPTY: u64 = 256;
/// A state is weighed anew when it grew or shrank by that many bytes.
const WEIGH_ANEW: u64 = 1_024;

/// A state and the event that it ends with.
#[derive(Clone)]
pub(super) struct Known<A> {
    pub(super) sequence: u64,
    pub(super) event_id: Option<EventId>,
    pub(super) state: A,
    /// How many events came after the newest snapshot.
    pub(super) unkept: u64,
    /// The connection to NATS on which the log last bore it out.
    pub(super) connection: u64,
}

/// The place of one aggregate, held by one writer; it may be handed on to a task.
pub(super) type Slot<A> = OwnedMutexGuard<Option<Known<A>>>;

/// One aggregate's place in the cache. `None`: not loaded.
pub(super) struct Cell<A> {
    known: Arc<Mutex<Option<Known<A>>>>,
    /// What the cache was last told, in bytes.
    weight: AtomicU64,
}

pub(super) struct Cache<A: Aggregate> {
    cells: sync::Cache<Id, Weighed<A>, Weight, DefaultHashBuilder, Evicted<A>>,
    due: mpsc::Sender<(Id, Known<A>)>,
    measures: CacheMeasures,
}

/// A cell at the weight with which it was last put in: the cache relies on its not changing.
struct Weighed<A> {
    cell: Arc<Cell<A>>,
    weight: u64,
}

#[derive(Clone)]
struct Weight;

#[derive(Clone)]
struct Evicted<A>(mpsc::Sender<(Id, Known<A>)>);

impl<A: Aggregate> Cache<A> {
    #[expect(clippy::disallowed_methods, reason = "the task ends with the cache, whose sender it listens to")]
    pub(super) fn new(log: EventLog, bytes: u64) -> Self {
        let (due, waiting) = mpsc::channel(WAITING);
        tokio::spawn(keep(log, waiting));
        let expected = usize::try_from(bytes / 1024).unwrap_or(usize::MAX).max(64);
        let cells = sync::Cache::with(expected, bytes, Weight, DefaultHashBuilder::default(), Evicted(due.clone()));
        Self { cells, due, measures: CacheMeasures::of::<A>() }
    }

    pub(super) fn cell(&self, id: Id) -> Arc<Cell<A>> {
        let empty = || Ok::<_, std::convert::Infallible>(Weighed { cell: Arc::default(), weight: EMPTY });
        match self.cells.get_or_insert_with(&id, empty) {
            Ok(Weighed { cell, .. }) => cell,
            Err(never) => match never {},
        }
    }

    /// Drops what is held of an aggregate, unless it has come to a sequence. Who is at it finishes with what they hold.
    pub(super) fn drop_before(&self, id: Id, sequence: u64) {
        let Some(Weighed { cell, .. }) = self.cells.get(&id) else { return };
        let held = cell.known.try_lock();
        if !held.is_ok_and(|known| known.as_ref().is_some_and(|known| known.sequence >= sequence)) {
            self.cells.remove(&id);
        }
    }

    /// Waits for the other writers of an aggregate.
    pub(super) async fn lock(&self, cell: &Cell<A>) -> Slot<A> {
        let slot = Arc::clone(&cell.known).lock_owned().await;
        self.measures.looked(slot.is_some());
        if slot.is_none() {
            // What follows is a question to the log: the sums over the cache's shards are nothing beside it.
            self.measures.size(self.cells.weight(), self.cells.len());
        }
        slot
    }

    /// Notes that a state has grown: weighs it anew, and keeps a snapshot when one is due.
    pub(super) fn changed(&self, id: Id, cell: &Arc<Cell<A>>, known: &mut Known<A>) {
        let weight = EMPTY + known.state.weight() as u64;
        if cell.weight.load(Ordering::Relaxed).abs_diff(weight) >= WEIGH_ANEW {
            cell.weight.store(weight, Ordering::Relaxed);
            self.cells.insert(id, Weighed { cell: Arc::clone(cell), weight });
            self.measures.size(self.cells.weight(), self.cells.len());
        }
        if known.unkept >= SNAPSHOT_EVERY.max(weight / SNAPSHOT_BYTES) {
            self.keep(id, known);
        }
    }

    /// Has a snapshot kept, where there is room for one more.
    pub(super) fn keep(&self, id: Id, known: &mut Known<A>) {
        if self.due.try_send((id, known.clone())).is_ok() {
            known.unkept = 0;
        }
    }
}

async fn keep<A: Aggregate>(log: EventLog, mut waiting: mpsc::Receiver<(Id, Known<A>)>) {
    while let Some((id, Known { sequence, event_id, state, .. })) = waiting.recv().await {
        let Some(event_id) = event_id else { continue };
        if let Err(error) = log.keep_snapshot(id, A::SHAPE, &Snapshot { sequence, event_id, state }).await {
            tracing::debug!(aggregate = %id, %error, "a snapshot was not kept");
        }
    }
}

impl<A: Aggregate> Known<A> {
    pub(super) fn last(&self) -> Option<(u64, EventId)> {
        self.event_id.map(|event_id| (self.sequence, event_id))
    }

    pub(super) fn evolve(&mut self, event_id: EventId, fact: Fact<'_, A::Event>) {
        self.sequence = fact.sequence;
        self.state.evolve(fact);
        self.event_id = Some(event_id);
        self.unkept += 1;
    }

    pub(super) fn extend(&mut self, facts: &[Arc<Envelope>]) {
        for envelope in facts {
            let Some(event) = A::own(&envelope.event) else { continue };
            let Envelope { position, by, at, .. } = **envelope;
            self.evolve(envelope.id, Fact { sequence: position.sequence, by, at, event });
        }
    }
}

impl<A: Default> Default for Known<A> {
    fn default() -> Self {
        Self { sequence: 0, event_id: None, state: A::default(), unkept: 0, connection: 0 }
    }
}

impl<A> Default for Cell<A> {
    fn default() -> Self {
        Self { known: Arc::default(), weight: AtomicU64::new(EMPTY) }
    }
}

impl<A> Clone for Weighed<A> {
    fn clone(&self) -> Self {
        Self { cell: Arc::clone(&self.cell), weight: self.weight }
    }
}

impl<A> Weighter<Id, Weighed<A>> for Weight {
    fn weight(&self, _: &Id, weighed: &Weighed<A>) -> u64 {
        weighed.weight
    }
}

impl<A: Aggregate> Lifecycle<Id, Weighed<A>> for Evicted<A> {
    type RequestState = ();

    fn on_evict(&self, (): &mut (), id: Id, Weighed { cell, .. }: Weighed<A>) {
        // A cell that is in use is about to change; its user keeps what it knows or loads it again.
        let Ok(mut slot) = cell.known.try_lock() else { return };
        if let Some(known) = slot.take().filter(|known| known.unkept > 0) {
            // Full: the snapshot is left out.
            self.0.try_send((id, known)).ok();
        }
    }
}
