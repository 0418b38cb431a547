//! One build of a view's tables, in a schema of its own. Opening finds the
//! generation and checks it against the log; one that does not stem from this
//! log is dropped and begun anew from position 0.

use crate::{
    View,
    error::Error,
    place::{Place, Schema},
    quarantine::Parked,
    store::{
        checkpoint::{self, Checkpoint},
        quarantine,
    },
    view::TABLES,
};
use events::{EventLog, Ids, Partition, Position, Share};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

/// A generation as a runner found or made it, and as much of its checkpoint as the runner owns.
#[derive(Debug, Clone)]
pub(crate) struct Generation {
    pub(crate) id: Uuid,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) parked: Parked,
}

/// How long after a first look an event that is not there is looked for again: an election takes 4 to 9 seconds.
const SECOND_LOOK: Duration = Duration::from_secs(10);

enum Verdict {
    Sound(Generation),
    Absent,
    /// Sound, but what an older version of the projection made of the facts.
    Outdated(i32),
    /// Sound, but of another map of databases.
    Elsewhere(String),
    Wrong(String),
}

// One opener at a time; the number is ours among the advisory locks of the database.
const LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('herald generation ' || $1, 0))";

const FIND: &str = "\
    SELECT to_regclass($1 || '.generation') IS NOT NULL AND to_regclass($1 || '.checkpoint') IS NOT NULL AS whole, \
           EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS present";

/// Who does not finish what was begun within a week begins anew.
const ADD: &str = "\
    INSERT INTO generation (id, epoch, version, share, keep_until) \
    VALUES (gen_random_uuid(), $1, $2, $3, now() + interval '7 days') RETURNING id";

/// Opens the generation. The living and the next one are made where there is none. `broken` is one that lacked a table.
///
/// # Errors
/// [`Error::Outdated`] where the living one is of an older version, [`Error::Elsewhere`] where it holds another share,
/// [`Error::Gone`] where there is no previous one that this build can write.
pub(crate) async fn open(
    connection: &mut PgConnection,
    schema: Schema,
    share: Share,
    log: &EventLog,
    broken: Option<Uuid>,
) -> Result<Generation, Error> {
    let view = schema.view;
    let mut transaction = connection.begin().await?;
    sqlx::query(LOCK).bind(schema.to_string()).execute(&mut *transaction).await?;
    let verdict = judge(&mut transaction, schema, share, log, broken).await?;
    let generation = match (schema.place, verdict) {
        (_, Verdict::Sound(generation)) => generation,
        (Place::Living, Verdict::Outdated(found)) => return Err(Error::Outdated { view, found }),
        (Place::Living, Verdict::Elsewhere(found)) => return Err(Error::Elsewhere { view, found, share }),
        (Place::Previous, Verdict::Absent | Verdict::Outdated(_) | Verdict::Elsewhere(_)) => return Err(Error::Gone),
        (Place::Previous, Verdict::Wrong(reason)) => {
            tracing::warn!(%schema, reason, "the previous generation is dropped");
            drop_schema(&mut transaction, schema).await?;
            transaction.commit().await?;
            return Err(Error::Gone);
        }
        (Place::Living | Place::Next, Verdict::Absent) => {
            tracing::info!(%schema, "the view is built from the log");
            create(&mut transaction, schema, share, log).await?
        }
        (Place::Living, Verdict::Wrong(reason)) => {
            tracing::warn!(%schema, reason, "the view is dropped, and built anew from the log");
            create(&mut transaction, schema, share, log).await?
        }
        (Place::Next, Verdict::Wrong(_) | Verdict::Outdated(_) | Verdict::Elsewhere(_)) => {
            create(&mut transaction, schema, share, log).await?
        }
    };
    transaction.commit().await?;
    Ok(generation)
}

/// Drops a generation, if it is there.
pub(crate) async fn drop_schema(connection: &mut PgConnection, schema: Schema) -> Result<(), sqlx::Error> {
    // A schema's name is made of constants of ours, and nothing to quote.
    sqlx::query(AssertSqlSafe(format!("DROP SCHEMA IF EXISTS {schema} CASCADE"))).execute(connection).await?;
    Ok(())
}

/// The version of the projection that made a generation; `None` where there is none.
pub(crate) async fn version(connection: &mut PgConnection, schema: Schema) -> Result<Option<i32>, Error> {
    let found = sqlx::query(FIND).bind(schema.to_string()).fetch_one(&mut *connection).await?;
    if !found.try_get::<bool, _>("whole")? {
        return Ok(None);
    }
    let version = format!("SELECT version FROM {schema}.generation");
    Ok(sqlx::query_scalar(AssertSqlSafe(version)).fetch_optional(connection).await?)
}

/// Which share of the partitions a generation of this build's version holds; `None` where there is none such.
pub(crate) async fn share(connection: &mut PgConnection, schema: Schema) -> Result<Option<String>, Error> {
    if version(connection, schema).await? != Some(schema.view.version()) {
        return Ok(None);
    }
    let share = format!("SELECT share FROM {schema}.generation");
    Ok(sqlx::query_scalar(AssertSqlSafe(share)).fetch_optional(connection).await?)
}

/// Lets a generation hold nothing any more, by any map: who writes or reads it finds out.
pub(crate) async fn retire(connection: &mut PgConnection, schema: Schema) -> Result<(), Error> {
    if share(connection, schema).await?.is_some() {
        let retire = format!("UPDATE {schema}.generation SET id = gen_random_uuid(), share = 'none'");
        sqlx::query(AssertSqlSafe(retire)).execute(connection).await?;
    }
    Ok(())
}

async fn judge(
    connection: &mut PgConnection,
    schema: Schema,
    share: Share,
    log: &EventLog,
    broken: Option<Uuid>,
) -> Result<Verdict, Error> {
    let view = schema.view;
    let wrong = |reason: &str| Ok(Verdict::Wrong(reason.to_owned()));
    let found = sqlx::query(FIND).bind(schema.to_string()).fetch_one(&mut *connection).await?;
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
    if broken == Some(id) {
        return wrong("a table was lost");
    }
    if epoch != log.epoch() {
        return wrong("it stems from another log");
    }
    if version == view.version() {
        let found: String = sqlx::query_scalar("SELECT share FROM generation").fetch_one(&mut *connection).await?;
        if found != share.to_string() {
            return Ok(Verdict::Elsewhere(found));
        }
    }
    let checkpoint = checkpoint::load(connection).await?;
    if version == view.version() && !checkpoint.partitions().eq(view.streams(log.names(), share)) {
        return wrong("its checkpoint names other partitions than the log has");
    }
    if let Some(position) = foreign(&checkpoint, log).await? {
        // Clients, too, remember what it does not hold any more.
        log.renew_epoch(&Ids::random()).await?;
        return Ok(Verdict::Wrong(format!("the log's event at {position} is not the one that it applied last")));
    }
    if version < view.version() {
        return Ok(Verdict::Outdated(version));
    }
    let parked = quarantine::load(connection).await?;
    Ok(Verdict::Sound(Generation { id, checkpoint, parked }))
}

/// Where the log does not have the event that was applied last.
async fn foreign(checkpoint: &Checkpoint, log: &EventLog) -> Result<Option<Position>, Error> {
    for (partition, mark) in checkpoint.iter().filter(|(_, mark)| mark.sequence > 0) {
        let position = Position { partition, sequence: mark.sequence };
        let mut found = log.event_id_at(position).await?;
        if found.is_none() {
            // A leader that is cut off, and does not know it yet, may lack what others have.
            sleep(SECOND_LOOK).await;
            found = log.event_id_at(position).await?;
        }
        if found.is_none() && mark.sequence <= log.outlived(partition).await? {
            // Whatever it was, it is too old to be kept.
            continue;
        }
        if found != mark.event_id {
            return Ok(Some(position));
        }
    }
    Ok(None)
}

/// Makes a generation, of which nothing is filled. The next one gets its indexes when it is.
async fn create(
    connection: &mut PgConnection,
    schema: Schema,
    share: Share,
    log: &EventLog,
) -> Result<Generation, Error> {
    let Schema { view, place } = schema;
    drop_schema(connection, schema).await?;
    sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).execute(&mut *connection).await?;
    let target = (place == Place::Next).then_some(TABLES);
    view.migrator().run_direct(target, &mut *connection, false).await?;
    let add = sqlx::query(ADD).bind(log.epoch()).bind(view.version()).bind(share.to_string());
    let row = add.fetch_one(&mut *connection).await?;
    let streams = view.streams(log.names(), share);
    let mut checkpoint = Checkpoint::start(streams.iter().copied());
    if streams.contains(&Partition::PRESENCE) {
        // What was too old is gone, and will not come.
        checkpoint.set(Partition::PRESENCE, log.outlived(Partition::PRESENCE).await?);
    }
    checkpoint::insert(connection, &checkpoint).await?;
    Ok(Generation { id: row.try_get("id")?, checkpoint, parked: Parked::default() })
}

/// Makes the indexes of a generation that was made without them; nothing where it has them.
pub(crate) async fn complete(connection: &mut PgConnection, view: View) -> Result<(), Error> {
    Ok(view.migrator().run_direct(None, connection, false).await?)
}
