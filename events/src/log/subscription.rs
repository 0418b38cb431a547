//! One tail for each partition of a node, decoded once and shared; a
//! subscription that is behind reads by itself until it is abreast.

use super::{
    EventLog, WeakLog,
    reader::{Reader, Silence, WINDOW},
};
use crate::{Envelope, EventId, Partition};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::broadcast::{self, error::RecvError},
    time::sleep,
};

/// Batches that a subscription may be behind the shared tail before it reads by itself again.
const BATCHES: usize = 256;
const BATCH: usize = 500;
const PAUSE: Duration = Duration::from_millis(250);

type Batch = Arc<[Arc<Envelope>]>;

/// A node's one tail of a partition.
#[derive(Clone)]
pub(super) struct Shared {
    state: Arc<Mutex<State>>,
    silence: Silence,
}

struct State {
    batches: broadcast::Sender<Batch>,
    /// The last sequence that was sent; `None` until the tail has found its start.
    last: Option<u64>,
}

/// A partition's facts from a sequence on, wherever they come from.
pub struct Subscription {
    partition: Partition,
    last: u64,
    /// The event at `last`, where this subscription has read it.
    last_id: Option<EventId>,
    log: WeakLog,
    shared: Shared,
    tail: Option<broadcast::Receiver<Batch>>,
    reader: Option<Reader>,
    received: VecDeque<Arc<Envelope>>,
    window: usize,
}

impl Shared {
    /// Starts at the partition's end, in the background.
    #[expect(clippy::disallowed_methods, reason = "the log owns its tails and ends them when it is dropped")]
    pub(super) fn start(log: WeakLog, partition: Partition) -> Self {
        let silence = Silence::new();
        let state = State { batches: broadcast::channel(BATCHES).0, last: None };
        let shared = Self { state: Arc::new(Mutex::new(state)), silence: silence.clone() };
        tokio::spawn(shared.clone().run(log, partition));
        shared
    }

    pub(super) fn silent_for(&self) -> Duration {
        self.silence.lasts()
    }

    /// Up to where the tail has come; `None` until it has found its start.
    pub(super) fn last(&self) -> Option<u64> {
        self.with_state(|state| state.last)
    }

    async fn run(self, log: WeakLog, partition: Partition) {
        let Some(end) = self.find_end(&log, partition).await else { return };
        let mut reader = Reader::new(log, partition, end, None, self.silence.clone());
        while let Some(batch) = reader.next_batch(BATCH).await {
            let Some(last) = batch.last().map(|envelope| envelope.position.sequence) else { continue };
            self.with_state(|state| {
                state.last = Some(last);
                // Nobody subscribed is no failure.
                state.batches.send(batch.into()).ok();
            });
        }
    }

    async fn find_end(&self, log: &WeakLog, partition: Partition) -> Option<u64> {
        loop {
            match log.upgrade()?.end_of(partition).await {
                Ok(end) => {
                    self.with_state(|state| state.last = Some(end));
                    return Some(end);
                }
                Err(error) => tracing::warn!(partition = partition.0, %error, "the end of the log is not known yet"),
            }
            sleep(PAUSE).await;
        }
    }

    /// The batches from now on, where a reader at `last` would miss nothing by changing over to them.
    fn join(&self, last: u64) -> Option<broadcast::Receiver<Batch>> {
        self.with_state(|state| state.last.filter(|&sent| last >= sent).map(|_| state.batches.subscribe()))
    }

    fn with_state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Subscription {
    pub(super) fn new(log: &EventLog, partition: Partition, after: u64, shared: Shared) -> Self {
        let log = log.weak();
        Self {
            partition,
            last: after,
            last_id: None,
            log,
            shared,
            tail: None,
            reader: None,
            received: VecDeque::new(),
            window: WINDOW,
        }
    }

    /// Asks for fewer facts at once while it reads by itself: slower, and without bursts that others feel.
    #[must_use]
    pub fn in_windows_of(self, facts: usize) -> Self {
        Self { window: facts.clamp(1, WINDOW), ..self }
    }

    /// Waits for a fact and takes all that is at hand, up to `max`. Dropped half-way, it loses nothing.
    /// Never resolves once the log is closed.
    pub async fn next_batch(&mut self, max: usize) -> Vec<Arc<Envelope>> {
        while self.received.is_empty() {
            self.receive(max).await;
        }
        self.take_at_hand(max);
        let count = max.min(self.received.len());
        self.received.drain(..count).collect()
    }

    async fn receive(&mut self, max: usize) {
        if self.tail.is_none() {
            self.tail = self.shared.join(self.last);
        }
        if let Some(tail) = &mut self.tail {
            self.reader = None;
            match tail.recv().await {
                Ok(batch) => self.accept(&batch),
                Err(RecvError::Lagged(_)) => self.tail = None,
                Err(RecvError::Closed) => std::future::pending().await,
            }
            return;
        }
        let (log, partition, last, last_id) = (&self.log, self.partition, self.last, self.last_id);
        let window = self.window;
        let begin = || Reader::new(log.clone(), partition, last, last_id, Silence::new()).in_windows_of(window);
        let reader = self.reader.get_or_insert_with(begin);
        match reader.next_batch(max).await {
            Some(batch) => {
                // Without gaps by itself, but for what was too old.
                if let Some(newest) = batch.last() {
                    (self.last, self.last_id) = (newest.position.sequence, Some(newest.id));
                }
                self.received.extend(batch);
            }
            None => std::future::pending().await,
        }
    }

    fn take_at_hand(&mut self, max: usize) {
        while self.received.len() < max {
            let Some(Ok(batch)) = self.tail.as_mut().map(broadcast::Receiver::try_recv) else { return };
            self.accept(&batch);
        }
    }

    /// Takes what is new. A gap would mean that a batch was lost: it ends the ride on the shared tail.
    fn accept(&mut self, batch: &[Arc<Envelope>]) {
        for envelope in batch {
            let sequence = envelope.position.sequence;
            if sequence == self.last + 1 {
                (self.last, self.last_id) = (sequence, Some(envelope.id));
                self.received.push_back(Arc::clone(envelope));
            } else if sequence > self.last {
                self.tail = None;
                return;
            }
        }
    }
}
