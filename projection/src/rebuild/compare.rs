//! A view that was built anew beside the living one, at one vector: rows are
//! hashed in a snapshot of the one that serves, which goes on, and what differs
//! is read and listed.

use super::build::Build;
use crate::{
    desk::Desk,
    error::Error,
    generation,
    place::Schema,
    store::checkpoint::{self, Checkpoint},
};
use events::Partition;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep};

/// How long the living view may take to reach what the other has applied; then nobody is at work on it.
const AT_WORK: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);
/// Rows that differ are read in so many of a table's 4,096 portions, and so many are told.
const PORTIONS: usize = 8;
const EXAMPLES: usize = 10;
const ROWS: i64 = 10_000;

const TABLES: &str = "\
    SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = $1 AND c.relkind = 'r' AND c.relname NOT IN ('generation', 'checkpoint', '_sqlx_migrations') \
    ORDER BY 1";

/// A table of both generations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    pub table: String,
    /// Rows of the one that serves, and of the one that was built.
    pub living: u64,
    pub built: u64,
    /// Whether the rows are the same.
    pub equal: bool,
    /// Some of those that are not, as Postgres writes them.
    pub differing: Vec<Only>,
}

/// A row that only one of them has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Only {
    Living(String),
    Built(String),
}

/// Of each portion of a table, by the rows' hash: their number, and the sum of their other hash.
type Portions = BTreeMap<i32, (i64, String)>;

/// The tables of a generation that hold what it is for.
pub(super) async fn tables(connection: &mut PgConnection, schema: Schema) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(TABLES).bind(schema.to_string()).fetch_all(connection).await
}

/// Compares them, and leaves the built one as far as the living one was. `None`: they cannot be compared.
pub(super) async fn compare(build: &Build, desk: &mut Desk) -> Result<Option<Vec<Compared>>, Error> {
    let (schema, living) = (build.schema(), Schema::living(build.view()));
    let bounded = desk.generation.checkpoint.partitions().any(|partition| partition == Partition::PRESENCE);
    let mut beside = build.database().connect(living).await?;
    if bounded || generation::version(&mut beside, living).await? != Some(build.view().version()) {
        return Ok(None);
    }
    if !comes_abreast(&mut beside, &desk.generation.checkpoint).await? {
        return Ok(None);
    }
    let mut snapshot = beside.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    // It waits here while the built one is hashed, however long that takes.
    sqlx::query("SET LOCAL idle_in_transaction_session_timeout = 0").execute(&mut *snapshot).await?;
    let until = checkpoint::load(&mut snapshot).await?.vector();
    let tables = tables(&mut snapshot, living).await?;
    let mut portions = Vec::new();
    for table in &tables {
        portions.push(hash(&mut snapshot, living, table).await?);
    }
    build.catch_up(desk, &until, None).await?;
    let mut compared = Vec::new();
    for (table, lives) in tables.into_iter().zip(portions) {
        let built = hash(&mut desk.connection, schema, &table).await?;
        let differ: Vec<i32> =
            lives.keys().chain(built.keys()).copied().filter(|of| lives.get(of) != built.get(of)).collect();
        let differing = if differ.is_empty() {
            Vec::new()
        } else {
            let some = &differ[..differ.len().min(PORTIONS)];
            let lives = rows(&mut snapshot, living, &table, some).await?;
            let built = rows(&mut desk.connection, schema, &table, some).await?;
            differences(lives, built)
        };
        let count = |portions: &Portions| portions.values().map(|(rows, _)| rows.unsigned_abs()).sum();
        let (living, built) = (count(&lives), count(&built));
        compared.push(Compared { table, living, built, equal: differ.is_empty(), differing });
    }
    snapshot.rollback().await?;
    Ok(Some(compared))
}

/// Waits until the living view has applied what the other has.
async fn comes_abreast(living: &mut PgConnection, built: &Checkpoint) -> Result<bool, Error> {
    let began = Instant::now();
    while !checkpoint::load(living).await?.vector().covers(&built.vector()) {
        if began.elapsed() > AT_WORK {
            return Ok(false);
        }
        sleep(LOOK).await;
    }
    Ok(true)
}

async fn hash(connection: &mut PgConnection, schema: Schema, table: &str) -> Result<Portions, Error> {
    let hash = format!(
        "SELECT (hash_record_extended(t, 0) & 4095)::integer, count(*), sum(hash_record_extended(t, 1))::text \
         FROM {schema}.{table} t GROUP BY 1"
    );
    let rows = sqlx::query(AssertSqlSafe(hash)).fetch_all(connection).await?;
    let portion = |row: &sqlx::postgres::PgRow| Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)));
    rows.iter().map(portion).collect::<Result<_, sqlx::Error>>().map_err(Error::from)
}

async fn rows(
    connection: &mut PgConnection,
    schema: Schema,
    table: &str,
    portions: &[i32],
) -> Result<Vec<String>, Error> {
    let rows = format!(
        "SELECT t::text FROM {schema}.{table} t WHERE (hash_record_extended(t, 0) & 4095)::integer = ANY($1) \
         ORDER BY 1 LIMIT {ROWS}"
    );
    Ok(sqlx::query_scalar(AssertSqlSafe(rows)).bind(portions).fetch_all(connection).await?)
}

/// What only one of two lists of rows has.
fn differences(living: Vec<String>, built: Vec<String>) -> Vec<Only> {
    let mut balance: BTreeMap<String, i64> = BTreeMap::new();
    for row in living {
        *balance.entry(row).or_default() += 1;
    }
    for row in built {
        *balance.entry(row).or_default() -= 1;
    }
    let only = |(row, balance): (String, i64)| match balance {
        0 => None,
        1.. => Some(Only::Living(row)),
        _ => Some(Only::Built(row)),
    };
    balance.into_iter().filter_map(only).take(EXAMPLES).collect()
}
