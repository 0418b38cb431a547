//! How somebody keeps their threads: it lies with them, and is carried to the
//! databases of the threads where those are others. With one database nothing is.

use crate::{
    Answer, Error, View, Views,
    answer::as_of,
    measures::Question,
    shards::{Shard, Shards},
};
use events::{ThreadId, Timestamp, UserId, Vector};
use sqlx::{
    Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use uuid::Uuid;

/// How one person keeps their threads, where it is not as all are at first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) of: UserId,
    pub(crate) kept: Vec<Kept>,
}

/// How a thread is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) thread_id: ThreadId,
    pub(crate) muted_until: Option<Timestamp>,
    pub(crate) archived: bool,
    pub(crate) pinned: bool,
}

const SETTINGS: &str = concat!(
    as_of!("inbox"),
    "SELECT vector, version, s.* FROM as_of LEFT JOIN ( \
         SELECT thread_id, muted_until, archived, pinned FROM inbox.settings \
         WHERE user_id = $1 AND ($2::uuid IS NULL OR thread_id = $2)) s ON true"
);

impl Settings {
    /// As much of it as a database has to be told: what lies there it knows.
    pub(crate) fn of(&self, shard: &Shard) -> Self {
        let is_told = |kept: &Kept| !shard.has(self.of.uuid()) && shard.has(kept.thread_id.uuid());
        Self { of: self.of, kept: self.kept.iter().filter(|kept| is_told(kept)).copied().collect() }
    }

    /// As four columns.
    pub(crate) fn bind_to<'q>(&self, query: Query<'q, Postgres, PgArguments>) -> Query<'q, Postgres, PgArguments> {
        let thread_ids: Vec<Uuid> = self.kept.iter().map(|kept| kept.thread_id.uuid()).collect();
        let muted_until: Vec<Option<Timestamp>> = self.kept.iter().map(|kept| kept.muted_until).collect();
        let archived: Vec<bool> = self.kept.iter().map(|kept| kept.archived).collect();
        let pinned: Vec<bool> = self.kept.iter().map(|kept| kept.pinned).collect();
        query.bind(thread_ids).bind(muted_until).bind(archived).bind(pinned)
    }
}

impl Views {
    /// What the databases of somebody's threads have to be told of how they keep them: all, or the one.
    pub(crate) async fn settings_of(
        &self,
        shards: &Shards,
        of: UserId,
        thread_id: Option<ThreadId>,
    ) -> Result<Answer<Settings>, Error> {
        let own = shards.of(of.uuid());
        let is_known = thread_id.is_some_and(|thread_id| own.has(thread_id.uuid()));
        if shards.only().is_some() || is_known {
            return Ok(Answer { as_of: Vector::default(), of: Vec::new(), value: Settings { of, kept: Vec::new() } });
        }
        let query = sqlx::query(SETTINGS).bind(of.uuid()).bind(thread_id.map(ThreadId::uuid));
        let rows = self.rows(own, Question::Settings, query).await?;
        let kept = rows.iter().filter_map(|row| kept(row).transpose()).collect::<Result<_, _>>()?;
        Answer::new(View::Inbox, &rows, Settings { of, kept })
    }
}

fn kept(row: &PgRow) -> Result<Option<Kept>, Error> {
    let Some(thread_id) = row.try_get::<Option<Uuid>, _>("thread_id")? else { return Ok(None) };
    Ok(Some(Kept {
        thread_id: ThreadId::from_uuid(thread_id),
        muted_until: row.try_get("muted_until")?,
        archived: row.try_get("archived")?,
        pinned: row.try_get("pinned")?,
    }))
}
