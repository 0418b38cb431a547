//! The rebuild of one view. One at a time in a deployment: whoever holds the
//! lock; it goes with the connection that holds it.

use super::{Goal, Status, Step, compare, swap};
use crate::{
    View,
    database::{Database, answered},
    desk::Desk,
    error::Error,
    generation::{self, Generation},
    measures::Measures,
    place::{Place, Schema},
    quarantine::Ease,
    source::Source,
    store::Store,
    view::with_projection,
};
use crate::{intake::Intake, rebuild::Compared};
use events::{EventLog, Partition, Share, Vector, shard::Part};
use futures_util::future::try_join_all;
use sqlx::{AssertSqlSafe, PgConnection};
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Transactions at once that fill a view, each its own partitions.
const WRITERS: usize = 2;

const LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended('herald rebuild ' || $1, 0))";

/// What is lost of it with Postgres is not in its checkpoint either; the swap waits for the disk.
const FAST: &str = "SET synchronous_commit = off";

pub(super) struct Build {
    schema: Schema,
    share: Share,
    log: EventLog,
    database: Database,
    batch: usize,
    status: watch::Sender<Status>,
    stop: CancellationToken,
    measures: Measures,
}

/// Takes a view's lock, for as long as the connection lives; `false`: another one has it.
pub(crate) async fn lock(connection: &mut PgConnection, view: View) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(LOCK).bind(view.name()).fetch_one(connection).await
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

impl Build {
    pub(super) fn new(
        schema: Schema,
        share: Share,
        log: &EventLog,
        database: &Database,
        batch: usize,
        status: watch::Sender<Status>,
        stop: CancellationToken,
    ) -> Self {
        let (database, measures) = (database.clone(), Measures::of(schema.view));
        Self { schema, share, log: log.clone(), database, batch, status, stop, measures }
    }

    pub(super) fn view(&self) -> View {
        self.schema.view
    }

    /// Takes the lock, for as long as the connection lives that comes second, and finds what an earlier run has left.
    pub(super) async fn open(&self, goal: Goal) -> Result<(Desk, PgConnection), Error> {
        let mut connection = self.database.connect(self.schema).await?;
        if !lock(&mut connection, self.view()).await? {
            return Err(Error::Busy(self.view()));
        }
        let serving = generation::version(&mut connection, Schema::living(self.view())).await?;
        if goal == Goal::Renew && serving == Some(self.view().version()) {
            return Err(Error::Overtaken);
        }
        let generation = answered(generation::open(&mut connection, self.schema, self.share, &self.log, None)).await?;
        Ok((self.desk(generation).await?, connection))
    }

    async fn desk(&self, generation: Generation) -> Result<Desk, Error> {
        let mut connection = self.database.connect(self.schema).await?;
        sqlx::query(FAST).execute(&mut connection).await?;
        Ok(Desk { view: self.view(), connection, generation, measures: self.measures.clone() })
    }

    /// Fills it up to the end that the log has now: several writers, each with partitions of its own. Tells how many facts
    /// that were, and how long it took.
    pub(super) async fn fill(&self, generation: &Generation, sources: Vec<Source>) -> Result<(u64, Duration), Error> {
        let began = Instant::now();
        let partitions: Vec<Partition> = generation.checkpoint.partitions().collect();
        let end = self.end().await?;
        let of =
            end.iter().map(|end| end.sequence.saturating_sub(generation.checkpoint.vector().get(end.partition))).sum();
        self.status.send_replace(Status { step: Step::Filling, applied: 0, of });
        let share = partitions.len().div_ceil(WRITERS);
        let mut sources = sources.into_iter();
        let writers = partitions.chunks(share).map(|partitions| {
            let checkpoint = generation.checkpoint.of(partitions);
            let generation = Generation { checkpoint, ..generation.clone() };
            let sources = sources.by_ref().take(partitions.len()).collect();
            let end: Vector = end.iter().filter(|end| partitions.contains(&end.partition)).collect();
            async move {
                let mut desk = self.desk(generation).await?;
                self.apply(&mut desk, sources, &end, None).await
            }
        });
        // Made before any of them runs: each takes its sources.
        let writers: Vec<_> = writers.collect();
        try_join_all(writers).await?;
        Ok((of, began.elapsed()))
    }

    /// All that comes after the bulk. Tells what differs from the living view, and how long that one stood still.
    pub(super) async fn finish(
        &self,
        mut desk: Desk,
        goal: Goal,
        keep: Duration,
    ) -> Result<(Option<Vec<Compared>>, Option<Duration>), Error> {
        self.index(&mut desk).await?;
        self.come_abreast(&mut desk).await?;
        self.step(Step::Comparing);
        let tables = if goal == Goal::RollBack { None } else { compare::compare(self, &mut desk).await? };
        let stalled = if goal == Goal::Compare {
            generation::drop_schema(&mut desk.connection, self.schema).await?;
            None
        } else {
            Some(self.swap(&mut desk, keep).await?)
        };
        self.step(Step::Done);
        Ok((tables, stalled))
    }

    /// Gives it the indexes that nothing needs that fills it.
    pub(super) async fn index(&self, desk: &mut Desk) -> Result<(), Error> {
        self.step(Step::Indexing);
        desk.generation = generation::open(&mut desk.connection, self.schema, self.share, &self.log, None).await?;
        if self.schema.place == Place::Next {
            generation::complete(&mut desk.connection, self.view()).await?;
            self.vacuum(&mut desk.connection).await?;
        }
        Ok(())
    }

    /// Brings it to the end that the log has now.
    pub(super) async fn come_abreast(&self, desk: &mut Desk) -> Result<(), Error> {
        let end = self.end().await?;
        self.catch_up(desk, &end, None).await?;
        Ok(())
    }

    /// Swaps it in; tells for how long the one that served stood still.
    pub(super) async fn swap(&self, desk: &mut Desk, keep: Duration) -> Result<Duration, Error> {
        self.step(Step::Swapping);
        swap::swap(self, desk, keep).await
    }

    /// Whether what serves there holds that share already.
    pub(super) async fn serves(&self) -> Result<bool, Error> {
        let living = Schema::living(self.view());
        let mut connection = self.database.connect(living).await?;
        Ok(generation::share(&mut connection, living).await? == Some(self.share.to_string()))
    }

    /// Brings it to the vector from wherever it is, and not beyond it; `false`: not before the deadline. Another runner
    /// may be at work on it too.
    pub(super) async fn catch_up(
        &self,
        desk: &mut Desk,
        until: &Vector,
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        loop {
            let sources = Source::up_to(&desk.generation.checkpoint, &self.log, until);
            match self.apply(desk, sources, until, deadline).await {
                Err(Error::Overtaken) => {
                    desk.generation =
                        generation::open(&mut desk.connection, self.schema, self.share, &self.log, None).await?;
                }
                done => return done,
            }
        }
    }

    /// Applies what the sources have, and finds the facts that cannot be applied.
    async fn apply(
        &self,
        desk: &mut Desk,
        mut sources: Vec<Source>,
        until: &Vector,
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        let mut ease = Ease::new(self.batch);
        loop {
            let applied = with_projection!(self.view(), P => {
                let part = Part::new(self.log.names(), self.share);
                let intake = Intake::<P>::new(sources, part, desk.generation.parked.clone(), &ease);
                self.take_in(desk, intake, until, deadline, &mut ease).await
            });
            let Err(Error::Poisoned { events, last, suspects, reason }) = applied else { return applied };
            tracing::warn!(view = %self.schema, events, reason, "a batch cannot be applied: a smaller one is tried");
            ease.failed(events, last, suspects, &reason);
            *desk = self.desk(desk.generation.clone()).await?;
            sources = Source::up_to(&desk.generation.checkpoint, &self.log, until);
        }
    }

    async fn take_in<P: Store>(
        &self,
        desk: &mut Desk,
        mut intake: Intake<P>,
        until: &Vector,
        deadline: Option<Instant>,
        ease: &mut Ease,
    ) -> Result<bool, Error> {
        while !desk.generation.checkpoint.vector().covers(until) {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(Error::Stopped),
                () = passed(deadline) => return Ok(false),
                () = intake.some() => {}
            }
            let applied = desk.apply(&mut intake, ease).await?;
            self.status.send_modify(|status| status.applied += applied as u64);
        }
        Ok(true)
    }

    /// What autovacuum would do later, while people wait: the statistics that plans are made by, and what spares a reader
    /// looking whether a row is visible.
    async fn vacuum(&self, connection: &mut PgConnection) -> Result<(), Error> {
        for table in compare::tables(connection, self.schema).await? {
            sqlx::query(AssertSqlSafe(format!("VACUUM (ANALYZE) {table}"))).execute(&mut *connection).await?;
        }
        Ok(())
    }

    /// Where the streams end now that it is made of.
    pub(super) async fn end(&self) -> Result<Vector, Error> {
        Ok(self.view().end(&self.log, self.share).await?)
    }

    pub(super) fn share(&self) -> Share {
        self.share
    }

    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn schema(&self) -> Schema {
        self.schema
    }

    pub(super) fn log(&self) -> &EventLog {
        &self.log
    }

    pub(super) fn step(&self, step: Step) {
        self.status.send_modify(|status| status.step = step);
    }
}
