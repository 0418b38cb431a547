//! Drives one view: takes what the log has, commits it in batches that grow
//! with the load, and tells how far it has come. Whatever goes wrong, it begins
//! again from the checkpoint as stored; it skips nothing and applies nothing twice.

use crate::{
    View,
    database::{Database, answered},
    desk::Desk,
    error::Error,
    generation::{self, Generation},
    intake::Intake,
    measures::Measures,
    place::{Place, Schema},
    quarantine::Ease,
    rebuild::{BATCH, Rebuild},
    source::Source,
    store::{
        Store,
        checkpoint::{self, Checkpoint},
    },
    view::with_projection,
};
use events::{EventLog, Share, Vector, shard::Part};
use sqlx::{Connection, PgConnection};
use std::time::Duration;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How often it is told how far the rebuild of an older view has come.
const TOLD: Duration = Duration::from_secs(10);
const ANNOUNCE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// How often a runner that was overtaken looks whether the other still works; above the time that a batch may wait.
const STANDBY: Duration = Duration::from_millis(500);

/// A generation that does not serve comes abreast this often: large batches cost less.
const UNHURRIED: Duration = Duration::from_secs(1);

/// How often a runner that has nothing to do looks whether its rows and its connection are still there: a view that was
/// dropped is built again though nothing happens.
const LOOK: Duration = Duration::from_secs(1);

/// Keeps one view abreast of the log.
pub struct Runner {
    schema: Schema,
    share: Share,
    log: EventLog,
    database: Database,
    database_url: String,
    batch: usize,
    applied: watch::Sender<Vector>,
    measures: Measures,
}

/// How far a view has come. Clones watch the same runner.
#[derive(Clone)]
pub struct Applied(watch::Receiver<Vector>);

impl Applied {
    pub fn vector(&self) -> Vector {
        self.0.borrow().clone()
    }

    /// Waits until the view has applied that much; for ever where its runner has ended.
    pub async fn reach(&mut self, wanted: &Vector) {
        if self.0.wait_for(|applied| applied.covers(wanted)).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Runner {
    /// # Errors
    /// When the URL is none of Postgres.
    pub fn new(view: View, log: EventLog, database_url: &str) -> Result<Self, Error> {
        Self::of(Schema::living(view), log, database_url)
    }

    /// Keeps the generation abreast that served before, for as long as it is there: then it ends with [`Error::Gone`].
    pub(crate) fn of_previous(view: View, log: EventLog, database_url: &str) -> Result<Self, Error> {
        Self::of(Schema { view, place: Place::Previous }, log, database_url)
    }

    fn of(schema: Schema, log: EventLog, database_url: &str) -> Result<Self, Error> {
        let (database, database_url) = (Database::new(database_url)?, database_url.to_owned());
        let (applied, measures) = (watch::Sender::new(Vector::default()), Measures::of(schema.view));
        Ok(Self { schema, share: Share::WHOLE, log, database, database_url, batch: BATCH, applied, measures })
    }

    /// Keeps only that share in this database, all of it where nothing is said.
    #[must_use]
    pub fn of_share(self, share: Share) -> Self {
        Self { share, ..self }
    }

    /// Commits at most that many events at once, 5,000 where nothing is said.
    #[must_use]
    pub fn with_batches_of(self, events: usize) -> Self {
        Self { batch: events.max(1), ..self }
    }

    pub fn applied(&self) -> Applied {
        Applied(self.applied.subscribe())
    }

    /// Runs until it is told to stop; a batch that is being committed is finished. A view of an older version is rebuilt
    /// beside the one that serves.
    ///
    /// # Errors
    /// When the view was built by a newer version of the projection. All else is retried for ever.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        with_projection!(self.schema.view, P => self.drive::<P>(&stop).await)
    }

    async fn drive<P: Store>(&self, stop: &CancellationToken) -> Result<(), Error> {
        let mut pause = FIRST_PAUSE;
        let mut broken = None;
        let mut ease = Ease::new(self.batch);
        loop {
            let mut result = self.session::<P>(stop, &mut broken, &mut pause, &mut ease).await;
            if let Err(Error::Outdated { found, .. }) = result {
                result = self.rebuild(found, stop).await;
            }
            let error = match result {
                Ok(()) if stop.is_cancelled() => return Ok(()),
                Ok(()) => continue,
                Err(Error::Poisoned { events, last, suspects, reason }) => {
                    tracing::warn!(view = %self.schema, events, reason, "a batch cannot be applied: a smaller one is tried");
                    ease.failed(events, last, suspects, &reason);
                    continue;
                }
                Err(error @ (Error::NewerVersion { .. } | Error::Gone)) => return Err(error),
                Err(error) => error,
            };
            self.measures.failed();
            tracing::warn!(view = %self.schema, error = &error as &dyn std::error::Error, "the view waits");
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(pause) => pause = (pause * 2).min(LAST_PAUSE),
            }
        }
    }

    /// Makes the view anew that an older version of the projection made; or another node does.
    async fn rebuild(&self, found: i32, stop: &CancellationToken) -> Result<(), Error> {
        let Schema { view, .. } = self.schema;
        tracing::info!(%view, found, version = view.version(), "the view is of an older version: it is rebuilt beside it");
        let rebuild = Rebuild::at_start(view);
        let rebuild = rebuild.prepare_in(self.log.clone(), [(self.share, &*self.database_url)].into_iter(), stop)?;
        let progress = rebuild.progress();
        let mut run = Box::pin(rebuild.run());
        loop {
            tokio::select! {
                done = &mut run => return done.map(|_| ()),
                () = sleep(TOLD) => {
                    for (view, _, status) in &progress {
                        let status = *status.borrow();
                        tracing::info!(%view, step = ?status.step, applied = status.applied, of = status.of, "rebuilding");
                    }
                }
            }
        }
    }

    /// Works on one connection until it is told to stop, or an error ends it.
    async fn session<P: Store>(
        &self,
        stop: &CancellationToken,
        broken: &mut Option<Uuid>,
        pause: &mut Duration,
        ease: &mut Ease,
    ) -> Result<(), Error> {
        let opening = async {
            let mut connection = self.database.connect(self.schema).await?;
            let generation = self.open(&mut connection, *broken).await?;
            Ok::<_, Error>(Desk { view: self.schema.view, connection, generation, measures: self.measures.clone() })
        };
        let mut desk = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            opened = opening => opened?,
        };
        *broken = None;
        loop {
            match self.follow::<P>(&mut desk, stop, pause, ease).await {
                Ok(()) => break,
                Err(Error::Overtaken) => tracing::info!(view = %self.schema, "another runner is at work"),
                Err(error) => {
                    *broken = error.is_wiped().then_some(desk.generation.id);
                    return Err(error);
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                waited = self.stand_by(&mut desk) => waited?,
            }
            desk.generation = self.open(&mut desk.connection, None).await?;
        }
        // The work is committed: a farewell that fails leaves nothing undone.
        desk.connection.close().await.ok();
        Ok(())
    }

    async fn open(&self, connection: &mut PgConnection, broken: Option<Uuid>) -> Result<Generation, Error> {
        let generation = answered(generation::open(connection, self.schema, self.share, &self.log, broken)).await?;
        self.tell_parked(&generation);
        self.tell(&generation.checkpoint).await;
        Ok(generation)
    }

    /// Commits batch after batch.
    async fn follow<P: Store>(
        &self,
        desk: &mut Desk,
        stop: &CancellationToken,
        pause: &mut Duration,
        ease: &mut Ease,
    ) -> Result<(), Error> {
        let sources = Source::all(&desk.generation.checkpoint, &self.log);
        let part = Part::new(self.log.names(), self.share);
        let mut intake = Intake::<P>::new(sources, part, desk.generation.parked.clone(), ease);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = intake.ready() => {}
                () = sleep(LOOK) => {
                    if self.look(&mut desk.connection).await? != desk.generation.checkpoint {
                        return Err(Error::Overtaken);
                    }
                    continue;
                }
            }
            desk.apply(&mut intake, ease).await?;
            self.tell_parked(&desk.generation);
            *pause = FIRST_PAUSE;
            self.tell(&desk.generation.checkpoint).await;
            if self.schema.place == Place::Previous {
                stop.run_until_cancelled(sleep(UNHURRIED)).await;
            }
        }
    }

    /// Waits until the runner that overtook this one is no longer at work: it leaves facts lying.
    async fn stand_by(&self, desk: &mut Desk) -> Result<(), Error> {
        // What is set aside is told by who is at work.
        self.measures.parked(0);
        let mut seen = desk.generation.checkpoint.clone();
        loop {
            sleep(STANDBY).await;
            let now = self.look(&mut desk.connection).await?;
            self.applied.send_replace(now.vector());
            if now == seen && !now.vector().covers(&self.schema.view.end(&self.log, self.share).await?) {
                return Ok(());
            }
            seen = now;
        }
    }

    async fn look(&self, connection: &mut PgConnection) -> Result<Checkpoint, Error> {
        answered(async { Ok(checkpoint::load(connection).await?) }).await
    }

    fn tell_parked(&self, generation: &Generation) {
        if self.schema.place == Place::Living {
            self.measures.parked(generation.parked.len());
        }
    }

    async fn tell(&self, checkpoint: &Checkpoint) {
        let vector = checkpoint.vector();
        if self.schema.place == Place::Living {
            self.announce(&vector).await;
        }
        self.applied.send_replace(vector);
    }

    /// A hint: who waits looks at the checkpoint too.
    async fn announce(&self, vector: &Vector) {
        let view = self.schema.view;
        match timeout(ANNOUNCE, self.log.announce(view.name(), self.share, vector)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%view, %error, "a checkpoint was not announced"),
            Err(_) => tracing::debug!(%view, "a checkpoint was not announced in time"),
        }
    }
}
