//! Load, decide, append, again on conflict. State is cached and never trusted:
//! an append carries its expectation, and an answer that appends nothing is
//! given only once the log's leader confirmed that the state is the newest.

mod cache;
mod measures;

use crate::decider::{Aggregate, Fact};
use cache::{Cache, Cell, Known, Slot};
use events::{
    Aggregate as Id, Clock, EventId, EventLog, Ids, Position, Timestamp, UserId,
    envelope::Draft,
    log::{AppendError, History, LogError, Replay, Snapshot},
};
use measures::Measures;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How often a command is decided anew because others were faster.
const ATTEMPTS: u32 = 16;
/// A state that is further behind than so many facts is loaded anew: a snapshot may be near the end.
const FAR: usize = 128;
/// More facts than that are not followed link by link: the log is read from end to end for them.
const LONG: usize = 1_024;
/// How often a long load keeps what it has come to, so that the next goes on from there.
const PROGRESS: Duration = Duration::from_secs(5);
/// Longer than this a hot aggregate is waited for at most once.
const LONGEST_PAUSE_MS: u64 = 50;

/// Handles the commands of one kind of aggregate. Clones share the cache.
pub struct Handler<A: Aggregate> {
    log: EventLog,
    clock: Clock,
    ids: Ids,
    cache: Arc<Cache<A>>,
    measures: Arc<Measures>,
}

/// What became of a command.
#[derive(Debug)]
pub struct Handled<T> {
    /// Where the fact lies, or the state in which it was already so.
    pub position: Position,
    /// When the fact was decided; `None`: it was already so.
    pub at: Option<Timestamp>,
    /// What the caller wanted to know of the state afterwards.
    pub seen: T,
}

/// Why a command has no answer of its aggregate's.
#[derive(Debug, thiserror::Error)]
pub enum HandleError<R> {
    #[error(transparent)]
    Rejected(R),
    /// Too many others were faster; nothing was appended.
    #[error("the aggregate is changing too fast")]
    Conflict,
    /// The fact may be in the log, now or later.
    #[error("the outcome is unknown")]
    OutcomeUnknown(#[source] LogError),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl<A: Aggregate> Handler<A> {
    pub fn new(log: EventLog, clock: Clock, ids: Ids, cache_bytes: u64) -> Self {
        let cache = Arc::new(Cache::new(log.clone(), cache_bytes));
        Self { log, clock, ids, cache, measures: Arc::new(Measures::of::<A>()) }
    }

    /// Handles a command. `see` looks at the state in which it ended.
    ///
    /// # Errors
    /// See [`HandleError`].
    #[tracing::instrument(level = "debug", name = "command.handle", skip_all, fields(aggregate = %id))]
    pub async fn handle<T>(
        &self,
        id: Id,
        by: UserId,
        command: &A::Command,
        see: impl Fn(&A) -> T,
    ) -> Result<Handled<T>, HandleError<A::Rejection>> {
        let handled = self.load_decide_append(id, by, command, see).await;
        self.measures.handled(&handled);
        handled
    }

    async fn load_decide_append<T>(
        &self,
        id: Id,
        by: UserId,
        command: &A::Command,
        see: impl Fn(&A) -> T,
    ) -> Result<Handled<T>, HandleError<A::Rejection>> {
        let cell = self.cache.cell(id);
        let mut slot = self.cache.lock(&cell).await;
        for attempt in 0..ATTEMPTS {
            slot = self.fill(id, &cell, slot).await?;
            let known = slot.as_mut().expect("filled above");
            if known.connection != self.log.connections() {
                // Another history may have come to the same sequence meanwhile: no expectation would tell them apart.
                self.catch_up(id, &cell, &mut slot).await?;
                continue;
            }
            match known.state.decide(command) {
                Ok(Some(event)) => match self.append(id, by, known, event).await {
                    Ok(at) => {
                        let handled =
                            Handled { position: self.position(id, known), at: Some(at), seen: see(&known.state) };
                        self.cache.changed(id, &cell, known);
                        return Ok(handled);
                    }
                    Err(AppendError::Conflict) => {
                        self.measures.conflict();
                        // Before it catches up: what comes between that and the next append makes that one futile.
                        pause(attempt, self.ids.next().as_u128()).await;
                        self.catch_up(id, &cell, &mut slot).await?;
                    }
                    Err(AppendError::OutcomeUnknown(source)) => {
                        *slot = None;
                        return Err(HandleError::OutcomeUnknown(source));
                    }
                    Err(AppendError::Log(error)) => return Err(error.into()),
                },
                unchanged => {
                    if self.log.newest(id).await? == known.last() {
                        unchanged.map_err(HandleError::Rejected)?;
                        return Ok(Handled { position: self.position(id, known), at: None, seen: see(&known.state) });
                    }
                    self.catch_up(id, &cell, &mut slot).await?;
                }
            }
        }
        Err(HandleError::Conflict)
    }

    /// Looks at the newest state, as the log's leader confirms it.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn look<T>(&self, id: Id, see: impl Fn(&A) -> T) -> Result<(Position, T), LogError> {
        let cell = self.cache.cell(id);
        let mut slot = self.cache.lock(&cell).await;
        if slot.is_some() {
            self.catch_up(id, &cell, &mut slot).await?;
        }
        let slot = self.fill(id, &cell, slot).await?;
        let known = slot.as_ref().expect("filled above");
        Ok((self.position(id, known), see(&known.state)))
    }

    /// Looks at the state that this node knows, which may be behind the log.
    ///
    /// # Errors
    /// When it has to be loaded and NATS does not answer.
    pub async fn glance<T>(&self, id: Id, see: impl Fn(&A) -> T) -> Result<T, LogError> {
        let cell = self.cache.cell(id);
        let slot = self.cache.lock(&cell).await;
        let slot = self.fill(id, &cell, slot).await?;
        Ok(see(&slot.as_ref().expect("filled above").state))
    }

    /// Something happened that nobody may be told a former state of: what is older than that is loaded anew.
    pub(crate) fn outdated(&self, id: Id, sequence: u64) {
        self.cache.drop_before(id, sequence);
    }

    async fn append(
        &self,
        id: Id,
        by: UserId,
        known: &mut Known<A>,
        event: A::Event,
    ) -> Result<Timestamp, AppendError> {
        let (event_id, at) = (EventId::from_uuid(self.ids.next()), self.clock.now());
        let draft = Draft { aggregate: id, id: event_id, by: Some(by), at, event: event.clone().into() };
        let position = self.log.append(&draft, Some(known.sequence)).await?;
        known.evolve(event_id, Fact { sequence: position.sequence, by: Some(by), at, event: &event });
        Ok(at)
    }

    /// Loads what is not known. A load goes on when who asked for it is gone: a long one would never end otherwise.
    #[expect(clippy::disallowed_methods, reason = "a load ends by itself, and its answer is kept for the next to ask")]
    async fn fill(&self, id: Id, cell: &Arc<Cell<A>>, mut slot: Slot<A>) -> Result<Slot<A>, LogError> {
        if slot.is_some() {
            return Ok(slot);
        }
        let (handler, cell) = (self.clone(), Arc::clone(cell));
        let load = tokio::spawn(async move {
            let known = slot.insert(handler.load(id).await?);
            handler.cache.changed(id, &cell, known);
            Ok(slot)
        });
        load.await.map_err(|panicked| LogError::Unavailable(panicked.into()))?
    }

    async fn load(&self, id: Id) -> Result<Known<A>, LogError> {
        let connection = self.log.connections();
        let snapshot = self.log.snapshot(id, A::SHAPE).await?;
        let kept = |Snapshot { sequence, event_id, state }| Known {
            sequence,
            event_id: Some(event_id),
            state,
            unkept: 0,
            connection,
        };
        // A snapshot that the log does not bear out is as good as none.
        for mut known in snapshot.map(kept).into_iter().chain([Known { connection, ..Known::default() }]) {
            match self.log.history_within(id, known.last(), LONG).await? {
                History::Since(facts) => {
                    known.extend(&facts);
                    return Ok(known);
                }
                History::TooLong => {
                    if let Some(facts) = self.log.replay(id, known.last()).await? {
                        return self.replay(id, known, facts).await;
                    }
                }
                History::Foreign => {}
            }
        }
        Err(LogError::Unstable)
    }

    /// Folds a long history. One that is broken off goes on, at the next load, where this one kept a snapshot last.
    async fn replay(&self, id: Id, mut known: Known<A>, mut facts: Replay) -> Result<Known<A>, LogError> {
        let (mut folded, mut told) = (0, Instant::now());
        while let Some(batch) = facts.next_batch().await? {
            known.extend(&batch);
            folded += batch.len();
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                let (at, end) = facts.progress();
                tracing::info!(aggregate = %id, folded, at, end, "a long history is read");
                self.cache.keep(id, &mut known);
            }
        }
        Ok(known)
    }

    /// Brings a state up to the log. One of another history, or far behind, is dropped, to be loaded anew.
    async fn catch_up(&self, id: Id, cell: &Arc<Cell<A>>, slot: &mut Slot<A>) -> Result<(), LogError> {
        let Some(known) = slot.as_mut() else { return Ok(()) };
        let connection = self.log.connections();
        match self.log.history_within(id, known.last(), FAR).await? {
            History::Since(facts) => {
                known.extend(&facts);
                known.connection = connection;
                self.cache.changed(id, cell, known);
            }
            History::TooLong => **slot = None,
            History::Foreign => {
                tracing::warn!(aggregate = %id, sequence = known.sequence, "the log holds another history than this state");
                **slot = None;
            }
        }
        Ok(())
    }

    fn position(&self, id: Id, known: &Known<A>) -> Position {
        Position { partition: self.log.names().partition_of(id), sequence: known.sequence }
    }
}

impl<A: Aggregate> Clone for Handler<A> {
    fn clone(&self) -> Self {
        let Self { log, clock, ids, cache, measures } = self;
        Self {
            log: log.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            cache: Arc::clone(cache),
            measures: Arc::clone(measures),
        }
    }
}

/// Waits longer after each conflict, by chance, so that nodes do not step on each other again.
async fn pause(attempt: u32, chance: u128) {
    let longest = (1_u64 << attempt.min(6)).min(LONGEST_PAUSE_MS);
    let milliseconds = u64::try_from(chance % u128::from(longest + 1)).unwrap_or(longest);
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
