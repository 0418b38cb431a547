//! Drives one view: takes what the log has, commits it in batches that grow
//! with the load, and tells how far it has come. Whatever goes wrong, it begins
//! again from the checkpoint as stored; it skips nothing and applies nothing twice.

use crate::{
    View,
    directory::Directory,
    error::Error,
    generation::{self, Generation},
    inbox::Inbox,
    intake::{Batch, Intake},
    measures::Measures,
    presence::Presence,
    search::Search,
    store::{
        Store,
        checkpoint::{self, Checkpoint},
    },
    timeline::Timeline,
};
use events::{EventLog, Trace, Vector};
use sqlx::{ConnectOptions, Connection, PgConnection, Postgres, migrate::MigrateDatabase, postgres::PgConnectOptions};
use std::{pin::pin, time::Duration};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

/// Beyond it a larger batch makes nothing faster.
const MAX_EVENTS: usize = 5_000;
/// How long Postgres may take over a batch or a connection. Beyond it a half-open connection is given up.
const ANSWER: Duration = Duration::from_secs(15);
const ANNOUNCE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// How often a runner that was overtaken looks whether the other still works; above the time that a batch may wait.
const STANDBY: Duration = Duration::from_millis(500);

/// How often a runner that has nothing to do looks whether its rows and its connection are still there: a view that was
/// dropped is built again though nothing happens.
const LOOK: Duration = Duration::from_secs(1);

/// Keeps one view abreast of the log.
pub struct Runner {
    view: View,
    log: EventLog,
    database_url: String,
    options: PgConnectOptions,
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
        let options =
            database_url.parse::<PgConnectOptions>()?.application_name(&format!("herald projection {view}")).options([
                ("search_path", view.name()),
                ("synchronous_commit", "on"),
                // A runner that was stopped inside a transaction must not hold up the one that takes over.
                ("idle_in_transaction_session_timeout", "15s"),
            ]);
        let database_url = database_url.to_owned();
        let applied = watch::Sender::new(Vector::default());
        Ok(Self { view, log, database_url, options, batch: MAX_EVENTS, applied, measures: Measures::of(view) })
    }

    /// Commits at most that many events at once, 5,000 where nothing is said.
    #[must_use]
    pub fn with_batches_of(self, events: usize) -> Self {
        Self { batch: events.max(1), ..self }
    }

    pub fn applied(&self) -> Applied {
        Applied(self.applied.subscribe())
    }

    /// Runs until it is told to stop; a batch that is being committed is finished.
    ///
    /// # Errors
    /// When the view was built by a newer version of the projection. All else is retried for ever.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        match self.view {
            View::Directory => self.drive::<Directory>(&stop).await,
            View::Timeline => self.drive::<Timeline>(&stop).await,
            View::Inbox => self.drive::<Inbox>(&stop).await,
            View::Search => self.drive::<Search>(&stop).await,
            View::Presence => self.drive::<Presence>(&stop).await,
        }
    }

    async fn drive<P: Store>(&self, stop: &CancellationToken) -> Result<(), Error> {
        let mut pause = FIRST_PAUSE;
        let mut broken = None;
        loop {
            let error = match self.session::<P>(stop, &mut broken, &mut pause).await {
                Ok(()) => return Ok(()),
                Err(error @ Error::NewerVersion { .. }) => return Err(error),
                Err(error) => error,
            };
            self.measures.failed();
            tracing::warn!(view = %self.view, error = &error as &dyn std::error::Error, "the view waits");
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = sleep(pause) => pause = (pause * 2).min(LAST_PAUSE),
            }
        }
    }

    /// Works on one connection until it is told to stop, or an error ends it.
    async fn session<P: Store>(
        &self,
        stop: &CancellationToken,
        broken: &mut Option<Uuid>,
        pause: &mut Duration,
    ) -> Result<(), Error> {
        let opening = async {
            let mut connection = self.connect().await?;
            let generation = self.open(&mut connection, *broken).await?;
            Ok::<_, Error>((connection, generation))
        };
        let (mut connection, mut generation) = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            opened = opening => opened?,
        };
        *broken = None;
        loop {
            match self.follow::<P>(&mut connection, &mut generation, stop, pause).await {
                Ok(()) => break,
                Err(Error::Overtaken) => tracing::info!(view = %self.view, "another runner is at work"),
                Err(error) => {
                    *broken = error.is_wiped().then_some(generation.id);
                    return Err(error);
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                waited = self.stand_by(&mut connection, &generation) => waited?,
            }
            generation = self.open(&mut connection, None).await?;
        }
        // The work is committed: a farewell that fails leaves nothing undone.
        connection.close().await.ok();
        Ok(())
    }

    async fn connect(&self) -> Result<PgConnection, Error> {
        match self.try_connect().await {
            Err(error) if error.is_without_database() => {
                if let Err(error) = Postgres::create_database(&self.database_url).await {
                    tracing::debug!(%error, "the database is not created; another runner may just have done it");
                }
                self.try_connect().await
            }
            connected => connected,
        }
    }

    async fn try_connect(&self) -> Result<PgConnection, Error> {
        Ok(timeout(ANSWER, self.options.connect()).await.map_err(|_| Error::Silent)??)
    }

    async fn open(&self, connection: &mut PgConnection, broken: Option<Uuid>) -> Result<Generation, Error> {
        let opening = generation::open(connection, self.view, &self.log, broken);
        let generation = timeout(ANSWER, opening).await.map_err(|_| Error::Silent)??;
        self.tell(&generation.checkpoint).await;
        Ok(generation)
    }

    /// Commits batch after batch. While one is committed, the next is filled.
    async fn follow<P: Store>(
        &self,
        connection: &mut PgConnection,
        generation: &mut Generation,
        stop: &CancellationToken,
        pause: &mut Duration,
    ) -> Result<(), Error> {
        let mut intake = Intake::<P>::after(&generation.checkpoint, &self.log, self.batch);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = intake.ready() => {}
                () = sleep(LOOK) => {
                    if self.look(connection).await? != generation.checkpoint {
                        return Err(Error::Overtaken);
                    }
                    continue;
                }
            }
            let batch = intake.take();
            self.commit_while_filling(connection, generation, &batch, &mut intake).await?;
            generation.checkpoint.advance(&batch.moved);
            *pause = FIRST_PAUSE;
            self.tell(&generation.checkpoint).await;
        }
    }

    async fn commit_while_filling<P: Store>(
        &self,
        connection: &mut PgConnection,
        generation: &Generation,
        batch: &Batch<P>,
        next: &mut Intake<P>,
    ) -> Result<(), Error> {
        let mut commit = pin!(timeout(ANSWER, self.commit(connection, generation, batch)));
        loop {
            tokio::select! {
                biased;
                committed = &mut commit => return committed.map_err(|_| Error::Silent)?,
                () = next.more(), if !next.is_full() => {}
            }
        }
    }

    async fn commit<P: Store>(
        &self,
        connection: &mut PgConnection,
        generation: &Generation,
        batch: &Batch<P>,
    ) -> Result<(), Error> {
        let partitions = batch.moved.len();
        let span = tracing::info_span!("projection.commit", view = %self.view, events = batch.events, partitions);
        let transaction = async {
            Trace::link(&batch.traces);
            let began = Instant::now();
            let mut transaction = connection.begin().await?;
            checkpoint::fence(&mut transaction, generation.id, &generation.checkpoint).await?;
            batch.writes.write(&mut transaction).await?;
            checkpoint::advance(&mut transaction, generation.id, &generation.checkpoint, &batch.moved).await?;
            transaction.commit().await?;
            self.measures.committed(batch.events, began.elapsed());
            Ok(())
        };
        transaction.instrument(span).await
    }

    /// Waits until the runner that overtook this one is no longer at work: it leaves facts lying.
    async fn stand_by(&self, connection: &mut PgConnection, generation: &Generation) -> Result<(), Error> {
        let mut seen = generation.checkpoint.clone();
        loop {
            sleep(STANDBY).await;
            let now = self.look(connection).await?;
            self.applied.send_replace(now.vector());
            if now == seen && !now.vector().covers(&self.end().await?) {
                return Ok(());
            }
            seen = now;
        }
    }

    /// Where the streams end that the view is made of.
    async fn end(&self) -> Result<Vector, Error> {
        let mut end = Vector::default();
        for stream in self.view.streams(self.log.names()) {
            end.set(stream, self.log.end_of(stream).await?);
        }
        Ok(end)
    }

    async fn look(&self, connection: &mut PgConnection) -> Result<Checkpoint, Error> {
        Ok(timeout(ANSWER, checkpoint::load(connection)).await.map_err(|_| Error::Silent)??)
    }

    async fn tell(&self, checkpoint: &Checkpoint) {
        let vector = checkpoint.vector();
        // An announcement is a hint: who waits looks at the checkpoint too.
        match timeout(ANNOUNCE, self.log.announce(self.view.name(), &vector)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(view = %self.view, %error, "a checkpoint was not announced"),
            Err(_) => tracing::debug!(view = %self.view, "a checkpoint was not announced in time"),
        }
        self.applied.send_replace(vector);
    }
}
