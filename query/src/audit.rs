//! `audit`: what was done to somebody or in a thread, and what people told the
//! operators of. For operators only: it authorises nobody, whoever asks has to be.

use crate::{
    Answer, Error, View, Views,
    answer::{self, as_of},
    measures::Question,
    shards::{Rows, Shard, gather},
};
use events::{Aggregate, Partition, Position, ThreadId, Timestamp, UserId, event::Number};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    pub position: Position,
    /// Which of those that the fact tells.
    pub place: i32,
    pub at: Timestamp,
    /// `None`: the system.
    pub by: Option<UserId>,
    /// The person or thread that it happened to; `None`: the deployment.
    pub aggregate_id: Option<Uuid>,
    /// Whom else it concerns.
    pub user_id: Option<UserId>,
    pub kind: String,
    pub detail: Option<String>,
}

/// What somebody told the operators of; its position is its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub position: Position,
    pub at: Timestamp,
    pub reporter: UserId,
    pub thread_id: ThreadId,
    pub number: Number,
    /// `None` once the reporter was erased.
    pub reason: Option<String>,
    pub resolved_at: Option<Timestamp>,
}

/// Whose trail is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trail {
    /// What somebody did, and what was done to them.
    User(UserId),
    Thread(ThreadId),
}

macro_rules! deeds {
    ($condition:literal) => {
        concat!(
            as_of!("audit"),
            "SELECT vector, version, d.* FROM as_of LEFT JOIN ( \
                 SELECT at, sequence, partition, place, aggregate_id, by_id, user_id, kind, detail FROM audit.deeds \
                 WHERE ",
            $condition,
            " AND ($2::timestamptz IS NULL OR (at, partition, sequence, place) > ($2, $3::integer, $4::bigint, $5::integer)) \
                 ORDER BY at, partition, sequence, place LIMIT $6) d ON true ORDER BY d.at, d.partition, d.sequence, d.place"
        )
    };
}

const OF_USER: &str = deeds!("(aggregate_id = $1 OR by_id = $1 OR user_id = $1)");
const OF_THREAD: &str = deeds!("aggregate_id = $1");

const REPORTS: &str = concat!(
    as_of!("audit"),
    "SELECT vector, version, r.* FROM as_of LEFT JOIN ( \
         SELECT at, sequence, partition, reporter_id, thread_id, number, reason, resolved_at FROM audit.reports \
         WHERE resolved_at IS NULL ORDER BY at, partition, sequence LIMIT $1) r ON true \
     ORDER BY r.at, r.partition, r.sequence"
);

const REPORT: &str = concat!(
    as_of!("audit"),
    "SELECT vector, version, r.* FROM as_of LEFT JOIN ( \
         SELECT at, sequence, partition, reporter_id, thread_id, number, reason, resolved_at FROM audit.reports \
         WHERE partition = $1 AND sequence = $2) r ON true"
);

/// What an operator is called: the fact that made them one lies with all that concerns the deployment.
const CALLED: &str = concat!(
    as_of!("audit"),
    "SELECT vector, version, \
            (SELECT detail FROM audit.deeds WHERE by_id = $1 AND kind = 'operator_added' LIMIT 1) AS name FROM as_of"
);

impl Views {
    /// The next deeds of a trail, oldest first. They lie with the facts that tell them, so all databases are asked.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub async fn deeds_of(&self, trail: Trail, after: Option<&Deed>, limit: u16) -> Result<Answer<Vec<Deed>>, Error> {
        let shards = self.shards();
        let found = gather(shards.iter(), |shard| self.deeds_in(shard, trail, after, limit)).await?;
        Ok(found.map(|found| oldest(found, limit, |deed| (deed.at, deed.position, deed.place))))
    }

    async fn deeds_in(
        &self,
        shard: &Shard,
        trail: Trail,
        after: Option<&Deed>,
        limit: u16,
    ) -> Result<Answer<Vec<Deed>>, Error> {
        let (statement, id) = match trail {
            Trail::User(user_id) => (OF_USER, user_id.uuid()),
            Trail::Thread(thread_id) => (OF_THREAD, thread_id.uuid()),
        };
        let sequence = after.map(|deed| i64::try_from(deed.position.sequence).unwrap_or(i64::MAX));
        let query = sqlx::query(statement)
            .bind(id)
            .bind(after.map(|deed| deed.at))
            .bind(after.map(|deed| i32::from(deed.position.partition.0)))
            .bind(sequence)
            .bind(after.map(|deed| deed.place))
            .bind(i64::from(limit));
        decoded(&self.rows(shard, Question::Audited, query).await?, deed)
    }

    /// The reports that nobody has seen to, oldest first.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub async fn open_reports(&self, limit: u16) -> Result<Answer<Vec<Report>>, Error> {
        let ask = async |shard| {
            let query = sqlx::query(REPORTS).bind(i64::from(limit));
            decoded(&self.rows(shard, Question::Reports, query).await?, report)
        };
        let found = gather(self.shards().iter(), ask).await?;
        Ok(found.map(|found| oldest(found, limit, |report| (report.at, report.position))))
    }

    /// One report, seen to or not.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub async fn report(&self, position: Position) -> Result<Answer<Option<Report>>, Error> {
        let sequence = i64::try_from(position.sequence).unwrap_or(i64::MAX);
        let query = sqlx::query(REPORT).bind(i32::from(position.partition.0)).bind(sequence);
        let rows = self.rows(self.shards().with(position.partition), Question::Reports, query).await?;
        Ok(decoded(&rows, report)?.map(|found| found.into_iter().next()))
    }

    /// What somebody is called who operates the deployment, or once did.
    ///
    /// # Errors
    /// When the view cannot be read.
    pub async fn operator(&self, operator_id: UserId) -> Result<Answer<Option<String>>, Error> {
        let shards = self.shards();
        let shard = shards.with(shards.names().partition_of(Aggregate::Deployment));
        let rows = self.rows(shard, Question::Audited, sqlx::query(CALLED).bind(operator_id.uuid())).await?;
        let name = rows.first().map(|row| row.try_get("name")).transpose()?.flatten();
        Answer::new(View::Audit, &rows, name)
    }
}

/// The first of what several databases have, each in that order.
fn oldest<T, K: Ord>(found: Vec<Vec<T>>, limit: u16, place: impl Fn(&T) -> K) -> Vec<T> {
    let mut all: Vec<_> = found.into_iter().flatten().collect();
    all.sort_by_key(place);
    all.truncate(limit.into());
    all
}

fn decoded<T>(rows: &Rows, decode: impl Fn(&PgRow) -> Result<Option<T>, Error>) -> Result<Answer<Vec<T>>, Error> {
    let value = rows.iter().filter_map(|row| decode(row).transpose()).collect::<Result<_, _>>()?;
    Answer::new(View::Audit, rows, value)
}

fn position(row: &PgRow) -> Result<Option<Position>, Error> {
    let Some(sequence) = row.try_get::<Option<i64>, _>("sequence")? else { return Ok(None) };
    let partition = u16::try_from(row.try_get::<i32, _>("partition")?).map_err(Error::inconsistent)?;
    Ok(Some(Position { partition: Partition(partition), sequence: answer::sequence(sequence)? }))
}

fn deed(row: &PgRow) -> Result<Option<Deed>, Error> {
    let Some(position) = position(row)? else { return Ok(None) };
    let person = |column: &str| Ok::<_, Error>(row.try_get::<Option<Uuid>, _>(column)?.map(UserId::from_uuid));
    Ok(Some(Deed {
        position,
        place: row.try_get("place")?,
        at: row.try_get("at")?,
        by: person("by_id")?,
        aggregate_id: row.try_get("aggregate_id")?,
        user_id: person("user_id")?,
        kind: row.try_get("kind")?,
        detail: row.try_get("detail")?,
    }))
}

fn report(row: &PgRow) -> Result<Option<Report>, Error> {
    let Some(position) = position(row)? else { return Ok(None) };
    Ok(Some(Report {
        position,
        at: row.try_get("at")?,
        reporter: UserId::from_uuid(row.try_get("reporter_id")?),
        thread_id: ThreadId::from_uuid(row.try_get("thread_id")?),
        number: Number::try_from(row.try_get::<i32, _>("number")?).map_err(Error::inconsistent)?,
        reason: row.try_get("reason")?,
        resolved_at: row.try_get("resolved_at")?,
    }))
}
