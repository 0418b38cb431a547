//! One build of a view's tables, in a schema of its own. Opening finds the
//! generation and checks it against the log; one that does not stem from this
//! log, or from this projection, is dropped and begun anew from position 0.

use crate::{
    View,
    error::Error,
    store::checkpoint::{self, Checkpoint},
};
use events::{EventLog, Position};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

/// A generation as a runner found or made it.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) id: Uuid,
    pub(crate) checkpoint: Checkpoint,
}

/// How long after a first look an event that is not there is looked for again: an election takes 4 to 9 seconds.
const SECOND_LOOK: Duration = Duration::from_secs(10);

enum Verdict {
    Sound(Generation),
    Absent,
    Wrong(String),
}

// One opener at a time; the number is ours among the advisory locks of the database.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('herald generation ' || $1, 0))";

const FIND: &str = "\
    SELECT to_regclass($1 || '.generation') IS NOT NULL AND to_regclass($1 || '.checkpoint') IS NOT NULL AS whole, \
           EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS present";

const ADD: &str = "INSERT INTO generation (id, epoch, version) VALUES (gen_random_uuid(), $1, $2) RETURNING id";

/// Opens the view's generation, making it where there is none. `broken` is one that lacked a table.
pub(crate) async fn open(
    connection: &mut PgConnection,
    view: View,
    log: &EventLog,
    broken: Option<Uuid>,
) -> Result<Generation, Error> {
    let mut transaction = connection.begin().await?;
    sqlx::query(LOCK).bind(view.name()).execute(&mut *transaction).await?;
    let generation = match judge(&mut transaction, view, log, broken).await? {
        Verdict::Sound(generation) => {
            view.migrator().run_direct(None, &mut *transaction, false).await?;
            generation
        }
        Verdict::Absent => {
            tracing::info!(%view, "the view is built from the log");
            create(&mut transaction, view, log).await?
        }
        Verdict::Wrong(reason) => {
            tracing::warn!(%view, reason, "the view is dropped, and built anew from the log");
            create(&mut transaction, view, log).await?
        }
    };
    transaction.commit().await?;
    Ok(generation)
}

async fn judge(
    connection: &mut PgConnection,
    view: View,
    log: &EventLog,
    broken: Option<Uuid>,
) -> Result<Verdict, Error> {
    let wrong = |reason: &str| Ok(Verdict::Wrong(reason.to_owned()));
    let found = sqlx::query(FIND).bind(view.name()).fetch_one(&mut *connection).await?;
    if !found.try_get("present")? {
        return Ok(Verdict::Absent);
    }
    if !found.try_get("whole")? {
        return wrong("its schema is not whole");
    }
    let row = sqlx::query("SELECT id, epoch, version FROM generation").fetch_optional(&mut *connection).await?;
    let Some(row) = row else { return wrong("it does not say which generation it is") };
    let (id, epoch, version): (Uuid, Uuid, i32) = (row.try_get("id")?, row.try_get("epoch")?, row.try_get("version")?);
    if version > view.version() {
        return Err(Error::NewerVersion { view, found: version, known: view.version() });
    }
    if version < view.version() {
        return wrong("it is of an older version");
    }
    if broken == Some(id) {
        return wrong("a table was lost");
    }
    if epoch != log.epoch() {
        return wrong("it stems from another log");
    }
    let checkpoint = checkpoint::load(connection).await?;
    if !checkpoint.partitions().eq(view.streams(log.names())) {
        return wrong("its checkpoint names other partitions than the log has");
    }
    if let Some(position) = foreign(&checkpoint, log).await? {
        return Ok(Verdict::Wrong(format!("the log's event at {position} is not the one that it applied last")));
    }
    Ok(Verdict::Sound(Generation { id, checkpoint }))
}

/// Where the log does not have the event that was applied last.
async fn foreign(checkpoint: &Checkpoint, log: &EventLog) -> Result<Option<Position>, Error> {
    for (partition, mark) in checkpoint.iter().filter(|(_, mark)| mark.sequence > 0) {
        let position = Position { partition, sequence: mark.sequence };
        if mark.sequence <= log.outlived(partition).await? {
            // Whatever it was, it is too old to be kept.
            continue;
        }
        let mut found = log.event_id_at(position).await?;
        if found.is_none() {
            // A leader that is cut off, and does not know it yet, may lack what others have.
            sleep(SECOND_LOOK).await;
            found = log.event_id_at(position).await?;
        }
        if found != mark.event_id {
            return Ok(Some(position));
        }
    }
    Ok(None)
}

async fn create(connection: &mut PgConnection, view: View, log: &EventLog) -> Result<Generation, Error> {
    // A view's name is a constant of ours, and nothing to quote.
    let drop = format!("DROP SCHEMA IF EXISTS {view} CASCADE");
    sqlx::query(AssertSqlSafe(drop)).execute(&mut *connection).await?;
    sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA {view}"))).execute(&mut *connection).await?;
    view.migrator().run_direct(None, &mut *connection, false).await?;
    let row = sqlx::query(ADD).bind(log.epoch()).bind(view.version()).fetch_one(&mut *connection).await?;
    let checkpoint = Checkpoint::start(view.streams(log.names()).into_iter());
    checkpoint::insert(connection, &checkpoint).await?;
    Ok(Generation { id: row.try_get("id")?, checkpoint })
}
